#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# bench.sh [--rst]
#
# Measure what a handover costs, in QEMU, and compare it with what it may cost:
# build/bench.json, build/bench.svg, build/bench-phases.svg, and a table. With --rst,
# measure nothing but print the last results as a table for
# Documentation/core-api/kho/bench.rst, which says how all this is measured.
#
# The environment can have
#
#	BENCH_FOLIOS	list of the numbers of scattered folios that are handed over
#	BENCH_REGIONS	list of the sizes of reserve_mem regions, in GiB
#	BENCH_ITEMS	number of items that operations are measured with
#	BENCH_CHECK	number of scattered folios for the check before the reboot
#	BENCH_PAGES	list of the numbers of huge pages of 1 GiB that are handed over; the
#			host needs that much memory
#	BENCH_INITRDS	list of the sizes of initrds for the whole blackout, in KiB
#	BENCH_LIMIT	seconds that all of it may take; one measurement, a third
#	BENCH_KERNEL	directory in build/ with another kernel, such as
#			mainline-x86_64-7.3;
#			the results are in build/bench-KERNEL.*
#
# What cannot be measured is an error, and named as such in the results.

set -eu
. "$(dirname "$0")/lib.sh"

folios=${BENCH_FOLIOS:-1000 10000 50000 200000 1000000}
regions=${BENCH_REGIONS:-2 48}
items=${BENCH_ITEMS:-262144}
check_folios=${BENCH_CHECK:-1000000}
pages=${BENCH_PAGES:-4 8 12}
initrds=${BENCH_INITRDS:-768 34816}
limit=${BENCH_LIMIT:-1800}
kernel=${BENCH_KERNEL:-x86_64}
nodebug=${BENCH_KERNEL:-x86_64-nodebug}
results=$build/bench${BENCH_KERNEL:+-$BENCH_KERNEL}

# 1 M scattered folios are every second page of 8 GiB. The large region needs a
# machine that few have: untouched memory costs nothing.
mem=12G
mem_large=64G

out=$logs/bench
values=$out/values
vmtest=$linux/tools/testing/selftests/kho/vmtest.sh

fail() {
	echo "$1 error $2" >> "$values"
	echo "$1: $2" >&2
}

# Options of vmtest.sh for programs that the guest gets.
programs=()

# Where set -e does not hold.
guest() {
	local name=$1 image=$build/$2/arch/x86/boot/bzImage dir=$3 memory=$4 append=$5
	shift 5
	KHO_TIMEOUT=$timeout KHO_APPEND=$append BENCH_MEM=$memory "$vmtest" \
		-d "$dir" -k "$image" -o "$out/$name" "${programs[@]}" "$@"
}

# measure NAME WHAT KERNEL DIRECTORY MEMORY PARAMETERS TEST...: boot a scenario and
# keep the values that it reports
measure() {
	local name=$1 what=$2 left=$((limit - SECONDS)) log=$logs/bench-$1.log
	shift 2

	timeout=$((left < limit / 3 ? left : limit / 3))
	if [ $left -le 0 ]; then
		fail "$name" "not measured: the limit of $limit seconds is reached"
	elif run "bench-$name" "$what" guest "$name" "$@" 2> /dev/null; then
		echo "$name passed 1" >> "$values"
		sed -n "s/^ *# value /$name /p" "$log" >> "$values"
	else
		fail "$name" "$(grep -E '^ *(not ok|# [^v])' "$log" | head -n 1 |
			sed 's/^ *\(# \)\?//' | grep . || echo "no result"); see ${log#"$top"/}"
	fi
}

blackout() {
	local name=$1 what=$2 memory=$3
	shift 3
	measure "$name" "$what" "$kernel" bench "$memory" "$*" blackout
}

