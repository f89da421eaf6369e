# SPDX-License-Identifier: GPL-2.0-only
# Memfds of hugetlb on two nodes, with pools on each: what arrives is in the pool of its
# node. The struct pages of huge pages are freed in all kernels. Each has another pool, and
# the last one no live update.

STAGES=5
MEM=2G
SMP=2,sockets=2
QEMU_OPTS="-object memory-backend-ram,id=m0,size=1G -object memory-backend-ram,id=m1,size=1G
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="liveupdate=on hugetlb_free_vmemmap=on hugepagesz=2M hugepages=0:20,1:30"

# on_node NODE NAME: what the pool of a node says
on_node()
{
	cat "/sys/devices/system/node/node$1/hugepages/hugepages-2048kB/$2"
}

# pools: pages on node 0 and on node 1
pools()
{
	echo "$(on_node 0 nr_hugepages) $(on_node 1 nr_hugepages)"
}

all_free()
{
	check_eq "all is free" "$(pools)" \
		"$(on_node 0 free_hugepages) $(on_node 1 free_hugepages)"
}

# even: whether the nodes have 60 pages, and nearly as many as each other. Each thread that
# allocates them begins with node 0.
even()
{
	# shellcheck disable=SC2046 # two words
	set -- $(pools)
	say "note the pools: $*"
	[ $(($1 + $2)) = 60 ] && between $(($1 - $2)) -4 4
}

# hand_on STAGE EXTRA: with a memfd of three pages on node 0, and one of 21 on node 1
hand_on()
{
	echo 60 > /proc/sys/vm/nr_hugepages
	program luo_hugetlb keep nodes
	# shellcheck disable=SC2034 # for next_stage
	EXTRA=$2 REMOVE="hugepages=[^ ]*"
	next_stage "$1"
}

stage1()
{
	check_eq "the pools" "20 30" "$(pools)"
	hand_on 2 "hugepages=0:20,1:30"
}

stage2()
{
	check_eq "the pools are as after a cold boot" "20 30" "$(pools)"
	program luo_hugetlb after nodes
	check_eq "and are when all is closed" "20 30" "$(pools)"
	all_free
	nothing_unclaimed
	hand_on 3 "hugepages=60"
}

stage3()
{
	check "nodes have as many pages as each other" even
	program luo_hugetlb after nodes
	check "and have when all is closed" even
	all_free
	hand_on 4 "hugepages=0:20,1:4"
}

stage4()
{
	check_eq "a node has more than it shall have" "20 21" "$(pools)"
	program luo_hugetlb after nodes
	check_eq "until they are free" "20 4" "$(pools)"
	all_free
	hand_on 5 "liveupdate=off hugepages=60"
}

stage5()
{
	check "what cannot be retrieved is not in the pool" even
	all_free
	check "it can be discarded" \
		eval 'echo 1 > /sys/kernel/kho/incoming/discard_unclaimed'
	check "which changes no pool" even
	all_free
	nothing_unclaimed
}
