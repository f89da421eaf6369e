# SPDX-License-Identifier: GPL-2.0-only
# Instructions that preserving and retrieving memfds takes, and the memory. Needs
# luo_bench of ../liveupdate.

STAGES=2
SMP=1
ACCEL=tcg
MEM=8G
TIMEOUT=${KHO_TIMEOUT:-300}
QEMU_OPTS="-icount shift=0,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm
	-object memory-backend-ram,id=bench,size=$MEM,reserve=off
	-machine memory-backend=bench"
APPEND="nokaslr rcupdate.rcu_expedited=1 loglevel=5 liveupdate=on"

stage1()
{
	program luo_bench preserve
	next_stage 2
}

stage2()
{
	program luo_bench retrieve
	check_eq "all memory is back" 0 "$(counter in/unclaimed_pages)"
}
