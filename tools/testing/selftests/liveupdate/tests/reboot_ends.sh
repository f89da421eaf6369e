# SPDX-License-Identifier: GPL-2.0-only
# A reboot that waits for a process that hangs fails after five seconds, and holds nobody
# up. Later it succeeds.

STAGES=2
MEM=${MEMFD_MEM:-1G}
APPEND="liveupdate=on ${MEMFD_MEM:+kho_scratch=100%}"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	load_next 2
	program luo_hang preserve
	check "it is said which process hangs" \
		log 'luo: kexec refused: PRESERVE_FD of session hung by process [1-9][0-9]* (luo_hang) has not'
	program luo_hang write
	check "it is said which file is written to" \
		log 'luo: file with token 1 of .* in session written cannot be frozen: -110'
	check "and which process does" \
		log 'luo: memfd not frozen: process [1-9][0-9]* (luo_hang) has begun to write'
	boot_next
}

stage2()
{
	program luo_hang after
	nothing_unclaimed
}
