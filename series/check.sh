#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# check.sh [--all [--fresh]]
#
# Run the tests, or all there are: the phases in check.mk, as many at a time as there are
# CPUs. Prints one line for each phase when it ends, which of them take longest, and in
# the last line how many tests have passed.
#
# All of them take hours, so --all goes on where it was interrupted or has failed: a phase
# that has passed with the same inputs counts as passed. With --fresh each is run.

set -eu
. "$(dirname "$0")/lib.sh"

# A phase may be left out in a tree where everything was built before, and one that takes
# long only with --all: see phase.sh.
tier=check CHECK_WARM=1 CHECK_RESUME=0
case $* in
'') ;;
--all) tier=all CHECK_RESUME=1 ;;
'--all --fresh') tier=all CHECK_WARM=0 ;;
*) die "usage: check.sh [--all [--fresh]]" ;;
esac

results=$build/check
graph=$top/series/check.mk
# Of a make that has called this nothing is taken over, and -j would be of no use.
unset MAKEFLAGS MFLAGS
export TIER=$tier

# Minutes that this may take on two CPUs without KVM.
budget=30 state="from nothing"
if [ -f "$(image x86_64-debug)" ]; then
	budget=12 state="in a tree that was built"
else
	CHECK_WARM=0
fi
export CHECK_WARM CHECK_RESUME

mapfile -t phases < <(make -s -f "$graph" list)
[ ${#phases[@]} -gt 10 ] || die "series/check.mk has no phases"
for phase in "${phases[@]}"; do
	rm -f "$results/$phase" "$results/$phase.running"
done
rm -f "$build/accel"

# Once a minute, say what goes on.
heartbeat() {
	while sleep 60; do
		find "$results" -name '*.running' -exec cat {} + 2> /dev/null | paste -sd '|' |
			sed 's/|/, /g; s/^/        running: /'
	done
}

heartbeat &
heartbeat=$!
trap 'kill $heartbeat 2> /dev/null || true' EXIT
start=$SECONDS
# All that can goes on when one fails.
make -s -k -j"$(nproc)" -f "$graph" all 2> "$logs/check.make" || true
kill $heartbeat 2> /dev/null || true
elapsed=$((SECONDS - start))

# Each phase counts, also one that was not run since what it needs has failed.
passed=0 failed=0 skipped=0
for phase in "${phases[@]}"; do
	if [ -f "$results/$phase" ]; then
		read -r p f s _ < "$results/$phase"
		passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	else
		echo "        $phase was not run"
		failed=$((failed + 1))
	fi
done

# All results, with the names of the phases in front.
all_results() {
	for phase in "${phases[@]}"; do
		[ ! -f "$results/$phase" ] || sed "s|^|$phase |" "$results/$phase"
	done
}

was_skipped() {
	[ "$(cut -d ' ' -f 3 "$results/$1" 2> /dev/null)" != 0 ]
}

echo
echo "Minutes of one job, and what for:"
all_results | awk '
	{ name = $1; sub(/\/[^\/]*$/, "/*", name); if ($1 !~ /^scenario/) name = $1
	  seconds[name] += $5; n[name]++ }
	END { for (name in seconds)
		printf "%6.1f  %s%s\n", seconds[name] / 60, name,
			(n[name] > 1) ? " (" n[name] ")" : "" }' | sort -rn
echo "The slowest tests:"
all_results | grep -vE '^(tree|mainline|cloud|programs|accel|kernel/)' | sort -k5,5nr | head -n 5 |
	while read -r _ _ _ _ seconds what; do
		printf '%5d s  %s\n' "$seconds" "$what"
	done

{
	klinux rev-parse composed
	echo "$passed passed, $failed failed, $skipped skipped: the scenarios of"
	echo "tools/testing/selftests/kho and liveupdate in QEMU, on a kernel with assertions,"
	echo "KUnit, and the tests of memblock and of KHO in user space. Handing over to"
	echo "mainline and back was $(was_skipped interop && echo "not tried" || echo "among it")."
} > "$logs/check.last"

echo
printf 'It took %d min %02d s %s.\n' $((elapsed / 60)) $((elapsed % 60)) "$state"
unchanged=$(all_results | grep -c ', unchanged$') || true
[ "$unchanged" = 0 ] || echo "$unchanged phases were left out: unchanged since they passed."
[ $tier = all ] || [ $elapsed -le $((budget * 60)) ] ||
	echo "That is more than the $budget minutes that it may take on two CPUs without KVM."
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
