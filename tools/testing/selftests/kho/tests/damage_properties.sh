# SPDX-License-Identifier: GPL-2.0-only
# The next kernel finds the properties of the root FDT damaged, or what they say.

GROUP=properties
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
