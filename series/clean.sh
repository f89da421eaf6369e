#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Remove build/, but not edits that are nowhere else.

set -eu
. "$(dirname "$0")/lib.sh"

if [ -d "$linux/.git" ] && klinux rev-parse -q --verify composed > /dev/null &&
	! "$top/series/edited.sh"; then
	die "build/linux has edits; run 'make -f Makefile.patches refresh' first, or remove build/ yourself"
fi

rm -rf "$build"
