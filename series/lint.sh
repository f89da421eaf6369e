#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Read all files of the series with tools, and say for each kind of check whether
# it has found anything. A check is a function that prints what is wrong.

set -eu
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/config.sh"

# What apt-get has installed, not what hides it.
PATH=/usr/bin:/bin:$PATH
cd "$top"
out=$build/lint
mkdir -p "$out"
nr_bad=0

for tool in codespell gcc git mawk perl python3 shellcheck sparse; do
	command -v "$tool" > /dev/null || die "$tool is missing; run series/deps.sh"
done
python3 -c 'import git, ply' 2> /dev/null ||
	die "python3-git or python3-ply is missing; run series/deps.sh"

# check NAME WHAT: run the function NAME. It has to succeed in silence.
check() {
	local rc=0 said
	said=$("$1" 2>&1) || rc=$?
	if [ -z "$said" ] && [ $rc = 0 ]; then
		echo "ok $2"
		return
	fi
	nr_bad=$((nr_bad + 1))
	echo "not ok $2"
	[ -n "$said" ] || said="exit status $rc"
	printf '%s\n' "$said" | sed "s|^$top/||; s/^/  /"
}

# files PATTERN...: of all our files those that match, but for the license
files() {
	git ls-files --cached --others --exclude-standard "$@" | sort -u |
		grep -vx COPYING | while read -r file; do
		[ ! -e "$file" ] || echo "$file"
	done
}

# nothing GREP-ARGUMENT...: what grep finds is wrong, and so is its failure
nothing() {
	local rc=0
	grep "$@" || rc=$?
	[ $rc -le 1 ]
}

# Of warnings of a compiler, those in new files and in functions that the series
# changes. The others are of the kernel: they are there without the series, too.
of_the_series() {
	klinux diff -W base -- '*.[chS]' | awk -v linux="$linux/" '
		FILENAME == "-" && /^\+\+\+ / { file = substr($2, 3) }
		FILENAME == "-" && /^@@ / {
			split(substr($3, 2), at, ",")
			n = ++nr[file]
			from[file, n] = at[1]
			to[file, n] = at[1] + (at[2] == "" ? 1 : at[2]) - 1
		}
		FILENAME == "-" { next }
		$1 ~ /:[0-9]+:/ {
			split($1, at, ":")
			sub(linux, "", at[1])
			sub(/^(\.\.\/)+/, "", at[1])
			for (i = 1; i <= nr[at[1]]; i++)
				if (at[2] >= from[at[1], i] && at[2] <= to[at[1], i]) {
					print
					next
				}
			next
		}
		!/^ +[A-Z]+ / && /warning|WARNING|error|\*\*\*/' - "$1"
}

#
# The kernel's tools
#

# Of all that checkpatch.pl finds, this is not followed:
#	FILE_PATH_CHANGES	MAINTAINERS comes last; see maintained()
#	CAMELCASE		page flags have such names
#	UNDOCUMENTED_DT_STRING	no device tree: handlers of files have compatible strings
#	REPEATED_WORD		in scripts: "mount -t proc proc /proc"
#	EXECUTE_PERMISSIONS	init is a script without an extension
#	PREFER_DEFINED_ATTRIBUTE_MACRO	in tools: this is where one is defined
# Sign-offs are made by who mails the series.
checkpatch() {
	# If it finds python3 and perl, it starts spdxcheck.py and get_maintainer.pl for each
	# file, which takes longer than all the rest. Once is enough: see spdxcheck().
	mkdir -p "$out/bin"
	ln -sf /usr/bin/git /usr/bin/grep "$out/bin/"
	ln -sf /bin/true "$out/bin/perl"
	(cd "$linux" && PATH=$out/bin /usr/bin/perl scripts/checkpatch.pl --strict --no-signoff --terse \
		--showfile --show-types --no-summary \
		--ignore FILE_PATH_CHANGES,CAMELCASE,UNDOCUMENTED_DT_STRING -g base..composed) > "$out/checkpatch" 2>&1 ||
		[ -s "$out/checkpatch" ] || echo "checkpatch.pl failed"
	sed -E '\,^tools/testing/selftests/.*WARNING:REPEATED_WORD:,d
		\,^tools/liveupdate/.*WARNING:PREFER_DEFINED_ATTRIBUTE_MACRO:,d
		\,/guest/init:.*ERROR:EXECUTE_PERMISSIONS:,d' "$out/checkpatch"
}

spdxcheck() {
	new_files | (cd "$linux" && xargs scripts/spdxcheck.py)
}

obsolete() {
	local said=$out/status
	klinux diff --name-only --diff-filter=M base composed |
		(cd "$linux" && xargs scripts/get_maintainer.pl \
		--status --nom --nol --nogit --nogit-fallback -f) > "$said" || echo "it has failed"
	nothing -i obsolete "$said"
}

