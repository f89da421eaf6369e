#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A real user of live update: systemd of Debian's newest suite keeps the memfd of a
# service over "systemctl kexec". Exits with 4 and the reason when there is no systemd
# that can.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

# It has learnt that with this version.
least=261
service=$linux/tools/testing/selftests/liveupdate/systemd
kernel=x86_64-nodeferred
root=$build/systemd/root
disk=$build/systemd/disk

# The version, and the suite that has it; one that debootstrap can install.
find_systemd() {
	awk -F ' *[|] *' -v least=$least '
		$2 + 0 >= least && $3 !~ /-backports/ {
			split($3, where, " ")
			sub("/.*", "", where[2])
			print $2, where[2]
			exit
		}' <<< "$1"
}

install_tree() {
	rm -rf "$root" "$build/systemd/version"
	debootstrap --variant=minbase --include=systemd,systemd-sysv "$1" "$root" "$mirror" &&
		rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* &&
		: > "$root/etc/machine-id" &&
		echo "/dev/vda / ext4 rw 0 0" > "$root/etc/fstab" &&
		echo "$2" > "$build/systemd/version"
}

# A new one each time: systemd writes to it.
make_disk() {
	cp "$build/liveupdate/luoctl" "$build/systemd/luo_fdstore" "$root/usr/bin/"
	cp "$build/$kernel/arch/x86/boot/bzImage" "$root/boot/"
	cp "$service/luo-fdstore.sh" "$root/usr/bin/"
	cp "$service/luo-fdstore.service" "$root/etc/systemd/system/"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	ln -sf ../luo-fdstore.service "$root/etc/systemd/system/multi-user.target.wants/"
	rm -f "$disk"
	truncate -s 2G "$disk"
	PATH=$PATH:/usr/sbin:/sbin mkfs.ext4 -q -d "$root" "$disk"
}

[ "$(id -u)" = 0 ] || unavailable "debootstrap needs root"
learn_packages
known=$(private apt-cache madison systemd)
read -r version suite <<< "$(find_systemd "$known")"
[ -n "$version" ] || unavailable "no systemd from $least on in any of: $suites"

mkdir -p "$build/systemd"
[ "$(cat "$build/systemd/version" 2> /dev/null)" = "$version" ] ||
	run systemd-install "Installing systemd $version" install_tree "$suite" "$version" ||
	unavailable "systemd $version cannot be installed, see ${logs#"$top"/}/systemd-install.log"

"$top/series/kernel.sh" $kernel nodeferred systemd
run systemd-programs "Building the programs of live update" luo_programs
gcc -Wall -O2 -static -o "$build/systemd/luo_fdstore" "$service/luo_fdstore.c"
run systemd-disk "Making its disk" make_disk

echo "systemd $version ($suite):"
KHO_DISK=$disk "$linux/tools/testing/selftests/kho/vmtest.sh" -o "$logs/systemd" \
	-k "$build/$kernel/arch/x86/boot/bzImage" -d ../liveupdate/tests systemd
