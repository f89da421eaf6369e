# SPDX-License-Identifier: GPL-2.0-only
# A guest that boots through EFI, and keeps its runtime services over kexec.

STAGES=3
UNPACKED=1
TIMEOUT=${KHO_TIMEOUT:-240}
OVMF=/usr/share/ovmf/OVMF.fd
QEMU_OPTS="-bios $OVMF"
APPEND="reserve_mem=16M:4096:khotest"

missing()
{
	[ -f $OVMF ] || echo "no $OVMF, install ovmf"
}

stage1()
{
	check "this is an EFI boot" [ -d /sys/firmware/efi ]
	hand_over 2
}

stage2()
{
	check "EFI is there after kexec" [ -d /sys/firmware/efi ]
	take_over
	hand_over 3
}

stage3()
{
	take_over
}
