#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Install tools/liveupdate into an empty directory, and see that what is there is what a
# package needs: nothing outside of the prefix, a library that C and C++ programs can be
# linked to through pkg-config, with the soname and symbols that it shall have, pages
# without errors for all of it, and a luoctl that prints JSON also without live update.

set -eu
. "$(dirname "$0")/lib.sh"

tool=$linux/tools/liveupdate
out=$build/luoctl
root=$out/root
rc=0

# check WHAT: passes if there is nothing on standard input
check() {
	local found
	found=$(cat)
	if [ -n "$found" ]; then
		echo "not ok $1:"
		printf '%s\n' "$found" | sed 's/^/  /'
		rc=1
	else
		echo "ok $1"
	fi
}

# A prefix and a libdir as a distribution has them.
prefix=/opt/kho
libdir=$prefix/lib/some-triplet
lib=$root$libdir

install_tool() {
	# shellcheck disable=SC2046 # an option or none
	make -s $(parallel) -C "$tool" "OUTPUT=$out/build" "CFLAGS=-O2 -Werror" "DESTDIR=$root" \
		"prefix=$prefix" "libdir=$libdir" "$@"
}

outside() {
	find "$root" ! -type d ! -path "$root$prefix/*"
}

# Names that another project has, too.
taken() {
	find "$root" ! -type d \( -name 'luoctl*' -o -name 'libluo.so*' -o -name 'libluo.a' \
		-o -name 'libluo.pc' -o -name '*.3' -o -path '*/include/libluo.h' \)
}

pkg_config() {
	PKG_CONFIG_LIBDIR=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root pkg-config "$@" libkholuo
}

# The device is there or not; a session it is never.
program='#include <libluo.h>
#include <stdio.h>
int main(void)
{
	char name[LUO_NAME_SIZE];
	int device = luo_open();

	if (luo_session_name(0, name) >= 0 || luo_session_create(-1, "x") >= 0 ||
	    luo_session_retrieve(-1, "x") >= 0 || luo_session_preserve_fd(-1, 0, 1) >= 0 ||
	    luo_session_retrieve_fd(-1, 1) >= 0 || luo_session_finish(-1) >= 0)
		return 1;
	return device == -1;
}'

# compile COMPILER LANGUAGE STANDARD [OPTION...]
compile() {
	local compiler=$1 language=$2 standard=$3
	shift 3
	# shellcheck disable=SC2046 # options
	"$compiler" -x "$language" "-std=$standard" -Wall -Wextra -Werror -pedantic "$@" \
		-o "$out/program" - -x none $(pkg_config --cflags --libs) <<< "$program" &&
		LD_LIBRARY_PATH=$lib "$out/program" < /dev/null || echo "it fails"
}

sample() {
	# shellcheck disable=SC2046 # options
	gcc -Wall -Wextra -Werror -o "$out/luo_counter" "$linux/samples/liveupdate/luo_counter.c" \
		$(pkg_config --cflags --libs) || return
	# It needs live update, or one argument.
	local is=0
	LD_LIBRARY_PATH=$lib "$out/luo_counter" 2> /dev/null || is=$?
	[ $is = 2 ] || echo "exit status $is"
}

static_program() {
	compile gcc c c99 -static
	! readelf -d "$out/program" 2> /dev/null | grep -q NEEDED || echo "it is not static"
}

soname() {
	readelf -d "$lib/libkholuo.so" | grep -q 'SONAME.*\[libkholuo.so.1\]$' || echo "it is another"
	compile gcc c c99
	readelf -d "$out/program" | grep -q 'NEEDED.*\[libkholuo.so.1\]$' ||
		echo "programs need another"
}

declared() {
	sed -n 's/^int \(luo_[a-z_]*\)(.*/\1/p' "$root$prefix/include/kholuo/libluo.h" | sort
}

symbols() {
	[ "$(declared | wc -l)" -ge 7 ] || echo "the header declares next to nothing"
	diff <(declared | sed 's/$/@@KHOLUO_1.0/') <(readelf -W --dyn-syms "$lib/libkholuo.so" |
		awk '$7 != "UND" && $4 == "FUNC" { print $8 }' | sort)
}

