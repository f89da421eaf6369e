# SPDX-License-Identifier: GPL-2.0-only
# Huge pages that lie in scratch, with other free ones of the pool in scratch, and some not.

STAGES=2
MEM=768M
APPEND="liveupdate=on kho_scratch=64M,96M,0"

stage1()
{
	program luo_hugetlb keep moved
	next_stage 2
}

stage2()
{
	program luo_hugetlb after moved
	nothing_unclaimed
}
