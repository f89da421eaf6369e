# SPDX-License-Identifier: GPL-2.0-only
# The next kernel has never heard of KHO: it boots, with all memory to itself, and
# a kernel with KHO can follow it again.

STAGES=3
# It is much larger than the first kernel, for which there would be scratch by default.
APPEND="kho_scratch=256M,128M,0"

missing()
{
	has_kernel nokho
}

stage1()
{
	check "producer preserves" producer preserve
	EXTRA="khomem=$(meminfo MemTotal)"
	next_stage 2 nokho
}

stage2()
{
	check "it does not know KHO" \
		log 'Unknown kernel command line parameters.*[" ]kho=on'
	check "all memory is there" \
		between $(($(param khomem) - $(meminfo MemTotal))) -65536 65536
	next_stage 3
}

stage3()
{
	check "there was no handover" [ ! -d $KHO/in ]
	check "KHO is on" [ -d $KHO ]
	check "preserving works" producer preserve
}