pages() {
	local page function
	find "$root$prefix/share/man" ! -type d | grep . > "$out/pages" || echo "there are none"
	while read -r page; do
		(cd "$root$prefix/share/man" && groff -mandoc -ww -z -rF0 "$page")
	done < "$out/pages" 2>&1
	for function in $(declared); do
		grep -q "/man3/$function.3kho$" "$out/pages" || echo "$function() has none"
		grep -q "^.BR $function ()" "$tool/libkholuo.3" || echo "$function() is not explained"
	done
}

luoctl=$root$prefix/sbin/kho-luoctl

verbs() {
	"$luoctl" --help | sed -n 's/^  luoctl \([a-z]*\)\( .*\)\{0,1\}$/\1/p'
}

described() {
	local verb
	[ "$(verbs | wc -l)" -ge 8 ] || echo "--help names next to nothing"
	for verb in $(verbs); do
		grep -q "^\.B luoctl.*$verb\$" "$tool/luoctl.8" || echo "$verb is not in the synopsis"
		grep -q "^\.B $verb\$" "$tool/luoctl.8" || echo "$verb is not explained"
		"$luoctl" "$verb" --help | grep -q "^Usage: luoctl $verb" || echo "$verb has no --help"
	done
}

version() {
	[ "$("$luoctl" --version)" = "luoctl $(pkg_config --modversion)" ] ||
		echo "luoctl and libkholuo have different versions"
}

# prints_json STATUS ARGUMENT...
prints_json() {
	local status=$1 is=0
	shift
	"$luoctl" "$@" > "$out/json" 2> /dev/null || is=$?
	[ "$is" = "$status" ] || echo "luoctl $*: exit status $is instead of $status"
	python3 -c 'import json, sys
error = json.load(sys.stdin)["error"]
assert isinstance(error, str)' < "$out/json" 2> /dev/null || echo "luoctl $*: $(cat "$out/json")"
}

json() {
	local off=3
	# Root could do harm on a kernel that has it.
	[ ! -e /dev/liveupdate ] || off=
	if [ -n "$off" ]; then
		prints_json $off status --json
		prints_json $off --json list
		prints_json $off save name "$0" --json
	fi
	prints_json 2 save --json
	prints_json 2 --json none
	prints_json 2 none --json
	prints_json 2 status --none --json
	prints_json 2 unclaimed region --json
	prints_json 1 unclaimed --json --discard no/region
	prints_json 2 map $'\377"\\\n' x --json
}

# A task of a second and a half, and one that is shorter.
slow_program='#include <stdlib.h>
#include <unistd.h>
#include "luoctl.h"
void fail(int status, int err, const char *format, ...)
{
	exit(status);
}
int main(void)
{
	int i;

	progress_begin("quick", 0);
	progress(1);
	progress_end();
	progress_begin("slow", 100 << 20);
	for (i = 0; i < 15; i++, usleep(100000))
		progress((unsigned long long)i << 20);
	progress_end();
}'

# It is shown on a terminal only, if it takes more than a second, and is gone then.
shows_progress() {
	gcc -Wall -Werror -I "$tool" -o "$out/slow" -x c - -x none "$out/build/luoctl-output.o" \
		<<< "$slow_program" || echo "it does not compile"
	[ -z "$("$out/slow" 2>&1)" ] || echo "it is shown without a terminal"
	python3 -c 'import pty, sys; pty.spawn(sys.argv[1:])' "$out/slow" < /dev/null > "$out/shown"
	grep -q "slow: 1[0-4] MiB of 100 MiB, 1[0-4]%, .*iB/s" "$out/shown" || cat -v "$out/shown"
	! grep -q quick "$out/shown" || echo "it is shown at once"
	[[ $(cat -v "$out/shown") == *'^M^[[K' ]] || echo "it is not removed"
}

