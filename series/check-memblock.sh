#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel's own tests of memblock in user space: as they are for most kernels, and
# with NUMA and the regions of Kexec HandOver.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/memblock
trap 'make -s -C "$tests" clean' EXIT

for on in 0 1; do
	make -s -C "$tests" clean
	make -C "$tests" "NUMA=$on" "KHO=$on"
	"$tests/main" -v > "$logs/memblock.out" || { cat "$logs/memblock.out"; exit 1; }
	if grep '^not ok' "$logs/memblock.out"; then exit 1; fi
	grep -c '^ok ' "$logs/memblock.out"
	if [ $on = 1 ]; then grep -q '^ok .* memblock_kho_regions' "$logs/memblock.out"; fi
done
