# SPDX-License-Identifier: GPL-2.0-only
# Scratch that does not fit: one line with sizes, KHO off, nothing else suffers.

STAGES=2
APPEND="liveupdate=on kho_scratch=16M,64G,0"

stage1()
{
	check "one line says what was missing" \
		log 'kho: disabled: no room for global scratch of 65536 MiB (.* of RAM, .* reserved'
	check_eq "it is one line" 1 "$(dmesg | grep -c 'kho: disabled')"
	check "KHO is off" [ ! -d $KHO ]
	check "so is live update" log 'luo: disabled: kexec handover is off'
	check "it has no device" [ ! -e /dev/liveupdate ]
	check "nothing can be preserved" eval '! producer preserve 2>/dev/null'
	next_stage 2
}

stage2()
{
	check "kexec works as ever" [ "$(param khostage)" = 2 ]
}
