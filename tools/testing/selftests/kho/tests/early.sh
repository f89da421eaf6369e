# SPDX-License-Identifier: GPL-2.0-only
# Restore before the other CPUs are up, and before deferred initialization.

STAGES=2
APPEND="kho_producer.early=1 reserve_mem=16M:4096:khotest"

stage1()
{
	check "producer preserves" producer preserve
	next_stage 2
}

stage2()
{
	check "restored before SMP" restored_before_smp
	check_eq "no item is damaged" 0 "$(producer_total errors)"
	check_eq "wrong restores are refused" 0 "$(producer_total guards)"
	check "something was restored" [ "$(producer_total items)" -gt 20 ]
	check "producer frees" producer free
	nothing_unclaimed
}

# The refusals that the producer provokes are logged before SMP comes up.
restored_before_smp()
{
	dmesg | sed '/smp: Bringing up secondary CPUs/,$d' |
		grep -q 'kho: no folio to restore'
}
