# SPDX-License-Identifier: GPL-2.0-only
#
# What the stages of a test can use. Runs in the guest, under busybox sh.

KHO=/sys/kernel/debug/kho
PRODUCER=/sys/kernel/debug/kho_producer
# shellcheck disable=SC2034 # for the tests of live update
LIST=/sys/kernel/debug/liveupdate
# shellcheck disable=SC2034
TEST=/sys/kernel/debug/luo_test

# What is preserved without any test: the root FDT, kexec-metadata, kholts-boot, and
# the five pages of samples/kho.
# shellcheck disable=SC2034 # for the tests
OWN_PAGES=8

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

# program COMMAND...: run a program that says "ok WHAT" and "not ok WHAT"
program()
{
	local line
	"$@" > /tmp/said 2>&1
	check_eq "$*" 0 $?
	while read -r line; do
		case $line in
		"ok "* | "not ok "*) say "$line" ;;
		*) say "note $line" ;;
		esac
	done < /tmp/said
}

# exits STATUS WHAT COMMAND...
exits()
{
	local status=$1 what=$2
	shift 2
	"$@" > /tmp/out 2>&1
	check_eq "$what: exit status" "$status" $?
	say_lines note < /tmp/out
}

# said PATTERN: what the last command has printed where \( \) is
said()
{
	sed -n "s/$1/\1/p" /tmp/out
}

