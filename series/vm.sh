#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# A virtual machine outlives the kernel of its host: Debian 13 with systemd and QEMU, in QEMU,
# over "systemctl kexec", twice. Exits with 4 and the reason if Debian cannot be had.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

suite=trixie
packages=systemd,systemd-sysv,qemu-system-x86,kexec-tools
tests=$linux/tools/testing/selftests/liveupdate/systemd
kernel=x86_64-nodeferred
root=$build/vm/root
disk=$build/vm/disk
# debootstrap and mkfs.ext4 are there.
PATH=$PATH:/usr/sbin:/sbin

bootstrap() {
	debootstrap "$@" --variant=minbase "--include=$packages" $suite "$root" "$mirror"
}

# install_tree takes what is there already.
download_tree() {
	rm -rf "$root" "$build/vm/packages"
	bootstrap --download-only
}

install_tree() {
	bootstrap && rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* &&
		: > "$root/etc/machine-id" &&
		echo "/dev/vda / ext4 rw 0 0" > "$root/etc/fstab" &&
		echo "$suite $packages" > "$build/vm/packages"
}

# The boot sector of the machine, on a disk of its own.
make_counter() {
	gcc -m32 -c -o "$build/vm/counter.o" "$tests/luo_counter.S" &&
		ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o "$root/var/lib/vm/disk" \
			"$build/vm/counter.o" &&
		truncate -s 2M "$root/var/lib/vm/disk"
}

# enable UNIT TARGET DIRECTORY [INSTANCE]: as systemctl does, which needs that systemd
enable() {
	mkdir -p "$root/etc/systemd/system/$2.wants"
	ln -sf "$3/$1" "$root/etc/systemd/system/$2.wants/${4:-$1}"
}

# A new one each time: systemd writes to it.
make_disk() {
	local units=/etc/systemd/system
	make -C "$linux/tools/liveupdate" OUTPUT="$build/vm/tools" DESTDIR="$root" prefix=/usr \
		install || return 1
	rm -rf "$root/var/lib/vm"
	mkdir -p "$root/var/lib/vm" "$root/etc/luo-vm" "$root$units/luo-vm@count.service.d"
	make_counter || return 1
	cat > "$root/etc/luo-vm/count" <<- END
		MEMORY=--memfd ram=32M
		QEMU=qemu-system-x86_64 -accel tcg,tb-size=32 -machine q35,memory-backend=ram -m 32M \
		-nodefaults -display none -drive file=/var/lib/vm/disk,format=raw,if=virtio \
		-chardev file,id=console,path=/var/lib/vm/console,append=on -serial chardev:console
	END
	cp "$build/$kernel/arch/x86/boot/bzImage" "$root/boot/"
	cp "$tests/luo-vm-test.sh" "$root/usr/bin/"
	cp "$tests/luo-vm-test.service" "$root$units/"
	cp "$tests/luo-vm-test.conf" "$root$units/luo-vm@count.service.d/"
	enable luo-keeper.service sysinit.target /usr/lib/systemd/system
	enable luo-kexec.service multi-user.target /usr/lib/systemd/system
	enable luo-vm@.service multi-user.target /usr/lib/systemd/system luo-vm@count.service
	enable luo-vm-test.service multi-user.target ..
	rm -f "$disk"
	truncate -s 3G "$disk"
	mkfs.ext4 -q -d "$root" "$disk"
}

[ "$(id -u)" = 0 ] || unavailable "debootstrap needs root"
command -v debootstrap > /dev/null || die "debootstrap not found, install debootstrap"
mirror=$({ mirrors 'Origin: Debian' 'Label: Debian'; mirrors; } | head -n 1)
[ -n "$mirror" ] || unavailable "apt has no mirror of Debian configured"

mkdir -p "$build/vm"
if [ "$(cat "$build/vm/packages" 2> /dev/null)" != "$suite $packages" ]; then
	run vm-download "Downloading Debian 13 with QEMU" download_tree ||
		unavailable "Debian $suite cannot be downloaded, see ${logs#"$top"/}/vm-download.log"
	run vm-install "Installing Debian 13 with QEMU" install_tree || exit 1
fi

"$top/series/kernel.sh" $kernel nodeferred systemd
run vm-disk "Making its disk" make_disk

KHO_DISK=$disk "$linux/tools/testing/selftests/kho/vmtest.sh" -o "$logs/vm" \
	-k "$build/$kernel/arch/x86/boot/bzImage" -d ../liveupdate/tests vm || exit 1
