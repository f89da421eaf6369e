# SPDX-License-Identifier: GPL-2.0-only
# 1, 2 and 4 threads preserve khoitems= folios between them, the fastest of many
# rounds. In real time: with -icount there is one CPU only. Other threads, which
# share nothing, show what the host is capable of. They take turns, because it may
# have no second CPU to spare for a while.

STAGES=1
SMP=2
MEM=2G
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	local turn nr
	check_eq "CPUs" 2 "$(nproc)"
	check "memory" bench "allocate scattered $(param khoitems)"
	for turn in 1 2 3 4 5; do
		for nr in 1 2 4; do
			rounds threads $nr
			rounds spin $nr
		done
	done
	for nr in 1 2 4; do
		say "note value threads_$nr scattered $(cycles threads $nr)"
		say "note value spin_$nr scattered $(cycles spin $nr)"
	done
}

# rounds OPERATION THREADS
rounds()
{
	check "turn $turn: $1 with $2" bench "$1 scattered $2"
	sed -n "s/^$1 scattered [0-9]* \([0-9]*\) .*/\1/p" \
		/sys/kernel/debug/kho_bench/report >> "/tmp/$1.$2"
}

# cycles OPERATION THREADS: of the fastest round
cycles()
{
	sort -n "/tmp/$1.$2" | head -n 1
}
