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

# harness PROGRAM: run a program of tests, and report what each of them says. One
# that was skipped has failed, but for the one that needs fault injection: this is
# also run by a kernel that has it.
harness()
{
	local can_fail=
	[ ! -e /proc/self/fail-nth ] || can_fail=y
	"$1" > /tmp/harness 2>&1
	check_eq "$1 passes" 0 $?
	sed -n 's/^\(ok\|not ok\) [0-9]* \(.*\)/\1 \2/p' /tmp/harness |
		while read -r line; do
			case $can_fail:$line in
			":ok luo.faults # SKIP"*) say "note ${line#ok }" ;;
			*"# SKIP"*) say "not ok ${line#ok }" ;;
			*) say "$line" ;;
			esac
		done
	grep '^# [^ ]*:[0-9]*:' /tmp/harness | say_lines note
	check "some have been run" grep -q '^ok 1 ' /tmp/harness
}
