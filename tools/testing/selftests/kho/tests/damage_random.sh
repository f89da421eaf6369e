# SPDX-License-Identifier: GPL-2.0-only
# What is handed over is damaged at random: whatever the next kernel makes of it, no
# harm is done. KHO_ROUNDS is how often, up to 200; KHO_SEED repeats what the log says.

GROUP=random
KINDS=$(seq "${KHO_ROUNDS:-4}" | sed 's/.*/random/' | tr '\n' ' ')
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
