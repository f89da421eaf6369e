#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Exit status 0 when build/linux is as it was composed, 1 when it was edited.

set -eu
. "$(dirname "$0")/lib.sh"

[ "$(klinux rev-parse HEAD)" = "$(klinux rev-parse -q --verify composed)" ] &&
	[ -z "$(klinux status --porcelain)" ]
