# SPDX-License-Identifier: GPL-2.0-only
# One kind of damage of each group: the one that the next kernel finds last, when it
# has noted or allocated most. The tests damage_* have all kinds in guests, and
# "make -C tools/testing/kho damage-run" tries them in user space.

KINDS="fine-nothing no-end size-too-large leaf-in-block"
KINDS="$KINDS fdt-not-preserved area-on-block leaf-bit-on random"
# shellcheck source=guest/damage.sh
. "$KHO_LIB/damage.sh"
