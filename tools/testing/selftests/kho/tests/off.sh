# SPDX-License-Identifier: GPL-2.0-only
# With kho=off there is no scratch and kexec works as ever. A kernel with kho=on
# that follows begins a chain of its own.

STAGES=3
APPEND="liveupdate=on kho=off"

stage1()
{
	check "KHO is off" [ ! -d $KHO ]
	check "so is live update" log 'luo: disabled: kexec handover is off'
	check "it has no device" [ ! -e /dev/liveupdate ]
	check_eq "no memory is CMA" 0 \
		"$(awk '/^ *nr_free_cma/ { n += $2 } END { print n }' /proc/zoneinfo)"
	check "nothing can be preserved" eval '! producer preserve 2>/dev/null'
	next_stage 2
}

stage2()
{
	check "KHO is off in the next kernel" [ ! -d $KHO ]
	check "there was no handover" no_log 'kho: .*\(took over\|refused\|ignored\)'
	EXTRA="kho=on"
	next_stage 3
}

stage3()
{
	check "KHO is on" [ -d $KHO ]
	check "so is live update" [ -e /dev/liveupdate ]
	check "there was no handover" [ ! -d $KHO/in ]
	check "preserving works" producer preserve
}
