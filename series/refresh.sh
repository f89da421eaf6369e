#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Bring what was edited in build/linux, committed or not, back into new files
# and patches. Nothing is lost: what comes out, composed again, is the same
# tree, and this checks it before it replaces anything.
#
# - Commits may have been added, amended, reordered, split or dropped. Each
#   becomes one patch, in the order of the commits.
# - An uncommitted edit of a file of the kernel goes to the last commit that
#   touches the file. If none does, it becomes a patch of its own, whose message
#   is left to you.
# - New files go back whole. A new file that no commit adds goes with its
#   directory: to the last commit that adds a file there, or else to the patch
#   of its own.

set -eu
. "$(dirname "$0")/lib.sh"

[ -d "$linux/.git" ] || die "there is no build/linux; run 'make -f Makefile.patches tree'"
if [ -e "$linux/.git/rebase-merge" ] || [ -e "$linux/.git/rebase-apply" ]; then
	die "a rebase is going on in build/linux; finish it"
fi
klinux merge-base --is-ancestor base HEAD ||
	die "HEAD of build/linux is not on top of its tag base; check the right branch out"
[ -z "$(klinux rev-list --merges base..HEAD)" ] ||
	die "there is a merge commit in build/linux; make the history linear"

if "$top/series/edited.sh"; then
	echo "build/linux has no edits"
	exit 0
fi

