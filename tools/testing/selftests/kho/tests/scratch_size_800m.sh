# SPDX-License-Identifier: GPL-2.0-only
# The size of scratch with 800M of RAM.

MEM=800M
LIMIT=56
# shellcheck source=guest/scratch_size.sh
. "$KHO_LIB/scratch_size.sh"
