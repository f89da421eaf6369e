# SPDX-License-Identifier: GPL-2.0-only
# Three nodes, of which the middle one has no memory, and a run across the border
# of the others: from a kernel that does not know of them, as in numa.sh, to one that
# does, and on.

STAGES=3
MEM=1G
SMP=3,sockets=3
BORDER=$((506 << 20))
QEMU_OPTS="-object memory-backend-ram,id=m0,size=506M
	-object memory-backend-ram,id=m2,size=518M
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,cpus=1
	-numa node,nodeid=2,memdev=m2,cpus=2"
APPEND="numa=off nokaslr kho_producer.straddle=$BORDER kho_scratch=64M,64M,32M"

stage1()
{
	check "the nodes are not known" [ ! -d /sys/devices/system/node/node2 ]
	check "producer preserves" producer preserve
	check "a run crosses the border" straddles
	REMOVE="numa=off nokaslr"
	next_stage 2
}

stage2()
{
	check_eq "two nodes have memory" 0,2 "$(cat /sys/devices/system/node/has_memory)"
	check_eq "three have a CPU" 0-2 "$(cat /sys/devices/system/node/has_cpu)"
	verify_restored
	check "the run is back" item_back straddle
	all_claimed
	check "producer preserves again" producer preserve
	check "a run crosses the border" straddles
	next_stage 3
}

stage3()
{
	check_eq "two nodes have memory" 0,2 "$(cat /sys/devices/system/node/has_memory)"
	take_over
	check "memory of both nodes is free" both_nodes_free
}

both_nodes_free()
{
	local node
	for node in 0 2; do
		[ "$(awk '$3 == "MemFree:" { print $4 }' \
			/sys/devices/system/node/node$node/meminfo)" -gt 262144 ] || return 1
	done
}
