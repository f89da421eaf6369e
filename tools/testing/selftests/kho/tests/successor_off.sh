# SPDX-License-Identifier: GPL-2.0-only
# The next kernel has KHO off: it says so, and has all memory to itself.

STAGES=2

stage1()
{
	check "producer preserves" producer preserve
	EXTRA="kho=off khomem=$(meminfo MemTotal)"
	next_stage 2
}

stage2()
{
	check "the handover is ignored, and it is said" \
		log 'kho: handover ignored: KHO is off'
	check "KHO is off" [ ! -d $KHO ]
	check "all memory is there" between $(($(param khomem) - $(meminfo MemTotal))) -512 512
	check "producer finds nothing" eval '! producer restore 2>/dev/null'
}
