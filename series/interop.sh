#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hand memory and memfds over to mainline and back, with mainline as a black box. Exits
# with 4 and the reason when there is no mainline kernel to try, or when it speaks
# another ABI than ours.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/selftests/kho
abi=$(sed -n 's/^#define KHO_FDT_COMPATIBLE.*"\(.*\)"$/\1/p' \
	"$top/include/linux/kho/abi/kexec_handover.h")
out=$logs/interop

vmtest() {
	"$tests/vmtest.sh" -j "$(nproc)" -k "$build/x86_64/arch/x86/boot/bzImage" \
		-K "mainline=$build/mainline-x86_64/arch/x86/boot/bzImage" -o "$out" "$@"
}

"$top/series/mainline.sh"
echo "$(cat "$build/mainline/.kho-version"):"
vmtest interop_probe > "$logs/interop-probe.log" || {
	cat "$logs/interop-probe.log"
	die "mainline does not boot"
}
theirs=$(sed -n 's/^ *# .* has ABI //p' "$logs/interop-probe.log")
[ -n "$theirs" ] || die "the probe has not found an ABI, see ${logs#"$top"/}/interop-probe.log"
if [ "$theirs" != "$abi" ]; then
	echo "No mainline kernel to try: its ABI is $theirs, ours $abi"
	exit 4
fi

vmtest interop interop_first || exit 1
luo_programs > "$logs/interop-programs.log" 2>&1 || die "the programs of live update do not build"
vmtest -d ../liveupdate/tests -b "$build/liveupdate/luo_memfd_interop" \
	interop_memfd || exit 1
