#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run all tests. The last line counts them.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/selftests/kho
passed=0 failed=0 skipped=0

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

# script NAME WHAT COMMAND...: a test that passes when COMMAND does
script() {
	local name=$1 what=$2
	shift 2
	if run "check-$name" "$what" "$@"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
	fi
}

# vmtest NAME WHAT: all tests in QEMU, with the kernel in build/NAME
vmtest() {
	echo "$2:"
	count_ktap < <("$tests/vmtest.sh" -k "$build/$1/arch/x86/boot/bzImage" \
		-o "$logs/check-$1" 2>&1 | tee "$logs/check-$1.log")
	# A plan without tests fails, and so does one that was not carried out.
	planned=$(sed -n 's/^1\.\.\([0-9]*\).*/\1/p' "$logs/check-$1.log" | head -n 1)
	if [ "${planned:-0}" = 0 ] ||
		[ "$(grep -cE '^(not )?ok ' "$logs/check-$1.log")" != "$planned" ]; then
		echo "  not ok: ${planned:-no} tests were planned; $(tail -n 1 "$logs/check-$1.log")"
		failed=$((failed + 1))
	fi
}

script sources "Wrong kernel sources are refused" "$top/series/check-sources.sh"
script refresh "Composing, editing, refreshing, composing again" \
	"$top/series/check-refresh.sh"
script memblock "The kernel's own tests of memblock" \
	"$top/series/check-memblock.sh"

vmtest x86_64 "In QEMU"
if "$top/series/kernel.sh" x86_64-nodeferred CONFIG_DEFERRED_STRUCT_PAGE_INIT=n; then
	vmtest x86_64-nodeferred "In QEMU, without DEFERRED_STRUCT_PAGE_INIT"
else
	failed=$((failed + 1))
fi

{
	klinux rev-parse composed
	echo "$passed passed, $failed failed, $skipped skipped: the scenarios of"
	echo "tools/testing/selftests/kho in QEMU, with and without deferred struct page"
	echo "initialization, KUnit, and the tests of memblock in user space."
} > "$logs/check.last"

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
