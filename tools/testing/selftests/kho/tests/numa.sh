# SPDX-License-Identifier: GPL-2.0-only
# Two nodes that meet inside of an aligned block, and a run across their border:
# first from a kernel that does not know of the nodes, then from one that does.
# The first kernel must not be placed where the run shall be: hence nokaslr.

STAGES=3
MEM=1G
SMP=2,sockets=2
BORDER=$((506 << 20))
QEMU_OPTS="-object memory-backend-ram,id=m0,size=506M
	-object memory-backend-ram,id=m1,size=518M
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="numa=off nokaslr kho_producer.straddle=$BORDER kho_scratch=96M,64M,0"

stage1()
{
	check "the nodes are not known" [ ! -d /sys/devices/system/node/node1 ]
	check "producer preserves" producer preserve
	check "a run crosses the border" crosses_border
	check "so does a block" block_crosses_border
	REMOVE="numa=off nokaslr"
	next_stage 2
}

stage2()
{
	check "there are two nodes" [ -d /sys/devices/system/node/node1 ]
	verify_restored
	check "the run is back" grep -q '^straddle .* ok$' $PRODUCER/report
	check "producer frees" producer free
	check_eq "nothing is unclaimed" 0 "$(counter in/unclaimed_pages)"
	check "producer preserves again" producer preserve
	check "a run crosses the border" crosses_border
	check "no block does" eval '! block_crosses_border'
	next_stage 3
}

stage3()
{
	verify_restored
	check "the run is back" grep -q '^straddle .* ok$' $PRODUCER/report
	check "producer frees" producer free
	check_eq "nothing is unclaimed" 0 "$(counter in/unclaimed_pages)"
}

crosses_border()
{
	set -- $(sed -n 's/^straddle .* pages \([0-9]*\) phys \(0x[0-9a-f]*\) .*/\1 \2/p' \
		 $PRODUCER/report)
	[ $# = 2 ] && [ $(($2)) -lt $BORDER ] && [ $(($2 + $1 * 4096)) -gt $BORDER ]
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
