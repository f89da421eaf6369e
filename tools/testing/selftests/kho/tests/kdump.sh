# SPDX-License-Identifier: GPL-2.0-only
# A crash kernel ignores KHO, and has memory of its own.

STAGES=2
APPEND="crashkernel=192M"
PANIC=1

stage1()
{
	check "producer preserves" producer preserve
	check "a handover is loaded" load_next 9
	EXTRA="kho=on"
	check "a crash kernel is loaded beside it" kexec -s -p /boot/bzImage \
		--initrd=/sys/firmware/initrd --command-line="$(next_cmdline 2)"
	check "its memory is not scratch" crash_memory_apart
	say "panic"
	# The end of init is a panic.
	exit 1
}

stage2()
{
	check "this is the crash kernel" grep -q elfcorehdr= /proc/cmdline
	check "KHO is off" [ ! -d $KHO ]
	check "KHO says nothing" no_log 'kho: '
	check "nothing can be preserved" eval '! producer preserve 2>/dev/null'
}

crash_memory_apart()
{
	local crash area start end
	crash=$(sed -n 's/^ *\([0-9a-f]*-[0-9a-f]*\) : Crash kernel$/\1/p' /proc/iomem)
	[ -n "$crash" ] || return 1
	start=$((0x${crash%-*})) end=$((0x${crash#*-}))
	while read -r area _; do
		[ $((${area%-*})) -gt $end ] || [ $((${area#*-})) -lt $start ] || return 1
	done < $KHO/scratch
	return 0
}
