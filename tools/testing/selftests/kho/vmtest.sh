#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# vmtest.sh [-k KERNEL] [-o DIRECTORY] [TEST...]
#
# Run the tests of Kexec HandOver in QEMU, with KVM where it works, and report
# as KTAP. KERNEL is a bzImage built with the options in config and
# config.x86_64; by default that of the kernel tree this is in. The consoles of
# the guests are left in DIRECTORY, by default a temporary one.
#
# A test is a file in tests/. Sourced here, it says what guest it needs:
#
#	STAGES		number of kernels that are booted one after the other
#	MEM SMP		memory and CPUs of the guest
#	APPEND		additional kernel parameters
#	QEMU_OPTS	additional options of QEMU
#	TIMEOUT		seconds after which it has failed
#	PANIC		not empty when the first kernel shall panic
#	host_check LOG	a function that looks at the log when all is over
#
# In the guest, /init sources it and calls stage1, stage2 and so on, which
# report through the functions in guest/lib.sh.

set -u

here=$(cd "$(dirname "$0")" && pwd)
kernel=$here/../../../../arch/x86/boot/bzImage
out=

while getopts k:o:h opt; do
	case $opt in
	k) kernel=$OPTARG ;;
	o) out=$OPTARG ;;
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

[ -n "$out" ] || out=$(mktemp -d)
mkdir -p "$out"
[ $# -gt 0 ] || set -- $(cd "$here/tests" && printf '%s\n' *.sh | sed 's/\.sh$//')

cp "$kernel" "$out/bzImage"
"$here/mkinitramfs.sh" "$out/initramfs.cpio" "$out/bzImage" ||
	skip_all "no initramfs, see above"

# A device node is no proof of KVM: see whether a kernel gets anywhere with it.
accel=tcg
if [ -w /dev/kvm ] && timeout 20 qemu-system-x86_64 -accel kvm -cpu max -m 512 \
	-display none -monitor none -no-reboot -nodefaults -serial stdio \
	-kernel "$out/bzImage" -append "console=ttyS0 panic=-1" \
	< /dev/null 2>&1 | grep -q 'Linux version'; then
	accel=kvm
fi

# What no kernel may say, whatever the test says.
splat='WARNING:|BUG:|Oops|general protection|kernel BUG|KASAN|UBSAN|Call Trace|Kernel panic|possible recursive|suspicious RCU'

splats_in() {
	if [ -n "$PANIC" ]; then
		sed '/khotest: panic$/,/Linux version/d' "$1"
	else
		cat "$1"
	fi | grep -oE "($splat).*"
}

run_guest() {
	# shellcheck disable=SC2086 # options are lists
	timeout -k 5 "$TIMEOUT" qemu-system-x86_64 -accel $accel -cpu max \
		-m "$MEM" -smp "$SMP" -display none -monitor none -no-reboot \
		-nodefaults -serial stdio -kernel "$out/bzImage" \
		-initrd "$out/initramfs.cpio" -append "console=ttyS0 panic=-1 \
printk.devkmsg=on retain_initrd kho=on kunit.enable=0 khotest=$1 khostage=1 $(echo $APPEND)" \
		$QEMU_OPTS < /dev/null 2>&1 | tr -d '\r' |
		while IFS= read -r line; do
			# When the host has seen it: guests' clocks stop at kexec.
			printf '%s %s\n' "$EPOCHREALTIME" "$line"
		done > "$2"
	return "${PIPESTATUS[0]}"
}

# Run one test. Subtests go to standard output; status 0 when it has passed.
run_test() (
	STAGES=1 MEM=2G SMP=2 APPEND='' QEMU_OPTS='' TIMEOUT=${KHO_TIMEOUT:-120} PANIC=''
	host_check() { true; }
	. "$here/tests/$1.sh"

	log=$out/$1.log
	run_guest "$1" "$log"
	rc=$?
	sed -i 's/^\([0-9.]*\) .*khotest: /\1 khotest: /' "$log"

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
	splats=$(splats_in "$log")
	[ -z "$splats" ] || problem "$(head -n 1 <<< "$splats")"
	host_check "$log" || problem "the log does not have what it should"
	exit $failed
)

echo "KTAP version 1"
echo "1..$#"
nr=0 rc=0
for test; do
	nr=$((nr + 1))
	if [ ! -f "$here/tests/$test.sh" ]; then
		echo "not ok $nr $test # no such test"
		rc=1
	elif run_test "$test"; then
		echo "ok $nr $test"
	else
		echo "not ok $nr $test"
		rc=1
	fi
done
exit $rc
