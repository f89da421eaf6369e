#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the newest mainline kernel that Debian has, linux-source-7.x, with our
# test producer and benchmark in it, into build/mainline-x86_64. Its source comes
# from the suites below, of the mirror that apt is configured for; what is
# configured does not change. Exits with 4 and the reason when it cannot be had.

set -eu
. "$(dirname "$0")/lib.sh"

suites="stable-backports testing sid"
apt=$build/apt
tree=$build/mainline
mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"

unavailable() {
	echo "No mainline kernel to try: $*"
	exit 4
}

# apt in directories of our own, so that it needs no root.
private() {
	local command=$1
	shift
	"$command" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts=- \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o APT::Default-Release= -o APT::Sandbox::User="$(id -un)" "$@"
}

newest() {
	private apt-cache search --names-only '^linux-source-7\.[0-9]+$' |
		awk '{ print $1 }' | sort -V | tail -n 1
}

fetch() {
	rm -f "$apt"/*.deb
	cd "$apt"
	private apt-get download "$1"
}

unpack() {
	rm -rf "$tree" "$build/mainline-x86_64"
	mkdir -p "$tree"
	dpkg-deb --fsys-tarfile "$apt"/*.deb |
		tar -xO --wildcards './usr/src/linux-source-7.*.tar.xz' |
		tar -xJ -C "$tree" --strip-components=1
	echo "$1" > "$tree/.kho-version"
}

# Before the first update apt does not know whose mirrors they are.
mirrors() {
	# shellcheck disable=SC2016 # a format of apt's
	apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "$@" | grep -v security
}
mirror=$({ mirrors 'Origin: Debian' 'Label: Debian'; mirrors; } | head -n 1)
[ -n "$mirror" ] || unavailable "apt has no mirror of Debian configured"

# Not every mirror has every suite.
lists() {
	local suite
	: > "$apt/found"
	for suite in $suites; do
		echo "deb $mirror $suite main" > "$apt/sources.list"
		! private apt-get update --error-on=any || cat "$apt/sources.list" >> "$apt/found"
	done
	mv "$apt/found" "$apt/sources.list"
	# All of them at once: each update has thrown away the lists of the others.
	[ -s "$apt/sources.list" ] && private apt-get update
}

run mainline-list "Looking for mainline kernels" lists ||
	unavailable "the mirror cannot be reached, or has none of: $suites"
package=$(newest)
[ -n "$package" ] || unavailable "no linux-source-7.x in any of: $suites"
version=$(private apt-cache show "$package" | sed -n 's/^Version: //p' | head -n 1)

if [ "$(cat "$tree/.kho-version" 2>/dev/null)" != "$package $version" ]; then
	run mainline-fetch "Fetching $package $version" fetch "$package" ||
		unavailable "$package cannot be downloaded"
	run mainline-unpack "Unpacking $package" unpack "$package $version"
fi

# They use only the public API, so they are the same files.
for driver in kho_producer kho_bench kho_blackout; do
	cmp -s "$top/kernel/liveupdate/tests/$driver.c" "$tree/drivers/misc/$driver.c" ||
		cp "$top/kernel/liveupdate/tests/$driver.c" "$tree/drivers/misc/"
	grep -qx "obj-y += $driver.o" "$tree/drivers/misc/Makefile" ||
		echo "obj-y += $driver.o" >> "$tree/drivers/misc/Makefile"
done
TREE=$tree "$top/series/kernel.sh" mainline-x86_64 mainline
