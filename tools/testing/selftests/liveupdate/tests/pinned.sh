# SPDX-License-Identifier: GPL-2.0-only
# Nearly all of the memory is pinned for long, with KHO and without: what cannot be pinned with
# KHO is scratch, and nothing else.

STAGES=2
MEM=512M
# What is left free in the end, in KiB.
LEAVE=32768

stage1()
{
	local scratch
	scratch=$(cat /sys/kernel/kho/scratch_bytes)
	settle
	pin
	say "note scratch: $((scratch >> 10)) KiB"
	check "scratch is known" [ "$scratch" -gt 0 ]
	check "that is most of the memory" \
		[ "$PINNED" -gt $(($(meminfo MemTotal) * 3 / 4 - (scratch >> 10))) ]
	check_eq "scratch is what cannot be pinned" $((scratch >> 10)) "$(meminfo CmaTotal)"
	EXTRA="kho=off khopinned=$((PINNED + (scratch >> 10)))"
	next_stage 2
}

stage2()
{
	check "KHO is off" [ ! -d /sys/kernel/kho ]
	settle
	pin
	say "note without KHO $(($(param khopinned) - PINNED)) KiB less than with KHO and scratch"
	check "without KHO as much can be pinned as with KHO, and scratch" \
		between $(($(param khopinned) - PINNED)) -4096 4096
}

pin()
{
	# Pages of the page cache may lie anywhere.
	PINNED=$(luo_pin $LEAVE)
	say "note pinned: $PINNED KiB of $(meminfo MemTotal)"
}
