# SPDX-License-Identifier: GPL-2.0-only
# tools/liveupdate: files are saved, handed over, and restored from the command line.

STAGES=3
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

strange='a\012
"'
SYSFS=/sys/kernel/liveupdate

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
	exits 0 "--version" luoctl --version
	says "luoctl [0-9.]*"
	for verb in $(luoctl --help | sed -n 's/^  luoctl \([a-z]*\)\( .*\)*$/\1/p'); do
		exits 0 "$verb --help" luoctl "$verb" --help
		says "Usage: luoctl $verb.*"
		exits 2 "$verb with an option that there is not" luoctl "$verb" --none
	done
	exits 2 "no command" luoctl
	exits 2 "a command that there is not" luoctl store
	exits 2 "no files" luoctl save files
	exits 2 "two files with one name" luoctl save files files/large /files/large
	exits 1 "a file that there is not" luoctl save files files/none
	exits 1 "a directory" luoctl save files files
	exits 1 "a pipe" luoctl save files fifo
	check_eq "nothing is left of that" 0 "$(cat $SYSFS/outgoing/nr_sessions)"
	exits 0 "status without a session" luoctl status
	says "For the next kernel: .*iB, no sessions"
	long_lists

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
	says '1 file, [0-9]* bytes, is kept in session a\\134012\\012" by process [0-9]*'
	exits 0 "save under a name that is UTF-8" luoctl save "größe" sums
	exits 0 "save under one that is not" luoctl save "$(printf 'x\377')" sums

	# Kernel lockdown closes debugfs.
	umount /sys/kernel/debug
	exits 0 "status without debugfs" luoctl status
	says "  files: 7 files, .* MiB"
	exits 0 "list without debugfs" luoctl list
	says "outgoing: session big: 4 files, 128 MiB"
	says "  token 1: memfd-v2, 128 MiB"
	exits 0 "list one" luoctl list files
	check_eq "there is no other" 1 "$(grep -c session /tmp/out)"
	exits 1 "list one that there is not" luoctl list none
	status='j["outgoing"]["sessions"]'
	is_json "status" "j['enabled'] and j['details']" status --json
	is_json "status" "j['outgoing']['preserved_bytes'] >= (128 << 20) + 3000000" \
		--json status
	is_json "status" "[s['files'] for s in $status] == [7, 3, 4, 3, 3, 3, 3]" --json status
	is_json "status" "${status}[0]['bytes'] > 3000021 > ${status}[1]['bytes']" --json status
	is_json "status" "${status}[4]['name'] == 'a\\\\012\\n\"'" --json status
	is_json "status" "${status}[5]['name'] == 'gr\\u00f6\\u00dfe'" --json status
	is_json "status" "${status}[6] | {'bytes': 0} == {'name': 'x\\ufffd', 'name_hex': '78ff',
		'files': 3, 'bytes': 0}" --json status
	is_json "list" "[f['bytes'] for f in ${status}[0]['list'] if len(f['token']) == 1] ==
		[6, 10, 0, 3000000, 5]" list --json files
	is_json "list" "{f['kind'] for f in ${status}[0]['list']} == {'memfd-v2'}" list --json files
	is_json "an error" "'none' in j['error']" list none --json
	is_json "wrong usage" "'usage' in j['error']" list a b --json
	is_json "no command" "'usage' in j['error']" --json
	is_json "a wrong option" "'usage' in j['error']" --json --bogus status
	check "JSON that cannot be written is an error" \
		eval "! luoctl --json status > /dev/full 2> /dev/null"
	check_kernel
	mount -t debugfs debugfs /sys/kernel/debug
	maps

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
	says "  files: 7 files, .* MiB"
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
	says "  files: 7 files, .* MiB, 0 retrieved, unclaimed"
	status='j["incoming"]["sessions"]'
	is_json "status" "[s['state'] for s in $status] == ['unclaimed'] * 7" status --json
	is_json "status" "j['incoming']['unclaimed_bytes'] >= (128 << 20) + 3000000" status --json
	says_blackout
	exits 0 "list" luoctl list files
	says "incoming: session files: 7 files, .* MiB, 0 retrieved, unclaimed"
	says "  token 4: memfd-v2, 2.9 MiB, unclaimed"
	maps
	exits 1 "check with unfinished sessions" luoctl check /boot/bzImage --reuse-cmdline
	says "problem: session files of the previous kernel is not finished: .*"
	check "nothing was loaded" grep -qx 0 /sys/kernel/kexec_loaded

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
	mkdir utf8 other
	exits 0 "restore under a name that is UTF-8" luoctl restore "größe" utf8
	says "1 file, [0-9]* bytes, of session größe is in utf8"
	exits 0 "restore under one that is not" luoctl restore "$(printf 'x\377')" other
	mkdir closed
	exits 0 "restore what was saved without" luoctl restore closed closed
	exits 1 "a second time" luoctl restore files there
	nothing_unclaimed

	REMOVE=liveupdate=on
	next_stage 3
}

