#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run all tests. The last line counts them.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/selftests/kho
passed=0 failed=0 skipped=0
# Several guests at a time take longer.
export KHO_TIMEOUT=900

# Count the top level of the KTAP on standard input, and pass it on, without
# what has gone well below.
count_ktap() {
	local line
	while IFS= read -r line; do
		case $line in
		"ok "*"# SKIP"*) skipped=$((skipped + 1)) ;;
		"ok "*) passed=$((passed + 1)) ;;
		"not ok "*) failed=$((failed + 1)) ;;
		"    not ok "* | "    # "*) ;;
		*) continue ;;
		esac
		echo "  $line"
	done
}

# script NAME WHAT COMMAND...: a test that passes when COMMAND does. Only what takes
# more from Debian's mirror is skipped, with what it says last, when it returns 4.
script() {
	local name=$1 what=$2 rc=0
	shift 2
	run "check-$name" "$what" "$@" 2> "$logs/check-$name.end" || rc=$?
	case $name:$rc in
	*:0) passed=$((passed + 1)) ;;
	interop:4 | systemd:4)
		skipped=$((skipped + 1))
		echo "$what: skipped: $(tail -n 1 "$logs/check-$name.log")"
		;;
	*)
		failed=$((failed + 1))
		cat "$logs/check-$name.end"
		;;
	esac
}

# kernel NAME OPTION...: build another kernel, see kernel.sh
kernel() {
	"$top/series/kernel.sh" "$@" || failed=$((failed + 1))
}

image() {
	echo "$build/$1/arch/x86/boot/bzImage"
}

# vmtest NAME WHAT TEST...: tests in QEMU, with the kernel in build/NAME and the
# options of vmtest.sh that are in vm_options
vm_options=()
vmtest() {
	local name=$1 what=$2 out=$logs/check-$1${vm_options:+-luo}
	local log=$out.log
	shift 2
	echo "$what:"
	count_ktap < <("$tests/vmtest.sh" -j "$(nproc)" -k "$(image "$name")" \
		-K "nokho=$(image x86_64-nokho)" -o "$out" \
		"${vm_options[@]}" "$@" 2>&1 |
		tee "$log")
	# A plan that was not carried out is a failure.
	if [ "$(grep -cE '^(not )?ok ' "$log")" != $# ]; then
		echo "  not ok: $# tests were planned; $(tail -n 1 "$log")"
		failed=$((failed + 1))
	fi
}

script bisect "Building and trying each commit" "$top/series/bisect.sh" --quick

# These use one CPU each: in two lanes. What the second one says comes at its end.
second_lane() {
	local passed=0 failed=0
	script user "KHO in user space, with sanitizers" "$top/series/check-user.sh"
	script refresh "Composing, editing, refreshing, composing again" \
		"$top/series/check-refresh.sh"
	echo "$passed $failed" > "$lane.counts"
}

lane=$logs/check-lane
echo "0 1" > "$lane.counts"
second_lane > "$lane.log" 2>&1 &
lane_pid=$!
trap 'kill $lane_pid 2> /dev/null || true' EXIT
script lint "checkpatch, sparse, shellcheck and others" "$top/series/lint.sh"
script docs "The manual builds, and misses nothing" "$top/series/check-docs.sh"
script sources "Wrong kernel sources are refused" "$top/series/check-sources.sh"
script memblock "The kernel's own tests of memblock" \
	"$top/series/check-memblock.sh"
wait $lane_pid || true
trap - EXIT
cat "$lane.log"
read -r lane_passed lane_failed < "$lane.counts"
passed=$((passed + lane_passed)) failed=$((failed + lane_failed))

# Those left out need another kernel; see below.
mapfile -t all < <(cd "$tests/tests" && printf '%s\n' *.sh | sed 's/\.sh$//' |
	grep -vE '^(faults|interop.*)$')

kernel x86_64-nokho nokho
vmtest x86_64 "In QEMU" "${all[@]}"

script programs "Building the programs of live update" luo_programs
vm_options=("${live_update[@]}")
mapfile -t all < <(cd "$tests/../liveupdate/tests" && printf '%s\n' *.sh |
	sed 's/\.sh$//' | grep -vE '^(memfd_faults|interop_.*|module|systemd)$')
vmtest x86_64 "In QEMU, live update" "${all[@]}"
vm_options=()

# It is the one that systemd.sh boots, too.
kernel x86_64-nodeferred nodeferred systemd
vmtest x86_64-nodeferred "In QEMU, without DEFERRED_STRUCT_PAGE_INIT and KHO's own checks" \
	handover early numa numa_memoryless reserve_mem_large storm overlap
vm_options=("${live_update[@]}")
for module in luo_test luo_flb_test; do
	vm_options+=(-b "$build/x86_64-nodeferred/kernel/liveupdate/tests/$module.ko")
done
vmtest x86_64-nodeferred "In QEMU, live update with a module" module
vm_options=()

kernel x86_64-debug faults debug
KHO_APPEND="page_poison=1" vmtest x86_64-debug "In QEMU, with a debug kernel" \
	faults chain threads handover early numa numa_memoryless fdt_full kunit
vm_options=("${live_update[@]}")
MEMFD_MEM=2G KHO_APPEND="page_poison=1" vmtest x86_64-debug \
	"In QEMU, live update with a debug kernel" \
	memfd_chain memfd_faults memfd ioctls sharing handover freeze damage

before=$skipped
script interop "Handing over to mainline and back" "$top/series/interop.sh"
interop=$([ "$skipped" = "$before" ] && echo "among it" || echo "not tried")
before=$skipped
script systemd "systemd keeps a memfd over its kexec" "$top/series/systemd.sh"
systemd=$([ "$skipped" = "$before" ] && echo "among it" || echo "not tried")

{
	klinux rev-parse composed
	echo "$passed passed, $failed failed, $skipped skipped: the scenarios of"
	echo "tools/testing/selftests/kho and liveupdate in QEMU, with and without deferred"
	echo "struct page initialization and with a debug kernel, KUnit, and the tests of"
	echo "memblock and of KHO in user space. Handing over to mainline and back was $interop;"
	echo "systemd's kexec was $systemd."
} > "$logs/check.last"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
