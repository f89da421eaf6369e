# SPDX-License-Identifier: GPL-2.0-only
# Huge pages of 1 GiB, one of which ZONE_MOVABLE begins in: in the kernel that hands over it
# cannot be preserved, and in the last kernel it cannot be retrieved.

STAGES=3
MEM=5G
# RAM is below 3 GiB and from 4 to 6 GiB, and the zone begins at about 4.5 GiB. The kernel must
# not be where a page is to be.
APPEND="nokaslr liveupdate=on hugepagesz=1G hugepages=2 kernelcore=3584M"
TIMEOUT=${KHO_TIMEOUT:-300}

# pool_says: pages of 1 GiB, total and free
pool_says()
{
	echo "$(cat /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages)" \
		"$(cat /sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages)"
}

movable_begins()
{
	awk '$4 == "Movable" { zone = 1 } zone && $1 == "start_pfn:" { print $2; exit }' \
		/proc/zoneinfo
}

stage1()
{
	check "ZONE_MOVABLE begins in a page" between "$(movable_begins)" 1048577 1310719
	check_eq "the pool" "2 2" "$(pool_says)"
	program luo_hugetlb keep crossing
	# shellcheck disable=SC2034 # for next_stage
	REMOVE="kernelcore=3584M"
	next_stage 2
}

stage2()
{
	program luo_hugetlb after crossing
	check_eq "the pool" "2 2" "$(pool_says)"
	program luo_hugetlb keep divided
	# shellcheck disable=SC2034 # for next_stage
	EXTRA="kernelcore=3584M" REMOVE=
	next_stage 3
}

stage3()
{
	check "ZONE_MOVABLE begins in a page" between "$(movable_begins)" 1048577 1310719
	program luo_hugetlb after divided
	check "it is said which page" log 'kho: the folio at 0x.* lies in more than one zone'
	check_eq "its memory is free, and not in the pool" "1 1" "$(pool_says)"
	nothing_unclaimed
}
