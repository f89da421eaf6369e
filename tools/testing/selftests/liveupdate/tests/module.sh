# SPDX-License-Identifier: GPL-2.0-only
# A module with a handler cannot be unloaded as long as one of its files is preserved,
# or was retrieved; and its files wait for it in the next kernel. The kernel needs
# config.nodeferred, and the programs are luo_handover, luo_test.ko and luo_flb_test.ko.

STAGES=2
APPEND="liveupdate=on"

stage1()
{
	# For each file itself and its handler, and for the object that all share.
	pins luo_test 4 keep one 2
	pins luo_flb_test 5 keep-sharing one 2

	check "it is loaded again" insmod /usr/bin/luo_test.ko
	program luo_handover keep module 1
	next_stage 2
}

stage2()
{
	program luo_handover after module
	nothing_unclaimed
}

# pins MODULE NR ARGUMENT...: what luo_handover does uses the module NR times
pins()
{
	local module=$1 nr=$2
	shift 2
	check "$module is loaded" insmod "/usr/bin/$module.ko"
	check_eq "nobody uses it" 0 "$(uses "$module")"
	program luo_handover "$@"
	check_eq "so often it is used" "$nr" "$(uses "$module")"
	check "it cannot be unloaded" eval "! rmmod $module 2> /dev/null"
	killall luo_handover
	check "nobody uses it any more" eventually eval "[ \$(uses $module) = 0 ]"
	check "it can be unloaded" rmmod "$module"
}

uses()
{
	cat "/sys/module/$1/refcnt"
}
