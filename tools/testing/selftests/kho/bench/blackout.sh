# SPDX-License-Identifier: GPL-2.0-only
# What is preserved adds to the time from the reboot to the init of the next kernel.
# Preserves khofolios= scattered folios, and what reserve_mem= says. The time counts
# instructions: what is not executed does not count, nor do cache misses.

STAGES=2
SMP=1
ACCEL=tcg
MEM=${BENCH_MEM:-2G}
TIMEOUT=${KHO_TIMEOUT:-300}
# Of memory, only what is touched is taken from the host.
QEMU_OPTS="-icount shift=0,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm
	-object memory-backend-ram,id=bench,size=$MEM,reserve=off
	-machine memory-backend=bench"
# Nothing that is different each time or waits for a timer, little that is printed.
APPEND="khoblackout nokaslr rcupdate.rcu_expedited=1 loglevel=5"

stage1()
{
	local folios
	folios=$(param khofolios)
	check "the next kernel is loaded" load_next 2
	if [ "$folios" != 0 ]; then
		check "memory for $folios folios" bench "allocate scattered $folios"
		check "$folios folios are preserved" bench "preserve scattered"
		bench_report
	fi

	say "reboot"
	echo mark > /sys/kernel/debug/kho_blackout/control
	kexec -e -x
	say "not ok kexec -e"
}

stage2()
{
	local report=/sys/kernel/debug/kho_blackout/report
	check "handed over" grep -q '^at_mark [1-9]' $report
	say_lines note value < $report
	! grep -q reserve_mem= /proc/cmdline ||
		check "the region was handed over" grep -qx 'region_kept 1' $report
	if [ "$(param khofolios)" != 0 ]; then
		check "all folios are restored" bench restore
		bench_report
	fi
}
