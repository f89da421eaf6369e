#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Whatever KSRC names that the series cannot be composed onto is refused with
# one line, and build/linux stays what it is. Works on a copy of the series.

set -eu
. "$(dirname "$0")/lib.sh"

copy=$(mktemp -d "$build/check-sources.XXXXXX")
trap 'rm -rf "$copy"' EXIT
(cd "$top" && git ls-files -z --cached --others --exclude-standard |
	xargs -0 cp --parents -t "$copy" 2>/dev/null) || true
git -C "$copy" init -q
rc=0

fake_tree() {
	mkdir -p "$1/mm" "$1/kernel"
	printf 'VERSION = %s\nPATCHLEVEL = %s\nSUBLEVEL = 1\n' "$2" "$3" > "$1/Makefile"
	touch "$1/mm/memblock.c" "$1/.gitignore" "$1/MAINTAINERS"
}

# refused WHAT PATTERN KSRC
refused() {
	local out
	if out=$(KSRC=$3 "$copy/series/tree.sh" 2>&1 >/dev/null); then
		echo "not ok $1: was taken"
		rc=1
	elif [ "$(wc -l <<< "$out")" != 1 ] || ! grep -q "$2" <<< "$out"; then
		echo "not ok $1: said $out"
		rc=1
	else
		echo "ok $1: $out"
	fi
}

fake_tree "$copy/build/6.11" 6 11
fake_tree "$copy/build/patched" 6 12
mkdir "$copy/build/patched/kernel/liveupdate"
fake_tree "$copy/build/other" 6 12
mkdir "$copy/build/empty"
echo nonsense > "$copy/build/nonsense.tar.xz"
tar -C "$copy/build" -czf "$copy/build/6.11.tar.gz" 6.11

refused "missing" "no kernel source at /nonexistent" /nonexistent
refused "not a kernel" "is not a kernel tree" "$copy/build/empty"
refused "another version" "is Linux 6.11" "$copy/build/6.11"
refused "another version in a tarball" "is Linux 6.11" "$copy/build/6.11.tar.gz"
refused "already patched" "already patched" "$copy/build/patched"
refused "no tarball" "cannot be unpacked" "$copy/build/nonsense.tar.xz"
refused "a patch that does not apply" "does not apply to this Linux 6.12.1" "$copy/build/other"
exit $rc
