# SPDX-License-Identifier: GPL-2.0-only
#
# What the stages of a test can use. Runs in the guest, under busybox sh.

KHO=/sys/kernel/debug/kho
PRODUCER=/sys/kernel/debug/kho_producer

# The host takes lines that begin with this word; see vmtest.sh. They go through
# the log of the kernel, whose own messages would end up in their middle else.
say()
{
	echo "khotest: $*" > /dev/kmsg
}

# say_lines WORDS: say each line of standard input, after these words
say_lines()
{
	local line
	while read -r line; do
		say "$* $line"
	done
}

# check DESCRIPTION COMMAND...: one subtest
check()
{
	local what=$1
	shift
	if "$@"; then
		say "ok $what"
	else
		say "not ok $what"
	fi
}

# check_eq DESCRIPTION EXPECTED ACTUAL
check_eq()
{
	if [ "$2" = "$3" ]; then
		say "ok $1"
	else
		say "not ok $1: expected '$2', got '$3'"
	fi
}

# param NAME: value of a parameter of the kernel command line
param()
{
	tr ' ' '\n' < /proc/cmdline | sed -n "s/^$1=//p" | tail -n 1
}

# counter NAME: a number from debugfs, as in "counter in/unclaimed_pages"
counter()
{
	cat "$KHO/$1"
}

# log PATTERN: whether the kernel has logged a line that matches
log()
{
	dmesg | grep -q -- "$1"
}

no_log()
{
	! log "$1"
}

# meminfo NAME: a value of /proc/meminfo in KiB
meminfo()
{
	awk -v name="$1:" '$1 == name { print $2 }' /proc/meminfo
}

# producer COMMAND: have the test producer do something
producer()
{
	echo "$1" > $PRODUCER/control
}

# producer_total FIELD: a number from the last line of its report
producer_total()
{
	sed -n "s/^total .*\<$1 \([0-9]*\).*/\1/p" $PRODUCER/report
}

# verify_restored: restore what the last kernel left, check all of it
verify_restored()
{
	check "producer restores" producer restore
	check_eq "no item is damaged" 0 "$(producer_total errors)"
	check_eq "wrong restores are refused" 0 "$(producer_total guards)"
	check "something was restored" [ "$(producer_total items)" -gt 20 ]
}

# next_cmdline STAGE: command line for the next stage: ours without the word in
# REMOVE, and what is in EXTRA
next_cmdline()
{
	echo "$(sed "s/khostage=[0-9]*/khostage=$1/; s/ ${REMOVE:-^} / /" \
		/proc/cmdline) $EXTRA"
}

# load_next STAGE [KERNEL]: load the kernel for the next stage
load_next()
{
	kexec -s -l "/boot/${2:-bzImage}" --initrd=/sys/firmware/initrd \
		--command-line="$(next_cmdline "$1")"
}

# boot_next: into what load_next loaded; does not return
boot_next()
{
	say "reboot"
	kexec -e -x
	say "not ok kexec -e"
	finish
}

# next_stage STAGE [KERNEL]
next_stage()
{
	if ! load_next "$@"; then
		say "not ok kexec -s -l for stage $1"
		finish
	fi
	boot_next
}

finish()
{
	say "done"
	poweroff -f
}

# settle: let what is freed in the background become free
settle()
{
	sync
	echo 3 > /proc/sys/vm/drop_caches
	sleep 1
	echo 3 > /proc/sys/vm/drop_caches
}

# between VALUE MIN MAX
between()
{
	[ "$1" -ge "$2" ] && [ "$1" -le "$3" ]
}

# in_scratch HEX-HEX: whether all of a range lies in a scratch area
in_scratch()
{
	local area
	[ -n "$1" ] || return 1
	while read -r area _; do
		[ $((0x${1%-*})) -ge $((${area%-*})) ] &&
			[ $((0x${1#*-})) -le $((${area#*-})) ] && return 0
	done < $KHO/scratch
	return 1
}

# kernel_range: where the running kernel is
kernel_range()
{
	sed -n 's/^ *\([0-9a-f]*\)-.*Kernel code$/\1-/p; s/^ *.*-\([0-9a-f]*\) : Kernel bss$/\1/p' \
		/proc/iomem | tr -d '\n'
}

# initrd_range: where its initrd was loaded
initrd_range()
{
	dmesg | sed -n 's/.*RAMDISK: \[mem 0x\([0-9a-f]*\)-0x\([0-9a-f]*\)\]$/\1-\2/p'
}

# free_kib: free memory in KiB, what lies in the CPUs' lists included
free_kib()
{
	awk '$1 == "count:" { n += $2 } END { print n * 4 }' /proc/zoneinfo |
		{ read -r pcp; echo $((pcp + $(meminfo MemFree))); }
}
