#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the newest mainline kernel that Debian has, linux-source-7.x, with our
# test producer and benchmark in it, into build/mainline-x86_64. Its source comes
# from the suites in apt.sh. Exits with 4 and the reason when it cannot be had.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

tree=$build/mainline

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

learn_packages
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
