#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mainline.sh [--fetch | --plain] [--all | VERSION]
#
# Build a mainline kernel that Debian has, linux-source-7.3 for instance, with our test
# producer and benchmark in it: the newest one, that of VERSION such as 7.3, or with
# --all the newest of each such version. The source is unpacked into build/mainline-7.3,
# and built into build/mainline-x86_64-7.3. It comes from the suites in apt.sh.
#
# With --plain there is nothing of ours in it. With --fetch, only download and unpack.
# build/mainline.list has what there is afterwards, the newest first: VERSION, package,
# version of the package, and suite.
#
# Exits with 4 and the reason when it cannot be had.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

list=$build/mainline.list

# Several suites may have one version: the newest package of each. As dpkg sorts them,
# 7.3~rc7 comes before 7.3.4.
available() {
	private apt-cache search --names-only '^linux-source-([7-9]|[1-9][0-9]+)\.[0-9]+$' |
		awk '{ print $1 }' | sort -rV | while read -r package; do
		private apt-cache madison "$package" | newest "$package"
	done
}

# What apt-cache madison says of a package on standard input; a line for the list.
newest() {
	local package version suite best='' where=
	while IFS=' |' read -r package version _ suite _; do
		[ -n "$best" ] && dpkg --compare-versions "$version" le "$best" ||
			best=$version where=${suite%%/*}
	done
	echo "${1#linux-source-} $1 $best $where"
}

fetch() {
	mkdir -p "$apt/$1"
	rm -f "$apt/$1"/*.deb
	cd "$apt/$1"
	private apt-get download "$1=$2"
}

unpack() {
	local tree=$build/mainline-$1
	rm -rf "$tree" "$build/mainline-x86_64-$1"
	mkdir -p "$tree"
	dpkg-deb --fsys-tarfile "$apt/$2"/*.deb |
		tar -xO --wildcards './usr/src/linux-source-*.tar.xz' |
		tar -xJ -C "$tree" --strip-components=1
	echo "$2 $3 ($4)" > "$tree/.kho-version"
	rm -f "$apt/$2"/*.deb
}

# get VERSION PACKAGE PACKAGE-VERSION SUITE
get() {
	[ "$(cat "$build/mainline-$1/.kho-version" 2> /dev/null)" != "$2 $3 ($4)" ] || return 0
	run "mainline-fetch-$1" "Fetching $2 $3 from $4" fetch "$2" "$3" ||
		unavailable "$2 $3 cannot be downloaded"
	run "mainline-unpack-$1" "Unpacking $2" unpack "$@"
}

# The drivers use only the public API, so they are the same files.
build() {
	local misc=$build/mainline-$1/drivers/misc driver
	for driver in kho_producer kho_bench kho_blackout; do
		if [ -n "$plain" ]; then
			sed -i "/^obj-y += $driver.o$/d" "$misc/Makefile"
			continue
		fi
		cmp -s "$top/kernel/liveupdate/tests/$driver.c" "$misc/$driver.c" ||
			cp "$top/kernel/liveupdate/tests/$driver.c" "$misc/"
		grep -qx "obj-y += $driver.o" "$misc/Makefile" ||
			echo "obj-y += $driver.o" >> "$misc/Makefile"
	done
	TREE=$build/mainline-$1 "$top/series/kernel.sh" "mainline-x86_64-$1" mainline
}

fetch_only='' plain='' which=newest
for arg; do
	case $arg in
	--fetch) fetch_only=1 ;;
	--plain) plain=1 ;;
	--all) which=all ;;
	[0-9]*.[0-9]*) which=$arg ;;
	*) die "usage: mainline.sh [--fetch | --plain] [--all | VERSION]" ;;
	esac
done

learn_packages
available > "$list"
[ -s "$list" ] || unavailable "no linux-source of 7.0 or later in any of: $suites"
mapfile -t chosen < <(awk -v which="$which" \
	'which == "all" || which == $1 || which == "newest" && NR == 1' "$list")
[ ${#chosen[@]} -gt 0 ] || unavailable "no linux-source-$which in any of: $suites"

for line in "${chosen[@]}"; do
	# shellcheck disable=SC2086 # words
	get $line
	[ -n "$fetch_only" ] || build "${line%% *}"
done
