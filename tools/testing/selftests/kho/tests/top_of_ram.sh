# SPDX-License-Identifier: GPL-2.0-only
# The last pages of RAM of each node are preserved, one of which is the last of all.
# The first kernel uses them itself. The second one has restored them, and so can fill
# them and hand them on.

STAGES=3
MEM=1022M
SMP=2,sockets=2
QEMU_OPTS="-object memory-backend-ram,id=m0,size=510M
	-object memory-backend-ram,id=m1,size=512M
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="kho_scratch=64M,32M,0"

stage1()
{
	bulk_preserves "the end of each node is preserved" "top 6"
	check_eq "up to the last page" 2 "$(bulk_value tops)"
	next_stage 2
}

stage2()
{
	restore_top
	bulk_preserves "it is filled and preserved again" again
	next_stage 3
}

stage3()
{
	restore_top
	bulk_freed
}

restore_top()
{
	bulk_restored
	check_eq "RAM ends where it did" "$(bulk_value previous_max_pfn)" \
		"$(bulk_value max_pfn)"
	check "some of it is on node 0" [ "$(bulk_value node0_pages)" -gt 0 ]
	check "some of it is on node 1" [ "$(bulk_value node1_pages)" -gt 0 ]
}
