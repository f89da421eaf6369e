#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Run the scenarios of live update on a kernel with sanitizers: all that one kernel is
# enough for. "check" tries a few of them, on a kernel with assertions.

set -eu
. "$(dirname "$0")/lib.sh"

"$top/series/kernel.sh" x86_64-sanitize faults debug sanitize
run debug-programs "Building the programs of live update" luo_programs

mapfile -t all < <(cd "$linux/tools/testing/selftests/liveupdate/tests" && printf '%s\n' *.sh |
	sed 's/\.sh$//' | grep -vE '^(interop_.*|module|soak|systemd)$')
JOBS=$(nproc) "$top/series/scenario.sh" x86_64-sanitize liveupdate "${all[@]}"
