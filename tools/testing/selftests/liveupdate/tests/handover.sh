# SPDX-License-Identifier: GPL-2.0-only
# Sessions and their files across a kexec, in whatever way they are retrieved.

STAGES=3
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	program luo_handover keep all 200 threads 400 half 100 "given back" 10 "cannot finish" 10 \
		fails 10 "no handler" 10 lost 5 read-only 2 listed 10 empty 0 unclaimed 10 chain 70
	program luo_handover keep-many 1000
	program luo_handover keep large 10000
	check_eq "all sessions are listed" 1014 "$(wc -l < $LIST/outgoing)"
	check "so are their files" grep -qx "files 70 name chain" $LIST/outgoing
	next_stage 2
}

stage2()
{
	local before
	check "handed over" [ -d "$KHO/in" ]
	check "all sessions were taken over" log "luo: took over 1014 sessions"
	before=$(counter in/unclaimed_pages)
	check_eq "no process has claimed one" 1014 "$(cat $LIST/unclaimed)"
	check "all are listed" grep -qx "files 70 retrieved 0 unclaimed name chain" $LIST/incoming

	for session in all threads half "given back" "cannot finish" fails "no handler" \
		lost read-only empty many large listed; do
		program luo_handover after "$session"
	done
	check_eq "no operation came when it should not" 0 "$(cat $TEST/errors)"
	check "all files are closed" grep -qx "open 0" $TEST/calls
	check "who gives files up without a handler is told" \
		log "luo: 5 files given up without a handler, as for luo-test-v1"

	check_eq "two sessions are left" 2 "$(cat $LIST/unclaimed)"
	# 70 of chain, 10 unclaimed, 5 lost.
	check_eq "all memory is back but of what nobody has retrieved" 85 \
		"$(counter in/unclaimed_pages)"
	say "note $before pages were unclaimed before"

	program luo_handover again chain 70
	check_eq "no operation came when it should not" 0 "$(cat $TEST/errors)"
	program luo_handover finish unclaimed
	next_stage 3
}

stage3()
{
	check "what was handed on has arrived" log "luo: took over 1 sessions"
	program luo_handover again chain 70
	nothing_unclaimed
}
