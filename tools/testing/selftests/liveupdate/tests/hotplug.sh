# SPDX-License-Identifier: GPL-2.0-only
# A machine with more hotplugged memory than boot memory, all of it kernel memory: what KHO
# needs, and memfds, get boot memory. More is plugged and unplugged while something is
# preserved.

STAGES=3
MEM=512M,slots=4,maxmem=8G
MONITOR=1
APPEND="liveupdate=on memhp_default_state=online_kernel movable_node"
QEMU_OPTS="-object memory-backend-ram,id=m0,size=1G,reserve=off
	-device pc-dimm,memdev=m0,id=dimm0
	-object memory-backend-ram,id=m1,size=256M,reserve=off
	-object memory-backend-ram,id=m2,size=512M,reserve=off
	-device virtio-mem-pci,memdev=m2,id=vm0"

AUTO=/sys/devices/system/memory/auto_online_blocks

stage1()
{
	starts_with_dimm
	check "memory that the kernel allocates for others is refused" \
		eval '! producer preserve 2> /tmp/why'
	check "with EINVAL" grep -q 'Invalid argument' /tmp/why
	program luo_memfd_mm keep hotplugged
	next_stage 2
}

stage2()
{
	starts_with_dimm
	program luo_memfd_mm after hotplugged
	nothing_unclaimed

	program luo_memfd keep small
	TOTAL=$(meminfo MemTotal)
	plug "a DIMM" 262144 "device_add pc-dimm,memdev=m1,id=dimm1"
	unplug "the DIMM" "device_del dimm1"
	plug "virtio-mem" 524288 "qom-set /machine/peripheral/vm0 requested-size 536870912"
	program luo_handover keep all 200
	unplug "virtio-mem" "qom-set /machine/peripheral/vm0 requested-size 0"
	check "the DIMM in which the kernel lives is not unplugged" kept "device_del dimm0"
	next_stage 3
}

stage3()
{
	starts_with_dimm
	program luo_memfd after small
	program luo_handover after all
	nothing_unclaimed
}

starts_with_dimm()
{
	check "most of the memory is hotplugged" [ "$(meminfo MemTotal)" -gt 1048576 ]
	check_eq "which is said" 1 \
		"$(dmesg | grep -c 'kho: memory from 0x0*100000000 on was hotplugged: .* not preserved')"
	check "nothing is disabled" no_log 'disabled: '
	check "there is metadata" [ -f $KHO/out/sub_fdts/kexec-metadata ]
}

# plug WHAT KIB COMMAND
plug()
{
	# Kernel memory could not be unplugged for sure.
	echo online_movable > $AUTO
	dmesg -c > /dev/null
	say "monitor $3"
	check "$1 is plugged" eventually has_kib $((TOTAL + $2))
	check_eq "$1: is said once" 1 "$(dmesg | grep -c 'kho: memory from .* on was hotplugged')"
}

# unplug WHAT COMMAND
unplug()
{
	say "monitor $2"
	check "$1 is unplugged" eventually has_kib "$TOTAL"
}

kept()
{
	say "monitor $1"
	sleep 2
	has_kib "$TOTAL"
}

has_kib()
{
	between $(($(meminfo MemTotal) - $1)) -1024 1024
}