configure() {
	make -s -C "$linux" O="$out" tinyconfig &&
		wanted "${options[@]}" >> "$out/.config" &&
		make -s -C "$linux" O="$out" olddefconfig
}

# W=1 for the compiler and sparse for the same objects; objtool joins in.
compile() {
	local -a options objects boot
	local missing

	# shellcheck disable=SC2119 # of every type
	mapfile -t options < <(printf 'CONFIG_%s=y\n' STACK_VALIDATION EFI MEMORY_HOTPLUG \
		CGROUPS MEMCG X86_MCE MEMORY_FAILURE \
		SAMPLES; ours | sed 's/$/=y/')

	configure > "$out/log" 2>&1 || { tail -n 20 "$out/log"; return 1; }
	missing=$(wanted "${options[@]}" | not_taken "$out")
	[ -z "$missing" ] || { echo "$missing cannot be had"; return 1; }

	mapfile -t objects < <(klinux diff --name-only --diff-filter=AM base composed -- \
		'*.c' ':!arch/x86/boot' ':!tools' ':!samples/liveupdate' |
		of_x86 | sed 's/\.c$/.o/')
	mapfile -t boot < <(klinux diff --name-only --diff-filter=AM base composed -- \
		'arch/x86/boot/*.c' | sed 's/\.c$/.o/')
	# What is there already would not be compiled, and not warn.
	(cd "$out" && rm -f "${objects[@]}" "${boot[@]}")
	{
		compile_with "${objects[@]}" &&
			MAKEFILES=$top/series/boot-objects.mk \
				compile_with BOOT_OBJECTS="${boot[*]}" boot-objects
	} > "$out/log" 2>&1 || tail -n 20 "$out/log"
	of_the_series "$out/log"
}

compile_with() {
	# shellcheck disable=SC2046 # an option or none
	make -C "$linux" O="$out" CC="$cc" W=1 C=2 CHECK=sparse $(parallel) "$@"
}

# In the kernel of the tests, KHO_KERNEL= or x86_64, which all of the series is in.
sections() {
	(cd "$build/${KHO_KERNEL:-x86_64}" && scripts/mod/modpost -o /dev/null vmlinux.o)
}

kernel_doc() {
	files '*.[ch]' | xargs "$linux/scripts/kernel-doc" -none -Wall
}

# What drivers can call is explained: all that is exported, and what the headers
# for them declare.
documented() {
	files 'include/linux/*.h' '*.c' | grep -v ^tools/ | xargs "$linux/scripts/kernel-doc" -rst 2> /dev/null |
		sed -n 's/^\.\. c:function:: [^(]*[ *]\([a-z_0-9]*\) (.*/\1/p' | sort -u > "$out/documented"
	{
		files '*.c' | grep -v ^tools/ | xargs sed -n 's/^EXPORT_SYMBOL.*(\(.*\));.*/\1/p'
		files 'include/linux/*.h' | xargs sed -n '/static inline/d
			s/^[a-z].*[ *]\([a-z_0-9]*\)(.*/\1/p' | grep -v '^__'
	} | grep . | sort -u | comm -23 - "$out/documented" | sed 's/$/() has no kernel-doc/'
}

#
# Other languages
#

# Scripts with a first line that names their shell, and parts that are sourced:
# those of series/ by bash, the others by busybox in the guest of the selftests.
shell() {
	local file lib
	files | while read -r file; do
		lib=guest/lib.sh
		[ -e "${file%/*/*}/$lib" ] || lib=../kho/$lib
		case $(head -n 1 "$file"):$file in
		'#!'*bash*:*) shellcheck -x -P SCRIPTDIR "$file" ;;
		'#!/bin/busybox sh':*) shellcheck -x -P SCRIPTDIR -s dash "$file" ;;
		'#!'*sh:*) shellcheck -x -P SCRIPTDIR "$file" ;;
		*:series/*.sh) shellcheck -x -P SCRIPTDIR -s bash -e SC2034 "$file" ;;
		*:*/tests/*.sh | *:*/bench/*.sh)
			# They use the library, and set variables for vmtest.sh.
			(cd "${file%/*/*}" && printf '%s\n' ". $lib" \
				". ${file#"${file%/*/*}"/}" | shellcheck -x -a -s dash -e SC2034 -)
			;;
		*:*.bash) shellcheck -s bash "$file" ;;
		*:*.sh) shellcheck -x -s dash "$file" ;;
		esac
	done
}

