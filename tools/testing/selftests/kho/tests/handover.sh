# SPDX-License-Identifier: GPL-2.0-only
# One handover of memory of every kind.

APPEND="reserve_mem=64M:4096:khotest"

stage1()
{
	check "KHO is on" [ -d $KHO ]
	check_eq "first kernel of the chain" no "$([ -d $KHO/in ] && echo yes || echo no)"
	check "producer preserves" producer preserve
	check "preserved pages are counted" [ "$(counter out/preserved_pages)" -gt \
		"$(producer_total pages)" ]
	cat $PRODUCER/report
	cat $KHO/scratch
	next_stage 2
}

stage2()
{
	check "handed over" [ -d $KHO/in ]
	verify_restored
	cat $PRODUCER/report
	check "producer frees" producer free
	check_eq "nothing is unclaimed" 0 "$(counter in/unclaimed_pages)"
}
