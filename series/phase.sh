#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# phase.sh [-b] [-s] [-u] NAME WHAT COMMAND...
#
# Run one phase of check.mk: COMMAND, with its output in build/logs/check/NAME.log.
# What came of it goes to build/check/NAME as one line for check.sh
#
#	PASSED FAILED SKIPPED SECONDS WHAT
#
# COMMAND passes when its exit status is 0. If its output is KTAP, the top level of it is
# counted instead. With -b the phase only builds something: it counts when it fails. With
# -s it is skipped, not failed, when the exit status is 4: the last line of its output
# then says what Debian's mirror does not have. With -u the phase is left out when it has
# passed before and all inputs are unchanged, in a tree that check.sh calls warm.

set -eu
. "$(dirname "$0")/lib.sh"

kind=test may_skip='' may_be_unchanged=''
while getopts bsu opt; do
	case $opt in
	b) kind=build ;;
	s) may_skip=1 ;;
	u) may_be_unchanged=1 ;;
	*) die "see the head of this file" ;;
	esac
done
shift $((OPTIND - 1))
name=$1 what=$2
shift 2

log=$logs/check/$name.log
result=$build/check/$name
mkdir -p "$(dirname "$log")" "$(dirname "$result")"
passed=0 failed=0 skipped=0

# All that decides what a phase finds.
inputs() {
	klinux rev-parse composed
	(cd "$top" && git ls-files -z --cached --others --exclude-standard |
		xargs -0 sha256sum 2> /dev/null)
	dpkg-query -W -f '${Package} ${Version}\n' gcc clang make python3-sphinx sparse
}

# report RESULT [LINE...]: in one piece, as other phases run at the same time
report() {
	echo "$passed $failed $skipped $((SECONDS - start)) $what" > "$result"
	printf '%4d s  %s: %s\n%s' $((SECONDS - start)) "$what" "$1" "${2:+$2$'\n'}"
}

start=$SECONDS
key=
if [ -n "$may_be_unchanged" ]; then
	key=$(inputs | sha256sum)
	if [ "${CHECK_WARM:-}" = 1 ] && [ "$(cat "$result.key" 2> /dev/null)" = "$key" ]; then
		passed=1
		report "unchanged since it passed"
		exit 0
	fi
	rm -f "$result.key"
fi

# What the phase "accel" has found out.
[ ! -f "$build/accel" ] || KHO_ACCEL=$(cat "$build/accel")
export KHO_ACCEL=${KHO_ACCEL:-}

rc=0
echo "$what" > "$result.running"
"$@" > "$log" 2>&1 < /dev/null || rc=$?
rm -f "$result.running"

if grep -qx 'KTAP version 1' "$log"; then
	read -r passed failed skipped < <(awk '
		/^ok .*# SKIP/ { skipped++; next }
		/^ok / { passed++ }
		/^not ok / { failed++ }
		END { print passed + 0, failed + 0, skipped + 0 }' "$log")
	# A plan that was not carried out is a failure.
	[ $rc = 0 ] && [ $((passed + skipped)) -gt 0 ] || failed=$((failed ? failed : 1))
elif [ $rc = 0 ]; then
	[ $kind = build ] || passed=1
elif [ $rc = 4 ] && [ -n "$may_skip" ]; then
	# What needs it says so, and counts.
	[ $kind = build ] || skipped=1
else
	failed=1
fi

if [ "$failed" != 0 ]; then
	said=$({ grep -E '^ *(not ok|# )' "$log" || tail -n 20 "$log"; } | head -n 40 |
		sed 's/^/        /')
	report "FAILED" "$said"$'\n'"        see ${log#"$top"/}"
	exit 1
elif [ "$skipped" != 0 ]; then
	report "skipped: $(sed -n 's/.*# SKIP //p' "$log" | head -n 1 | grep . || tail -n 1 "$log")"
else
	report "$([ $kind = build ] && echo "done" || echo "passed")"
	[ -z "$key" ] || echo "$key" > "$result.key"
fi
