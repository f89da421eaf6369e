#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Find out whether KVM works here, for all guests of a check, and leave the name of QEMU's
# accelerator in build/accel.

set -eu
. "$(dirname "$0")/lib.sh"

"$linux/tools/testing/selftests/kho/vmtest.sh" -p -k "$(image x86_64-debug)" > "$build/accel"
cat "$build/accel"
