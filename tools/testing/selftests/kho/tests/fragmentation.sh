# SPDX-License-Identifier: GPL-2.0-only
# Every second page of all memory but scratch is preserved, and a page of each 2 MiB
# that others use: the next kernel finds no 2 MiB that are free outside of scratch.

STAGES=2
MEM=1G
# With DEBUG_VM_PGTABLE the kernel wants 2 MiB for a test of its own, and warns when there
# are none.
APPEND="kho_scratch=96M,64M,0 initcall_blacklist=debug_vm_pgtable"

stage1()
{
	local total free
	settle
	total=$(meminfo MemTotal)
	free=$(free_kib)
	bulk_preserves "every second page is preserved" "fragments 8"
	check "they are half of the memory" [ "$(bulk_share)" -ge 40 ]
	check "next to no 2 MiB are left out" [ "$(bulk_value missed)" -lt 6 ]
	EXTRA="khototal=$total khofree=$free khomissed=$(bulk_value missed)"
	next_stage 2
}

stage2()
{
	local total free
	say "note free blocks of 2 MiB: $(large_free_blocks 0)"
	check "no 2 MiB are free but those" [ "$(large_free_blocks 0)" -le "$(param khomissed)" ]
	bulk_restored
	bulk_freed
	check "now there are" [ "$(large_free_blocks 0)" -gt 300 ]

	settle
	total=$(($(meminfo MemTotal) - $(param khototal)))
	free=$(($(free_kib) - $(param khofree)))
	say "note MemTotal differs from a cold boot by $total KiB, free memory by $free KiB"
	# Hash tables are smaller when there is less memory in early boot.
	check "MemTotal is that of a cold boot" between $total -256 2048
	check "free memory is that of a cold boot" between $free -2048 2048
}
