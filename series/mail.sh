#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Write the series as mails to build/series: a cover letter with diffstat and
# how it was tested, and one mail for each patch. SOB="Name <mail>" makes that
# person the author and adds the sign-off.

set -eu
. "$(dirname "$0")/lib.sh"

out=$build/series
rm -rf "$out"
mkdir -p "$out"

name=kho-lts mail=kho-lts@localhost signoff=()
if [ -n "${SOB:-}" ]; then
	[[ $SOB =~ ^([^<]+[^<\ ])\ +\<([^@>]+@[^>]+)\>$ ]] ||
		die "SOB='$SOB' is not of the form 'Name <mail>'"
	name=${BASH_REMATCH[1]} mail=${BASH_REMATCH[2]}
	signoff=(--signoff)
fi

base=$(klinux log -1 --format=%s base)
GIT_COMMITTER_NAME=$name GIT_COMMITTER_EMAIL=$mail \
	klinux format-patch -q --cover-letter --no-base --from="$name <$mail>" \
		--subject-prefix="PATCH 6.12" \
	"${signoff[@]}" --no-signature -o "$out" base..composed

# The author is who mails it, not who composed it.
[ -z "${SOB:-}" ] ||
	sed -i '/^From: kho-lts <kho-lts@localhost>$/,/^$/d' "$out"/*.patch

# How it was tested is what the last complete run of the tests has said.
tested() {
	local log=$logs/check.last
	if [ -f "$log" ] && [ "$(head -n 1 "$log")" = "$(klinux rev-parse composed)" ]; then
		sed 1d "$log"
	else
		echo "Not tested since its last change: run make -f Makefile.patches check."
	fi
}

{
	cat <<EOT
Kexec HandOver (KHO) lets memory survive a kexec: what the kernel or a driver
has preserved is still there, untouched, in the kernel that kexec -s starts.
This is an implementation for $base that speaks the handover ABI "kho-v4".

What differs from what there is elsewhere: early boot reserves what is
preserved before anything else needs memory and touches none of its struct
pages, all that was handed over is checked before it is used, and scratch
memory is sized by what booting takes, not by what is reserved for others.

How it was tested:

EOT
	tested
} > "$build/blurb"

perl -i -pe 'BEGIN { local $/; open F, "<", shift; $blurb = <F> }
	s/\*\*\* SUBJECT HERE \*\*\*/Kexec HandOver/;
	s/\*\*\* BLURB HERE \*\*\*\n/$blurb/' "$build/blurb" "$out"/0000-cover-letter.patch
rm "$build/blurb"

[ -n "${SOB:-}" ] || echo "no author and no sign-off: name them with SOB='Name <mail>' before mailing"
echo "$(find "$out" -name '*.patch' | wc -l) mails in ${out#"$top"/}"
