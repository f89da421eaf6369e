# SPDX-License-Identifier: GPL-2.0-only
# Memfds of hugetlb, with pages of 2 MiB and 1 GiB, across two kexecs. Before the first, a
# reboot fails after they were frozen. The last kernel is told of no huge pages.

STAGES=3
MEM=5G
APPEND="liveupdate=on default_hugepagesz=2M hugepages=128 hugepagesz=1G hugepages=1"
TIMEOUT=${KHO_TIMEOUT:-300}

# pool SIZE NAME: what a pool of huge pages says
pool()
{
	cat "/sys/kernel/mm/hugepages/hugepages-$1kB/$2"
}

stage1()
{
	local before
	before=$(counter out/preserved_pages)
	program luo_hugetlb keep writer
	check "its keeper is killed" killall -9 luo_hugetlb
	check "nothing is preserved any more" \
		eventually counts_as "$before" out/preserved_pages
	check "and all is free" eventually all_free

	program luo_hugetlb keep pages gigantic discarded reserved chain writer
	# After them, so that a file fails when they are frozen.
	program luo_handover keep last 1
	echo 1 > $TEST/fail_freeze
	echo 500 > $TEST/fail_after_ms
	load_next 2
	refused "temporarily unavailable"
	before=$(pool 2048 free_hugepages)
	check "what writes into holes goes on" eventually fewer_free "$before"
	boot_next
}

all_free()
{
	[ "$(pool 2048 free_hugepages)" = 128 ]
}

fewer_free()
{
	[ "$(pool 2048 free_hugepages)" -lt "$1" ]
}

# pool_says SIZE: total, free, reserved and surplus
pool_says()
{
	echo "$(pool "$1" nr_hugepages) $(pool "$1" free_hugepages)" \
		"$(pool "$1" resv_hugepages) $(pool "$1" surplus_hugepages)"
}

stage2()
{
	check "all sessions were taken over" log "luo: took over 7 sessions"
	check_eq "the pool is as large as after a cold boot" 128 "$(pool 2048 nr_hugepages)"
	check_eq "and so is that of 1 GiB" "1 0 0 0" "$(pool_says 1048576)"
	echo 140 > /proc/sys/vm/nr_hugepages
	check_eq "its size can be changed" 140 "$(pool 2048 nr_hugepages)"
	echo 128 > /proc/sys/vm/nr_hugepages
	program luo_hugetlb after pages gigantic discarded reserved writer
	check_eq "the page of 1 GiB is free" "1 1 0 0" "$(pool_says 1048576)"
	program luo_hugetlb again chain
	program luo_handover finish last
	check_eq "one page is in use" "128 127 11 0" "$(pool_says 2048)"
	# shellcheck disable=SC2034 # for next_stage
	REMOVE="hugepages=128 hugepagesz=1G hugepages=1"
	next_stage 3
}

stage3()
{
	check_eq "what arrives is surplus" "1 0 0 1" "$(pool_says 2048)"
	echo 12 > /proc/sys/vm/nr_hugepages
	check_eq "until the pool is made larger" "12 11 0 0" "$(pool_says 2048)"
	echo 0 > /proc/sys/vm/nr_hugepages
	check_eq "and again when it is made smaller" "1 0 0 1" "$(pool_says 2048)"
	echo 20 > /proc/sys/vm/nr_overcommit_hugepages
	program luo_hugetlb after chain
	check_eq "nothing is left of it" "0 0 0 0" "$(pool_says 2048)"
	nothing_unclaimed
}
