# SPDX-License-Identifier: GPL-2.0-only
# Instructions that the check before the reboot takes, with khoitems= scattered folios. It
# is made once when nothing is frozen yet, and once more when all files are.

STAGES=1
MEM=12G
APPEND=""

# shellcheck source=guest/icount.sh
. "$KHO_LIB/icount.sh"

MISTAKES=/sys/kernel/debug/kho_mistakes

stage1()
{
	check "the next kernel is loaded" load_next 2
	checked check_base
	check "memory for folios" bench "allocate scattered $(param khoitems)"
	check "they are preserved" bench "preserve scattered"
	checked check
}

# checked NAME
checked()
{
	check "$1: the check is made" eval "echo check > $MISTAKES"
	check "$1: it finds nothing" grep -q '^check 0 ' $MISTAKES
	say "note value $1 $(sed -n 's/^check 0 //p' $MISTAKES)"
}
