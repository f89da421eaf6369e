# SPDX-License-Identifier: GPL-2.0-only
# All memory of a node but its scratch is preserved: the next kernel has to do
# without that node until it has opened what is preserved.

STAGES=2
MEM=1G
SMP=2,sockets=2
QEMU_OPTS="-object memory-backend-ram,id=m0,size=512M
	-object memory-backend-ram,id=m1,size=512M
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="kho_scratch=64M,32M,32M"

stage1()
{
	# What nobody but an interrupt may allocate.
	echo 64 > /proc/sys/vm/min_free_kbytes
	bulk_preserves "all of node 1 is preserved" "runs 0 1"
	check_eq "no 2 MiB of it are left" 0 "$(large_free_blocks 1)"
	next_stage 2
}

stage2()
{
	# What the last kernel used itself is free: its image, its initrd.
	say "note blocks of 2 MiB that are free on node 1: $(large_free_blocks 1)"
	check "there is next to nothing on node 1" [ "$(large_free_blocks 1)" -le 24 ]
	bulk_restored
	check_eq "nothing of it is on node 0" 0 "$(bulk_value node0_pages)"
	check_eq "all of it is on node 1" "$(bulk_value pages)" "$(bulk_value node1_pages)"
	bulk_freed
	check "node 1 has memory again" [ "$(large_free_blocks 1)" -gt 150 ]
}
