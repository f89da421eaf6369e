/* SPDX-License-Identifier: GPL-2.0-only */
#include "../../../../include/linux/min_heap.h"
