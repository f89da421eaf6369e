# SPDX-License-Identifier: GPL-2.0-only
# Next to all memory but scratch is preserved, in runs that are as long as can be,
# twice in a row.

STAGES=3
MEM=2G
APPEND="kho_scratch=96M,64M,0"

# preserve_most STAGE: and go to this stage
preserve_most()
{
	# That takes more memory than there will be left.
	check "an image is loaded" load_next "$1"
	bulk_preserves "most of the memory is preserved" "runs 64"
	check "that is more than 85 per cent" [ "$(bulk_share)" -gt 85 ]
	check "the largest run has more than 512 MiB" [ "$(bulk_value largest)" -gt 131072 ]
	boot_next
}

stage1()
{
	EXTRA="khototal=$(meminfo MemTotal)"
	preserve_most 2
}

stage2()
{
	take_over_most
	EXTRA=
	preserve_most 3
}

stage3()
{
	take_over_most
}

take_over_most()
{
	local total
	bulk_restored
	bulk_freed
	total=$(($(meminfo MemTotal) - $(param khototal)))
	say "note MemTotal differs from a cold boot by $total KiB"
	# Hash tables are smaller when there is less memory in early boot.
	check "MemTotal is that of a cold boot" between $total -256 4096
}
