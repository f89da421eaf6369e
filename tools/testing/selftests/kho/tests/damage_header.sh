# SPDX-License-Identifier: GPL-2.0-only
# The next kernel finds the root FDT damaged: its header, or its structure.

GROUP=header
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
