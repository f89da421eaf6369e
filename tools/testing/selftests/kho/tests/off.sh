# SPDX-License-Identifier: GPL-2.0-only
# With kho=off there is no scratch and kexec works as ever.

STAGES=2
APPEND="kho=off"

stage1()
{
	check "KHO is off" [ ! -d $KHO ]
	check "no memory is CMA" [ "$(awk '/^ *nr_free_cma/ { n += $2 } END { print n }' /proc/zoneinfo)" = 0 ]
	check "nothing can be preserved" eval '! producer preserve 2>/dev/null'
	next_stage 2
}

stage2()
{
	check "KHO is off in the next kernel" [ ! -d $KHO ]
	check "there was no handover" no_log 'kho: .*\(took over\|refused\|ignored\)'
}