# completes LINE EXPECTED: what bash offers at the end of the line, in which luoctl is the
# one that was built. Its lists of sessions and regions, which need a kernel, are made up.
completes() {
	local got
	got=$(bash --norc -c '
		. "$1"
		luoctl() {
			[ "$*" != unclaimed ] || {
				printf "%s\n" "Unclaimed: 24 MiB" "  reserve_mem gone: 8 MiB"
				return
			}
			[ "$1" = list ] || { "'"$luoctl"'" "$@"; return; }
			[ "$2" != --kept ] || {
				printf "%s\n" "vm: ram, user 0, 4 GiB" "web: x, user 7, 1 KiB, missing"
				return
			}
			printf "%s\n" "outgoing: session next: 1 file, 5 bytes" \
				"  token 1: memfd-v2, 5 bytes" \
				"incoming: session two words: 2 files, 1 KiB, 0 retrieved, unclaimed" \
				"incoming: session a: 1: 1 file, 1 KiB, 0 retrieved, unclaimed" \
				"incoming: session x\\377: 1 file, 1 KiB, 0 retrieved, unclaimed"
		}
		compopt() { echo "$*"; }
		read -ra COMP_WORDS <<< "$2"
		[[ $2 != *" " ]] || COMP_WORDS+=("")
		COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
		_luoctl luoctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
		printf "%s\n" "${COMPREPLY[@]}"' - \
		"$root$prefix/share/bash-completion/completions/luoctl" "$1" | grep . | sort |
		paste -sd ' ')
	[ "$got" = "$2" ] || echo "'$1' becomes '$got' instead of '$2'"
}

completion() {
	completes "luoctl " "$(verbs | sort | paste -sd ' ')"
	completes "luoctl st" status
	completes "luoctl --json l" list
	completes "luoctl --v" --version
	completes "luoctl map -" "--help --json"
	completes "luoctl check --" "--command-line --help --initrd --json --reuse-cmdline"
	completes "luoctl kexec --d" --discard
	completes "luoctl kexec --initrd " "-o default"
	completes "luoctl kexec --initrd x " "-o default"
	completes "luoctl drop " 'a:\ 1 two\ words'
	completes "luoctl drop tw" 'two\ words'
	completes "luoctl drop a " ""
	completes "luoctl restore a " "-o dirnames"
	completes "luoctl list n" next
	completes "luoctl unclaimed --" "--discard --help --json"
	completes "luoctl unclaimed --discard g" gone
	completes "luoctl unclaimed --discard gone " ""
	completes "luoctl unclaimed " ""
	completes "luoctl list --kept " "vm web"
	completes "luoctl drop --kept w" web
	completes "luoctl drop --kept vm r" ram
	completes "luoctl run v" vm
	completes "luoctl run --memfd a=4K " "vm web"
	completes "luoctl run vm -- " "-o default"
	completes "luoctl run vm --memfd " ""
	completes "luoctl put " "vm web"
	completes "luoctl save " ""
	completes "luoctl save a " "-o default"
}

# What the keeper is has no file of a file system but itself, and its unit says where it is.
static_luoctl() {
	local static=$prefix/libexec/kho-luoctl-static
	! readelf -l "$root$static" | grep INTERP || echo "it needs an interpreter"
	"$root$static" --version > /dev/null || echo "it does not run"
	grep -qx "ExecStart=@$static @luoctl keeper" \
		"$root$prefix/lib/systemd/system/luo-keeper.service" || echo "the unit runs another one"
	! grep -r '@[a-z]*dir@' "$root$prefix/lib/systemd" || echo "units name no directories"
	strings "$luoctl" | grep -qx "$static" || echo "luoctl looks for it elsewhere"
}

