#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# phase.sh [-b] [-s] [-u | -r FILES] NAME WHAT COMMAND...
#
# Run one phase of check.mk: COMMAND, with its output in build/logs/check/NAME.log.
# What came of it goes to build/check/NAME as one line for check.sh
#
#	PASSED FAILED SKIPPED SECONDS WHAT[, unchanged]
#
# COMMAND passes when its exit status is 0. If its output is KTAP, the top level of it is
# counted instead. With -b the phase only builds something: it counts when it fails. With
# -s it is skipped, not failed, when the exit status is 4: the last line of its output
# then says what Debian's mirror does not have.
#
# A phase can be left out if it has passed before with the same inputs. With -u these are all
# files of the series, and it is left out if check.sh says CHECK_WARM=1. With -r they are
# FILES, files and directories without blanks, the environment that guests see, and QEMU;
# it is left out if check.sh says CHECK_RESUME=1. build/check/NAME.passed has one line for
# each set of inputs with which it has passed lately
#
#	HASH PASSED

set -eu
. "$(dirname "$0")/lib.sh"

kind=test may_skip='' leave_out='' files=''
while getopts bsur: opt; do
	case $opt in
	b) kind=build ;;
	s) may_skip=1 ;;
	u) leave_out=${CHECK_WARM:-0} ;;
	r) leave_out=${CHECK_RESUME:-0} files=$OPTARG ;;
	*) die "see the head of this file" ;;
	esac
done
shift $((OPTIND - 1))
name=$1 what=$2
shift 2

log=$logs/check/$name.log
result=$build/check/$name
mkdir -p "$(dirname "$log")" "$(dirname "$result")"
passed=0 failed=0 skipped=0 unchanged=''

# All that decides what the phase finds.
inputs() {
	if [ -n "$files" ]; then
		# shellcheck disable=SC2086 # without blanks
		find $files -type f -exec sha256sum {} + | sort
		env | grep ^KHO_ | sort
		packages qemu-system-x86 seabios ovmf busybox-static e2fsprogs kexec-tools lz4 \
			makedumpfile python3 xz-utils zstd
	else
		klinux rev-parse composed
		(cd "$top" && git ls-files -z --cached --others --exclude-standard |
			xargs -0 sha256sum 2> /dev/null)
		packages gcc clang make python3-sphinx sparse
	fi
}

# Their versions, of those that are installed.
packages() {
	dpkg-query -W -f '${Package} ${Version}\n' "$@" 2> /dev/null || true
}

# report RESULT [LINE...]: in one piece, as other phases run at the same time
report() {
	echo "$passed $failed $skipped $((SECONDS - start)) $what$unchanged" > "$result"
	printf '%4d s  %s: %s\n%s' $((SECONDS - start)) "$what" "$1" "${2:+$2$'\n'}"
}

start=$SECONDS
# What the phase "accel" has found out.
[ ! -f "$build/accel" ] || KHO_ACCEL=$(cat "$build/accel")
export KHO_ACCEL=${KHO_ACCEL:-}

key=
if [ -n "$leave_out" ]; then
	# shellcheck disable=SC2086 # without blanks
	ls -d ${files:-.} > /dev/null || die "an input of $name is missing, see above"
	key=$(inputs | sha256sum | cut -d ' ' -f 1)
	passed=$(sed -n "s/^$key //p" "$result.passed" 2> /dev/null || true)
	if [ "$leave_out" = 1 ] && [ -n "$passed" ]; then
		unchanged=", unchanged"
		report "unchanged since it passed"
		exit 0
	fi
	passed=0
	[ ! -f "$result.passed" ] || sed -i "/^$key /d" "$result.passed"
fi

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
	if [ -n "$key" ]; then
		{
			tail -n 9 "$result.passed" 2> /dev/null || true
			echo "$key $passed"
		} > "$result.passed.new"
		mv "$result.passed.new" "$result.passed"
	fi
fi