languages() {
	local file
	for file in $(files '*.pl'); do
		perl -wc "$file" 2>&1 | grep -vx "$file syntax OK"
	done
	for file in $(files '*.awk'); do
		mawk -W dump -f "$file" > /dev/null
	done
	for file in $(files '*.py'); do
		python3 -c 'import sys; compile(open(sys.argv[1]).read(), *sys.argv[1:], "exec")' "$file"
	done
	for file in $(files '*.c' '*.h' '*.sh' '*.pl' '*.awk' '*.py' '*.rst' '*.md'); do
		nothing -nH '[[:blank:]]$' "$file"
	done
	true
}

spelling() {
	# DAMON is a subsystem, and "ser" is what was serialized.
	# Not what git quotes of the code around a hunk.
	files | xargs codespell -L damon,ser --ignore-regex '^@@.*'
}

#
# Our own rules
#

spdx() {
	local file
	# There they are not known.
	for file in $(files ':!patches' ':!Documentation/ABI'); do
		head -n 2 "$file" | grep -q 'SPDX-License-Identifier: ' || echo "$file has no SPDX line"
	done
	for file in $(files patches); do
		sed '/^---$/q' "$file" | grep -q '^SPDX-License-Identifier: ' ||
			echo "$file has no SPDX line"
	done
}

size() {
	files | xargs wc -l | awk '$2 != "total" && $1 > 1200 { print $2 " has " $1 " lines; split it" }'
	# Messages are not broken: who looks for one finds it in one piece.
	for file in $(files '*.[ch]'); do
		expand "$file" | awk -v file="$file" 'length > 100 && !/^ *(pr_[a-z]*\()?"[^"]*"[,;)]*$/ && !/pr_[a-z]*\("/ {
			print file ":" NR ": " length " columns" }'
	done
}

# Nothing of the machine that something was written on. Guests have a /tmp, too.
places() {
	files ':!tools/testing/selftests/*/guest/*' \
		':!tools/testing/selftests/*/tests/*' \
		':!tools/testing/selftests/*/bench/*' | xargs grep -nE '(^|[^[:alnum:]_./}-])/(home|work|tmp)/' || true
	files | xargs grep -nE 'pypi[.]org|pythonhosted[.]org|registry[.]npmjs|crates[.]io|proxy[.]golang|(deb|security|snapshot)[.]debian[.]org|archive[.]ubuntu' || true
}

# Each new file is named by one patch.
new_file_lists() {
	local patch
	for patch in patches/*.patch; do patch_new_files "$patch"; done |
		grep -vx MAINTAINERS | sort > "$out/listed"
	uniq -d "$out/listed" | sed 's/$/ is named by two patches/'
	new_files > "$out/new"
	sort -u "$out/listed" | comm -13 - "$out/new" | sed 's/$/ is named by no patch/'
	sort -u "$out/listed" | comm -23 - "$out/new" | sed 's/$/ is named but not there/'
}

# Each new file belongs to an entry of MAINTAINERS.
maintained() {
	local file pattern
	new_files | while read -r file; do
		sed -n 's/^F:	//p' MAINTAINERS | while read -r pattern; do
			case $file in
			"$pattern"*) ;;
			*) continue ;;
			esac
			[[ $pattern != */ && $file != "$pattern" ]] || echo yes
		done | grep -q yes || echo "$file belongs to no entry of MAINTAINERS"
	done
}

messages() {
	local patch subject
	for patch in patches/*.patch; do
		subject=$(head -n 1 "$patch")
		[ ${#subject} -le 75 ] || echo "$patch: the subject has ${#subject} characters"
		[[ $subject =~ ^[A-Za-z0-9_/]+(,\ [a-z0-9_/]+)*:\ [a-z] ]] || echo "$patch: the subject has no prefix"
		[ "$(patch_message "$patch" | sed 1,2d | wc -w)" -ge 8 ] || echo "$patch: the message has no body"
		[ -z "$(sed -n 2p "$patch")" ] || echo "$patch: no blank line after the subject"
		! patch_message "$patch" | grep -qE '^(Signed-off-by|From|Author): ' || echo "$patch names an author"
	done
}

check checkpatch "checkpatch.pl --strict finds nothing in any commit"
check spdxcheck "spdxcheck.py knows each license"
check obsolete "get_maintainer.pl calls no part obsolete"
check compile "gcc with W=1, sparse and objtool have no warnings"
check sections "no reference from one section to a discarded one"
check kernel_doc "kernel-doc has no warnings"
check documented "all that drivers can call has kernel-doc"
check shell "shellcheck has no warnings"
check languages "other scripts have the right syntax, and no line trailing blanks"
check spelling "codespell finds no misspelling"
check spdx "each file has an SPDX line"
check size "no file is over 1200 lines, no line of C over 100 columns"
check places "no paths of a machine and no package registries"
check new_file_lists "each new file is named by one patch"
check maintained "each new file has an entry in MAINTAINERS"
check messages "each commit has a subject with a prefix, and a body"
[ $nr_bad = 0 ]
