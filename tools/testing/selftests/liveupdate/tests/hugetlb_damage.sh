# SPDX-License-Identifier: GPL-2.0-only
# Memfds of hugetlb are damaged between the first two kernels, each in another way; and
# between the last two, the table that says how many huge pages arrive.

STAGES=3
MEM=1536M
APPEND="liveupdate=on default_hugepagesz=2M hugepages=180 hugepagesz=1G"
RAM_FILE=1

missing()
{
	command -v python3 > /dev/null || echo "python3 not found"
}

host_action()
{
	python3 -B "${here:?}/../liveupdate/damage.py" "$@"
}

# pool_says: total, free, reserved and surplus
pool_says()
{
	local name said=
	for name in nr free resv surplus; do
		said="$said $(cat /sys/kernel/mm/hugepages/hugepages-2048kB/${name}_hugepages)"
	done
	echo "${said# }"
}

# all_unused: whether no huge page is in use, reserved or surplus
all_unused()
{
	# shellcheck disable=SC2046 # four words
	set -- $(pool_says)
	[ "$1" = "$2" ] && [ "$3 $4" = "0 0" ]
}

stage1()
{
	program luo_hugetlb keep damaged
	check "there will be a pause" eval "echo hugetlb > /sys/kernel/debug/kho_pause"
	next_stage 2
}

stage2()
{
	check_eq "the pool has its size" 180 "$(cat /proc/sys/vm/nr_hugepages)"
	program luo_hugetlb after damaged
	say "note $(counter in/unclaimed_pages) pages stay reserved, the pool: $(pool_says)"
	check "that can be discarded" \
		eval 'echo 1 > /sys/kernel/kho/incoming/discard_unclaimed'
	say "note the pool: $(pool_says)"
	check "and then nothing is in use" all_unused
	nothing_unclaimed
	program luo_hugetlb keep uncounted
	check "there will be a pause" eval "echo table > /sys/kernel/debug/kho_pause"
	next_stage 3
}

stage3()
{
	check "the table is damaged" log "hugetlb: table of huge pages that arrive is damaged"
	check_eq "what arrives is not in the pool" "180 180 0 0" "$(pool_says)"
	program luo_hugetlb after uncounted
	check_eq "and leaves it when it is freed" "180 180 0 0" "$(pool_says)"
}
