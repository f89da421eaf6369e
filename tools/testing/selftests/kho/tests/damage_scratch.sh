# SPDX-License-Identifier: GPL-2.0-only
# The next kernel finds the array of scratch areas damaged, or is told wrong where it is,
# and where the FDT.

GROUP=scratch
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
