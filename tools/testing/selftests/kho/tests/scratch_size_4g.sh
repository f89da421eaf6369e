# SPDX-License-Identifier: GPL-2.0-only
# The size of scratch with 4G of RAM.

MEM=4G
LIMIT=56
# shellcheck source=guest/scratch_size.sh
. "$KHO_LIB/scratch_size.sh"
