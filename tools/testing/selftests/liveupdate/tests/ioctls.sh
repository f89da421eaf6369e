# SPDX-License-Identifier: GPL-2.0-only
# Whatever the ioctls do on one kernel.

APPEND="liveupdate=on"
TIMEOUT=${KHO_TIMEOUT:-300}

stage1()
{
	harness luo_ioctl
	harness luo_memfd_ioctl
	[ ! -e /sys/kernel/debug/kmemleak ] || no_leaks
}

# harness PROGRAM: run a program of tests, and report each of them. One that was skipped has
# failed, but for those that need fault injection, sockets or memory cgroups, if this
# kernel has none: kernels that have them run the same tests.
harness()
{
	local cannot=
	[ -e /proc/self/fail-nth ] || cannot="$cannot luo.faults"
	[ -e /proc/net/unix ] || cannot="$cannot luo.passed_on"
	grep -qs ^memory /proc/cgroups || cannot="$cannot luo.accounted"
	"$1" > /tmp/harness 2>&1
	check_eq "$1 passes" 0 $?
	sed -n 's/^\(ok\|not ok\) [0-9]* \(.*\)/\1 \2/p' /tmp/harness |
		while read -r line; do
			case "$line" in
			*"# SKIP"*) skipped "${line#ok }" "$cannot" ;;
			*) say "$line" ;;
			esac
		done
	grep '^# [^ ]*:[0-9]*:' /tmp/harness | say_lines note
	check "some have been run" grep -q '^ok 1 ' /tmp/harness
}

# skipped "TEST # SKIP REASON" LIST: whether the test is in the list
skipped()
{
	case "$2 " in
	*" ${1%% *} "*) say "note $1" ;;
	*) say "not ok $1" ;;
	esac
}
