# SPDX-License-Identifier: GPL-2.0-only
# No session at all goes from this kernel to mainline and back: there never was one, or
# all were closed again. Mainline 7.3 panics at a list of sessions without entries.

STAGES=5
# Mainline allocates its struct pages in scratch.
APPEND="liveupdate=on kho_scratch=200%"

missing()
{
	has_kernel mainline
}

# none_here: live update works, and nothing was handed over
none_here()
{
	check "handed over" [ -d "$KHO/in" ]
	program luo_memfd_interop absent each nothing crowd
}

stage1()
{
	EXTRA="khorelease=$(uname -r)"
	next_stage 2 mainline
}

stage2()
{
	check "this is another kernel" [ "$(uname -r)" != "$(param khorelease)" ]
	none_here
	next_stage 3 bzImage
}

stage3()
{
	check_eq "this is the first kernel again" "$(param khorelease)" "$(uname -r)"
	none_here
	nothing_unclaimed
	program luo_memfd_interop close each nothing crowd
	next_stage 4 mainline
}

stage4()
{
	check "this is another kernel" [ "$(uname -r)" != "$(param khorelease)" ]
	none_here
	program luo_memfd_interop close each nothing crowd
	next_stage 5 bzImage
}

stage5()
{
	none_here
	nothing_unclaimed
}
