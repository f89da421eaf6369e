#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vmtest.sh [-k KERNEL] [-K NAME=KERNEL]... [-b PROGRAM]... [-o DIRECTORY] [-j JOBS]
#	[-d TESTS] [TEST...]
# vmtest.sh -p [-k KERNEL]
#
# Run the tests of Kexec HandOver in QEMU, with KVM where it works, and report
# as KTAP. KERNEL is a bzImage built with the options in config and
# config.x86_64; by default that of the kernel tree this is in. Some tests kexec
# to and from another kernel, which -K makes known by the NAME they call it by, and
# some need programs of their own, which -b puts into the guest with their libraries.
# The consoles of the guests are left in DIRECTORY, by default a temporary one.
# JOBS tests run at the same time. The environment has KHO_TIMEOUT, for slow
# kernels, KHO_APPEND, kernel parameters for all tests, and KHO_ACCEL, QEMU's accelerator.
# With -p, vmtest.sh only prints which one it is: to find out takes ten seconds
# where KVM does not work.
#
# A test is a file in tests/, or another directory TESTS beside it. Sourced here,
# it says what guest it needs:
#
#	STAGES		number of kernels that are booted one after the other
#	MEM SMP		memory and CPUs of the guest
#	APPEND		additional kernel parameters
#	KERNEL		NAME of the first kernel when it is not the one under test
#	QEMU_OPTS	additional options of QEMU
#	ACCEL		its accelerator, when it must not be KVM
#	TIMEOUT		seconds after which it has failed
#	PANIC		not empty when one of the kernels shall panic
#	SPLAT		a regular expression: warnings with such a line are meant to be
#	RAM_FILE	not empty when the RAM of the guest shall be in a file, for host_action
#	missing		a function that prints why the test cannot be run here
#	MONITOR		not empty when the guest has QEMU's monitor do something: for that it
#			says "monitor COMMAND"
#	host_action FILE WORD...	a function that does something to the RAM in FILE,
#			while the guest waits: see kernel/liveupdate/tests/kho_pause.c
#	host_check LOG	a function that looks at the log when all is over
#
# Those two can print "ok WHAT", "not ok WHAT" and "note TEXT", as the guest does.
#
# In the guest, /init sources it and calls stage1, stage2 and so on, which
# report through the functions in guest/lib.sh.

set -u

here=$(cd "$(dirname "$0")" && pwd)
kernel=$here/../../../../arch/x86/boot/bzImage
out=
jobs=1
tests_from=tests
declare -A others=()
programs=()
probe=

while getopts k:K:b:o:j:d:ph opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	K) others[${OPTARG%%=*}]=${OPTARG#*=} ;;
	b) programs+=(-b "$OPTARG") ;;
	o) out=$OPTARG ;;
	j) jobs=$OPTARG ;;
	d) tests_from=$OPTARG ;;
	p) probe=1 ;;
	*) sed -n '4,/^$/s/^# \?//p' "$0"; exit 4 ;;
	esac
done
shift $((OPTIND - 1))

skip_all() {
	echo "1..0 # SKIP $*"
	exit 4
}

command -v qemu-system-x86_64 > /dev/null || skip_all "qemu-system-x86_64 not found"
[ -f "$kernel" ] || skip_all "no kernel at $kernel; name one with -k"

# A device node is no proof of KVM: see whether a kernel gets anywhere with it.
accelerator() {
	if [ -w /dev/kvm ] && timeout 10 qemu-system-x86_64 -accel kvm -cpu max -m 512 \
		-display none -monitor none -no-reboot -nodefaults -serial stdio \
		-kernel "$kernel" -append "console=ttyS0 panic=-1" \
		< /dev/null 2>&1 | grep -q 'Linux version'; then
		echo kvm
	else
		echo tcg
	fi
}

accel=${KHO_ACCEL:-$(accelerator)}
if [ -n "$probe" ]; then
	echo "$accel"
	exit
fi

