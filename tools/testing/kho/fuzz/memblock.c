// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real mm/memblock.c, and a way to begin with it anew.
 */

#define pr_fmt(fmt) fmt

#include <linux/ctype.h>
#include <linux/mm.h>

/* For what nobody calls. */
#define GFP_NOWAIT			0
#define dump_stack()			do { } while (0)
struct page { char unused; };

/* What it needs of mm/internal.h. */
#define __MM_INTERNAL_H
#define mirrored_kernelcore		false
#define pr_warn_ratelimited(...)	shim_printk(__VA_ARGS__)

static inline void accept_memory(phys_addr_t start, unsigned long size)
{
}

static inline void memblock_free_pages(struct page *page, unsigned long pfn,
				       unsigned int order)
{
}

#include "../../../../mm/memblock.c"
#include "fuzz.h"

void fuzz_reset_memblock(void)
{
	memset(memblock_memory_init_regions, 0, sizeof(memblock_memory_init_regions));
	memset(memblock_reserved_init_regions, 0,
	       sizeof(memblock_reserved_init_regions));

	memblock.memory.regions = memblock_memory_init_regions;
	memblock.memory.cnt = 0;
	memblock.memory.max = INIT_MEMBLOCK_MEMORY_REGIONS;
	memblock.memory.total_size = 0;
	memblock.reserved.regions = memblock_reserved_init_regions;
	memblock.reserved.cnt = 0;
	memblock.reserved.max = INIT_MEMBLOCK_RESERVED_REGIONS;
	memblock.reserved.total_size = 0;

	memblock.bottom_up = false;
	memblock.current_limit = MEMBLOCK_ALLOC_ANYWHERE;
	memblock_can_resize = 1;
	kho_scratch_only = false;
	alloc_payload = false;
}

bool fuzz_memblock_grown(const struct memblock_type *type)
{
	return type->regions != memblock_memory_init_regions &&
	       type->regions != memblock_reserved_init_regions;
}

bool fuzz_memblock_restricted(void)
{
	return kho_scratch_only || alloc_payload;
}
