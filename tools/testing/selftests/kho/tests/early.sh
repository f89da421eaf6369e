# SPDX-License-Identifier: GPL-2.0-only
# Restore before the other CPUs are up, and before deferred initialization. What is restored
# then, half of the memory, is not taken for memory that booting needs.

STAGES=3
MEM=1G
APPEND="kho_producer.early=1 kho_bulk.early=2 reserve_mem=16M:4096:khotest"

stage1()
{
	check "producer preserves" producer preserve
	bulk_preserves "half of the memory is preserved" "runs 300 -1 16384"
	check "that is much of it" [ "$(bulk_share)" -gt 30 ]
	next_stage 2
}

stage2()
{
	check "restored before SMP" restored_before_smp
	check_eq "no item is damaged" 0 "$(producer_total errors)"
	check_eq "wrong restores are refused" 0 "$(producer_total guards)"
	check "something was restored" [ "$(producer_total items)" -gt 20 ]
	check "producer frees" producer free
	bulk_is_back
	check "it is preserved again" bulk again
	next_stage 3
}

stage3()
{
	bulk_is_back
	bulk_freed
}

# The refusals that the producer provokes are logged before SMP comes up.
restored_before_smp()
{
	dmesg | sed '/smp: Bringing up secondary CPUs/,$d' |
		grep -q 'kho: no folio to restore'
}

bulk_is_back()
{
	local what
	check "much of the memory has been restored" [ "$(bulk_share)" -gt 30 ]
	check_eq "nothing else is unclaimed" 0 "$(counter in/unclaimed_pages)"
	for what in not_restored damaged wrong_node not_sane; do
		check_eq "pages that are $what" 0 "$(bulk_value $what)"
	done
}
