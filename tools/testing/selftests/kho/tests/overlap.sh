# SPDX-License-Identifier: GPL-2.0-only
# Overlapping preservations. With KEXEC_HANDOVER_DEBUG the call is refused, with a
# warning that tells who it was, and the handover is in order. Without, the next
# kernel refuses the handover.

STAGES=2
SPLAT='kho: pages 0x[0-9a-f]* to 0x[0-9a-f]* overlap a preserved block'

stage1()
{
	EXTRA="khofound=$(stress_value overlap_found_at_call)"
	if [ "$(stress_value overlap_found_at_call)" = 0 ]; then
		check "nobody notices" stress overlap
	else
		check "the call fails" eval '! stress overlap 2> /tmp/errno'
		check "the errno is EEXIST" grep -q 'File exists' /tmp/errno
		check "a warning names the pages" \
			log 'kho: pages 0x[0-9a-f]* to 0x[0-9a-f]* overlap'
	fi
	next_stage 2
}

stage2()
{
	if [ "$(param khofound)" = 1 ]; then
		check "the handover is taken over" [ -d $KHO/in ]
	else
		check "the handover is refused" \
			log 'kho: handover refused: block of order .* overlaps another'
		check "there is no handover" [ ! -d $KHO/in ]
	fi
	check "preserving works" producer preserve
}
