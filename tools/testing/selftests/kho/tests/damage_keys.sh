# SPDX-License-Identifier: GPL-2.0-only
# The next kernel finds keys in the tree that cannot be.

GROUP=keys
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
