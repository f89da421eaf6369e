#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Prove that an edit made in build/linux survives: compose, edit, refresh, and
# compose again gives the same tree. Works on a copy of the series, and on a
# clone of build/linux.

set -eu
. "$(dirname "$0")/lib.sh"

copy=$build/check-refresh
rm -rf "$copy"
mkdir -p "$copy/build"
trap 'rm -rf "$copy"' EXIT
# shellcheck disable=SC2016 # for the inner shell
(cd "$top" && git ls-files -z --cached --others --exclude-standard |
	xargs -0 -I{} sh -c '[ ! -e "$1" ] || cp --parents "$1" "$2"' sh {} "$copy")
git -C "$copy" init -q

git clone -q --shared --no-checkout "$linux" "$copy/build/linux"
there() {
	git -C "$copy/build/linux" -c user.name=kho-lts -c user.email=kho-lts@localhost \
		-c commit.gpgSign=false -c core.hooksPath=/dev/null "$@"
}
there config gc.auto 0
there tag -d composed > /dev/null
there config kho.base "$(klinux config kho.base)"
there checkout -q -B series base

same() {
	[ "$2" = "$3" ] || { echo "not ok $1"; exit 1; }
	echo "ok $1"
}

"$copy/series/tree.sh"
same "the copy composes to the same tree" "$(klinux rev-parse 'composed^{tree}')" \
	"$(there rev-parse 'HEAD^{tree}')"
head=$(there rev-parse HEAD)
"$copy/series/tree.sh"
same "composing again does nothing" "$head" "$(there rev-parse HEAD)"

cd "$copy/build/linux"

# Committed: a file that no patch touches, a new file, and a removed one.
sed -i '1s/$/ changed by a commit/' kernel/resource.c
printf '/* SPDX-License-Identifier: GPL-2.0-only */\n' > kernel/liveupdate/committed.h
there rm -q tools/testing/selftests/kho/tests/off.sh
there add --all
there commit -q -m "kho: a commit on top

With a message of its own."

# Amended: the message of the last patch but one of the series.
there -c sequence.editor="sed -i '1s/^pick/reword/'" -c core.editor="sed -i '1s/: /: reworded /'" \
	rebase -q -i HEAD~3

# Uncommitted: a new file, a file that two patches touch, one that none does,
# our entry in MAINTAINERS, and two new files.
printf '\n/* uncommitted */\n' >> kernel/liveupdate/kho_radix.c
sed -i 's/^static bool alloc_payload;/static bool alloc_payload; \/* uncommitted *\//' mm/memblock.c
sed -i 's|^ \* Parse reserve_mem=nn:align:name| * Parse reserve_mem=nn:align:name (uncommitted)|' mm/memblock.c
sed -i '1s/$/ uncommitted/' lib/crc32.c
sed -i '/^F:	include\/linux\/kexec_handover.h/a F:	kernel/liveupdate/uncommitted.h' MAINTAINERS
printf '/* SPDX-License-Identifier: GPL-2.0-only */\n' > kernel/liveupdate/uncommitted.h
mkdir -p drivers/uncommitted
printf '# SPDX-License-Identifier: GPL-2.0-only\n' > drivers/uncommitted/Makefile
chmod +x drivers/uncommitted/Makefile

# Each of these edits has to have happened, or the rest proves nothing.
same "all edits were made" "MAINTAINERS drivers/uncommitted/ \
kernel/liveupdate/kho_radix.c kernel/liveupdate/uncommitted.h lib/crc32.c \
mm/memblock.c" "$(there status --porcelain | cut -c4- | sort | xargs)"
same "memblock.c was edited where two patches touch it" 2 \
	"$(there diff -U0 mm/memblock.c | grep -c '^+.*uncommitted')"
there add --all --intent-to-add
final=$(GIT_INDEX_FILE=$copy/build/index; export GIT_INDEX_FILE
	there read-tree HEAD && there add --all && there write-tree)
cd "$top"

echo >> "$copy/kernel/liveupdate/Kconfig"
if "$copy/series/tree.sh" 2> "$copy/build/refused"; then
	echo "not ok composing over edits is refused"
	exit 1
fi
same "composing over edits is refused with one line" 1 "$(wc -l < "$copy/build/refused")"
if "$copy/series/refresh.sh" 2> "$copy/build/refused"; then
	echo "not ok refreshing over edits is refused"
	exit 1
fi
same "refreshing over edits is refused with one line, too" 1 "$(wc -l < "$copy/build/refused")"
sed -i '$d' "$copy/kernel/liveupdate/Kconfig"

"$copy/series/refresh.sh"
same "refreshing leaves the tree as it was" "$final" "$(there rev-parse 'HEAD^{tree}')"
there reset -q --hard base
there tag -d composed > /dev/null
there config --unset kho.composition
"$copy/series/tree.sh"
same "composing from the base gives the edited tree" "$final" "$(there rev-parse 'HEAD^{tree}')"

grep -q '^kho: a commit on top$' "$copy"/patches/*-kho-a-commit-on-top.patch
ls "$copy"/patches/*-reworded-*.patch > /dev/null
ls "$copy"/patches/*-wip-*.patch > /dev/null
[ ! -e "$copy/tools/testing/selftests/kho/tests/off.sh" ]
grep -q uncommitted.h "$copy/MAINTAINERS"
echo "ok messages, removals and entries have come back"
