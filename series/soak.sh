#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Hand over N times in a row, 1000 by default, in one guest: the scenario soak of
# tools/testing/selftests/liveupdate. SEED= repeats the content of another run. The last
# line counts what has passed and failed; time alone fails only when a guest hangs.

set -eu
. "$(dirname "$0")/lib.sh"

tests=$linux/tools/testing/selftests/kho
kernel=$build/x86_64/arch/x86/boot/bzImage
out=$logs/soak
patience=900
n=${N:-1000}
seed=${SEED:-$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}

# The seed has to fit into the arithmetic of the guest's shell.
[[ $n =~ ^[1-9][0-9]{0,5}$ ]] || die "N=$n is not a number of handovers"
[[ $seed =~ ^[0-9]{1,9}$ ]] || die "SEED=$seed is not a number below 1000000000"
[ -f "$kernel" ] || die "there is no kernel in build/x86_64; run make -f Makefile.patches kernel"

vmtest() {
	KHO_SOAK=$n KHO_SEED=$seed "$tests/vmtest.sh" -k "$kernel" -o "$out" \
		-d ../liveupdate/tests -b "$build/liveupdate/luo_soak" soak
}

# How many kernels have begun, less the first one.
handovers() {
	local nr
	nr=$(grep -c 'khotest: init ' "$out/soak.log" 2> /dev/null) || true
	echo $((${nr:-0} > 0 ? nr - 1 : 0))
}

# Tell every half minute how far it is, on a terminal each second. A guest that hangs is
# ended long before vmtest.sh would do that.
progress() {
	local said=$SECONDS changed=$SECONDS now=0 before line
	while kill -0 "$1" 2> /dev/null; do
		sleep 1
		before=$now
		now=$(handovers)
		[ "$now" = "$before" ] || changed=$SECONDS
		if [ $((SECONDS - changed)) -gt $patience ]; then
			echo "No handover after number $now for $patience s: the guest is killed" >&2
			kill -- -"$1"
			return
		fi
		[ "$now" -gt 0 ] || continue
		line=$(awk -v nr="$now" -v all="$n" -v s=$((SECONDS - start)) 'BEGIN {
			printf "handover %d of %d, %.1f s each, %d minutes left", nr, all,
				s / nr, (all - nr) * s / nr / 60 + 0.5 }')
		if [ -t 1 ]; then
			printf '\r%s\033[K' "$line"
		elif [ $((SECONDS - said)) -ge 30 ]; then
			echo "$line"
			said=$SECONDS
		fi
	done
	[ ! -t 1 ] || printf '\r\033[K'
}

run soak-programs "Building the programs of live update" luo_programs

echo "Handing over $n times, SEED=$seed"
mkdir -p "$out"
rm -f "$out/soak.log"
start=$SECONDS rc=0
# In a process group of its own, so that an interrupt ends all of it.
set -m
vmtest > "$out.log" 2>&1 < /dev/null &
pid=$!
set +m
trap 'kill -- -$pid 2> /dev/null; wait $pid 2> /dev/null; exit 130' INT TERM
progress $pid
wait $pid || rc=$?
trap - INT TERM

sed -n 's/^    \(ok\|not ok\) [0-9]* /  \1  /p; s/^    # /  /p; /^1\.\.0/p' "$out.log"
passed=$(grep -c '^    ok ' "$out.log") || true
failed=$(grep -c '^    not ok ' "$out.log") || true
# Without any check that has failed, something else has: it is among the notes.
[ $rc = 0 ] || [ "$failed" -gt 0 ] || failed=1
[ $rc = 0 ] || echo "Again: make -f Makefile.patches soak N=$n SEED=$seed; console: ${out#"$top"/}/soak.log"
echo "$(handovers) of $n handovers in $((SECONDS - start)) s: $passed passed, $failed failed"
[ $rc = 0 ] && [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