work=$(mktemp -d "$build/refresh.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/patches" "$work/tree"

# The tree as it is now, uncommitted edits included.
cp "$linux/.git/index" "$work/index"
final=$(GIT_INDEX_FILE=$work/index; export GIT_INDEX_FILE
	klinux add --all && klinux write-tree)

# Files here would be replaced by those of the tree, which knows nothing of an edit here.
new_files | (cd "$top" && git hash-object --stdin-paths) | paste -d ' ' - <(new_files) |
	while read -r blob file; do
		for tree in composed "$final"; do
			[ "$blob" != "$(klinux rev-parse -q --verify "$tree:$file")" ] || continue 2
		done
		die "$file was edited or added here since build/linux was composed; copy it there first, or set it aside"
	done

is_new() {
	! klinux cat-file -e "base:$1" 2>/dev/null
}

in_final() {
	klinux cat-file -e "$final:$1" 2>/dev/null
}

changed() {
	klinux diff --name-only --no-renames "$1" "$2"
}

# For each file the last commit that touches it; for each directory the last
# commit that adds a file there.
declare -A last dir_last
commits=$(klinux rev-list --reverse base..HEAD)
for commit in $commits; do
	while read -r file; do
		last[$file]=$commit
		if is_new "$file"; then
			dir_last[$(dirname "$file")]=$commit
		fi
	done < <(changed "$commit^" "$commit")
done

# Uncommitted edits find their commit, or are left over.
leftover=
while read -r file; do
	[ -z "${last[$file]:-}" ] || continue
	if is_new "$file" && [ -n "${dir_last[$(dirname "$file")]:-}" ]; then
		last[$file]=${dir_last[$(dirname "$file")]}
	else
		last[$file]=leftover
		leftover=leftover
	fi
done < <(changed HEAD "$final")

# set_file TREE FILE: in the index, make FILE what it is in TREE.
set_file() {
	local entry
	entry=$(klinux ls-tree "$1" -- "$2")
	if [ -n "$entry" ]; then
		klinux update-index --add --cacheinfo \
			"$(awk '{ print $1 "," $3 "," }' <<< "$entry")$2"
	else
		klinux update-index --force-remove -- "$2"
	fi
}

slug() {
	tr '[:upper:]' '[:lower:]' <<< "$1" | sed 's/[^a-z0-9]\{1,\}/-/g; s/^-//; s/-$//' | cut -c1-52 | sed 's/-$//'
}

# Write the patch of one commit. The index holds the tree before it; new files
# and the last change to any other file take their final form.
nr=0
write_patch() {
	local commit=$1 message=$2 before after file out
	local -a touched=() added=()

	before=$(klinux write-tree)
	if [ "$commit" != leftover ]; then
		mapfile -t touched < <(changed "$commit^" "$commit")
	fi
	for file in "${!last[@]}"; do
		[ "${last[$file]}" != "$commit" ] || touched+=("$file")
	done

	while read -r file; do
		[ -n "$file" ] || continue
		if [ "$file" = MAINTAINERS ]; then
			[ -n "${adder[$file]:-}" ] || added+=("$file")
			adder[$file]=$commit
		elif is_new "$file"; then
			if [ -z "${adder[$file]:-}" ] && in_final "$file"; then
				adder[$file]=$commit
				added+=("$file")
				set_file "$final" "$file"
			fi
		elif [ "${last[$file]}" = "$commit" ]; then
			set_file "$final" "$file"
		else
			set_file "$commit" "$file"
		fi
	done < <(printf '%s\n' "${touched[@]}" | sort -u)

	after=$(klinux write-tree)
	klinux diff --full-index --no-renames "$before" "$after" > "$work/all.diff"
	klinux diff --no-renames --abbrev=12 "$before" "$after" -- . \
		"${added[@]/#/:(exclude)}" > "$work/diff"

	# A commit that only edits new files has gone into them already.
	[ -s "$work/diff" ] || [ ${#added[@]} -gt 0 ] || return 0

	nr=$((nr + 1))
	out=$work/patches/$(printf '%04d' $nr)-$(slug "$(head -n 1 <<< "$message")").patch
	{
		echo "$message"
		echo
		[ ${#added[@]} = 0 ] || printf 'New-file: %s\n' "${added[@]}"
		echo "SPDX-License-Identifier: GPL-2.0-only"
		echo "---"
		grep -v '^index ' "$work/diff" || true
	} > "$out"
}

declare -A adder
GIT_INDEX_FILE=$work/index.new
export GIT_INDEX_FILE
klinux read-tree base
for commit in $commits; do
	write_patch "$commit" "$(klinux log -1 --format=%B "$commit")"
done
[ -z "$leftover" ] || write_patch leftover "wip: edits that belong to no patch yet

Say here what this changes and why, and rename it."

# MAINTAINERS is merged, not patched: our entries are what was added to it.
klinux diff --unified=0 base "$final" -- MAINTAINERS > "$work/maintainers.diff"
if grep -q '^-[^-]' "$work/maintainers.diff"; then
	die "build/linux/MAINTAINERS has lines removed or changed; only entries can be added there"
fi
{
	sed '/^[^#]/,$d' "$top/MAINTAINERS" | sed '/^$/d'
	sed -n 's/^+\([^+].*\)\{0,1\}$/\1/p' "$work/maintainers.diff" |
		awk 'BEGIN { RS = ""; FS = "\n" } { printf "\n%s\n", $0 }'
} > "$work/MAINTAINERS"

# No loss: all files but MAINTAINERS are in the tree that the patches give.
[ -z "${last[MAINTAINERS]:-}" ] || set_file "$final" MAINTAINERS
left=$(changed "$(klinux write-tree)" "$final")
[ -z "$left" ] || die "cannot bring this back: $(head -n 1 <<< "$left"); nothing was changed"
unset GIT_INDEX_FILE

# Replace. New files first, then the patches that list them.
new_files | while read -r file; do
	in_final "$file" || rm -f "$top/$file"
done
unset "adder[MAINTAINERS]"
for file in "${!adder[@]}"; do
	mkdir -p "$top/$(dirname "$file")"
	klinux cat-file blob "$final:$file" > "$work/blob"
	cmp -s "$work/blob" "$top/$file" || cat "$work/blob" > "$top/$file"
	case $(klinux ls-tree "$final" -- "$file") in
	100755*) chmod +x "$top/$file" ;;
	*) chmod -x "$top/$file" ;;
	esac
done
cat "$work/MAINTAINERS" > "$top/MAINTAINERS"
mkdir -p "$top/patches"
rm -f "$top"/patches/*.patch
cp "$work"/patches/*.patch "$top/patches/"

# Now the tree is what is here. Compose it again, and see.
klinux stash list > /dev/null
klinux update-ref refs/kho/before-refresh "$(klinux rev-parse HEAD)"
klinux tag -f composed HEAD > /dev/null
klinux config kho.composition refreshed
git -C "$linux" add --all
git -C "$linux" -c user.name=kho-lts -c user.email=kho-lts@localhost \
	-c commit.gpgSign=false -c core.hooksPath=/dev/null \
	commit -q --allow-empty -m "refreshed"
klinux tag -f composed HEAD > /dev/null
"$top/series/tree.sh"
[ "$(klinux rev-parse 'HEAD^{tree}')" = "$final" ] ||
	die "composing again gave another tree than was in build/linux, which is commit $(klinux rev-parse 'HEAD@{1}') there; please report this"
echo "$nr patches, $(new_files | wc -l) new files"
