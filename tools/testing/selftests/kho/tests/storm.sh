# SPDX-License-Identifier: GPL-2.0-only
# Whatever the kernel allocates for itself stays out of scratch, however little
# memory is left: in the first kernel and in one that took over.

STAGES=2
MEM=768M
APPEND="page_owner=on kho_scratch=96M,64M,32M"

stage1()
{
	pressure
	hand_over 2
}

stage2()
{
	take_over
	pressure
}

pressure()
{
	local owners=/sys/kernel/debug/page_owner

	check_eq "each pageblock of scratch is CMA" \
		"$(awk '{ n += $2 } END { print n / 2048 }' $KHO/scratch)" "$(cma_blocks)"
	storm
	check "movable pages fill scratch" fill_scratch 60 64
	storm
	check_eq "each pageblock of scratch is still CMA" \
		"$(awk '{ n += $2 } END { print n / 2048 }' $KHO/scratch)" "$(cma_blocks)"

	# All that is allocated, whoever did.
	# A short read gets an error from it, so not by awk itself.
	cat $owners | awk '/^PFN .* type / { n[$4 " in " $8]++ }
	     END { for (i in n) print n[i], i }' > /tmp/owners
	say_lines note pages: < /tmp/owners
	check "movable pages are in scratch" grep -q 'Movable in CMA' /tmp/owners
	check "no others are" [ "$(grep 'in CMA' /tmp/owners | grep -vc Movable)" = 0 ]
	umount /tmp/fill
}

cma_blocks()
{
	awk '/^Number of blocks/ { for (i = 5; i <= NF; i++) if ($i == "CMA") c = i }
	     c && /^Node .* zone/ { n += $c } END { print n }' /proc/pagetypeinfo
}
