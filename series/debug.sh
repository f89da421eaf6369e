#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the scenarios of live update on the debug kernel: all that one kernel is enough for.
# "check" tries a few of them.

set -eu
. "$(dirname "$0")/lib.sh"

"$top/series/kernel.sh" x86_64-debug faults debug
run debug-programs "Building the programs of live update" luo_programs

mapfile -t all < <(cd "$linux/tools/testing/selftests/liveupdate/tests" && printf '%s\n' *.sh |
	sed 's/\.sh$//' | grep -vE '^(interop_.*|module|soak|systemd)$')
JOBS=$(nproc) "$top/series/scenario.sh" x86_64-debug liveupdate "${all[@]}"
