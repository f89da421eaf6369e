# SPDX-License-Identifier: GPL-2.0-only
# Sessions that are closed while a reboot keeps them from being released: they are released
# by the reboot before it has frozen anything, or soon after it has failed, and are not
# handed over.

STAGES=2
APPEND="liveupdate=on"

stage1()
{
	program luo_handover keep kept 3
	check "an image without a handover is loaded" kexec -c -l /boot/bzImage \
		--initrd=/sys/firmware/initrd --command-line="$(next_cmdline 2)"
	program luo_handover after "closed while waiting"
	# And the file that was being preserved.
	check "what was closed is not refused" \
		log "luo: kexec refused: the image carries no handover, and 4 files are preserved"

	load_next 2
	program luo_handover after "closed while frozen"
	check_eq "the others are preserved" "session files 3 name kept" \
		"$(grep '^session' /sys/kernel/liveupdate/outgoing/sessions)"
	check_eq "no operation came when it should not" 0 "$(cat $TEST/errors)"
	[ ! -e /sys/kernel/debug/kmemleak ] || no_leaks

	echo 1000 > $TEST/prepare_ms
	program luo_handover close-late
	boot_next
}

host_check()
{
	grep -q 'khotest: ok the end: a session is closed' "$1" ||
		echo "not ok a session was closed in the last reboot"
}

stage2()
{
	check "one session was taken over" log "luo: took over 1 sessions"
	program luo_handover finish kept
	nothing_unclaimed
}