# says_blackout: how long the last blackout was, unless the TSC turned out not to be stable
says_blackout()
{
	local us=/sys/kernel/kho/incoming/blackout_us
	if ! log "kho: blackout of "; then
		dmesg | grep -i 'tsc.*unstable\|kholts-boot ignored' |
			say_lines "note there is no blackout:"
		check "it is not in the status" eval '! luoctl status | grep -q blackout'
		return
	fi
	is_json "status" "j['incoming']['blackout_us'] == $(cat $us)" status --json
	exits 0 "status" luoctl status
	says "The last blackout took [0-9]*\.[0-9] ms\."
}

# Without live update.
stage3()
{
	exits 3 "status" luoctl status
	says "luoctl: no /dev/liveupdate: .*"
	is_json "status without live update" "j['enabled'] is False and j['error']" status --json
	check "there is nothing in sysfs" [ ! -e $SYSFS ]
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

# is_json WHAT EXPRESSION ARGUMENT...: the standard output of luoctl is one JSON value j of
# which this holds. The guest has no Python, so the host looks.
is_json()
{
	local what=$1 expression=$2
	shift 2
	luoctl "$@" > /tmp/json 2> /tmp/err
	expression=$(printf "%s" "$expression" | tr -s "\n\t" "  ")
	{ printf "%s\n" "$what: $expression"; cat /tmp/json; } |
		base64 -w 600 | say_lines "json"
	say "json ."
}

host_check()
{
	sed -n 's/^[0-9.]* khotest: json //p' "$1" | python3 -c '
import base64, json, sys
values = "".join(sys.stdin.read().split()).split(".")[:-1]
for value in values:
	asked, _, printed = base64.b64decode(value).partition(b"\n")
	what, _, expression = asked.decode().partition(": ")
	try:
		j = json.loads(printed.decode("utf-8"))
		good = eval(expression)
	except Exception as error:
		good = False
		print("note", repr(printed), error)
	print("ok" if good else "not ok", "JSON of", what, "where", ascii(expression))
print("ok" if len(values) >= 12 else "not ok", len(values), "JSON values were looked at")
'
}

# long_lists: sysfs lists more than a page, in pieces of any size, also while it changes
long_lists()
{
	local tokens
	program luo_handover keep tokens 500
	tokens=$(pidof luo_handover)
	program luo_handover keep-many 1000
	check_eq "the number of sessions" 1001 "$(cat $SYSFS/outgoing/nr_sessions)"
	check_eq "the number of files" 1500 "$(cat $SYSFS/outgoing/nr_files)"
	check_eq "all sessions are listed" 1001 "$(grep -c "^session " $SYSFS/outgoing/sessions)"
	check_eq "all files are listed, none of them has a size" 1500 \
		"$(grep -c "^file token [0-9]* size - kind luo-test-v1$" $SYSFS/outgoing/sessions)"
	sed -n '/name tokens$/,/name many 0$/s/^file token \([0-9]*\) .*/\1/p' \
		$SYSFS/outgoing/sessions > tokens
	check_eq "no token is there twice" 500 "$(sort -u tokens | wc -l)"
	check "it is the same in small pieces, and from the middle" \
		same_in_pieces $SYSFS/outgoing/sessions
	check "others cannot read it" [ "$(stat -c %a $SYSFS/outgoing/sessions)" = 400 ]

	# A session goes when a reader is among its files. The reader goes on with the next one.
	exec 7< $SYSFS/outgoing/sessions
	dd bs=97 count=1 <&7 > parts 2> /dev/null
	check "its keeper is killed" kill "$tokens"
	check "the session is closed" eventually \
		eval "[ \$(cat $SYSFS/outgoing/nr_sessions) = 1000 ]"
	cat <&7 >> parts
	exec 7<&-
	check "some of its files were read" [ "$(grep -c "^file " parts)" -gt 1000 ]
	check "but not all" [ "$(grep -c "^file " parts)" -lt 1500 ]
	grep "^session " parts > all
	check_eq "all other sessions follow" 1000 "$(grep -c " name many [0-9]*$" all)"
	check_eq "each of them once" 1000 "$(grep " name many " all | sort -u | wc -l)"

	program luo_handover churn changing 20
	for _ in 1 2 3 4 5 6 7 8 9 10; do
		cat $SYSFS/outgoing/sessions
	done > parts
	check_eq "others are listed while one changes" 10000 \
		"$(grep -c "^session files 1 name many [0-9]*$" parts)"
	check "that one is listed, too" grep -q "^session .* name changing$" parts
	check_eq "never with other values than it has had" 0 \
		"$(grep "^session .* name changing$" parts |
			grep -cvE "files (1?[0-9]|20) (state busy )?name")"
	check "luo_churn ends" killall luo_churn luo_handover
	check "and so do all sessions" eventually no_sessions
	rm all parts tokens
	long_ranges
}

