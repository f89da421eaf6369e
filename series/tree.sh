#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Compose base, patches and new files into build/linux: a git repository with
# the base as its first commit, tagged "base", and one commit per patch on top,
# the last one tagged "composed". Done again only when something has changed,
# and then only the files that differ are written, so that make rebuilds little.

set -eu
. "$(dirname "$0")/lib.sh"

package=/usr/src/linux-source-6.12.tar.xz
source=${KSRC:-$package}

# What identifies the base, without reading all of it.
base_id() {
	if [ -d "$source" ]; then
		echo "dir $(realpath "$source") $(stat -c %Y "$source/Makefile") $(git -C "$source" rev-parse HEAD 2>/dev/null || true)"
	else
		echo "tar $(realpath "$source") $(stat -c '%s %Y' "$source")"
	fi
}

check_source() {
	[ -e "$source" ] ||
		die "no kernel source at $source; install linux-source-6.12, or name a 6.12.y directory or tarball with KSRC="
	[ ! -d "$source" ] || check_tree "$source"
}

# Is there an unpatched 6.12.y in directory $1?
check_tree() {
	local version

	if [ ! -f "$1/Makefile" ] || [ ! -f "$1/mm/memblock.c" ]; then
		die "$source is not a kernel tree; KSRC= takes a 6.12.y directory or tarball"
	fi
	version=$(sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p' "$1/Makefile" | paste -sd.)
	[ "$version" = 6.12 ] ||
		die "$source is Linux $version; KSRC= takes a 6.12.y directory or tarball"
	[ ! -e "$1/kernel/liveupdate" ] ||
		die "$source has kernel/liveupdate, it is already patched; KSRC= takes an unpatched 6.12.y"
}

unpack() {
	local new=$build/linux.new

	rm -rf "$new"
	mkdir -p "$new"
	if [ -d "$source" ]; then
		rsync -a --exclude=.git "$source/" "$new/"
	else
		tar -xf "$source" -C "$new" --strip-components=1
	fi

	# Debian's package has git ignore all files that it does not know.
	sed -i '/^# Debian packaging: ignore everything/,$d' "$new/.gitignore"
}

commit_base() {
	local new=$build/linux.new version

	version=$(sed -n 's/^VERSION = //p; s/^PATCHLEVEL = //p; s/^SUBLEVEL = //p' \
		"$new/Makefile" | paste -sd.)
	git -C "$new" init -q -b series
	git -C "$new" config gc.auto 0
	# Straight into one pack, instead of a file for each of 80,000 objects.
	git -C "$new" -c core.bigFileThreshold=1 -c core.compression=1 -c core.fsync=none \
		add --all --force .
	commit_env git -C "$new" -c commit.gpgSign=false -c core.hooksPath=/dev/null \
		-c core.fsync=none commit -q -m "Linux $version"
	git -C "$new" tag base
	git -C "$new" config kho.base "$(base_id)"
	rm -rf "$linux"
	mv "$new" "$linux"
}

# Authors and dates do not matter here, but are the same each time.
commit_env() {
	GIT_AUTHOR_NAME=kho-lts GIT_AUTHOR_EMAIL=kho-lts@localhost \
	GIT_COMMITTER_NAME=kho-lts GIT_COMMITTER_EMAIL=kho-lts@localhost \
	GIT_AUTHOR_DATE="2024-11-17T22:15:08Z" \
	GIT_COMMITTER_DATE="2024-11-17T22:15:08Z" "$@"
}

# Everything that decides what the tree is.
composition_id() {
	{
		klinux rev-parse base
		cd "$top"
		sha256sum series/tree.sh series/merge-maintainers.awk MAINTAINERS patches/*.patch
		new_files | xargs -d '\n' sha256sum
		new_files | xargs -d '\n' stat -c %a
	} | sha256sum | cut -d' ' -f1
}

# Nobody lists a file twice, and all that are listed are there, and vice versa.
check_new_files() {
	local listed twice

	listed=$(for patch in "$top"/patches/*.patch; do patch_new_files "$patch"; done |
		grep -vx MAINTAINERS | sort)
	twice=$(uniq -d <<< "$listed" | head -n 1)
	[ -z "$twice" ] || die "two patches list $twice as a new file; remove one of the lines"
	diff <(echo "$listed") <(new_files) > "$logs/new-files.diff" || {
		sed -n 's/^< \(.*\)/\1 is listed in a patch but is not there/p
			s/^> \(.*\)/\1 is not listed in any patch/p' "$logs/new-files.diff" |
			head -n 1 | { read -r line; die "$line; add or remove its New-file line"; }
	}
}

# new_entries PATCH: the files that a patch names, as "git update-index" takes them
new_entries() {
	local -a files
	local there

	mapfile -t files < <(patch_new_files "$1" | grep -vx MAINTAINERS)
	if [ ${#files[@]} -gt 0 ]; then
		there=$(klinux ls-tree --name-only base -- "${files[@]}" | head -n 1)
		[ -z "$there" ] ||
			die "$there is new here but exists in this $(klinux log -1 --format=%s base); use another 6.12.y"
		(cd "$top" && stat -c %A "${files[@]}") | sed 's/^...x.*/100755/; t; s/.*/100644/' |
			paste -d ' ' - <(printf "$top/%s\n" "${files[@]}" |
				klinux hash-object -w --no-filters --stdin-paths) |
			paste - <(printf '%s\n' "${files[@]}")
	fi
	! patch_new_files "$1" | grep -qx MAINTAINERS ||
		printf '100644 %s\tMAINTAINERS\n' "$(klinux cat-file blob base:MAINTAINERS |
			awk -f "$top/series/merge-maintainers.awk" "$top/MAINTAINERS" - |
			klinux hash-object -w --stdin)"
}

# One commit for one patch, on top of $1. Prints its name.
commit_patch() {
	local parent=$1 patch=$2

	if [ -n "$(patch_diff "$patch" | head -c 1)" ]; then
		patch_diff "$patch" | klinux apply --cached --whitespace=nowarn - \
			2> "$logs/apply.log" ||
			die "$(basename "$patch") does not apply to this $(klinux log -1 --format=%s base): $(head -n 1 "$logs/apply.log"); use another 6.12.y, or mend the patch"
	fi

	# One call for all files: each writes the whole index, with its 80,000 entries.
	new_entries "$patch" > "$logs/new-entries" || exit 1
	klinux update-index --add --index-info < "$logs/new-entries"

	patch_message "$patch" |
		commit_env klinux commit-tree "$(klinux write-tree)" -p "$parent"
}

# Called where set -e does not hold.
compose() {
	local head patch

	export GIT_INDEX_FILE=$linux/.git/index.compose
	rm -f "$GIT_INDEX_FILE"
	klinux read-tree base || return 1
	head=$(klinux rev-parse base)
	for patch in "$top"/patches/*.patch; do
		head=$(commit_patch "$head" "$patch") || return 1
	done
	rm -f "$GIT_INDEX_FILE"
	unset GIT_INDEX_FILE

	# What an interrupt leaves from here on is not an edit.
	klinux config kho.composing true &&
		klinux reset -q --hard "$head" &&
		klinux tag -f composed > /dev/null &&
		klinux config kho.composition "$1" &&
		klinux config --unset kho.composing
}

# Would composing lose something? Not what a composition left half done.
refuse_edits() {
	if klinux rev-parse -q --verify composed > /dev/null &&
		[ -z "$(klinux config kho.composing || true)" ] &&
		! "$top/series/edited.sh"; then
		die "build/linux has edits; run 'make -f Makefile.patches refresh' first, or remove build/linux"
	fi
	rm -f "$linux/.git/index.lock"
}

check_source
if [ ! -d "$linux/.git" ] || [ "$(klinux config kho.base || true)" != "$(base_id)" ]; then
	[ ! -d "$linux/.git" ] || refuse_edits
	run unpack "Unpacking $(basename "$source")" unpack 2> /dev/null ||
		die "$source cannot be unpacked; KSRC= takes a 6.12.y directory or tarball; see build/logs/unpack.log"
	check_tree "$build/linux.new"
	run base "Committing the base" commit_base
fi

check_new_files
id=$(composition_id)
if [ "$(klinux config kho.composition || true)" != "$id" ]; then
	refuse_edits
	# What is wrong with a patch is said in one line, the last of the log.
	run compose "Composing $(find "$top/patches" -name '*.patch' | wc -l) patches" \
		compose "$id" 2> /dev/null || {
		tail -n 1 "$logs/compose.log" >&2
		exit 1
	}
fi
