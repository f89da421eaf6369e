# SPDX-License-Identifier: GPL-2.0-only
# Memfds of hugetlb on two nodes, with pools on each: what arrives is in the pool of its
# node. The struct pages of huge pages are freed in both kernels.

STAGES=2
MEM=2G
SMP=2,sockets=2
QEMU_OPTS="-object memory-backend-ram,id=m0,size=1G -object memory-backend-ram,id=m1,size=1G
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="liveupdate=on hugepagesz=2M hugepages=0:20,1:30 hugetlb_free_vmemmap=on"

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

stage1()
{
	check_eq "the pools" "20 30" "$(pools)"
	program luo_hugetlb keep nodes
	next_stage 2
}

stage2()
{
	check_eq "the pools are as after a cold boot" "20 30" "$(pools)"
	program luo_hugetlb after nodes
	check_eq "and are when all is closed" "20 30" "$(pools)"
	check_eq "all is free" "20 30" "$(on_node 0 free_hugepages) $(on_node 1 free_hugepages)"
	nothing_unclaimed
}