# long_ranges: the same of the ranges that are preserved
long_ranges()
{
	local ranges=/sys/kernel/kho/outgoing/ranges last range
	program luo_handover holes holes 2000
	check "there are many ranges" [ "$(wc -l < $ranges)" -gt 800 ]
	# Nodes of the tree that sessions have left go after some seconds.
	check "they are the same in small pieces, and from the middle" \
		eventually same_in_pieces $ranges

	# Leaves of the tree go when a reader is in the middle of it.
	exec 7< $ranges
	dd bs=97 count=1 <&7 > parts 2> /dev/null
	check "the keeper is killed" killall luo_handover
	check "its session is closed" eventually no_sessions
	check "its memory and what listed it are gone" \
		eventually eval "[ \$(wc -l < $ranges) -lt 100 ]"
	sleep 5
	check "the reader can go on" eval "cat <&7 >> parts"
	exec 7<&-
	last=-1
	while read -r range _; do
		[ "$((${range%-*}))" -gt "$last" ] || last=wrong
		[ $last != wrong ] || break
		last=$((${range#*-}))
	done < parts
	check "ranges that are read then ascend, too" [ "$last" != wrong ]
	range=$(tail -n 1 $ranges)
	range=${range%% *}
	check "and do not end before those of now" [ "$last" -ge "$((${range#*-}))" ]
	rm parts
}

# same_in_pieces FILE: whether it reads the same in pieces of 97 bytes, and from 20000 on
same_in_pieces()
{
	cat "$1" > whole
	dd if="$1" bs=97 of=pieces 2> /dev/null
	cmp -s whole pieces || return 1
	tail -c +20001 whole > rest
	dd if="$1" bs=4000 skip=5 of=pieces 2> /dev/null
	[ -s rest ] && cmp -s rest pieces
}

no_sessions()
{
	[ "$(cat $SYSFS/outgoing/nr_sessions)" = 0 ]
}

# check_kernel: what luoctl check says before the kexec
check_kernel()
{
	exits 0 "check" luoctl check /boot/bzImage --reuse-cmdline
	says "ok: /boot/bzImage is Linux $(uname -r)"
	says "ok: /boot/bzImage can be loaded, and there is room for it in scratch"
	says "ok: 7 sessions with 26 files, .* MiB, would be handed over"
	says "warning: whether the next kernel is built with live update is not known: .*"
	check "nothing is loaded" grep -qx 0 /sys/kernel/kexec_loaded
	check_excludes
	exits 1 "check a kernel that is none" luoctl check /init --reuse-cmdline
	says "problem: /init is not a bzImage"
	exits 1 "check a wrong command line" luoctl check /boot/bzImage --command-line "a"
	says "problem: the next kernel would hand nothing on: .*"
	mkdir vmlinuz-dir
	cp /boot/bzImage vmlinuz-dir/vmlinuz-1
	echo CONFIG_KEXEC_HANDOVER=y > vmlinuz-dir/config-1
	exits 1 "check a kernel without" luoctl check vmlinuz-dir/vmlinuz-1 --reuse-cmdline
	says "problem: the next kernel is built without CONFIG_LIVEUPDATE, says .*/config-1"
	echo CONFIG_LIVEUPDATE=y >> vmlinuz-dir/config-1
	is_json "check" "j['ready'] and not j['problems'] and len(j['fine']) == 6" \
		check vmlinuz-dir/vmlinuz-1 --reuse-cmdline --json
	is_json "check" "not j['ready'] and len(j['problems']) == 1" \
		check /boot/none --reuse-cmdline --json
	rm -r vmlinuz-dir

	# As if systemd ran, which has no process of its own here that keeps one.
	mkdir -p /run/systemd/system
	exits 0 "check with systemd" luoctl check /boot/bzImage --reuse-cmdline
	says "warning: session big is kept by process [0-9]* (luoctl): systemctl kexec would .*"
	check_eq "it says so of each session" 7 "$(grep -c 'systemctl kexec would' /tmp/out)"
	rmdir /run/systemd/system
}

# check_excludes: nothing of luoctl check stays, and nothing of luoctl kexec goes, if both
# run at the same time or check is to end
check_excludes()
{
	local pid lost=0 i
	for i in 1 2; do
		luoctl check /boot/bzImage --reuse-cmdline > /dev/null 2>&1 &
		pid=$!
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only > /dev/null 2>&1
		wait $pid
		[ "$(cat /sys/kernel/kexec_loaded)" = 1 ] || lost=$((lost + 1))
		kexec -u
	done
	check_eq "what luoctl kexec loads stays loaded" 0 $lost

	# As luoctl check does, but slowly.
	(
		echo luoctl > /proc/self/comm
		exec 9< /dev/liveupdate
		kexec -s -l /boot/bzImage --reuse-cmdline
		sleep 2
		kexec -u
		# As the last command kexec would take the place of the shell, and of its name.
		:
	) &
	pid=$!
	check "a kernel is loaded to try that" \
		eventually grep -qx handover /sys/kernel/kho/outgoing/image
	exits 0 "luoctl kexec --if-needed meanwhile" \
		luoctl kexec /boot/bzImage --reuse-cmdline --load-only --if-needed
	wait $pid
	check_eq "what it has loaded stays loaded" 1 "$(cat /sys/kernel/kexec_loaded)"
	kexec -u

	exec 9< /dev/liveupdate
	exits 0 "check while another program has the device" \
		luoctl check /boot/bzImage --reuse-cmdline
	says "warning: whether the kernel can be loaded was not tried, as .* cannot be opened"
	exec 9<&-

	lost=0
	for i in 1 3 5 7 9; do
		luoctl check /boot/bzImage --reuse-cmdline > /dev/null 2>&1 &
		pid=$!
		sleep 0.$i
		kill -TERM $pid 2> /dev/null
		wait $pid
		[ "$(cat /sys/kernel/kexec_loaded)" = 0 ] || lost=$((lost + 1))
		kexec -u
	done
	check_eq "what luoctl check loads does not" 0 $lost
}

# maps: the picture, and the ranges
maps()
{
	exits 0 "map" luoctl map
	says " *[0-9]* MiB |[.sKu# ]*#[.sKu# ]*|"
	says " *[0-9]* MiB |[.sKu# ]*s[.sKu# ]*|"
	is_json "map" "sum(r['bytes'] for r in j['scratch']) ==
		$(cat /sys/kernel/kho/scratch_bytes)" map --json
	is_json "map" "sum(r['bytes'] for r in j['preserved']) ==
		$(cat /sys/kernel/kho/outgoing/preserved_bytes)" map --json
	check_eq "preserved bytes are those of debugfs" \
		$(($(counter out/preserved_pages) * 4096)) \
		"$(cat /sys/kernel/kho/outgoing/preserved_bytes)"
	[ ! -d $KHO/in ] || check_eq "so are unclaimed bytes" \
		$(($(counter in/unclaimed_pages) * 4096)) \
		"$(cat /sys/kernel/kho/incoming/unclaimed_bytes)"
}
