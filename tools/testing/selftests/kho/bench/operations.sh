# SPDX-License-Identifier: GPL-2.0-only
# Instructions that preserving and restoring takes, on khoitems= items of each
# pattern, and the memory.

STAGES=2
MEM=8G
APPEND=""

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

stage1()
{
	local items pattern
	items=$(param khoitems)
	settle
	measure scattered "$items"
	measure dense "$items"
	measure run_512 256
	measure run_1023 256
	bench_report

	# The blackout of scattered folios is measured elsewhere.
	for pattern in dense run_512 run_1023; do
		check "$pattern is preserved for the next kernel" bench "preserve $pattern"
	done
	next_stage 2
}

measure()
{
	check "memory for $1" bench "allocate $1 $2"
	check "$1 is preserved" bench "preserve $1"
	check "$1 is preserved again" bench "again $1"
	check "$1 is unpreserved" bench "unpreserve $1"
}

stage2()
{
	check "all is restored" bench restore
	bench_report
}
