#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# scenario.sh KERNEL SUITE TEST...
#
# Run tests of tools/testing/selftests/SUITE in QEMU, on the kernel in build/KERNEL.
# Their consoles are left in build/logs/KERNEL/SUITE. JOBS= is how many run at a time.

set -eu
. "$(dirname "$0")/lib.sh"

kernel=$1 suite=$2
shift 2
out=$logs/$kernel/$suite/$1${2:+-and-others}
options=(-j "${JOBS:-1}" -k "$(image "$kernel")" -d "../$suite/tests" -o "$out")
# Several guests at a time take longer.
export KHO_TIMEOUT=${KHO_TIMEOUT:-1500}

case $kernel in
*sanitize)
	# They take memory.
	export KHO_APPEND=page_poison=1 MEMFD_MEM=2G
	;;
*memory)
	export KHO_APPEND=memtest=1
	;;
*nodeferred*)
	# Its test files are modules.
	[ "$suite" != liveupdate ] || for module in luo_test luo_flb_test; do
		options+=(-b "$build/$kernel/kernel/liveupdate/tests/$module.ko")
	done
	;;
esac
[ "$suite" != liveupdate ] || options+=("${live_update[@]}")
# With their libraries, for those that ask for them.
for program in e2fsck makedumpfile; do
	if (cd "$linux/tools/testing/selftests/$suite/tests" && grep -q $program "${@/%/.sh}"); then
		path=$(PATH=$PATH:/usr/sbin:/sbin command -v $program) ||
			die "$program is missing: series/deps.sh installs it"
		options+=(-b "$path")
	fi
done
# A kernel of several megabytes, for those that ask for it.
if [ -f "$build/cloud/vmlinuz" ] &&
	(cd "$linux/tools/testing/selftests/$suite/tests" && grep -q 'has_kernel nokho' "${@/%/.sh}"); then
	options+=(-K "nokho=$build/cloud/vmlinuz")
fi
# The kernel under test, packed in other ways.
packed=(xz zstd lz4 none novmlinux badreloc morelists)
for kind in "${packed[@]}"; do
	if (cd "$linux/tools/testing/selftests/$suite/tests" &&
		grep -qE "(for kind in .*|has_kernel )$kind\\>" "${@/%/.sh}"); then
		[[ ! $kind =~ ^(xz|zstd|lz4)$ ]] || command -v "$kind" > /dev/null ||
			die "$kind is missing: series/deps.sh installs it"
		mkdir -p "$out"
		"$linux/tools/testing/selftests/kho/repack.py" "$(image "$kernel")" "$kind" "$out/packed-$kind"
		options+=(-K "$kind=$out/packed-$kind")
	fi
done

rc=0
"$linux/tools/testing/selftests/kho/vmtest.sh" "${options[@]}" "$@" || rc=$?
# It has a kernel and an initramfs, and there are many.
rm -f "$out"/bzImage "$out"/initramfs.cpio "$out"/nokho "$out"/packed-* "${packed[@]/#/$out/}"
exit $rc
