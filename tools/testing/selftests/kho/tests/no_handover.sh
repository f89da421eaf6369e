# SPDX-License-Identifier: GPL-2.0-only
# An image without a handover warns, with the amount that is about to be lost.

STAGES=2

stage1()
{
	check "producer preserves" producer preserve
	check "kexec_load works" kexec -c -l /boot/bzImage \
		--initrd=/sys/firmware/initrd --command-line="$(next_cmdline 2)"
	boot_next
}

stage2()
{
	check "there was no handover" [ ! -d $KHO/in ]
	check "KHO is on again" [ -d $KHO ]
	check "preserving works again" producer preserve
}

# host_check: what has to be in the log of the whole run
host_check()
{
	grep -q 'carries no handover: [0-9]* preserved pages ([0-9]* MiB) will be lost' "$1"
}
