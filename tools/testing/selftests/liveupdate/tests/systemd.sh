# SPDX-License-Identifier: GPL-2.0-only
# systemd keeps the memfd of a service over "systemctl kexec". The disk KHO_DISK has it,
# and luo-fdstore.service, which says what it finds; see series/systemd.sh.

STAGES=2
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

stage2()
{
	stage1
}