# runs_kexec STATUS JOBS LUOCTL: what luo-kexec.service calls when it is stopped, if systemctl
# lists these jobs, or fails without, and luoctl exits with this status
runs_kexec() {
	local bin=$out/bin
	rm -rf "$bin"
	mkdir -p "$bin"
	cat > "$bin/systemctl" <<- END
		#!/bin/sh
		echo "systemctl \$*" >> "$bin/called"
		[ "\$1" != list-jobs ] || echo "$2" | grep .
	END
	cat > "$bin/kho-luoctl" <<- END
		#!/bin/sh
		echo "luoctl \$1" >> "$bin/called"
		exit $3
	END
	chmod +x "$bin"/*
	sed "s|@sbindir@|$bin|" "$tool/units/luo-kexec.sh" > "$bin/luo-kexec"
	local is=0
	PATH=$bin:$PATH sh "$bin/luo-kexec" > /dev/null 2>&1 || is=$?
	[ "$is" = "$1" ] || echo "exit status $is instead of $1"
	sed -i 's/ --no-legend --no-pager//' "$bin/called"
}

# calls TEXT: what it has called
calls() {
	[ "$(paste -sd , "$out/bin/called")" = "$1" ] ||
		echo "it calls $(paste -sd , "$out/bin/called") instead of $1"
}

kexec_unit() {
	local again="systemctl --no-block start luo-kexec.service"
	# Without live update there are no files, as far as the script can see.
	[ ! -e /sys/kernel/liveupdate ] || return 0
	runs_kexec 0 "1 reboot.target start waiting" 1
	calls "systemctl list-jobs"
	runs_kexec 0 "1 kexec.target start waiting" 0
	calls "systemctl list-jobs,luoctl kexec"
	runs_kexec 1 "1 kexec.target start waiting" 1
	calls "systemctl list-jobs,luoctl kexec,systemctl cancel,$again"
	# It is not known.
	runs_kexec 0 "" 0
	calls "systemctl list-jobs,luoctl kexec"
}

# What systemd kills after a time loses what it has.
timeouts() {
	local units=$root$prefix/lib/systemd/system
	grep -qx TimeoutStopSec=infinity "$units/luo-kexec.service" || echo "luo-kexec is killed"
	grep -qx TimeoutStartSec=infinity "$units/luo-keeper.service" || echo "luo-keeper is killed"
	grep -qx TimeoutStartSec=infinity "$units/luo-vm@.service" || echo "luo-vm is killed"
	grep -qx TimeoutStopSec=20min "$units/luo-vm@.service" || echo "luo-vm has no time"
}

# A minute, most of which it waits. Its lines say what it does.
keeper() {
	make -s -C "$tool" "OUTPUT=$out/build" "CFLAGS=-O2 -Werror" check > "$out/keeper" 2>&1 ||
		echo "it ends with an error"
	grep -v '^ok \|^# ' "$out/keeper"
	[ "$(grep -c '^ok ' "$out/keeper")" -gt 800 ] || echo "it tries next to nothing"
}

# The same with QEMU, which may not be there.
vm() {
	local rc=0
	make -s -C "$tool" "OUTPUT=$out/build" "CFLAGS=-O2 -Werror" check-vm > "$out/vm" 2>&1 || rc=$?
	! grep SKIP "$out/vm" > /dev/null || return 0
	[ $rc = 0 ] || echo "it ends with an error"
	grep -v '^ok ' "$out/vm"
	[ "$(grep -c '^ok ' "$out/vm")" -gt 120 ] || echo "it tries next to nothing"
}

# Installed twice, so that what is there already is no problem.
rm -rf "$root"
{ install_tool install && install_tool install; } > "$out.log" 2>&1 || {
	tail "$out.log"
	echo "not ok make install"
	exit 1
}

check "all is installed below the prefix" < <(outside)
check "a C program finds, needs and runs the library" < <(compile gcc c c99 2>&1)
check "so does one of clang" < <(compile clang c c11 2>&1)
check "a C++ program does, too" < <(compile g++ c++ c++98 2>&1)
check "so does the sample" < <(sample 2>&1)
check "the library can be linked statically" < <(static_program 2>&1)
check "the soname is libkholuo.so.1" < <(soname 2>&1)
check "the library exports what the header declares" < <(symbols 2>&1)
check "the pages have no errors, and miss no function" < <(pages 2>&1)
check "the page of luoctl misses no command" < <(described 2>&1)
check "bash completes commands, options and sessions" < <(completion 2>&1)
check "luoctl without libraries is where its unit looks" < <(static_luoctl 2>&1)
check "luo-kexec.service stays on guard" < <(kexec_unit 2>&1)
check "its units have the time that they need" < <(timeouts 2>&1)
check "the keeper loses nothing" < <(keeper)
check "a virtual machine goes on with what is kept" < <(vm)
check "progress is shown when something takes long" < <(shows_progress 2>&1)
check "all has the same version" < <(version 2>&1)
check "errors are JSON, too" < <(json 2>&1)

# As a package does.
rm -rf "$root"
install_tool ALTERNATIVES=1 install >> "$out.log" 2>&1 || echo "not ok make install"
check "no name is one that another project has" < <(taken)
exit $rc
