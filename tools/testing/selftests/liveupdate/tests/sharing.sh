# SPDX-License-Identifier: GPL-2.0-only
# Objects that files of several sessions share.

STAGES=4
APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

SHARING=/sys/kernel/debug/luo_flb_test

stage1()
{
	program luo_handover after share
	program luo_handover keep-sharing sharing 3 "sharing too" 2 \
		"sharing briefly" 1
	next_stage 2
}

stage2()
{
	program luo_handover after sharing
	nothing_unclaimed
	program luo_handover keep-sharing unasked 4
	next_stage 3
}

stage3()
{
	program luo_handover after unasked
	nothing_unclaimed
	check_eq "there were no errors" 0 "$(cat $SHARING/errors)"
	program luo_handover keep-sharing failing 2
	[ ! -e /sys/kernel/debug/kmemleak ] || no_leaks
	next_stage 4
}

stage4()
{
	program luo_handover after failing
	check_eq "there were no errors" 0 "$(cat $SHARING/errors)"
}
