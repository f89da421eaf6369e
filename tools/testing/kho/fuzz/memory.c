// SPDX-License-Identifier: GPL-2.0-only
/*
 * Physical memory, what firmware says about it, and what memblock makes of that.
 *
 * Who follows an address that is not in the direct map faults, as in the kernel.
 * What early_memremap() maps is a copy on the heap, so that AddressSanitizer sees
 * each byte that is read beyond its end.
 */

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

#include "fuzz.h"

phys_addr_t mem_base;
unsigned long mem_end;
u8 mem_flags[MEM_PAGES];
unsigned long mem_nr_lookups;

#define MAX_REGIONS	128

static char *arena;

/* What memblock knew before the handover was looked at. */
static struct snapshot {
	struct memblock_region regions[MAX_REGIONS];
	unsigned long cnt;
} memory_before, reserved_before;

static void *mapped;
static phys_addr_t mapped_phys;

void mem_init(void)
{
	arena = mmap(NULL, PFN_PHYS(MEM_PAGES), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		FAIL("no memory");
	madvise(arena, PFN_PHYS(MEM_PAGES), MADV_NOHUGEPAGE);
}

void *mem_virt(unsigned long page)
{
	EXPECT(page < MEM_PAGES);
	return arena + PFN_PHYS(page);
}

bool mem_is(unsigned long page, unsigned long nr_pages, u8 mask, u8 flags)
{
	if (page >= MEM_PAGES || nr_pages > MEM_PAGES - page)
		return false;

	for (; nr_pages; page++, nr_pages--) {
		if ((mem_flags[page] & mask) != flags)
			return false;
	}

	return true;
}

static bool in_direct_map(unsigned long page)
{
	return page < MEM_PAGES &&
	       (mem_flags[page] & (PAGE_RAM | PAGE_NOMAP)) == PAGE_RAM;
}

void *phys_to_virt(phys_addr_t phys)
{
	unsigned long page = phys_page(phys);

	mem_nr_lookups++;
	if (in_direct_map(page))
		return arena + (phys - mem_base);

	/* No such address, on any machine. */
	return (void *)((phys & ~0UL >> 16) | 1UL << 63);
}

phys_addr_t virt_to_phys(const void *virt)
{
	unsigned long offset = (unsigned long)virt - (unsigned long)arena;

	if (offset >= PFN_PHYS(MEM_PAGES))
		FAIL("%p is not in the direct map", virt);

	return mem_base + offset;
}

bool pfn_valid(unsigned long pfn)
{
	unsigned long page = phys_page(PFN_PHYS(pfn));

	return page < MEM_PAGES && mem_flags[page] & PAGE_RAM;
}

void *early_memremap(phys_addr_t phys, unsigned long size)
{
	unsigned long page = phys_page(phys);
	unsigned long nr_pages = PFN_UP((phys & (PAGE_SIZE - 1)) + size);

	EXPECT(!mapped);
	if (!size || !mem_is(page, nr_pages, PAGE_RAM, PAGE_RAM))
		FAIL("mapped %#lx bytes at %#llx", size, (unsigned long long)phys);

	mapped = malloc(size);
	mapped_phys = phys;
	memcpy(mapped, arena + (phys - mem_base), size);
	return mapped;
}

void early_memunmap(void *virt, unsigned long size)
{
	EXPECT(virt && virt == mapped);
	if (memcmp(mapped, arena + (mapped_phys - mem_base), size))
		FAIL("what was mapped at %#llx has been changed",
		     (unsigned long long)mapped_phys);

	free(mapped);
	mapped = NULL;
}

static void set_flags(unsigned long page, unsigned long nr_pages, u8 flags)
{
	EXPECT(page <= MEM_PAGES && nr_pages <= MEM_PAGES - page);
	for (; nr_pages; page++, nr_pages--)
		mem_flags[page] |= flags;
}

/* Nothing when there are many already: they are few in early boot. */
void mem_reserve(unsigned long page, unsigned long nr_pages)
{
	if (memblock.reserved.cnt > MAX_REGIONS / 2)
		return;

	set_flags(page, nr_pages, PAGE_RESERVED);
	memblock_reserve(page_phys(page), PFN_PHYS(nr_pages));
}

void mem_add_ram(unsigned long page, unsigned long end)
{
	set_flags(page, end - page, PAGE_RAM);
	memblock_add(page_phys(page), PFN_PHYS(end - page));
}

/* No RAM yet: pages of it will be from @base on, and before page @end. */
void mem_reset(phys_addr_t base, unsigned long end)
{
	memset(mem_flags, 0, sizeof(mem_flags));
	fuzz_reset_memblock();
	mem_base = base;
	mem_end = end;
}

/*
 * Make memory. What there is in it is at fixed places, so that the same input
 * means much the same in another layout.
 */
void mem_begin(struct input *in)
{
	static const phys_addr_t bases[] = {
		0, SZ_4G - SZ_128M, SZ_16M, 16ULL * SZ_1G,
	};
	static const unsigned long sizes[] = {
		16384, 65536, 24576, 40000, 32768, 49152, 17001, 65535,
	};
	u64 choice = take(in, 2);
	unsigned long first = choice & BIT(0) ? 17 : 0;
	unsigned long hole_end = MEM_HOLE + 1 + (choice >> 8);

	madvise(arena, PFN_PHYS(MEM_PAGES), MADV_DONTNEED);
	mem_reset(bases[choice >> 1 & 3], sizes[choice >> 3 & 7]);

	if (choice & BIT(6)) {
		mem_add_ram(first, MEM_HOLE);
		mem_add_ram(hole_end, mem_end);
	} else {
		mem_add_ram(first, mem_end);
	}

	if (choice & BIT(7)) {
		set_flags(MEM_NOMAP, 1 + (choice >> 10), PAGE_NOMAP);
		memblock_mark_nomap(page_phys(MEM_NOMAP),
				    PFN_PHYS(1 + (choice >> 10)));
	}

	mem_reserve(MEM_IMAGE, MEM_IMAGE_PAGES);
	mem_reserve(MEM_FIRMWARE, 1 + (choice & 3));
	if (choice & BIT(8))
		mem_reserve(mem_end - 3, 3);
	if (choice & BIT(9))
		mem_reserve(first, 2);
}

static void note(struct snapshot *snapshot, const struct memblock_type *type)
{
	EXPECT(type->cnt <= ARRAY_SIZE(snapshot->regions));
	snapshot->cnt = type->cnt;
	memcpy(snapshot->regions, type->regions, type->cnt * sizeof(*type->regions));
}

void mem_note(void)
{
	note(&memory_before, &memblock.memory);
	note(&reserved_before, &memblock.reserved);
}

static void expect_same(const struct snapshot *snapshot,
			const struct memblock_type *type)
{
	const struct memblock_region *before, *now;
	unsigned long i;

	if (type->cnt != snapshot->cnt)
		FAIL("%lu %s regions are left behind, not %lu", type->cnt,
		     type->name, snapshot->cnt);

	for (i = 0; i < snapshot->cnt; i++) {
		before = &snapshot->regions[i];
		now = &type->regions[i];
		if (before->base != now->base || before->size != now->size ||
		    before->flags != now->flags)
			FAIL("%s region at %#llx is changed", type->name,
			     (unsigned long long)now->base);
	}
}

/* Memblock never lets go of a larger array of regions. That is no trace of KHO. */
static void free_regions(struct memblock_type *type)
{
	if (fuzz_memblock_grown(type))
		memblock_phys_free(virt_to_phys(type->regions),
				   PAGE_ALIGN(type->max * sizeof(*type->regions)));
}

void mem_expect_unmapped(void)
{
	if (mapped)
		FAIL("what was mapped at %#llx still is",
		     (unsigned long long)mapped_phys);
}

void mem_expect_unchanged(void)
{
	EXPECT(!fuzz_memblock_restricted());
	free_regions(&memblock.memory);
	free_regions(&memblock.reserved);
	expect_same(&memory_before, &memblock.memory);
	expect_same(&reserved_before, &memblock.reserved);
}
