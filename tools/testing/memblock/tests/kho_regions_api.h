/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _MEMBLOCK_KHO_REGIONS_H
#define _MEMBLOCK_KHO_REGIONS_H

#include "common.h"

int memblock_kho_regions_checks(void);

#endif
