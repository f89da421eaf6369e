# SPDX-License-Identifier: GPL-2.0-only
# A handover with a single CPU.

STAGES=2
SMP=1
APPEND="reserve_mem=16M:4096:khotest"

stage1()
{
	check_eq "CPUs" 1 "$(nproc)"
	hand_over 2
}
stage2() { take_over; }
