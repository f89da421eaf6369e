# SPDX-License-Identifier: GPL-2.0-only
# Instructions that preserving, freezing and retrieving memfds takes, and the memory. Needs
# luo_bench of ../liveupdate.

STAGES=2
MEM=8G
APPEND="liveupdate=on"

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

stage1()
{
	program luo_bench preserve
	load_next 2
	program luo_bench freeze
	boot_next
}

stage2()
{
	program luo_bench retrieve
	nothing_unclaimed
}
