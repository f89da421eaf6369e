# SPDX-License-Identifier: GPL-2.0-only
# systemd keeps the memfd of a service over "systemctl kexec", twice: what it leaves of the
# first handover does not keep the machine from the second. KHO_DISK names a disk with
# ext4, not partitioned, and on it
#
#	/sbin/init, systemctl		systemd, from 261 on
#	/etc/fstab			/dev/vda / ext4 rw 0 0
#	/etc/systemd/system		../systemd/luo-fdstore.service, enabled
#	/usr/bin			../systemd/luo-fdstore.sh, luo_fdstore, luoctl
#	/boot/bzImage			the kernel under test, also built with config.systemd
#
# The service says what it finds.

STAGES=3
APPEND="liveupdate=on systemd.default_timeout_start_sec=300"
TIMEOUT=${KHO_TIMEOUT:-300}
QEMU_OPTS="-drive file=${KHO_DISK:-none},format=raw,if=virtio"

missing()
{
	[ -f "${KHO_DISK:-}" ] || echo "no disk with systemd, name one with KHO_DISK"
}

stage1()
{
	mkdir /disk
	mount -t ext4 /dev/vda /disk
	exec switch_root /disk /sbin/init
}

stage2() { stage1; }
stage3() { stage1; }
