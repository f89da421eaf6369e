# SPDX-License-Identifier: GPL-2.0-only
#
# What the scripts in this directory share. Sourced, with set -eu in force.

# The order of patches/*.patch does not depend on whose shell this is, nor do messages.
export LC_ALL=C.UTF-8

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
linux=$build/linux
logs=$build/logs
mkdir -p "$logs"

# One line that says what is wrong and what to do.
die() {
	echo "$(basename "$0"): $*" >&2
	exit 1
}

# Git in build/linux, whoever runs this and however they have set up git. All that it
# writes can be made again: waiting for the disk, object by object, takes most of the time.
klinux() {
	GIT_DIR=$linux/.git GIT_WORK_TREE=$linux git -C "$linux" -c core.fsync=none \
		-c core.hooksPath=/dev/null -c commit.gpgSign=false \
		-c core.autocrlf=false -c core.quotePath=false "$@"
}

# The new kernel files of the series: all that is tracked or could be, but for
# what makes the series.
new_files() {
	git -C "$top" ls-files --cached --others --exclude-standard | sort -u |
		grep -vE '^(\.ci/|\.gitignore$|COPYING$|MAINTAINERS$|Makefile\.patches$|README\.md$|patches/|series/)' |
		while read -r file; do
			[ ! -e "$top/$file" ] || echo "$file"
		done
}

# Read a patch: commit message, list of new files, diff.
patch_message() {
	sed '/^---$/,$d; /^New-file: /d; /^SPDX-License-Identifier: /d' "$1" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

patch_new_files() {
	sed '/^---$/,$d' "$1" | sed -n 's/^New-file: //p'
}

patch_diff() {
	sed '1,/^---$/d' "$1"
}

# Of files in a kernel tree those that one for x86-64 is built from.
of_x86() {
	awk '!/^arch\// || /^arch\/x86\//'
}

# Number of lines that a log had when it was last complete, for the percentage.
log_size() {
	cat "$1.size" 2>/dev/null || echo 0
}

# run NAME WHAT COMMAND...: run a long step with its output in a log, and show
# how far it is. A failure prints the end of the log, and where it is.
run() {
	local name=$1 what=$2 log=$logs/$1.log start=$SECONDS pid now total rc=0
	shift 2

	total=$(log_size "$log")
	# In a process group of its own, so that an interrupt ends all of it.
	set -m
	"$@" > "$log" 2>&1 < /dev/null &
	pid=$!
	set +m
	trap 'kill -- -$pid 2>/dev/null; wait $pid 2>/dev/null; exit 130' INT TERM
	while kill -0 $pid 2>/dev/null; do
		sleep 0.5
		now=$(wc -l < "$log")
		if [ -t 1 ]; then
			printf '\r%-40s %4ds%s ' "$what" $((SECONDS - start)) \
				"$([ "$total" -lt 10 ] || echo " $((now < total ? now * 100 / total : 99))%")"
		elif [ $(((SECONDS - start) % 30)) = 29 ]; then
			echo "$what: $((SECONDS - start)) s, $now lines of log"
			sleep 1
		fi
	done
	wait $pid || rc=$?
	trap - INT TERM

	[ ! -t 1 ] || printf '\r\033[K'
	if [ $rc != 0 ]; then
		echo "$what: failed; the end of ${log#"$top"/}:" >&2
		tail -n 20 "$log" | sed 's/^/  /' >&2
		return $rc
	fi

	wc -l < "$log" > "$log.size"
	echo "$what: $((SECONDS - start)) s"
}

# image NAME: the kernel that kernel.sh has built under this name
image() {
	echo "$build/$1/arch/x86/boot/bzImage"
}

# parallel: options for a make that is to use all CPUs. One that check.mk runs shares
# its jobs.
parallel() {
	[[ ${MAKEFLAGS:-} == *--jobserver* ]] || echo "-j$(nproc)"
}

# Options of vmtest.sh for the tests of live update, with what luo_programs builds.
live_update=(-d ../liveupdate/tests)
for program in luo_ioctl luo_damage luo_handover luo_hang luo_hugetlb luo_memfd luo_memfd_damage \
	luo_memfd_errors luo_memfd_interop luo_memfd_ioctl luo_memfd_mm luo_pin luo_soak luo_storm \
	luoctl; do
	live_update+=(-b "$build/liveupdate/$program")
done

# luo_programs: build the programs of live update, and those that try it, into
# build/liveupdate. Guests have no libraries.
luo_programs() {
	mkdir -p "$build/liveupdate"
	# shellcheck disable=SC2046 # an option or none
	make $(parallel) -C "$linux/tools/testing/selftests/liveupdate" OUTPUT="$build/liveupdate" &&
		make $(parallel) -C "$linux/tools/liveupdate" OUTPUT="$build/liveupdate" \
			LDFLAGS=-static luoctl
}
