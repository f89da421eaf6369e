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

	reboot_at_mark
}

stage2()
{
	report_since_mark
	! grep -q reserve_mem= /proc/cmdline ||
		check "the region was handed over" grep -qx 'region_kept 1' $BLACKOUT/report
	if [ "$(param khofolios)" != 0 ]; then
		check "all folios are restored" bench restore
		bench_report
	fi
}
