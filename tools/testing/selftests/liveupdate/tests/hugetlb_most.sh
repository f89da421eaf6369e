# SPDX-License-Identifier: GPL-2.0-only
# Half of the memory is in huge pages of 1 GiB that were allocated at boot, and handed over: what
# the pool has is not what the next kernel needs to boot.

STAGES=2
MEM=6G
# The kernel must not be where a page is to be.
APPEND="nokaslr liveupdate=on hugepagesz=1G hugepages=3"
TIMEOUT=${KHO_TIMEOUT:-300}

nr_pages()
{
	cat /sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages
}

stage1()
{
	check_eq "the pool" 3 "$(nr_pages)"
	program luo_hugetlb keep most
	next_stage 2
}

stage2()
{
	check_eq "the pool is as after a cold boot" 3 "$(nr_pages)"
	program luo_hugetlb after most
	check_eq "and is when all is closed" 3 "$(nr_pages)"
	nothing_unclaimed
}
