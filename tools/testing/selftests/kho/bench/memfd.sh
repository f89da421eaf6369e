# SPDX-License-Identifier: GPL-2.0-only
# Instructions that preserving and retrieving memfds takes, and the memory. Needs
# luo_bench of ../liveupdate.

STAGES=2
MEM=8G
APPEND="liveupdate=on"

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

stage1()
{
	program luo_bench preserve
	next_stage 2
}

stage2()
{
	program luo_bench retrieve
	nothing_unclaimed
}
