# SPDX-License-Identifier: GPL-2.0-only
#
# For a test in which time is to count instructions: sourced, after it has set MEM,
# and APPEND to what it needs.
#
# shellcheck disable=SC2034 # for vmtest.sh

SMP=1
ACCEL=tcg
TIMEOUT=${KHO_TIMEOUT:-300}
# Of memory, only what is touched is taken from the host.
QEMU_OPTS="-icount shift=0,sleep=off -seed 1 -rtc base=2025-01-01,clock=vm
	-object memory-backend-ram,id=bench,size=$MEM,reserve=off
	-machine memory-backend=bench"
# Nothing that is different each time or waits for a timer, little that is printed.
APPEND="$APPEND nokaslr rcupdate.rcu_expedited=1 loglevel=5"

BLACKOUT=/sys/kernel/debug/kho_blackout

# reboot_at_mark: note the time, and reboot into the kernel that is loaded
reboot_at_mark()
{
	say "reboot"
	echo mark > $BLACKOUT/control
	kexec -e -x
	say "not ok kexec -e"
}

# report_since_mark: in the next kernel, say how long that took
report_since_mark()
{
	check "handed over" grep -q '^at_mark [1-9]' $BLACKOUT/report
	say_lines note value < $BLACKOUT/report
}
