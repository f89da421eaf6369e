# SPDX-License-Identifier: GPL-2.0-only
# A memfd that is most of the memory, in small folios; see memfd.sh for MEMFD_MEM.

STAGES=2
MEM=${MEMFD_MEM:-1G}
APPEND="liveupdate=on ${MEMFD_MEM:+kho_scratch=100%}"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	if log 'KernelAddressSanitizer initialized'; then
		# It keeps something for each place in the code that allocates or frees.
		program luo_memfd keep small
		check "a rehearsal is over" killall luo_memfd
	fi
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
	between "$(missing_kb)" -4096 4096
}