[ -n "$out" ] || out=$(mktemp -d)
mkdir -p "$out"
# shellcheck disable=SC2046 # names without blanks
[ $# -gt 0 ] || set -- $(cd "$here/$tests_from" && printf '%s\n' *.sh | sed 's/\.sh$//')

cp "$kernel" "$out/bzImage"
images=("$out/bzImage")
for name in "${!others[@]}"; do
	[ -f "${others[$name]}" ] || skip_all "no kernel at ${others[$name]}"
	cp "${others[$name]}" "$out/$name"
	images+=("$out/$name")
done
"$here/mkinitramfs.sh" "${programs[@]}" "$out/initramfs.cpio" "$here/$tests_from" "${images[@]}" ||
	skip_all "no initramfs, see above"

# What no kernel may say, whatever the test says.
splat='WARNING:|BUG[: ]|Oops|general protection|kernel BUG|KASAN|UBSAN|Call Trace'
splat="$splat|Kernel panic|possible recursive|suspicious RCU|register non-static key"
splat="$splat|turning off the locking|pagealloc: |page allocation failure"
splat="$splat|kmemleak: [0-9]+ new suspected|kmemleak: .* disabled|blocked for more than"

splats_in() {
	if [ -n "$PANIC" ]; then
		sed '/khotest: panic$/,/Linux version/d' "$1"
	else
		cat "$1"
	fi | without_expected | without_races_of_others | grep -oE "($splat).*"
}

# Leave out warnings that have a line that matches SPLAT, but not what another report says
# in their middle.
without_expected() {
	awk -v expected="${SPLAT:-^$}" '
	/-\[ cut here \]-/ {
		if (inside)
			printf "%s", block
		inside = 1
		block = others = ""
		drop = 0
	}
	!inside { print; next }
	{ block = block $0 "\n" }
	/BUG[: ]|KASAN|UBSAN|kmemleak: / { others = others $0 "\n" }
	$0 ~ expected { drop = 1 }
	/-\[ end trace / { printf "%s", drop ? others : block; inside = 0 }
	END { if (inside) printf "%s", block }'
}

# Leave out data races that KCSAN finds in code that is not of the series.
without_races_of_others() {
	sed '/BUG: KCSAN: /{/kho_\|luo_\|liveupdate_\|shmem_/!d}'
}

# booted_unasked LOG: the first kernel that was booted without the guest having said "reboot"
# or "panic" before. That kexec should have been refused, and what the test says about it
# is missing.
booted_unasked() {
	awk '/khotest: (reboot|panic)$/ { asked = 1 }
		/khotest: init / { if (nr++ && !asked) { print nr; exit }; asked = 0 }' "$1"
}

# pass_on: give each line of standard input to the log, as if the guest said it
pass_on() {
	local line
	while IFS= read -r line; do
		printf '%s khotest: %s\n' "$EPOCHREALTIME" "$line"
	done
}

# serve_host ADDRESS WORD...: do what the guest asks for, and let it go on
serve_host() {
	local go=$1
	shift
	{ host_action "$ram" "$@" || echo "not ok the host could not do $*"; } 2>&1 | pass_on
	printf '\1' | dd of="$ram" bs=1 seek=$((go)) conv=notrunc status=none
}

# What the monitor has to say about a command that fails.
monitor_errors() {
	tr '\r' '\n' < "$1" | sed -n 's/^\(Error: .*\)/not ok the monitor says: \1/p'
}

run_guest() {
	local append reader=
	local -a ram_opts=() monitor_opts=()
	# shellcheck disable=SC2086,SC2116 # on several lines
	append=$(echo $APPEND ${KHO_APPEND:-})
	[ -z "$RAM_FILE" ] || ram_opts=(-machine memory-backend=ram -object
		"memory-backend-file,id=ram,size=$MEM,mem-path=$ram,share=on")
	if [ -n "$MONITOR" ]; then
		rm -f "$monitor".*
		mkfifo "$monitor.in" "$monitor.out"
		monitor_opts=(-chardev "pipe,id=monitor,path=$monitor"
			-mon "chardev=monitor,mode=readline")
		cat "$monitor.out" > "$monitor.said" &
		reader=$!
	fi
	# On a busy host without KVM, now and then a kernel finds that its timer does not
	# work, and panics: hence no_timer_check.
	# shellcheck disable=SC2086 # options are lists
	timeout --foreground -k 5 "$TIMEOUT" qemu-system-x86_64 -accel $ACCEL -cpu max \
		-m "$MEM" -smp "$SMP" -display none -monitor none -no-reboot \
		-nodefaults -serial stdio -kernel "$out/$KERNEL" \
		-initrd "$out/initramfs.cpio" -append "console=ttyS0 panic=-1 no_timer_check \
printk.devkmsg=on retain_initrd kho=on kunit.enable=0 khotest=$1 khostage=1 $append" \
		"${ram_opts[@]}" "${monitor_opts[@]}" $QEMU_OPTS < /dev/null 2>&1 |
		while IFS= read -r line; do
			line=${line//$'\r'/}
			# When the host has seen it: guests' clocks stop at kexec.
			printf '%s %s\n' "$EPOCHREALTIME" "$line"
			# shellcheck disable=SC2086 # words
			[[ $line != *"khotest: host "* ]] || serve_host ${line#*khotest: host }
			[[ -z $MONITOR || $line != *"khotest: monitor "* ]] ||
				echo "${line#*khotest: monitor }" > "$monitor.in"
		done > "$2"
	rc=${PIPESTATUS[0]}
	[ -z "$reader" ] || kill "$reader" 2> /dev/null
	return "$rc"
}

# has_kernel NAME: for missing()
# shellcheck disable=SC2317 # of a test
has_kernel() {
	[ -n "${others[$1]:-}" ] || echo "no kernel $1, name one with -K"
}

# Run one test. Subtests go to standard output; status 0 when it has passed, 4
# when it cannot be run here.
run_test() (
	STAGES=1 MEM=2G SMP=2 APPEND='' KERNEL=bzImage QEMU_OPTS='' PANIC='' SPLAT=''
	RAM_FILE='' MONITOR='' ACCEL=$accel monitor_said=''
	# shellcheck disable=SC2034 # for the tests
	KHO_LIB=$here/guest
	TIMEOUT=${KHO_TIMEOUT:-120}
	missing() { true; }
	host_action() { echo "not ok the host has nothing to do"; }
	host_check() { true; }
	# shellcheck disable=SC1090 # one of many
	. "$here/$tests_from/$1.sh"

	missing=$(missing)
	if [ -n "$missing" ]; then
		echo "    1..0 # SKIP $missing"
		exit 4
	fi

	log=$out/$1.log ram=$out/$1.ram monitor=$out/$1.monitor
	trap 'rm -f "$ram" "$monitor".in "$monitor".out' EXIT
	run_guest "$1" "$log"
	rc=$?
	sed -i 's/^\([0-9.]*\) .*khotest: /\1 khotest: /' "$log"
	host_said=$(host_check "$log") || host_said+=$'\nnot ok the log has what it should'
	[ -z "$MONITOR" ] || monitor_said=$(monitor_errors "$monitor.said")
	host_said+=${monitor_said:+$'\n'$monitor_said}
	[ -z "$host_said" ] || pass_on <<< "$host_said" >> "$log"

	echo "    KTAP version 1"
	nr=0 failed=0
	while IFS= read -r line; do
		nr=$((nr + 1))
		case $line in
		ok*) echo "    ok $nr ${line#ok }" ;;
		*) echo "    not ok $nr ${line#not ok }"; failed=1 ;;
		esac
	done < <(sed -n 's/^[0-9.]* khotest: \(\(not \)\?ok .*\)/\1/p' "$log")
	echo "    1..$nr"
	sed -n 's/^[0-9.]* khotest: note /    # /p' "$log"

	problem() {
		echo "    # $*, see $log"
		failed=1
	}
	[ $nr -gt 0 ] || problem "the guest has not reported anything"
	[ $rc != 124 ] || problem "timed out after $TIMEOUT seconds"
	grep -q 'khotest: done$' "$log" || problem "the guest has not come to an end"
	inits=$(grep -c 'khotest: init ' "$log")
	[ "$inits" = "$STAGES" ] || problem "booted $inits kernels instead of $STAGES"
	unasked=$(booted_unasked "$log")
	[ -z "$unasked" ] || problem "booted kernel $unasked though the test did not say so"
	splats=$(splats_in "$log")
	[ -z "$splats" ] || problem "$(head -n 1 <<< "$splats")"
	exit $failed
)

# Run one test with its verdict, into a file: several at once would mix.
report_test() {
	local nr=$1 test=$2 rc=0

	if [ ! -f "$here/$tests_from/$test.sh" ]; then
		echo "not ok $nr $test # no such test"
		return
	fi

	run_test "$test" > "$out/$test.ktap" || rc=$?
	cat "$out/$test.ktap"
	case $rc in
	0) echo "ok $nr $test" ;;
	4) echo "ok $nr $test # SKIP $(sed -n 's/.*# SKIP //p' "$out/$test.ktap")" ;;
	*) echo "not ok $nr $test" ;;
	esac
}

echo "KTAP version 1"
echo "1..$#"
rm -f "$out"/report.*
tests=("$@")
nr=0 shown=0 rc=0
while [ $shown -lt $# ]; do
	if [ $nr -lt $# ] && [ "$(jobs -pr | wc -l)" -lt "$jobs" ]; then
		nr=$((nr + 1))
		{
			report_test $nr "${tests[nr - 1]}" > "$out/report.$nr.part"
			mv "$out/report.$nr.part" "$out/report.$nr"
		} &
		continue
	fi

	# A job that died without a report would be waited for for ever.
	wait -n || [ $? != 127 ] || for ((lost = 1; lost <= nr; lost++)); do
		[ -f "$out/report.$lost" ] ||
			echo "not ok $lost ${tests[lost - 1]} # no report" > "$out/report.$lost"
	done
	while [ -f "$out/report.$((shown + 1))" ]; do
		shown=$((shown + 1))
		cat "$out/report.$shown"
		! grep -q '^not ok' "$out/report.$shown" || rc=1
	done
done
exit $rc
