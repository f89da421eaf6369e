#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Build the programs of live update, and those that test it, into build/liveupdate.

set -eu
. "$(dirname "$0")/lib.sh"

luo_programs