measure_all() {
	local n memory base

	blackout base "Blackout with nothing preserved" $mem khofolios=0
	blackout base_again "The same again" $mem khofolios=0
	for n in $folios; do
		blackout "scattered_$n" "Blackout with $n scattered folios" $mem "khofolios=$n"
	done

	blackout large "Blackout with nothing preserved, $mem_large" $mem_large khofolios=0
	for n in $regions; do
		memory=$mem base=base
		[ "$n" -le 8 ] || memory=$mem_large base=large
		echo "region_$n baseline $base" >> "$values"
		blackout "region_$n" "Blackout with $n GiB in a row" $memory \
			khofolios=0 "reserve_mem=${n}G:2M:khoblackout"
	done

	measure operations_debug "Operations, with KEXEC_HANDOVER_DEBUG" \
		"$kernel" bench "" "khoitems=$items" operations
	measure operations "Operations" "$nodebug" bench "" "khoitems=$items" operations
	measure threads "Threads" "$nodebug" bench "" khoitems=8192 threads
	[ -z "${BENCH_KERNEL:-}" ] || return 0

	measure check "The check before the reboot" "$nodebug" bench "" \
		"khoitems=$check_folios" check
	if run bench-programs "Building the programs of live update" luo_programs; then
		programs=(-b "$build/liveupdate/luo_bench")
		measure memfd "Memfds" "$nodebug" bench "" "" memfd
		for n in 0 $pages; do
			measure "gigantic_$n" "Memfds with $n pages of 1 GiB" "$nodebug" bench 16G \
				"khopages=$n hugepages=$n" gigantic
		done
		programs=(-b "$build/liveupdate/luo_next")
		for n in $initrds; do
			measure "whole_$n" "The whole blackout, initrd of $n KiB" "$kernel" bench "" \
				"khoinitrd=$n" whole
		done
		programs=()
	else
		fail memfd "its programs do not build"
		for n in $initrds; do
			fail "whole_$n" "its programs do not build"
		done
	fi
	measure tests "12 GiB of reserve_mem, and nodes within a block" \
		"$kernel" tests "" "" reserve_mem_large numa
}

# What has to be known to make sense of the figures.
describe() {
	echo "about kernel $(cat "$build/$kernel/include/config/kernel.release")"
	echo "about series $(git -C "$top" describe --always --dirty 2> /dev/null || echo unknown)"
	echo "about compiler $(sed -n 's/^CONFIG_CC_VERSION_TEXT="\(.*\)"$/\1/p' "$build/$kernel/.config")"
	echo "about qemu $(qemu-system-x86_64 --version | head -n 1)"
	echo "about regions $regions"
	echo "about folios $folios"
	echo "about check_folios $check_folios"
	echo "about pages $pages"
	echo "about initrds $initrds"
}

case ${1:-} in
'') ;;
--rst) exec python3 "$top/series/bench-report.py" --rst "$results.json" ;;
*) die "usage: bench.sh [--rst]" ;;
esac

for n in $folios $regions $items $check_folios $pages $initrds $limit; do
	case $n in
	*[!0-9]* | 0*) die "$n is not a number that makes sense here" ;;
	esac
done
[ -n "${BENCH_KERNEL:-}" ] || "$top/series/kernel.sh" x86_64-nodebug CONFIG_KEXEC_HANDOVER_DEBUG=n
[ -f "$build/$kernel/arch/x86/boot/bzImage" ] || die "there is no kernel in build/$kernel"

SECONDS=0 rc=0
rm -rf "$out"
mkdir -p "$out"
describe > "$values"
measure_all

python3 "$top/series/bench-report.py" "$values" "$results.json" || rc=1
python3 "$top/series/bench-plot.py" "$results.json" "$results.svg"
[ -n "${BENCH_KERNEL:-}" ] ||
	python3 "$top/series/bench-plot.py" --phases "$results.json" "$results-phases.svg" || rc=1
echo "${results#"$top"/}.json, ${results#"$top"/}.svg: $SECONDS s"
[ $rc = 0 ] || die "not all could be measured, see above"
