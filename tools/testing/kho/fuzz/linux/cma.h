/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/mm.h>

#define CMA_MIN_ALIGNMENT_BYTES	(PAGE_SIZE * pageblock_nr_pages)
