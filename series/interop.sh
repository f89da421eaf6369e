#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# interop.sh [--all]
#
# Hand memory and memfds over to mainline and back, with mainline as a black box: the
# newest kernel in Debian that speaks our ABI, or with --all the newest of each version.
# A newer one that speaks another ABI is named. Exits with 4 and the reason if there is
# no mainline kernel to try. KHO_KERNEL= names our kernel in build/, by default x86_64.

set -eu
. "$(dirname "$0")/lib.sh"

all=${1:-}
[ -z "$all" ] || [ "$all" = --all ] || die "usage: interop.sh [--all]"

tests=$linux/tools/testing/selftests/kho
abi_headers=$top/include/linux/kho/abi
ours=$(sed -n 's/^#define \(KHO_FDT\|LUO_KHO\)_COMPATIBLE.*"\(.*\)"$/\2/p' \
	"$abi_headers/kexec_handover.h" "$abi_headers/luo.h" | paste -sd ' ')

# vmtest VERSION OPTION... TEST...
vmtest() {
	local version=$1
	shift
	"$tests/vmtest.sh" -j "$(nproc)" -k "$(image "${KHO_KERNEL:-x86_64}")" \
		-K "mainline=$build/mainline-x86_64-$version/arch/x86/boot/bzImage" \
		-o "$logs/interop-$version" "$@"
}

# build VERSION: with our drivers; plain is 1 afterwards if that works only without them,
# as their API may have changed with the ABI
build() {
	local rc=0
	plain=''
	"$top/series/mainline.sh" "$1" || rc=$?
	[ $rc != 4 ] || exit 4
	[ $rc != 0 ] || return 0
	plain=1
	"$top/series/mainline.sh" --plain "$1"
}

# probe VERSION: set theirs to its ABI
probe() {
	local log=$logs/interop-probe-$1.log
	vmtest "$1" interop_probe > "$log" || {
		cat "$log"
		return 1
	}
	theirs=$(sed -n 's/^ *# .* has ABI //p' "$log")
}

# try VERSION: all scenarios
try() {
	local rc=0
	vmtest "$1" interop interop_first || rc=1
	vmtest "$1" -d ../liveupdate/tests -b "$build/liveupdate/luo_memfd_interop" \
		interop_memfd interop_sessions || rc=1
	return $rc
}

"$top/series/mainline.sh" --fetch ${all:+"$all"}
run interop-programs "Building the programs of live update" luo_programs

mapfile -t list < "$build/mainline.list"
tried='' others='' rc=0
for line in "${list[@]}"; do
	read -r version package package_version suite <<< "$line"
	echo "$package $package_version ($suite):"
	if ! build "$version" || ! probe "$version"; then
		echo "not ok $package $package_version does not build or boot"
		rc=1
	elif [ "$theirs" != "$ours" ]; then
		others+="${others:+; }$package $package_version has ABI $theirs"
		echo "Not tried: its ABI is $theirs, ours is $ours"
		continue
	elif [ -n "$plain" ]; then
		echo "not ok $package $package_version has our ABI, but our drivers do not build"
		rc=1
	else
		try "$version" || rc=1
	fi
	tried=1
	[ -n "$all" ] || break
done

[ -n "$tried" ] || {
	echo "No mainline kernel to try, ours is ABI $ours: $others"
	exit 4
}
exit $rc
