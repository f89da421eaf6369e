# SPDX-License-Identifier: GPL-2.0-only
# The next kernel finds a handover that is in order but for its checksum.

GROUP=checksum
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
