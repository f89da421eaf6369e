# SPDX-License-Identifier: GPL-2.0-only
# Limits of a kernel that took over most of 1 GiB on two nodes; and one that an admin has set
# before the memory is restored.

MEM=1G
SMP=2,sockets=2
QEMU_OPTS="-object memory-backend-ram,id=m0,size=512M
	-object memory-backend-ram,id=m1,size=512M
	-numa node,nodeid=0,memdev=m0,cpus=0 -numa node,nodeid=1,memdev=m1,cpus=1"
# shellcheck source=guest/limits.sh
. "$KHO_LIB/limits.sh"
STAGES=3

after_limits()
{
	EXTRA="khobatch=$(batches)"
	bulk_preserves "it is preserved again" again
	next_stage 3
}

stage3()
{
	check "the limits are others again" eval '! batches_are_back'
	echo 7777 > /proc/sys/vm/min_free_kbytes
	bulk_restored
	check "limits of zones are adjusted" eventually batches_are_back
	check_eq "vm.min_free_kbytes is what an admin has set" 7777 \
		"$(cat /proc/sys/vm/min_free_kbytes)"
	bulk_freed
}

# Of the lists of the CPUs: they depend on the size of each zone alone.
batches()
{
	zone_limits | sed -n 's/_pcp_batch / /p' | tr ' \n' '=,'
}

batches_are_back()
{
	[ "$(batches)" = "$(param khobatch)" ]
}
