# SPDX-License-Identifier: GPL-2.0-only
# The next kernel finds the tree damaged: pointers to nodes, and nodes.

GROUP=nodes
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