# says LINE: whether the last command has printed a line that matches
says()
{
	check "it says what" grep -qx "$1" /tmp/out
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

# eventually COMMAND...: whether it succeeds within ten seconds; not all guests are fast
eventually()
{
	local left=10
	until "$@"; do
		[ $left -gt 0 ] || return 1
		left=$((left - 1))
		sleep 1
	done
}

# counts_as NUMBER NAME: whether that is what debugfs says
counts_as()
{
	[ "$(counter "$2")" = "$1" ]
}

# nothing_unclaimed: all that was handed over has been freed
nothing_unclaimed()
{
	check_eq "nothing is unclaimed" 0 "$(counter in/unclaimed_pages)"
}

# refused WHY: try to kexec, which must not happen
refused()
{
	check "the kexec fails" eval '! kexec -e -x 2> /tmp/why'
	check "with an errno that says $1" grep -qi "$1" /tmp/why
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
	[ "$(param kho_producer.guards)" = 0 ] ||
		check_eq "wrong restores are refused" 0 "$(producer_total guards)"
	check "something was restored" [ "$(producer_total items)" -gt 20 ]
}

# all_claimed: what verify_restored restored is freed, and nothing is left
all_claimed()
{
	check "producer frees" producer free
	nothing_unclaimed
}

# hand_over STAGE: preserve memory of every kind and go to the next stage
hand_over()
{
	check "producer preserves" producer preserve
	next_stage "$1"
}

# take_over: the other side of hand_over
take_over()
{
	check "handed over" [ -d $KHO/in ]
	verify_restored
	all_claimed
}

# item_back NAME: whether the producer has found an item of this kind as it was
item_back()
{
	grep -q "^$1 .* ok\$" $PRODUCER/report
}

# straddles: whether a run that is to cross the address in BORDER does
straddles()
{
	# shellcheck disable=SC2046 # two words
	set -- $(sed -n 's/^straddle .* pages \([0-9]*\) phys \(0x[0-9a-f]*\) .*/\1 \2/p' \
		 $PRODUCER/report)
	[ $# = 2 ] && [ $(($2)) -lt "$BORDER" ] && [ $(($2 + $1 * 4096)) -gt "$BORDER" ]
}

# metadata_count in|out: how many handovers kexec-metadata counts
metadata_count()
{
	od -An -tu4 -j69 -N4 "$KHO/$1/sub_fdts/kexec-metadata" | tr -d ' '
}

# metadata_release in|out: release of the previous kernel
metadata_release()
{
	dd if="$KHO/$1/sub_fdts/kexec-metadata" bs=1 skip=4 count=65 2>/dev/null | tr -d '\0'
}

# stress COMMAND: have the stress test do something
stress()
{
	echo "$1" > /sys/kernel/debug/kho_stress/control
}

# stress_value NAME: a number from its report
stress_value()
{
	sed -n "s/^$1 //p" /sys/kernel/debug/kho_stress/report
}

# bench COMMAND: have the benchmark do something
bench()
{
	echo "$1" > /sys/kernel/debug/kho_bench/control
}

# bench_report: all that it has measured so far, for the host
bench_report()
{
	say_lines note value < /sys/kernel/debug/kho_bench/report
}

# storm: allocate until there is nothing left, see where it went
storm()
{
	check "a storm of allocations" eval 'echo 1 > /sys/kernel/debug/kho_storm/control'
	storm_report
}

# storm_report: where the last one went
storm_report()
{
	local report=/sys/kernel/debug/kho_storm/report
	say_lines note storm: < $report
	check "memory of every kind was allocated" eval '! grep -q " 0 in" '$report
	check "nothing unmovable is in scratch" \
		[ "$(grep -v '^movable ' $report | grep -cv 'scratch 0$')" = 0 ]
}

# bulk COMMAND: preserve most of the memory, see kernel/liveupdate/tests/kho_bulk.c
bulk()
{
	echo "$1" > /sys/kernel/debug/kho_bulk/control
}

# bulk_value NAME: a number from its report
bulk_value()
{
	sed -n "s/^$1 //p" /sys/kernel/debug/kho_bulk/report
}

# bulk_share: percentage of the memory outside of scratch that it preserves
bulk_share()
{
	echo $(($(bulk_value pages) * 100 / $(bulk_value outside_pages)))
}

# bulk_preserves DESCRIPTION COMMAND
bulk_preserves()
{
	check "$1" bulk "$2"
	grep -v ' 0$' /sys/kernel/debug/kho_bulk/report | say_lines note bulk:
}

# bulk_restored: restore what the last kernel left, check all of it
bulk_restored()
{
	local what
	check "handed over" [ -d $KHO/in ]
	check "it is restored" bulk restore
	grep -v ' 0$' /sys/kernel/debug/kho_bulk/report | say_lines note bulk:
	check "something was" [ "$(bulk_value pages)" -gt 0 ]
	for what in not_restored damaged wrong_node not_sane; do
		check_eq "pages that are $what" 0 "$(bulk_value $what)"
	done
}

# bulk_freed: free it, and nothing is left
bulk_freed()
{
	check "it is freed" bulk free
	check_eq "nothing is unclaimed" 0 "$(counter in/unclaimed_pages)"
}

# large_free_blocks NODE: free blocks of 2 MiB, but for those in scratch
large_free_blocks()
{
	awk -v node="$1," '$2 == node && $5 == "type" && $6 != "CMA" { n += $16 + 2 * $17 }
	     END { print n + 0 }' /proc/pagetypeinfo
}

# fill_scratch PERCENT MIB: have movable pages in scratch until this much of it is
# used. Other memory fills beside it; this much is left for the kernel itself.
fill_scratch()
{
	local free left mib want n=0
	want=$(($(meminfo CmaTotal) * (100 - $1) / 100))
	mkdir -p /tmp/fill
	mount -t tmpfs -o size=100%,huge=always fill /tmp/fill || return 1
	while free=$(meminfo CmaFree) && [ "$free" -gt $want ] &&
		left=$(($(meminfo MemFree) - free - ($2 << 10))) && [ $left -gt 0 ]; do
		# Wherever this goes to, it is not too much.
		mib=$(((free - want < left ? free - want : left) >> 10))
		mib=$((mib > 4 ? mib : 4))
		dd if=/dev/zero of=/tmp/fill/$n bs=1M count=$mib 2>/dev/null || break
		n=$((n + 1))
	done
	say "note scratch has $free KiB of $(meminfo CmaTotal) KiB free"
	[ "$free" -le $want ]
}

# next_cmdline STAGE: command line for the next stage: ours without the word in
# REMOVE, and what is in EXTRA. Without these it is as long as ours: there is a limit.
next_cmdline()
{
	echo "$(sed "s/ *\$/ /; s/khostage=[0-9]*/khostage=$1/; s/ ${REMOVE:-^} / /" \
		/proc/cmdline) $EXTRA"
}

# load_next STAGE [KERNEL]: load the kernel for the next stage
load_next()
{
	kexec -s -l "/boot/${2:-bzImage}" --initrd=/sys/firmware/initrd \
		--command-line="$(next_cmdline "$1")"
}

# A first splat switches lockdep off, and would hide all others.
lockdep_on()
{
	[ ! -f /proc/lockdep_stats ] ||
		check "lockdep is still on" grep -q 'debug_locks: *1$' /proc/lockdep_stats
}

# boot_next: into what load_next loaded; does not return
boot_next()
{
	lockdep_on
	say "reboot"
	kexec -e -x
	say "not ok kexec -e"
	finish
}

# unpacked: whether the kernel that was loaded last does not have to unpack itself
unpacked()
{
	dmesg | grep 'kho: the next kernel \(is unpacked\|has to unpack\)' | tail -n 1 |
		grep -q 'is unpacked'
}

# next_stage STAGE [KERNEL]: with UNPACKED=1 the kernel shall not have to unpack itself
next_stage()
{
	if ! load_next "$@"; then
		say "not ok kexec -s -l for stage $1"
		finish
	fi
	[ -z "$UNPACKED" ] || check "the next kernel is unpacked" unpacked
	boot_next
}

finish()
{
	lockdep_on
	say "done"
	# To power off would take ACPI. QEMU ends as well when a guest reboots.
	reboot -f
}

# no_leaks: kmemleak finds nothing. It only looks at what is older than five seconds.
no_leaks()
{
	local leaks=/sys/kernel/debug/kmemleak
	sleep 6
	echo scan > $leaks
	sleep 6
	check "kmemleak scans" eval "echo scan > $leaks"
	grep -A 12 '^unreferenced' $leaks | head -n 40 | say_lines note
	check_eq "nothing has leaked" 0 "$(grep -c '^unreferenced' $leaks)"
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

# free_or_kept_kib: the same, and what debug options have taken: slab, where KASAN
# keeps what was freed for a while, and pools of 16 KiB of stacks
free_or_kept_kib()
{
	echo $(($(free_kib) + $(meminfo Slab) + \
		16 * $(sed -n 's/^pools: //p' /sys/kernel/debug/stackdepot/stats)))
}
