/* SPDX-License-Identifier: GPL-2.0-only */
#include "../../../../include/linux/kho_radix_tree.h"
