# SPDX-License-Identifier: GPL-2.0-only
# Two nodes that meet inside of an aligned block, and a run across their border:
# first from a kernel that does not know of the nodes, then from one that does. And a run
# that was cut where nodes of no kernel here meet, in the middle of 64 pages.
# The first kernel must not be placed where the run shall be: hence nokaslr.

STAGES=3
MEM=1G
SMP=2,sockets=2
BORDER=$((506 << 20))
QEMU_OPTS="-object memory-backend-ram,id=m0,size=506M
	-object memory-backend-ram,id=m1,size=518M
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="numa=off nokaslr kho_producer.straddle=$BORDER kho_producer.cut=1 kho_scratch=96M,64M,0"

stage1()
{
	check "the nodes are not known" [ ! -d /sys/devices/system/node/node1 ]
	check "producer preserves" producer preserve
	check "a run crosses the border" straddles
	check "so does a block" block_crosses_border
	REMOVE="numa=off nokaslr"
	next_stage 2
}

stage2()
{
	check "there are two nodes" [ -d /sys/devices/system/node/node1 ]
	verify_restored
	check "the run is back" item_back straddle
	check "so is the one that was cut" item_back cut
	all_claimed
	check "producer preserves again" producer preserve
	check "a run crosses the border" straddles
	check "no block does" eval '! block_crosses_border'
	next_stage 3
}

stage3()
{
	verify_restored
	check "the run is back" item_back straddle
	check "so is the one that was cut" item_back cut
	all_claimed
}

block_crosses_border()
{
	local block
	while read -r block _; do
		[ $((${block%-*})) -lt $BORDER ] &&
			[ $((${block#*-})) -ge $BORDER ] && return 0
	done < $KHO/out/preserved
	return 1
}
