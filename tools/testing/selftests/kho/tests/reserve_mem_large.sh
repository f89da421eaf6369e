# SPDX-License-Identifier: GPL-2.0-only
# 12 GiB of reserve_mem on a guest of 16 GiB, with default scratch. In pieces:
# KASLR may put the first kernel where it leaves no 12 GiB in a row.

STAGES=3
MEM=16G
APPEND="reserve_mem=2G:2M:a reserve_mem=2G:2M:b reserve_mem=2G:2M:c
	reserve_mem=2G:2M:d reserve_mem=2G:2M:e reserve_mem=2G:2M:f"

stage1()
{
	check "there is room for scratch" [ -d $KHO ]
	check "all of it is preserved" \
		[ "$(counter out/preserved_pages)" -ge $((12 << 18)) ]
	next_stage 2
}

stage2()
{
	check_eq "the regions were taken over" 6 "$(regions | wc -l)"
	check "all of it is preserved again" \
		[ "$(counter out/preserved_pages)" -ge $((12 << 18)) ]
	nothing_unclaimed
	EXTRA="khoregions=$(regions | md5sum | cut -c1-32)"
	next_stage 3
}

stage3()
{
	check_eq "the regions stay where they are" "$(param khoregions)" \
		"$(regions | md5sum | cut -c1-32)"
}

regions()
{
	dmesg | sed -n 's/.*kho: reserve_mem \(.*\) taken over$/\1/p'
}
