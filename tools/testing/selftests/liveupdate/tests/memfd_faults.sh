# SPDX-License-Identifier: GPL-2.0-only
# One allocation after the other fails in the reboot, which undoes all and can be tried
# again, until none fails; and when memfds are retrieved, which can be tried again, too.
# Memory is poisoned, or a cgroup has none. The kernel needs config.faults.

STAGES=2
# Some write all the time.
MEM=3G
APPEND="liveupdate=on brd.rd_size=65536"
TIMEOUT=${KHO_TIMEOUT:-300}

CGROUP=/sys/fs/cgroup

stage1()
{
	local before
	load_next 2
	program luo_memfd_errors poison
	no_leaks
	program luo_memfd_mm keep writers
	program luo_memfd_errors keep huge charged swapped large faults
	before=$(counter out/preserved_pages)
	program luo_memfd_mm reboot-with-faults
	check "nothing was lost by that" [ "$(counter out/preserved_pages)" -ge "$before" ]
	no_leaks
	boot_next
}

stage2()
{
	program luo_memfd_mm after added writers last

	mount -t cgroup2 none $CGROUP
	echo +memory > $CGROUP/cgroup.subtree_control
	mkdir $CGROUP/small $CGROUP/enough
	in_small charged
	check "there is swap" eval 'mkswap /dev/ram0 > /dev/null && swapon /dev/ram0'
	echo 1M > $CGROUP/small/memory.swap.max
	in_small swapped
	check "and not any more" swapoff /dev/ram0
	in_small huge
	in_small large

	program luo_memfd_errors faults
	no_leaks
}

# in_small WHAT: see what there is in a memory cgroup that has too little room
in_small()
{
	echo 1M > $CGROUP/small/memory.max
	program sh -c "echo 0 > $CGROUP/small/cgroup.procs && exec luo_memfd_errors $1"
}
