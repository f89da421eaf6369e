# SPDX-License-Identifier: GPL-2.0-only
# Memfds of all kinds across a kexec, on a machine with 1 GiB; a kernel with sanitizers
# needs more, MEMFD_MEM=2G.

STAGES=2
MEM=${MEMFD_MEM:-1G}
# A kernel with sanitizers takes so much that by default all would be scratch, any other one
# so little that a memfd could not have many pages there.
SCRATCH=${MEMFD_MEM:+100%}
APPEND="liveupdate=on brd.rd_size=65536 kho_scratch=${SCRATCH:-192M,32M,0}"
TIMEOUT=${KHO_TIMEOUT:-300}

SHMEM=/sys/kernel/mm/transparent_hugepage/shmem_enabled
MTHP=/sys/kernel/mm/transparent_hugepage/hugepages-64kB/shmem_enabled

stage1()
{
	check "there is swap" eval 'mkswap /dev/ram0 > /dev/null && swapon /dev/ram0'
	program luo_memfd_mm keep swapped
	check "and not any more" swapoff /dev/ram0
	# Before others leave no huge page free.
	echo force > $SHMEM
	program luo_memfd_mm keep thp
	echo never > $SHMEM
	echo always > $MTHP
	program luo_memfd_mm keep mthp
	echo never > $MTHP
	program luo_memfd_mm keep collapsed
	program luo_memfd_mm keep cma
	program luo_memfd keep small rights sparse vast fallocated threads half unclaimed
	program luo_memfd_mm keep writers
	check "the last kinds" [ "$(wc -l < $LIST/outgoing)" = 14 ]
	sleep 1
	next_stage 2
}

stage2()
{
	check "all sessions were taken over" log "luo: took over 14 sessions"
	# No file that is made now would have huge pages.
	check_eq "huge pages are off" "never" "$(sed 's/.*\[\(.*\)\].*/\1/' $SHMEM)"
	program luo_memfd after small rights sparse vast fallocated threads half
	program luo_memfd_mm after thp mthp collapsed swapped cma writers
	check_eq "one is left" 1 "$(cat $LIST/unclaimed)"
	# 50 times 300 pages, one that describes them, two for their list, one for that;
	# the list of files itself has been read.
	check_eq "with all that belongs to it" $((50 * (300 + 4))) \
		"$(counter in/unclaimed_pages)"
	program luo_memfd after unclaimed
	nothing_unclaimed
}
