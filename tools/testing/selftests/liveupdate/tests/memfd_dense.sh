# SPDX-License-Identifier: GPL-2.0-only
# A memfd that is most of the memory, in small folios.

STAGES=2
MEM=1G
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	EXTRA="khofree=$(meminfo MemFree)"
	program luo_memfd keep dense
	next_stage 2
}

stage2()
{
	program luo_memfd after dense
	check_eq "all memory is back" 0 "$(counter in/unclaimed_pages)"
	check "as much is free as in the first kernel" \
		between $(($(param khofree) - $(meminfo MemFree))) -8192 8192
}
