# SPDX-License-Identifier: GPL-2.0-only
# Sessions that nobody has finished keep a kexec from losing them, and sessions that
# arrive switch live update on.

STAGES=4
APPEND="liveupdate=on"

# More than /proc shows of it.
LONG="a name that has more than thirty-eight characters"

UNCLAIMED=/sys/kernel/kho/incoming

stage1()
{
	program luo_handover keep held 3 dropped 2 discarded 4 "$LONG" 1
	REMOVE=liveupdate=on
	next_stage 2
}

stage2()
{
	local holder
	check_eq "the command line has no liveupdate=" "" "$(param liveupdate)"
	check "sessions have arrived all the same" log "luo: took over 4 sessions"
	EXTRA=liveupdate=on
	load_next 3
	refused "busy"
	for session in held dropped discarded "$LONG"; do
		check "and names $session" \
			log "luo: kexec refused: session $session of .* is not finished: "
	done
	check_eq "nothing has changed" 4 "$(cat $LIST/unclaimed)"
	exits 1 "discard what sessions need" luoctl unclaimed --discard
	says "luoctl: sessions of the previous kernel are not finished, see luoctl status and drop"
	check "the log names them" \
		log "luo: unclaimed memory not discarded, as .*: .*held.* and 0 more"
	check_eq "nothing is discarded" "$(($(counter in/unclaimed_pages) * 4096))" \
		"$(cat $UNCLAIMED/unclaimed_bytes)"

	program luo_handover hold held
	holder=$(pidof luo_handover)
	exits 2 "drop nothing" luoctl drop
	exits 0 "drop" luoctl drop dropped
	says "session dropped is given up"
	exits 1 "a session that there is not any more" luoctl drop dropped
	says "luoctl: the previous kernel has left no session dropped"
	exits 1 "one that is in use" luoctl drop held
	says "luoctl: session held is in use by process $holder (luo_handover): .*"
	refused "busy"
	exec 9< /dev/liveupdate
	exits 1 "while somebody has the device" luoctl drop discarded
	says "luoctl: /dev/liveupdate: in use by process $$ ([^)]*)"
	exec 9<&-

	exits 1 "load while there are such sessions" luoctl kexec /boot/bzImage \
		--command-line "kho=on liveupdate=on" --load-only
	says "luoctl: session [a-z]* of the previous kernel is not finished, .*"
	exits 2 "--discard with --load-only" discard_and_kexec --load-only
	exits 1 "--discard with a session in use" discard_and_kexec ""
	says "luoctl: session held is in use by process $holder (luo_handover): .*"
	check_eq "no other is given up for that" 3 "$(wc -l < $LIST/incoming)"
	program luo_handover hold "$LONG"
	check "the holder of that one dies" kill "$holder"
	check "another one still has a session" eventually counts_as_unclaimed 2
	check "it is gone" eventually [ ! -e "/proc/$holder" ]
	holder=$(pidof luo_handover)
	exits 1 "one with a long name in use" luoctl drop "$LONG"
	says "luoctl: session $LONG is in use by process $holder (luo_handover): .*"
	check "the holder of that one dies, too" kill "$holder"
	check "no session is in use" eventually counts_as_unclaimed 3

	program luo_handover keep last 5
	lockdep_on
	say "reboot"
	discard_and_kexec "" 2>&1 | say_lines note
	say "not ok luoctl kexec --discard"
}

# What was discarded has not arrived, and what is not wanted is said.
stage3()
{
	check "one session has arrived" log "luo: took over 1 sessions"
	program luoctl drop last
	nothing_unclaimed
	program luo_handover keep unwanted 6
	REMOVE=liveupdate=on
	EXTRA=liveupdate=off
	next_stage 4
}

stage4()
{
	check "the loss is said" \
		log "luo: live update is off: 1 sessions of .* are lost, up to [1-9][0-9]* KiB"
	check "live update is off" [ ! -e /dev/liveupdate ]
	# Of each file a page, and no page of any list.
	check_eq "the memory of its files stays reserved" 6 "$(counter in/unclaimed_pages)"
	exits 2 "wrong use" luoctl unclaimed something
	exits 0 "list it" luoctl unclaimed
	says "Unclaimed: 24 KiB"
	exits 1 "no such region" luoctl unclaimed --discard something
	says "luoctl: the previous kernel has left no unclaimed region something"
	exits 0 "discard it" luoctl --json unclaimed --discard
	says '{"discarded_bytes": 24576}'
	nothing_unclaimed
}

discard_and_kexec()
{
	luoctl kexec /boot/bzImage --initrd /sys/firmware/initrd \
		--command-line "$(next_cmdline 3)" --discard ${1:+"$1"}
}

counts_as_unclaimed()
{
	[ "$(cat $LIST/unclaimed)" = "$1" ]
}
