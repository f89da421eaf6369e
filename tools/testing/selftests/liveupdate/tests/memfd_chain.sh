# SPDX-License-Identifier: GPL-2.0-only
# The same memfds through five kexecs. Before the first, their keeper is killed, and a
# reboot fails after they were frozen.

STAGES=6
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	local before pages
	load_next 2
	program luo_memfd_mm frozen
	before=$(counter out/preserved_pages)
	program luo_memfd keep threads
	program luo_memfd_mm keep writers
	pages=$(counter out/preserved_pages)
	check "they are preserved" [ "$pages" -gt $((before + 15000)) ]
	check "their keepers are killed" killall -9 luo_memfd luo_memfd_mm
	check "nothing is preserved any more" \
		eventually counts_as "$before" out/preserved_pages

	# One session after them, so that a file fails when they are frozen.
	program luo_memfd keep threads
	program luo_memfd_mm keep writers
	program luo_handover keep last 1
	echo 1 > $TEST/fail_freeze
	echo 500 > $TEST/fail_after_ms
	load_next 2
	refused "temporarily unavailable"
	sleep 1
	check_eq "writers and keepers are alive" 5 "$(pidof luo_memfd luo_memfd_mm | wc -w)"
	check "writers into holes went on" [ "$(nr_running)" -ge 2 ]
	boot_next
}

stage2()
{
	program luo_memfd_mm after writers
	program luo_memfd again threads
	program luo_handover finish last
	next_stage 3
}

stage3() { hand_on 4; }
stage4() { hand_on 5; }
stage5() { hand_on 6; }

# nr_running: how many of the writers do something, and sleep in between
nr_running()
{
	local pid
	for pid in $(pidof luo_memfd_mm); do
		echo "$pid $(switches "$pid")"
	done > /tmp/switches
	sleep 2
	while read -r pid before; do
		[ "$(switches "$pid")" -le $((before + 10)) ] || echo "$pid"
	done < /tmp/switches | wc -l
}

switches()
{
	sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' "/proc/$1/status"
}

hand_on()
{
	check_eq "no other session has come" 1 "$(cat $LIST/unclaimed)"
	# What the next kernel is told is how many live updates there were then.
	check_eq "live updates are counted" $(($1 - 1)) \
		"$(od -An -tu8 -j8 -N8 $KHO/out/sub_fdts/LUO | tr -d ' ')"
	program luo_memfd again threads
	next_stage "$1"
}

stage6()
{
	program luo_memfd after threads
	nothing_unclaimed
}
