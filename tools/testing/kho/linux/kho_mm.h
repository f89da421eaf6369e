/* SPDX-License-Identifier: GPL-2.0-only */
#include "../../../../include/linux/kho_mm.h"
