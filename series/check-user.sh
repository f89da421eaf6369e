#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The tests of KHO in user space, built by gcc and by clang: each has sanitizers
# of its own. They include all kinds of damage that the selftests know. Then a minute of
# fuzzing, which goes on where the last one ended.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/kho

for cc in gcc clang; do
	make -s -C "$tests" "CC=$cc" "OUTPUT=$build/user/$cc" check
	make -s -C "$tests/trackers" "CC=$cc" "OUTPUT=$build/user/$cc/trackers" all check
	make -s -C "$tests" "CC=$cc" "OUTPUT=$build/user/$cc" damage-run
done

make -s -C "$tests" "OUTPUT=$build/user" fuzz-run
