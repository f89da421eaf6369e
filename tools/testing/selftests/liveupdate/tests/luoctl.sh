# SPDX-License-Identifier: GPL-2.0-only
# tools/liveupdate: files are saved, handed over, and restored from the command line.

STAGES=3
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

strange='a\012
"'

stage1()
{
	mkdir files
	head -c 3000000 /dev/urandom > files/large
	echo text > "files/with \"blanks\""
	: > files/empty
	echo blank > "files/ "
	echo blank too > "files/ begins with one"
	mkfifo fifo
	chmod 640 files/large
	md5sum files/* > sums

	exits 0 "--help" luoctl --help
	exits 2 "no command" luoctl
	exits 2 "a command that there is not" luoctl store
	exits 2 "no files" luoctl save files
	exits 2 "two files with one name" luoctl save files files/large /files/large
	exits 1 "a file that there is not" luoctl save files files/none
	exits 1 "a directory" luoctl save files files
	exits 1 "a pipe" luoctl save files fifo
	check_eq "nothing is left of that" 0 "$(wc -l < $LIST/outgoing)"

	exec 8< sums
	exits 0 "save" luoctl save files files/*
	says "5 files, 3000021 bytes, are kept in session files by process [0-9]*"
	check_eq "the keeper has no other file open" 0 \
		"$(files_of "$(said ".*by process \([0-9]*\)")" | wc -l)"
	exec 8<&-
	exits 1 "the same name again" luoctl save files files/*
	exits 0 "save with --json" luoctl --json save more sums
	says '{"session": "more", "files": 1, "bytes": [0-9]*, "keeper": [0-9]*}'
	truncate -s 128M big
	chmod 640 big
	echo last > last
	exits 0 "save much" luoctl save big big last
	luoctl save closed sums <&- >&- 2>&-
	check "save without standard input and output" \
		grep -qx "files 3 name closed" $LIST/outgoing
	exits 0 "save under a strange name" luoctl save "$strange" sums
	exits 0 "status" luoctl status
	says "  files: 7 files"
	check "it counts what was saved" [ "$(said '^For the next kernel: \(.*\) KiB$')" -ge \
		$(((128 << 10) + 3000000 / 1024)) ]
	exits 0 "status with --json" luoctl --json status
	check "it counts that, too" [ "$(said '.*"outgoing": {"bytes": \([0-9]*\),.*')" -ge \
		$(((128 << 20) + 3000000)) ]
	says '.*\[{"name": "files", "files": 7}, {"name": "more", "files": 3}, .*'
	says '.*{"name": "a\\\\012\\u000a\\"", "files": 3}\].*'

	exits 2 "a kernel without a command line" luoctl kexec /boot/bzImage
	exits 1 "a kernel that there is not" luoctl kexec /boot/none --reuse-cmdline
	exits 1 "a next kernel without KHO" luoctl kexec /boot/bzImage \
		--command-line "liveupdate=on"
	exits 1 "a next kernel without live update" luoctl kexec /boot/bzImage \
		--command-line "kho=on liveupdate=on liveupdate=off"
	exits 1 "a next kernel that is not told" luoctl kexec /boot/bzImage \
		--command-line "kho=on liveupdate="
	check "nothing was loaded" grep -qx 0 /sys/kernel/kexec_loaded
	exec 9< /dev/liveupdate
	exits 0 "load while somebody has the device" \
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only
	says "  files: 7 files"
	exits 1 "save while somebody has the device" luoctl save busy sums
	exec 9<&-
	check "it was loaded" grep -qx 1 /sys/kernel/kexec_loaded
	default_on
	reboot_fails

	lockdep_on
	say "reboot"
	luoctl kexec /boot/bzImage --initrd /sys/firmware/initrd \
		--command-line "$(next_cmdline 2)" 2>&1 | say_lines note
	say "not ok luoctl kexec"
}

stage2()
{
	mkdir files there
	exits 0 "status" luoctl status
	says "  files: 7 files, 0 retrieved, unclaimed"

	# What stands in the way is seen before a file is written, and nothing is lost.
	echo "other" > files/large
	exits 1 "a file that is there" luoctl restore files files
	check "it was not touched" grep -qx other files/large
	check_eq "and there is no other" 1 "$(find files -type f | wc -l)"
	rm -r files
	mkdir files
	exits 1 "a session that there is not" luoctl restore none files
	mkdir small
	mount -t tmpfs -o size=64k tmpfs small
	exits 1 "a directory without room" luoctl restore files small
	check_eq "there is no part of it" 0 "$(find small -type f | wc -l)"
	umount small
	exits 1 "a file that is larger than the limit" \
		sh -c "ulimit -f 100; exec luoctl restore files files"
	says "luoctl: large: no room for 3000000 bytes: File too large"
	check_eq "there is no part of it" 0 "$(find files -type f | wc -l)"

	# Also when all files are retrieved.
	exits 1 "no descriptor is left for a file" \
		sh -c "ulimit -n 6; exec luoctl restore more there"
	says "luoctl: sums: .*"
	check_eq "there is no part of it, either" 0 "$(find there -type f | wc -l)"
	restore_replaced
	restore_and_send TERM
	check_eq "that can be interrupted" 1 $?
	check_eq "and there is no part of it" 0 "$(find there -type f | wc -l)"
	# The shell has those it starts in the background ignore it.
	restore_and_send INT
	check_eq "restored again, but for a signal that is ignored" 0 $?
	check_eq "it has its size" $((128 << 20)) "$(stat -c %s there/big)"
	check "the one after it is there, too" grep -qx last there/last
	exits 0 "restore with --json" luoctl --json restore more there
	says '{"session": "more", "files": 1, "bytes": [0-9]*}'

	exits 0 "restore" luoctl restore files files
	check_eq "the mode is as it was" 640 "$(stat -c %a files/large)"
	check "the content is as it was" md5sum -c there/sums
	check_eq "there are no more" 5 "$(find files -type f | wc -l)"
	exits 0 "restore under a strange name" luoctl restore "$strange" files
	mkdir closed
	exits 0 "restore what was saved without" luoctl restore closed closed
	exits 1 "a second time" luoctl restore files there
	nothing_unclaimed

	REMOVE=liveupdate=on
	next_stage 3
}

# Without live update.
stage3()
{
	exits 3 "status" luoctl status
	says "luoctl: no /dev/liveupdate: .*"
	exits 3 "save" luoctl save files /init
	exits 3 "restore" luoctl restore files /tmp
	exits 3 "kexec" luoctl kexec /boot/bzImage --reuse-cmdline
}

# files_of PID: what it has open that has a path
files_of()
{
	local fd
	for fd in "/proc/$1/fd"/*; do
		readlink "$fd"
	done | grep -v '^/dev/null$' | grep ^/
}

# default_on: the running kernel shows that KHO is on, and then it need not be said
default_on()
{
	echo liveupdate=on > /tmp/cmdline
	mount -o bind /tmp/cmdline /proc/cmdline
	exits 0 "KHO is the default" \
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only
	exits 1 "the same, but who knows" \
		luoctl kexec /boot/bzImage --command-line liveupdate=on --load-only
	says "luoctl: the next kernel would hand nothing on: .*"
	echo "liveupdate=on kho=on kho=off kho=what" > /tmp/cmdline
	exits 1 "KHO is off in the next one" \
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only
	says "luoctl: the next kernel would hand nothing on: .*"
	: > /tmp/cmdline
	exits 0 "sessions will switch live update on" \
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only
	echo liveupdate=off > /tmp/cmdline
	exits 1 "but for that it must not be off" \
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only
	says "luoctl: the next kernel would not know of sessions: .*"
	umount /proc/cmdline
}

# reboot_fails: for now, and nothing changes by that
reboot_fails()
{
	cat $LIST/outgoing > before
	program luo_handover keep last 1
	echo 1 > $TEST/fail_freeze
	exits 1 "a reboot that fails" luoctl kexec /boot/bzImage --reuse-cmdline
	says "luoctl: the kernel does not reboot; its log says why: .* temporarily unavailable"
	check "its session is kept" grep -qx "files 1 name last" $LIST/outgoing
	check "until its keeper is killed" killall luo_handover
	check "and so are all others" eventually cmp -s before $LIST/outgoing
}

# restore_stopped: begin to restore a large file and one after it, and stop. This shell,
# on the same CPU, sees that they are there before much is written to the first.
restore_stopped()
{
	taskset -p 1 $$ > /dev/null
	luoctl restore big there > /tmp/out 2>&1 &
	until [ -e there/last ] || [ ! -e /proc/$!/exe ]; do
		:
	done
	check "a restore is stopped" kill -STOP $!
	check "it does nothing more" eventually grep -q "^State:.*stopped" /proc/$!/status
	check_eq "it is at its first file" 600 "$(stat -c %a there/big)"
}

# restore_replaced: somebody else has a file of that name in the end
restore_replaced()
{
	restore_stopped
	mv there/last moved
	echo other > there/last
	kill -CONT $!
	wait $!
	check_eq "somebody replaces a file: exit status" 1 $?
	says "luoctl: last: somebody has replaced or linked it"
	check "it was not touched" grep -qx other there/last
	check_eq "and there is no other" there/last "$(find there -type f)"
	rm there/last moved
}

# restore_and_send SIGNAL: in the middle of a restore. Its status.
restore_and_send()
{
	restore_stopped
	kill "-$1" $!
	kill -CONT $!
	wait $!
}
