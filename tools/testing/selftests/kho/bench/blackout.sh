# SPDX-License-Identifier: GPL-2.0-only
# What is preserved adds to the time from the reboot to the init of the next kernel.
# Preserves khofolios= scattered folios, and what reserve_mem= says. The time counts
# instructions: what is not executed does not count, nor do cache misses.

STAGES=2
MEM=${BENCH_MEM:-2G}
APPEND="khoblackout"

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

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
