# SPDX-License-Identifier: GPL-2.0-only
# The reboot fails when a file cannot be frozen or the image carries no handover, and
# nothing is lost by that.

STAGES=2
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

IMAGE=/sys/kernel/kho/outgoing/image

stage1()
{
	local preserved before frozen
	program luo_handover keep one 100 two 100 three 100
	preserved=$(counter out/preserved_pages)

	check_eq "no image is loaded" none "$(cat $IMAGE)"
	check "an image without a handover is loaded" kexec -c -l /boot/bzImage \
		--initrd=/sys/firmware/initrd --command-line="$(next_cmdline 2)"
	check_eq "sysfs knows that it carries none" plain "$(cat $IMAGE)"
	exits 0 "luoctl check knows it, too" luoctl check /boot/bzImage --reuse-cmdline
	says "warning: the kernel that is loaded carries no handover: .*"
	refused "busy"
	check "and says why" \
		log "luo: kexec refused: the image carries no handover, and 300 files are preserved"
	check_eq "nothing was frozen for it" 0 "$(calls freeze)"

	load_next 2
	check_eq "sysfs knows that the next one carries one" handover "$(cat $IMAGE)"
	exits 0 "luoctl kexec need not load it" luoctl kexec /boot/none --load-only --if-needed \
		--reuse-cmdline
	for nr in 1 101 150 300; do
		echo $nr > $TEST/fail_freeze
		refused "temporarily unavailable"
	done

	# What makes the next kernel refuse the handover may come about when files are frozen.
	echo 150 > $TEST/freeze_mistake
	refused "protocol error"
	check "and says why" \
		log "kho: kexec refused: root FDT: subtree luo-test-mistake is not preserved"
	check_eq "the mistake was made" 0 "$(cat $TEST/freeze_mistake)"

	# Nobody changes a session while others are frozen: that would be an error.
	program luo_handover churn five 3
	check "sessions come and go" eventually preserved_more_than 350
	echo 2000 > $TEST/fail_after_ms
	echo 250 > $TEST/fail_freeze
	refused "temporarily unavailable"
	echo 0 > $TEST/fail_after_ms
	before=$(calls preserve)
	sleep 2
	check "sessions come and go again" [ "$(calls preserve)" -gt "$before" ]
	check "they come and go no more" killall luo_churn
	check "and is gone" eventually eval '! pidof luo_churn > /dev/null'
	settle
	frozen=$((100 + 149 + 299 + 300 + 249))
	check "and says why" \
		log "luo: file with token .* of luo-test-v1 in session .* cannot be frozen: -11"
	check_eq "the files before that one were frozen" $frozen "$(calls freeze)"
	check_eq "and unfrozen" $frozen "$(calls unfreeze)"
	check_eq "no operation came when it should not" 0 "$(cat $TEST/errors)"
	check_eq "all is preserved as before" "$preserved" "$(counter out/preserved_pages)"

	# Sessions can go, come, and grow again.
	program luo_handover keep four 50
	[ ! -e /sys/kernel/debug/kmemleak ] || no_leaks

	# The end takes so long that it can be seen, and those who keep sessions die in it.
	echo 5000 > $TEST/reboot_ms
	program luo_handover end
	boot_next
}

host_check()
{
	[ "$(grep -c 'khotest: ok the end: ' "$1")" = 3 ] ||
		echo "not ok it was seen that nothing changes at the end"
}

stage2()
{
	local session
	check "all sessions were taken over" log "luo: took over 5 sessions"
	for session in one two three; do
		program luo_handover again $session 100
	done
	program luo_handover again four 50
	program luo_handover again end 1
	nothing_unclaimed
}

preserved_more_than()
{
	[ "$(calls preserve)" -gt "$1" ]
}

calls()
{
	sed -n "s/^$1 //p" $TEST/calls
}
