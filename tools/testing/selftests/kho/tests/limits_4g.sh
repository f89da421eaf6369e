# SPDX-License-Identifier: GPL-2.0-only
# Limits of a kernel that took over most of 4 GiB, of which 1 GiB is above 4 GiB.

MEM=4G
# shellcheck source=guest/limits.sh
. "$KHO_LIB/limits.sh"
