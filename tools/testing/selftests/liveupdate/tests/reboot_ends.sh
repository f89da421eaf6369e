# SPDX-License-Identifier: GPL-2.0-only
# A reboot that waits for a process that hangs fails after five seconds, and holds nobody
# up. Loop devices on memfds: what file systems have in memory is written, nothing fails
# when a reboot fails, and a kernel thread that writes does not keep the machine from
# rebooting. Needs e2fsck.

STAGES=3
MEM=${MEMFD_MEM:-1G}
APPEND="liveupdate=on ${MEMFD_MEM:+kho_scratch=100%}"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	load_next 2
	program luo_hang preserve
	check "it is said which process hangs" \
		log 'luo: kexec refused: PRESERVE_FD of session hung by .* (luo_hang) has not'
	program luo_hang write
	check "it is said which file is written to" \
		log 'luo: file with token 1 of .* in session written cannot be frozen: -110'
	check "and which process does" \
		log 'luo: memfd not frozen: process [1-9][0-9]* (luo_hang) has begun to write'

	program luo_hang sync
	lockdep_on
	say "reboot"
	program luo_hang kexec
}

stage2()
{
	program luo_hang after
	nothing_unclaimed

	load_next 3
	program luo_hang loop
	# The file that fails is frozen last.
	program luo_handover keep last 1
	echo 1 > $TEST/fail_freeze
	echo 2000 > $TEST/fail_after_ms
	refused "temporarily unavailable"
	sleep 1
	check "the writer has not failed" no_log "note the writer has failed"
	check "nor has anything else" no_log "I/O error\|fails to write"
	check "there are files to write" make_more_files
	# The writer, and what waits for it, can be seen in this time.
	echo 5000 > $TEST/reboot_ms
	lockdep_on
	say "reboot"
	program luo_hang kexec
}

# make_more_files: copies, which are in no memfd before they are written back
make_more_files()
{
	local dirty
	cp -r /fs /tmp/copy && mkdir /fs/copy && cp /tmp/copy/[0-9]* /fs/copy
	dirty=$(meminfo Dirty)
	say "note $dirty KiB are dirty"
	[ "$dirty" -gt 1000 ]
}

host_check()
{
	grep -q 'luo: file systems not written in time' "$1" ||
		echo "not ok the first kexec did not wait for file systems"
	grep -q 'khotest: note the writer has failed: Input/output error' "$1" ||
		echo "not ok the writer has failed at the end"
	grep -q 'shmem: kernel thread .* fails to write to inode [0-9]*: it is frozen for' \
		"$1" || echo "not ok the log says so"
}

stage3()
{
	local devices
	luo_hang loop-again > /tmp/said
	check_eq "there are loop devices again" 0 $?
	devices=$(sed -n 's/^loop //p' /tmp/said)
	# shellcheck disable=SC2086 # two words
	set -- $devices
	check_eq "two of them" 2 $#
	exits 0 "e2fsck" e2fsck -fn "$1"
	mkdir /fs
	check "it can be mounted" mount -t ext2 -o ro "$1" /fs
	program luo_hang loop-after
	check_eq "as are those that were not written" 40 "$(same_files)"
	program luo_handover finish last
	check "it is unmounted" umount /fs
	nothing_unclaimed
}

# same_files: how many copies are like the original
same_files()
{
	local file nr=0
	for file in /fs/[0-9]*; do
		! cmp -s "$file" "/fs/copy/${file##*/}" || nr=$((nr + 1))
	done
	echo $nr
}
