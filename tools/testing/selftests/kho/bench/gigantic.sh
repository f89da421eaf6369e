# SPDX-License-Identifier: GPL-2.0-only
# What khopages= huge pages of 1 GiB cost that are in memfds: to preserve and to retrieve them, and
# in between the time from the reboot to the init of the next kernel. hugepages= has to be as
# many. Needs luo_bench of ../liveupdate.

STAGES=2
MEM=${BENCH_MEM:-6G}
APPEND="khoblackout liveupdate=on hugepagesz=1G"

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

stage1()
{
	local pages
	pages=$(param khopages)
	check "the next kernel is loaded" load_next 2
	[ "$pages" = 0 ] || program luo_bench gigantic "$pages"
	reboot_at_mark
}

stage2()
{
	report_since_mark
	[ "$(param khopages)" = 0 ] || program luo_bench gigantic
}
