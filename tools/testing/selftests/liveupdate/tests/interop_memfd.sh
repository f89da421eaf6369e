# SPDX-License-Identifier: GPL-2.0-only
# Memfds in sessions, and sessions without files, go from this kernel to mainline, back,
# and once more.

STAGES=4
# Mainline allocates its struct pages in scratch.
APPEND="liveupdate=on kho_scratch=200%"

missing()
{
	has_kernel mainline
}

stage1()
{
	# Mainline would fill the holes: it can take such a file, but not hand it on.
	program luo_memfd_interop keep nothing each many vast crowd
	EXTRA="khorelease=$(uname -r)"
	next_stage 2 mainline
}

stage2()
{
	check "this is another kernel" [ "$(uname -r)" != "$(param khorelease)" ]
	program luo_memfd_interop after nothing each many vast crowd
	program luo_memfd_interop keep crowd many each nothing
	next_stage 3 bzImage
}

stage3()
{
	check_eq "this is the first kernel again" "$(param khorelease)" "$(uname -r)"
	program luo_memfd_interop after crowd each many nothing
	nothing_unclaimed
	program luo_memfd_interop keep crowd nothing each many
	next_stage 4 mainline
}

stage4()
{
	check "this is the other kernel again" [ "$(uname -r)" != "$(param khorelease)" ]
	program luo_memfd_interop after many each crowd nothing
}
