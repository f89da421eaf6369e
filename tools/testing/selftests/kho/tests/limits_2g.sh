# SPDX-License-Identifier: GPL-2.0-only
# Limits of a kernel that took over most of 2 GiB.

MEM=2G
# shellcheck source=guest/limits.sh
. "$KHO_LIB/limits.sh"
