# SPDX-License-Identifier: GPL-2.0-only
# A machine in which half of the memory is in ZONE_MOVABLE, as with kernelcore=mirror.

STAGES=2
MEM=1G
APPEND="liveupdate=on kernelcore=50%"

stage1()
{
	check "there is a movable zone" has_movable
	program luo_memfd keep small sparse half
	hand_over 2
}

stage2()
{
	check "there is a movable zone" has_movable
	program luo_memfd after small sparse half
	take_over
}

has_movable()
{
	[ "$(awk '$4 == "Movable" { zone = 1 } zone && $1 == "managed" { print $2; exit }' \
		/proc/zoneinfo)" -gt 65536 ]
}
