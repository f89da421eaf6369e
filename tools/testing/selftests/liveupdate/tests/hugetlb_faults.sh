# SPDX-License-Identifier: GPL-2.0-only
# Memfds of hugetlb are retrieved while one allocation after the other fails, in a cgroup that
# has no room, and when memory was poisoned. The kernel needs config.faults.

STAGES=2
MEM=7G
APPEND="liveupdate=on default_hugepagesz=2M hugepages=300 hugepagesz=1G hugepages=3"
TIMEOUT=${KHO_TIMEOUT:-300}

CGROUP=/sys/fs/cgroup

stage1()
{
	program luo_hugetlb keep faulty charged poisoned optimized
	next_stage 2
}

stage2()
{
	mount -t cgroup2 -o memory_hugetlb_accounting none $CGROUP
	echo +memory +hugetlb > $CGROUP/cgroup.subtree_control
	mkdir $CGROUP/huge
	program luo_hugetlb after faulty
	program luo_hugetlb after charged
	program luo_hugetlb after optimized
	check_eq "no huge page is charged in the end" "0 0" \
		"$(cat $CGROUP/huge/hugetlb.2MB.current $CGROUP/huge/hugetlb.2MB.rsvd.current | tr '\n' ' ' | sed 's/ $//')"
	no_leaks
	# kmemleak does not look at struct pages of free pages, and what is poisoned in a free
	# huge page is listed there.
	program luo_hugetlb after poisoned
	nothing_unclaimed
}
