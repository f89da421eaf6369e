#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the manual with the kernel's own htmldocs, and see that there is no
# warning, that what it refers to exists, and that nothing is missing.

set -eu
. "$(dirname "$0")/lib.sh"

out=$build/docs
html=$out/Documentation/output
rc=0

# From Debian, wherever else there is a python3.
export PATH=/usr/bin:$PATH

# check WHAT: passes when there is nothing on standard input
check() {
	local found
	found=$(cat)
	if [ -n "$found" ]; then
		echo "not ok $1:"
		echo "$found"
		rc=1
	else
		echo "ok $1"
	fi
}

# Files that patches change in the kernel.
touched() {
	klinux diff --name-only --diff-filter=M base composed
}

# Not all that it says about the pages where ours are listed, but about ours.
html_warnings() {
	{ new_files; touched | grep '\.rst$' | grep -v '/index\.rst$'; echo kho; } > "$out/ours"
	sed "s|$linux/||g" "$logs/htmldocs.log" | grep -F -f "$out/ours" |
		grep -iE 'warning|error|severe|failed' || true
}

# In the table of its directory, or an index.rst in that of the one above.
unlisted_pages() {
	local page dir name
	for page in "${pages[@]}"; do
		dir=$(dirname "${page%/index.rst}")
		name=${page#"$dir"/}
		grep -qx "   ${name%.rst}" "$dir/index.rst" || echo "$page"
	done
}

kernel_doc_warnings() {
	scripts/kernel-doc -none -Wall "$1" 2>&1 | sed 's/^[^ ]*:[0-9]*: //' | sort
}

new_comments() {
	local file
	for file in "${sources[@]}"; do
		kernel_doc_warnings "$file" | sed "s|^|$file: |"
	done
}

patched_comments() {
	local file old
	for file in $(touched | grep '\.[ch]$'); do
		old=$out/base.${file##*.}
		klinux show "base:$file" > "$old"
		comm -13 <(kernel_doc_warnings "$old") <(kernel_doc_warnings "$file") |
			sed "s|^|$file: |"
	done
}

# Sphinx takes the name of a page or a function that does not exist for plain
# text.
missing_pages() {
	local page
	{ new_files; touched | grep '\.rst$'; } |
		xargs -d '\n' grep -ohE 'Documentation/[A-Za-z0-9_/.-]+\.(rst|txt)' |
		sort -u | while read -r page; do
		[ -e "$page" ] || echo "$page"
	done
}

undocumented() {
	local name
	sort -u | while read -r name; do
		grep -rq "id=\"c\.$name\"" --include='*.html' "$html" || echo "$name"
	done
}

named_functions() {
	grep -ohE '\b((is_)?kho|liveupdate|shmem)_[a-z_0-9]+\(\)' "${pages[@]}" | tr -d '()' | undocumented
}

exported_functions() {
	sed -n 's/^EXPORT_SYMBOL_GPL(\(.*\));/\1/p' "${sources[@]}" | undocumented
}

# What the tests say is for who runs them.
messages() {
	printf '%s\n' "${sources[@]}" "$top"/patches/*.patch | grep -v /tests/ |
		xargs -d '\n' perl "$top/series/docs-messages.pl" \
			Documentation/admin-guide/mm/kho.rst
}

mapfile -t pages < <(new_files | grep '^Documentation/.*\.rst$')
mapfile -t sources < <(new_files | grep '^\(arch\|kernel\|mm\|include\)/.*\.[ch]$')

if [ ${#pages[@]} = 0 ] || [ ${#sources[@]} = 0 ]; then
	die "there is nothing to check"
fi

# A page that Sphinx has read before is not read again, and warns no more.
rm -rf "$out"
mkdir -p "$out"
make -C "$linux" "O=$out" htmldocs \
	"SPHINXDIRS=core-api admin-guide/mm admin-guide/kdump mm userspace-api" > "$logs/htmldocs.log" 2>&1 || {
	tail "$logs/htmldocs.log"
	echo "not ok htmldocs"
	exit 1
}

cd "$linux"
check "htmldocs has nothing to say about the series" < <(html_warnings 2>&1)
check "all pages are in a table of contents" < <(unlisted_pages 2>&1)
check "the comments of new files are complete" < <(new_comments 2>&1)
check "so are those that patches add" < <(patched_comments 2>&1)
check "all pages that are referred to exist" < <(missing_pages 2>&1)
check "all functions that are named are documented" < <(named_functions 2>&1)
check "all exported functions are documented" < <(exported_functions 2>&1)
check "all messages are explained" < <(messages 2>&1)
exit $rc
