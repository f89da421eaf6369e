# SPDX-License-Identifier: GPL-2.0-only
# A memfd that is most of the memory, in small folios; see memfd.sh for MEMFD_MEM.

STAGES=2
MEM=${MEMFD_MEM:-1G}
APPEND="liveupdate=on kho_scratch=100%"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	settle
	EXTRA="khofree=$(free_kib)"
	program luo_memfd keep dense
	next_stage 2
}

stage2()
{
	program luo_memfd after dense
	nothing_unclaimed
	settle
	check "as much is free as in the first kernel" eventually as_much_free
	say "note missing $(missing_kb) KiB"
}

missing_kb()
{
	echo $(($(param khofree) - $(free_kib)))
}

as_much_free()
{
	local most=4096
	# Sanitizers keep a part of what was freed.
	! log 'KernelAddressSanitizer initialized' || most=16384
	between "$(missing_kb)" -$most $most
}
