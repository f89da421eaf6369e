/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MEMBLOCK_RESERVE_RANGES_H
#define _MEMBLOCK_RESERVE_RANGES_H

#include "common.h"

int memblock_reserve_ranges_checks(void);

#endif
