// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct pages of memory that Kexec HandOver preserves.
 *
 * From early boot on the memory is reserved, and as long as nobody has
 * restored it, each of its pages is PageReserved with a refcount of 1.
 *
 * With CONFIG_DEFERRED_STRUCT_PAGE_INIT most struct pages are not initialized
 * when the page allocator starts. Those of preserved memory wait even longer,
 * until kho_init_pages_late(), so that booting does not take longer the more
 * is preserved; who restores memory earlier has it initialized then. Only what
 * the page allocator looks at when it frees a neighbour must be valid at once;
 * see kho_noinit_range().
 */

#include <linux/cma.h>
#include <linux/kho_mm.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/pgalloc_tag.h>
#include <linux/sched.h>
#include <linux/xarray.h>

#include "internal.h"

/**
 * kho_noinit_range - which part of a preserved range may stay uninitialized
 * @start: physical address of the first byte; set to that of the part
 * @end: physical address after the last byte; set to that of the part
 *
 * Freeing a page looks at its buddies, and thus at any page in the same
 * naturally aligned block of MAX_ORDER_NR_PAGES. A stale struct page of the
 * previous kernel could pass for a free one there. So only blocks of that size
 * that are preserved as a whole may be left for later.
 *
 * Return: false when there is no such part.
 */
bool __init kho_noinit_range(phys_addr_t *start, phys_addr_t *end)
{
	phys_addr_t block = PFN_PHYS(MAX_ORDER_NR_PAGES);

	if (!IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT))
		return false;

	*start = round_up(*start, block);
	*end = round_down(*end, block);

	return *start < *end;
}

/* The zone that @pfn belongs to, NULL when memblock knows no node for it. */
static struct zone *zone_of_pfn(int nid, unsigned long pfn)
{
	struct zone *zone, *end;

	if (!numa_valid_node(nid))
		return NULL;

	zone = NODE_DATA(nid)->node_zones;
	for (end = zone + MAX_NR_ZONES; zone < end; zone++) {
		if (zone_spans_pfn(zone, pfn))
			return zone;
	}

	return NULL;
}

/*
 * Initialize struct pages as reserved, zone by zone, the zone being looked up
 * once for each. The range may cross zones and nodes. Pages that are in no zone
 * were initialized as a hole by the generic code.
 */
static void __ref init_pages(unsigned long pfn, unsigned long end_pfn)
{
	unsigned long region_start, region_end, stop_pfn;
	struct zone *zone;
	int nid;

	while (pfn < end_pfn) {
		nid = memblock_search_pfn_nid(pfn, &region_start, &region_end);
		if (nid == NUMA_NO_NODE)
			region_end = end_pfn;

		zone = zone_of_pfn(nid, pfn);
		stop_pfn = min(end_pfn, region_end);
		if (!zone) {
			pfn = stop_pfn;
			continue;
		}

		stop_pfn = min(stop_pfn, zone_end_pfn(zone));
		for (; pfn < stop_pfn; pfn++) {
			__init_single_page(pfn_to_page(pfn), pfn,
					   zone_idx(zone), nid);
			__SetPageReserved(pfn_to_page(pfn));
		}
	}
}

/*
 * Pageblocks that are preserved as a whole were passed over when pageblocks got
 * their type. They have no free pages yet.
 */
static void init_pageblocks(unsigned long pfn, unsigned long end_pfn)
{
	pfn = pageblock_align(pfn);
	for (; pfn + pageblock_nr_pages <= end_pfn; pfn += pageblock_nr_pages)
		set_pageblock_migratetype(pfn_to_page(pfn), MIGRATE_MOVABLE);
}

/* Blocks of MAX_ORDER_NR_PAGES that were initialized before all the others. */
static DEFINE_XARRAY(early_blocks);

/* Whether the pages of a block were left uninitialized by kho_noinit_range(). */
static bool __ref block_is_noinit(unsigned long pfn)
{
	phys_addr_t phys = PFN_PHYS(pfn);
	struct memblock_region *region;

	for_each_reserved_mem_region(region) {
		if (phys < region->base)
			break;
		if (phys - region->base < region->size)
			return memblock_is_reserved_noinit(region);
	}

	return false;
}

/**
 * kho_init_pages_early - initialize struct pages before all the others
 * @pfn: the first page
 * @end_pfn: the page after the last
 *
 * For who restores memory before kho_init_pages_late(). Who gets a page may
 * free it, and then its buddies must be valid. So whole blocks of
 * MAX_ORDER_NR_PAGES are initialized, the first time that any of their pages
 * is asked for.
 *
 * Context: Before memblock is discarded in page_alloc_init_late(), with
 *	    kho_pages_early_lock() held; may sleep.
 * Return: 0, or -ENOMEM.
 */
