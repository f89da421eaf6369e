# SPDX-License-Identifier: GPL-2.0-only
# What the kernel allocates in an early initcall stays out of scratch, too: in the
# first kernel, and in one that takes over most of the memory.

STAGES=2
MEM=1G
APPEND="kho_storm.early=1 kho_scratch=96M,64M,0"

stage1()
{
	early_storm
	bulk_preserves "memory is preserved" "runs 300"
	next_stage 2
}

stage2()
{
	early_storm
	bulk_restored
	bulk_freed
}

# Nobody has asked for another one.
early_storm()
{
	storm_report
	check "movable pages were in scratch" \
		grep -q '^movable .* scratch [1-9]' /sys/kernel/debug/kho_storm/report
}
