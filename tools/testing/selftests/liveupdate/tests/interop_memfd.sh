# SPDX-License-Identifier: GPL-2.0-only
# Memfds in sessions go from this kernel to mainline, back, and once more.

STAGES=4
APPEND="liveupdate=on"

missing()
{
	has_kernel mainline
}

stage1()
{
	# Mainline would fill the holes: it can take such a file, but not hand it on.
	program luo_memfd_interop keep each many vast
	EXTRA="khorelease=$(uname -r)"
	next_stage 2 mainline
}

stage2()
{
	check "this is another kernel" [ "$(uname -r)" != "$(param khorelease)" ]
	program luo_memfd_interop after each many vast
	program luo_memfd_interop keep many each
	next_stage 3 bzImage
}

stage3()
{
	check_eq "this is the first kernel again" "$(param khorelease)" "$(uname -r)"
	program luo_memfd_interop after each many
	nothing_unclaimed
	program luo_memfd_interop keep each many
	next_stage 4 mainline
}

stage4()
{
	check "this is the other kernel again" [ "$(uname -r)" != "$(param khorelease)" ]
	program luo_memfd_interop after many each
}
