#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hand memory over from one kernel to the next, in QEMU, and tell what happened.
# Exit status 0 only if every byte was where it should be.

set -eu
. "$(dirname "$0")/lib.sh"

kernel=$build/x86_64/arch/x86/boot/bzImage
out=$logs/demo

run demo "Handing over in QEMU" \
	"$linux/tools/testing/selftests/kho/vmtest.sh" -k "$kernel" -o "$out" handover
perl "$top/series/report.pl" "$out/handover.log"
sed -n 's/^    ok [0-9]* /  ok  /p' "$logs/demo.log"

# The same for files, as an admin would do it.
run demo-programs "Building luoctl" luo_programs
run demo-luoctl "Handing memfds over with luoctl" \
	"$linux/tools/testing/selftests/kho/vmtest.sh" -k "$kernel" -o "$out" \
	"${live_update[@]}" luoctl
echo
echo "luoctl has said, in the first kernel and in the second:"
sed -n 's/^    # \([0-9]* files*, .*\)/  \1/p' "$logs/demo-luoctl.log"
echo
echo "All of it held. Consoles of both kernels: ${out#"$top"/}/handover.log"
