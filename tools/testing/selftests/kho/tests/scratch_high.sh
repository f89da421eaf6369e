# SPDX-License-Identifier: GPL-2.0-only
# All memory below 4 GiB but what the first kernel needs itself is in use: scratch is above.

STAGES=2
MEM=4G
APPEND="nokaslr memmap=3008M\$64M"

stage1()
{
	check "the area that should be below 4 GiB is above" \
		log 'kho: no room for low scratch of .* below 4 GiB: it is at 0x0*1[0-9a-f]\{8\}$'
	hand_over 2
}

stage2()
{
	take_over
}
