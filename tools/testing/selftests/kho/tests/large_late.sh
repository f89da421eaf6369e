# SPDX-License-Identifier: GPL-2.0-only
# 48 GiB on two nodes are handed over, and next to none of it is touched, so that it
# takes little memory of the host: first to a kernel with one CPU, then to one with
# two. Those initialize the struct pages together.

STAGES=3
MEM=64G
SMP=2,sockets=2
QEMU_OPTS="-object memory-backend-ram,id=m0,size=32G,reserve=off
	-object memory-backend-ram,id=m1,size=32G,reserve=off
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
APPEND="kho_scratch=128M,64M,32M"
TIMEOUT=${KHO_TIMEOUT:-240}

stage1()
{
	# A page of each 64 MiB is filled.
	bulk_preserves "most of the memory is preserved" "runs 12288 -1 16384"
	check_eq "CPUs" 2 "$(nproc)"
	EXTRA="nr_cpus=1"
	next_stage 2
}

stage2()
{
	late_init
	check_eq "one CPU initializes the struct pages" 1 "$(counter in/late_init_threads)"
	restore_large
	bulk_preserves "it is preserved again" again
	EXTRA="kholate=$(counter in/late_init_ns)"
	REMOVE="nr_cpus=1"
	next_stage 3
}

stage3()
{
	late_init
	check_eq "two CPUs initialize the struct pages" 2 "$(counter in/late_init_threads)"
	say "note with one CPU it took $(($(param kholate) * 100 / \
		$(counter in/late_init_ns))) per cent of that"
	restore_large
}

late_init()
{
	say "note struct pages: $(counter in/late_init_ns) ns," \
		"$(counter in/late_init_threads) threads at the same time"
}

restore_large()
{
	bulk_restored
	check "it is more than 48 GiB" [ "$(bulk_value pages)" -gt $((48 << 18)) ]
	check "16 GiB of it are on node 0" [ "$(bulk_value node0_pages)" -gt $((16 << 18)) ]
	check "16 GiB of it are on node 1" [ "$(bulk_value node1_pages)" -gt $((16 << 18)) ]
}
