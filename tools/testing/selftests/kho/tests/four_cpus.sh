# SPDX-License-Identifier: GPL-2.0-only
# A handover with four CPUs, restored before and after the others are up.

STAGES=3
SMP=4
APPEND="reserve_mem=16M:4096:khotest"

stage1()
{
	check_eq "CPUs" 4 "$(nproc)"
	hand_over 2
}

stage2()
{
	take_over
	EXTRA="kho_producer.early=1"
	hand_over 3
}

stage3()
{
	check_eq "no item is damaged" 0 "$(producer_total errors)"
	check_eq "wrong restores are refused" 0 "$(producer_total guards)"
	all_claimed
}
