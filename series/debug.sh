#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the scenarios of live update on the debug kernel: all that one kernel is enough for.
# "check" leaves out those which take long there and are more about programs.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/selftests/kho
"$top/series/kernel.sh" x86_64-debug faults debug
run debug-programs "Building the programs of live update" luo_programs

mapfile -t all < <(cd "$tests/../liveupdate/tests" && printf '%s\n' *.sh |
	sed 's/\.sh$//' | grep -vE '^(interop_.*|module|systemd)$')
MEMFD_MEM=2G KHO_TIMEOUT=900 KHO_APPEND="page_poison=1" "$tests/vmtest.sh" -j "$(nproc)" \
	-k "$build/x86_64-debug/arch/x86/boot/bzImage" -o "$logs/debug" \
	"${live_update[@]}" "${all[@]}"
