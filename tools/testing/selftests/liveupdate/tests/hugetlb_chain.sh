# SPDX-License-Identifier: GPL-2.0-only
# The same memfds of hugetlb, with pages of 2 MiB and 1 GiB, through five kexecs: into kernels
# that free the struct pages of huge pages and kernels that do not, and one that has CMA for
# pages of 1 GiB.

STAGES=6
MEM=7G
APPEND="liveupdate=on default_hugepagesz=2M hugepages=20 hugepagesz=1G hugepages=1"
TIMEOUT=${KHO_TIMEOUT:-300}

# pool_says SIZE: total, free and surplus
pool_says()
{
	local dir=/sys/kernel/mm/hugepages/hugepages-$1kB
	echo "$(cat "$dir/nr_hugepages") $(cat "$dir/free_hugepages")" \
		"$(cat "$dir/surplus_hugepages")"
}

# hand_on STAGE EXTRA REMOVE
hand_on()
{
	check_eq "one page of 1 GiB has arrived" "1 0 1" "$(pool_says 1048576)"
	check_eq "the pool of 2 MiB is as after a cold boot" 20 \
		"$(cat /proc/sys/vm/nr_hugepages)"
	program luo_hugetlb again chain
	program luo_hugetlb again huge_chain
	# shellcheck disable=SC2034 # for next_stage
	EXTRA=$2 REMOVE=$3
	next_stage "$1"
}

stage1()
{
	check_eq "there is a page of 1 GiB" "1 1 0" "$(pool_says 1048576)"
	program luo_hugetlb keep chain huge_chain
	# shellcheck disable=SC2034 # for next_stage
	EXTRA=hugetlb_free_vmemmap=on REMOVE="hugepages=1"
	next_stage 2
}

stage2() { hand_on 3 "" hugetlb_free_vmemmap=on; }
stage3() { hand_on 4 hugetlb_cma=1G ""; }

stage4()
{
	local says
	check "there is CMA for a page of 1 GiB" log 'hugetlb_cma: reserved 1024 MiB'
	says=$(pool_says 1048576)
	program luo_hugetlb from-cma
	check_eq "the pool is as it was" "$says" "$(pool_says 1048576)"
	hand_on 5 hugetlb_free_vmemmap=on hugetlb_cma=1G
}

stage5() { hand_on 6 "" hugetlb_free_vmemmap=on; }

stage6()
{
	program luo_hugetlb after chain huge_chain
	check_eq "the page of 1 GiB has left the pool" "0 0 0" "$(pool_says 1048576)"
	check_eq "all of 2 MiB are free" "20 20 0" "$(pool_says 2048)"
	nothing_unclaimed
}
