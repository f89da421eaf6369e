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
# debootstrap and mkfs.ext4 are there.
PATH=$PATH:/usr/sbin:/sbin

# The version, and the suite that has it; one that debootstrap can install.
find_systemd() {
	awk -F ' *[|] *' -v least=$least '
		$2 + 0 >= least && $3 !~ /-backports|experimental/ {
			split($3, where, " ")
			sub("/.*", "", where[2])
			print $2, where[2]
			exit
		}' <<< "$1"
}

# bootstrap SUITE [OPTION]
bootstrap() {
	local suite=$1
	shift
	debootstrap "$@" --variant=minbase --include=systemd,systemd-sysv "$suite" "$root" \
		"$mirror"
}

# install_tree takes what is there already.
download_tree() {
	rm -rf "$root" "$build/systemd/version"
	bootstrap "$1" --download-only
}

install_tree() {
	bootstrap "$1" &&
		rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* &&
		: > "$root/etc/machine-id" &&
		echo "/dev/vda / ext4 rw 0 0" > "$root/etc/fstab" &&
		echo "$2" > "$build/systemd/version"
}

# A new one each time: systemd writes to it.
make_disk() {
	cp "$build/liveupdate/luoctl" "$build/liveupdate/luo_fdstore" "$root/usr/bin/"
	cp "$build/$kernel/arch/x86/boot/bzImage" "$root/boot/"
	cp "$service/luo-fdstore.sh" "$root/usr/bin/"
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants"
	for unit in luo-fdstore.service luo-gone.service; do
		cp "$service/$unit" "$root/etc/systemd/system/"
		ln -sf ../$unit "$root/etc/systemd/system/multi-user.target.wants/"
	done
	rm -f "$disk"
	truncate -s 2G "$disk"
	mkfs.ext4 -q -d "$root" "$disk"
}

[ "$(id -u)" = 0 ] || unavailable "debootstrap needs root"
command -v debootstrap > /dev/null || die "debootstrap not found, install debootstrap"
learn_packages
known=$(private apt-cache madison systemd)
read -r version suite <<< "$(find_systemd "$known")"
[ -n "$version" ] || unavailable "no systemd from $least on in any of: $suites"

mkdir -p "$build/systemd"
if [ "$(cat "$build/systemd/version" 2> /dev/null)" != "$version" ]; then
	run systemd-download "Downloading systemd $version" download_tree "$suite" ||
		unavailable "systemd $version cannot be downloaded," \
			"see ${logs#"$top"/}/systemd-download.log"
	run systemd-install "Installing systemd $version" install_tree "$suite" "$version" ||
		exit 1
fi

"$top/series/kernel.sh" $kernel nodeferred systemd
run systemd-programs "Building the programs of live update" luo_programs
run systemd-disk "Making its disk" make_disk

echo "systemd $version ($suite):"
KHO_DISK=$disk "$linux/tools/testing/selftests/kho/vmtest.sh" -o "$logs/systemd" \
	-k "$build/$kernel/arch/x86/boot/bzImage" -d ../liveupdate/tests systemd || exit 1
