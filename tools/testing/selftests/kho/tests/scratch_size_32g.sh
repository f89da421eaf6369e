# SPDX-License-Identifier: GPL-2.0-only
# The size of scratch with 32G of RAM.

MEM=32G
LIMIT=64
# shellcheck source=guest/scratch_size.sh
. "$KHO_LIB/scratch_size.sh"
