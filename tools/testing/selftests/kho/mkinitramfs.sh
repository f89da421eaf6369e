#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# mkinitramfs.sh [-b PROGRAM]... OUTPUT TESTS KERNEL...
#
# Make the initramfs of the guests: busybox, kexec, PROGRAMs, the libraries that
# these need, the tests in the directory TESTS, and the kernels that they kexec, by
# their file names. It is not compressed: it is read more often than written.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
programs=()
while getopts b: opt; do
	case $opt in
	b) programs+=("$OPTARG") ;;
	*) exit 1 ;;
	esac
done
shift $((OPTIND - 1))
out=$(realpath -m "$1")
tests=$2
shift 2

need() {
	command -v "$1" || { echo "$0: $1 not found, install $2" >&2; exit 1; }
}

busybox=$(need busybox busybox-static)
kexec=$(PATH=$PATH:/usr/sbin:/sbin need kexec kexec-tools)
need cpio cpio > /dev/null

if ldd "$busybox" > /dev/null 2>&1; then
	echo "$0: $busybox is not static, install busybox-static" >&2
	exit 1
fi

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

mkdir -p "$root"/{bin,sbin,usr/bin,usr/sbin,boot,kho/tests,dev}
cp "$busybox" "$root/bin/busybox"
cp "$kexec" "$root/sbin/kexec"
[ ${#programs[@]} = 0 ] || cp "${programs[@]}" "$root/usr/bin/"
# For one that needs none ldd fails.
for program in "$kexec" "${programs[@]}"; do
	ldd "$program" 2> /dev/null | grep -o '/[^ ]*' | while read -r lib; do
		mkdir -p "$root$(dirname "$lib")"
		cp -L "$lib" "$root$lib"
	done || true
done

cp "$here/guest/init" "$root/init"
cp "$here"/guest/*.sh "$root/kho/"
cp "$tests"/*.sh "$root/kho/tests/"
for kernel; do
	cp "$kernel" "$root/boot/"
done

(cd "$root" && find . -print0 | cpio --null --quiet -o -H newc -R 0:0) > "$out"