int kho_init_pages_early(unsigned long pfn, unsigned long end_pfn)
{
	unsigned long block;
	int err;

	/* The generic code has initialized all pages. */
	if (!IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT))
		return 0;

	pfn = round_down(pfn, MAX_ORDER_NR_PAGES);
	for (; pfn < end_pfn; pfn += MAX_ORDER_NR_PAGES) {
		block = pfn / MAX_ORDER_NR_PAGES;
		if (xa_load(&early_blocks, block) || !block_is_noinit(pfn))
			continue;

		err = xa_err(xa_store(&early_blocks, block, xa_mk_value(1),
				      GFP_KERNEL));
		if (err)
			return err;

		init_pages(pfn, pfn + MAX_ORDER_NR_PAGES);
		init_pageblocks(pfn, pfn + MAX_ORDER_NR_PAGES);
	}

	return 0;
}

static void __init init_range_late(unsigned long pfn, unsigned long end_pfn)
{
	unsigned long stop_pfn;

	for (; pfn < end_pfn; pfn = stop_pfn) {
		stop_pfn = min(SECTION_ALIGN_UP(pfn + 1), end_pfn);
		init_pages(pfn, stop_pfn);
		cond_resched();
	}
}

static void __init init_pageblocks_late(unsigned long pfn, unsigned long end_pfn)
{
	init_pageblocks(pfn, end_pfn);
	cond_resched();
}

/* Show scratch as what it is: memory for movable pages, like CMA areas. */
static int __init account_scratch(void)
{
	unsigned long pfn, end_pfn;
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++) {
		pfn = pageblock_start_pfn(PHYS_PFN(kho_scratch[i].addr));
		end_pfn = PHYS_PFN(kho_scratch[i].addr + kho_scratch[i].size);
		for (; pfn < end_pfn; pfn += pageblock_nr_pages) {
			page_zone(pfn_to_page(pfn))->cma_pages += pageblock_nr_pages;
			totalcma_pages += pageblock_nr_pages;
		}
	}

	return 0;
}
core_initcall(account_scratch);

/**
 * kho_init_pages_late - initialize what is preserved and not yet restored
 *
 * Context: page_alloc_init_late(), after deferred initialization and before
 *	    memblock is discarded.
 */
void __init kho_init_pages_late(void)
{
	if (!kho_preserved_begin())
		return;

	if (IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT)) {
		kho_preserved_for_each(init_range_late);
		kho_preserved_for_each(init_pageblocks_late);
	}

	xa_destroy(&early_blocks);
	kho_preserved_end();
}

static bool __init early_page_initialized(unsigned long pfn)
{
#ifdef CONFIG_DEFERRED_STRUCT_PAGE_INIT
	return pfn < NODE_DATA(early_pfn_to_nid(pfn))->first_deferred_pfn;
#else
	return true;
#endif
}

/**
 * kho_init_scratch_pageblocks - make a new scratch area MIGRATE_CMA
 * @pfn: the first page, aligned to a pageblock
 * @end_pfn: the page after the last
 *
 * Only for pageblocks that have got their type before the area was known. The
 * others get theirs from kho_pageblock_migratetype().
 *
 * Context: Before any page of the area is free in the page allocator.
 */
void __init kho_init_scratch_pageblocks(unsigned long pfn, unsigned long end_pfn)
{
	for (; pfn < end_pfn; pfn += pageblock_nr_pages) {
		if (early_page_initialized(pfn))
			set_pageblock_migratetype(pfn_to_page(pfn), MIGRATE_CMA);
	}
}

/**
 * kho_release_folio - make a folio of reserved pages
 * @page: the first page
 * @order: order of the folio
 *
 * The folio has a refcount of 1, and its pages count as managed from now on.
 *
 * Context: The caller owns the pages, which are initialized and reserved.
 */
void kho_release_folio(struct page *page, unsigned int order)
{
	unsigned long i, nr_pages = 1UL << order;

	for (i = 0; i < nr_pages; i++) {
		__ClearPageReserved(page + i);
		set_page_count(page + i, 0);
		clear_page_tag_ref(page + i);
	}

	if (order) {
		prep_compound_page(page, order);
		page_rmappable_folio(page);
	}

	set_page_refcounted(page);
	adjust_managed_page_count(page, nr_pages);
}

/**
 * kho_release_pages - turn reserved pages into order-0 pages
 * @page: the first page
 * @nr_pages: number of pages; may cross zones and nodes
 *
 * Each page has a refcount of 1 and counts as managed from now on.
 *
 * Context: The caller owns the pages, which are initialized and reserved.
 */
void kho_release_pages(struct page *page, unsigned long nr_pages)
{
	struct page *end = page + nr_pages, *first = page;

	for (; page < end; page++) {
		__ClearPageReserved(page);
		clear_page_tag_ref(page);

		if (page_zone(page) != page_zone(first)) {
			adjust_managed_page_count(first, page - first);
			first = page;
		}
	}

	adjust_managed_page_count(first, page - first);
}
