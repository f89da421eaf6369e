#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of KHO in user space, built by gcc and by clang: each has sanitizers
# of its own. They include all kinds of damage that the selftests know. Then a minute of
# fuzzing, which goes on where the last one ended; in "check" 20 seconds. Beside it, as it
# mostly waits, what a package of luoctl and its library needs.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/kho

seconds=60
[ "${TIER:-}" != check ] || seconds=20

make_tests() {
	# shellcheck disable=SC2046 # an option or none
	make -s $(parallel) -C "$@"
}

"$top/series/check-luoctl.sh" > "$logs/luoctl.log" 2>&1 &
luoctl=$!
trap wait EXIT

# All of it is compiled twice, which takes longer than to run it.
compilers="gcc clang"
[ "${TIER:-}" != check ] || compilers=gcc

for cc in $compilers; do
	make_tests "$tests" "CC=$cc" "OUTPUT=$build/user/$cc" check
	make_tests "$tests/trackers" "CC=$cc" "OUTPUT=$build/user/$cc/trackers" all check
	make_tests "$tests" "CC=$cc" "OUTPUT=$build/user/$cc" damage-run
	make_tests "$tests" "CC=$cc" "OUTPUT=$build/user/$cc" large-run
done

make_tests "$tests" "OUTPUT=$build/user" "TIME=$seconds" fuzz-run
make_tests "$tests" "OUTPUT=$build/user" "TIME=$((seconds / 2))" vmlinux-run
make_tests "$tests" "OUTPUT=$build/user" "TIME=$((seconds / 2))" unpack-run

rc=0
wait $luoctl || rc=$?
cat "$logs/luoctl.log"
exit $rc
