# SPDX-License-Identifier: GPL-2.0-only
# No memory in one piece is large enough for scratch of the default size: smaller areas do.
# The holes are every 24 MiB above the first kernel, which has to stay below them.

STAGES=2
MEM=512M
HOLES="48 72 96 120 144 168 192 216 240 264 288 312 336 360 384 408 432 456 480"
APPEND="nokaslr $(for hole in $HOLES; do printf 'memmap=4K$%sM ' "$hole"; done)"

stage1()
{
	check "an area is smaller" \
		log 'kho: no room for low scratch of [0-9]* MiB: it has [0-9]* MiB'
	check "so is the other" \
		log 'kho: no room for global scratch of [0-9]* MiB: it has [0-9]* MiB'
	check "no area is larger than a piece" \
		[ "$(awk '{ if ($2 > m) m = $2 } END { print m }' $KHO/scratch)" -lt $((24 << 10)) ]
	hand_over 2
}

stage2()
{
	take_over
}
