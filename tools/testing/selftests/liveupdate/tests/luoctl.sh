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

	exits 0 "save" luoctl save files files/*
	says "5 files, 3000021 bytes, are kept in session files by process [0-9]*"
	exits 1 "the same name again" luoctl save files files/*
	exits 0 "save with --json" luoctl --json save more sums
	says '{"session": "more", "files": 1, "bytes": [0-9]*, "keeper": [0-9]*}'
	truncate -s 128M big
	exits 0 "save much" luoctl save big big
	luoctl save closed sums <&- >&- 2>&-
	check "save without standard input and output" \
		grep -qx "files 3 name closed" $LIST/outgoing
	exits 0 "save under a strange name" luoctl save "$strange" sums
	exits 0 "status" luoctl status
	says "  files: 7 files"
	exits 0 "status with --json" luoctl --json status
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
	exits 1 "save while somebody has the device" luoctl save busy sums
	exec 9<&-
	check "it was loaded" grep -qx 1 /sys/kernel/kexec_loaded

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

	# Also when all files are retrieved.
	exits 1 "no descriptor is left for a file" \
		sh -c "ulimit -n 6; exec luoctl restore more there"
	says "luoctl: sums: .*"
	check_eq "there is no part of it, either" 0 "$(find there -type f | wc -l)"
	restore_and_send TERM
	check_eq "that can be interrupted" 1 $?
	check_eq "and there is no part of it" 0 "$(find there -type f | wc -l)"
	# The shell has those it starts in the background ignore it.
	restore_and_send INT
	check_eq "restored again, but for a signal that is ignored" 0 $?
	check_eq "it has its size" $((128 << 20)) "$(stat -c %s there/big)"
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

# restore_and_send SIGNAL: in the middle of the restore of a large file. Its status.
restore_and_send()
{
	luoctl restore big there > /dev/null 2>&1 &
	# Not a moment longer than it has to.
	until [ -e there/big ]; do
		kill -0 $! || break
	done
	check "a large file is being restored" kill "-$1" $!
	wait $!
}

# exits STATUS WHAT COMMAND...
exits()
{
	local status=$1 what=$2
	shift 2
	"$@" > /tmp/out 2>&1
	check_eq "$what: exit status" "$status" $?
	say_lines note < /tmp/out
}

# says LINE: whether the last command has printed a line that matches
says()
{
	check "it says what" grep -qx "$1" /tmp/out
}
