// SPDX-License-Identifier: GPL-2.0-only
/*
 * struct pages of memory that Kexec HandOver preserves.
 *
 * As long as nobody has restored it, each page is PageReserved, and its mapping is
 * %PAGE_MAPPING_ANON, without an anon_vma. Nobody looks at the mapping of a reserved page,
 * but makedumpfile takes the page for user data: a dump of a crashed kernel that leaves out
 * user data leaves out memory that this kernel does not use, and most of which is user data
 * of the previous one.
 *
 * What is preserved lies in blocks that are held: see kernel/liveupdate/kho_hold.c.
 * Opening a block initializes its struct pages, and gives those that are neither
 * preserved nor reserved to the page allocator. All blocks are opened in
 * page_alloc_init_late(), by all CPUs, or before that when somebody restores memory
 * in them. With CONFIG_DEFERRED_STRUCT_PAGE_INIT that is the first time that their
 * struct pages are touched, so that booting does not take longer the more is
 * preserved. Without, the generic code has initialized them with all others.
 */

#include <linux/cma.h>
#include <linux/hugetlb.h>
#include <linux/kho_mm.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/page_ext.h>
#include <linux/pgalloc_tag.h>
#include <linux/sched.h>
#include <linux/swap.h>

#include "internal.h"

/* Whether struct pages of held blocks were left uninitialized. */
static bool pages_deferred;

/**
 * kho_defer_pages - leave the struct pages of a memory region for later?
 * @pfn: first page of the region, or of the part in one zone
 *
 * Memory regions consist of held blocks, or have none. As for other pages,
 * nothing is left for later when early users of page_ext want all of them.
 *
 * Return: true when kho_init_pages_late() will initialize them.
 */
bool __init kho_defer_pages(unsigned long pfn)
{
	if (!IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT) ||
	    early_page_ext_enabled() || !kho_page_held(pfn))
		return false;

	pages_deferred = true;
	return true;
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

/* Call a function for each part of a block that is RAM, in one zone. */
typedef void part_fn(struct zone *zone, unsigned long pfn,
		     unsigned long end_pfn, unsigned long *keep);

static void __ref visit_parts(unsigned long pfn, part_fn *fn, unsigned long *keep)
{
	unsigned long end_pfn = pfn + MAX_ORDER_NR_PAGES, region_start, stop_pfn;
	struct zone *zone;
	int nid;

	while (pfn < end_pfn) {
		nid = memblock_search_pfn_nid(pfn, &region_start, &stop_pfn);
		zone = zone_of_pfn(nid, pfn);
		if (!zone || stop_pfn <= pfn) {
			/* A hole, which the generic code has seen to. */
			pfn++;
			continue;
		}

		stop_pfn = min3(stop_pfn, end_pfn, zone_end_pfn(zone));
		fn(zone, pfn, stop_pfn, keep);
		pfn = stop_pfn;
	}
}

static unsigned long in_block(unsigned long pfn)
{
	return pfn % MAX_ORDER_NR_PAGES;
}

static void init_pageblocks(unsigned long pfn, unsigned long end_pfn)
{
	for (pfn = pageblock_align(pfn); pfn < end_pfn; pfn += pageblock_nr_pages)
		kho_init_reserved_pageblock(pfn_to_page(pfn), pfn);
}

static void __ref init_struct_pages(struct zone *zone, unsigned long pfn,
				    unsigned long end_pfn, unsigned long *unused)
{
	int nid = zone_to_nid(zone), zid = zone_idx(zone);
	unsigned long start_pfn = pfn;
	struct page *page = pfn_to_page(pfn);

	for (; pfn < end_pfn; pfn++, page++)
		__init_single_page(page, pfn, zid, nid);
	init_pageblocks(start_pfn, end_pfn);
}

/*
 * Of a block in which all is preserved, and nobody has claimed any. The struct pages are equal,
 * as they do not say which section a page is in, or it is the same one.
 */
static void __ref init_unclaimed(struct zone *zone, unsigned long pfn,
				 unsigned long end_pfn, unsigned long *unused)
{
	struct page *first = pfn_to_page(pfn), *page;

	__init_single_page(first, pfn, zone_idx(zone), zone_to_nid(zone));
	__SetPageReserved(first);
	first->mapping = (void *)PAGE_MAPPING_ANON;
	for (page = first + 1; page < first + (end_pfn - pfn); page++) {
		*page = *first;
		INIT_LIST_HEAD(&page->lru);
	}
	init_pageblocks(pfn, end_pfn);
}

/* What is kept becomes reserved. */
static void keep_part(struct zone *zone, unsigned long pfn,
		      unsigned long end_pfn, unsigned long *keep)
{
	unsigned long block = pfn - in_block(pfn), bit = in_block(pfn);

	for_each_set_bit_from(bit, keep, end_pfn - block)
		__SetPageReserved(pfn_to_page(block + bit));
}

/* What is preserved, and nobody has claimed. The struct pages are initialized. */
static void mark_part(struct zone *zone, unsigned long pfn,
		      unsigned long end_pfn, unsigned long *unclaimed)
{
	unsigned long block = pfn - in_block(pfn), bit = in_block(pfn);

	for_each_set_bit_from(bit, unclaimed, end_pfn - block)
		pfn_to_page(block + bit)->mapping = (void *)PAGE_MAPPING_ANON;
}

/**
 * kho_clear_unclaimed - let reserved pages be what they would be without a handover
 * @page: the first page
 * @nr_pages: number of pages
 *
 * Not needed before kho_release_folio() or kho_release_pages().
 *
 * Context: The caller owns the pages, which are initialized.
 */
void kho_clear_unclaimed(struct page *page, unsigned long nr_pages)
{
	struct page *end = page + nr_pages;

	for (; page < end; page++)
		page->mapping = NULL;
}

static void __ref free_pages_of_part(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int order;

	totalram_pages_add(nr_pages);
	while (nr_pages) {
		order = min_t(unsigned int, ilog2(nr_pages), MAX_PAGE_ORDER);
		if (pfn)
			order = min_t(unsigned int, order, __ffs(pfn));

		/* They were reserved and not allocated. */
		clear_page_tag_ref(pfn_to_page(pfn));
		__free_pages_core(pfn_to_page(pfn), order, MEMINIT_EARLY);
		pfn += 1UL << order;
		nr_pages -= 1UL << order;
	}
}

/* Free what is not kept. */
static void free_part(struct zone *zone, unsigned long pfn,
		      unsigned long end_pfn, unsigned long *keep)
{
	unsigned long block = pfn - in_block(pfn);
	unsigned long size = end_pfn - block;
	unsigned long start = in_block(pfn), end;

	for_each_clear_bitrange_from(start, end, keep, size)
		free_pages_of_part(block + start, end - start);
}

/* The first reserved region that ends after @phys. */
static __ref struct memblock_region *first_reserved(phys_addr_t phys)
{
	struct memblock_region *regions = memblock.reserved.regions;
	unsigned long low = 0, high = memblock.reserved.cnt, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (regions[mid].base + regions[mid].size <= phys)
			low = mid + 1;
		else
			high = mid;
	}

	return regions + low;
}

/* Parts of a block may have been reserved while it was held. */
static void __ref keep_reserved(unsigned long pfn, unsigned long *keep)
{
	phys_addr_t start = PFN_PHYS(pfn), end = PFN_PHYS(pfn + MAX_ORDER_NR_PAGES);
	struct memblock_region *region = first_reserved(start);
	struct memblock_region *stop = memblock.reserved.regions + memblock.reserved.cnt;
	unsigned long first, last;

	for (; region < stop && region->base < end; region++) {
		first = PHYS_PFN(max(start, region->base) - start);
		last = PHYS_PFN(min(end, region->base + region->size) - 1 - start);
		bitmap_set(keep, first, last - first + 1);
	}
}

/*
 * All pages of the block must be initialized before one is freed, which looks at
 * the others.
 */
static void open_block(unsigned long pfn)
{
	DECLARE_BITMAP(keep, MAX_ORDER_NR_PAGES);
	DECLARE_BITMAP(unclaimed, MAX_ORDER_NR_PAGES);

	kho_hold_read_preserved(pfn, unclaimed);
	if (pages_deferred && bitmap_full(unclaimed, MAX_ORDER_NR_PAGES)) {
		visit_parts(pfn, init_unclaimed, NULL);
		goto out;
	}

	bitmap_copy(keep, unclaimed, MAX_ORDER_NR_PAGES);
	kho_hold_add_nodes(pfn, keep);
	keep_reserved(pfn, keep);

	if (pages_deferred)
		visit_parts(pfn, init_struct_pages, NULL);
	visit_parts(pfn, keep_part, keep);
	visit_parts(pfn, mark_part, unclaimed);
	visit_parts(pfn, free_part, keep);
out:
	clear_bit(pfn / MAX_ORDER_NR_PAGES, kho_held_blocks);
}

/* In an exact block the generic code has reserved what is preserved, and freed the rest. */
static void open_exact_block(unsigned long pfn)
{
	DECLARE_BITMAP(unclaimed, MAX_ORDER_NR_PAGES);

	kho_hold_read_preserved(pfn, unclaimed);
	visit_parts(pfn, mark_part, unclaimed);
	clear_bit(pfn / MAX_ORDER_NR_PAGES, kho_exact_blocks);
}

/**
 * kho_open_blocks - make the struct pages of what is preserved ready to be restored
 * @pfn: a page of the first block
 * @end_pfn: the page after the last one
 *
 * Blocks in the range that are held, or exact, are open afterwards: see
 * kernel/liveupdate/kho_hold.c. Other blocks stay as they are.
 *
 * Context: May sleep. Before memblock is discarded in page_alloc_init_late(). At most one
 *	    thread opens a block, and nobody takes anything that lies in it out of the
 *	    incoming tree before it is open.
 */
void kho_open_blocks(unsigned long pfn, unsigned long end_pfn)
{
	unsigned long block = pfn / MAX_ORDER_NR_PAGES;
	unsigned long end = min(DIV_ROUND_UP(end_pfn, MAX_ORDER_NR_PAGES), kho_nr_blocks);

	for (; block < end; block++) {
		if (test_bit(block, kho_held_blocks))
			open_block(block * MAX_ORDER_NR_PAGES);
		else if (test_bit(block, kho_exact_blocks))
			open_exact_block(block * MAX_ORDER_NR_PAGES);
		cond_resched();
	}
}

/**
 * kho_init_pages_exact - initialize struct pages of blocks that are not held
 *
 * For blocks in which what is preserved has been reserved in pieces. Who restores
 * memory there early may free it, and then the pages next to it must be valid. Most
 * of them are initialized again with other deferred pages, before they are free.
 *
 * Context: Before memblock_free_all().
 */
void __init kho_init_pages_exact(void)
{
	unsigned long block;

	if (!IS_ENABLED(CONFIG_DEFERRED_STRUCT_PAGE_INIT))
		return;

	for_each_set_bit(block, kho_exact_blocks, kho_nr_blocks)
		visit_parts(block * MAX_ORDER_NR_PAGES, init_struct_pages, NULL);
}

static unsigned long nr_scratch_pages __initdata;

/**
 * kho_account_scratch - count scratch as memory for movable pages, like CMA areas
 *
 * Context: page_alloc_init_late(), when all struct pages are initialized.
 */
void __init kho_account_scratch(void)
{
	unsigned long pfn, end_pfn;
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++) {
		pfn = pageblock_start_pfn(PHYS_PFN(kho_scratch[i].addr));
		end_pfn = PHYS_PFN(kho_scratch[i].addr + kho_scratch[i].size);
		for (; pfn < end_pfn; pfn += pageblock_nr_pages) {
			page_zone(pfn_to_page(pfn))->cma_pages += pageblock_nr_pages;
			nr_scratch_pages += pageblock_nr_pages;
		}
	}

	totalcma_pages += nr_scratch_pages;
	/* Huge pages that were allocated at boot are no memory that booting takes. */
	kho_note_late_use(totalram_pages() - nr_free_pages() - hugetlb_total_pages());
}

/**
 * kho_scratch_pages - pages that kho_account_scratch() has counted
 *
 * Unlike other CMA areas at this time, they are part of totalram_pages().
 *
 * Context: page_alloc_init_late(), after kho_account_scratch().
 * Return: their number.
 */
unsigned long __init kho_scratch_pages(void)
{
	return nr_scratch_pages;
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

/* The page may become part of a folio, or the page allocator's. */
static __always_inline void release_page(struct page *page)
{
	__ClearPageReserved(page);
	page->mapping = NULL;
	set_page_count(page, 0);
	clear_page_tag_ref(page);
}

/*
 * The same as release_page() and prep_compound_tail(), each field once. The private field is
 * what __init_single_page() has made of it: 0.
 */
static __always_inline void release_tail(struct page *page, struct page *head, int count)
{
	__ClearPageReserved(page);
	set_page_count(page, count);
	clear_page_tag_ref(page);
	page->mapping = TAIL_MAPPING;
	set_compound_head(page, head);
}

/* Most of the time that it takes to restore large folios is spent here. */
static void release_tails(struct page *page, struct page *end, struct page *head)
{
	int count = 0;

	/* Keep it in a register: to set it to 0 each time takes another instruction. */
	OPTIMIZER_HIDE_VAR(count);
	for (; page + 4 <= end; page += 4) {
		release_tail(page, head, count);
		release_tail(page + 1, head, count);
		release_tail(page + 2, head, count);
		release_tail(page + 3, head, count);
	}
	for (; page < end; page++)
		release_tail(page, head, count);
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
	unsigned long nr_pages = 1UL << order;

	release_page(page);
	if (order) {
		__SetPageHead(page);
		release_tails(page + 1, page + nr_pages, page);
		prep_compound_head(page, order);
		page_rmappable_folio(page);
	}

	set_page_refcounted(page);
	adjust_managed_page_count(page, nr_pages);
}

/**
 * kho_release_frozen_folio - begin to make a huge page of reserved pages
 * @page: the first page
 * @order: order of the folio, more than 0
 * @nr_tails: number of struct pages that are needed, with the first one
 *
 * Like kho_release_folio(), for hugetlb, but the refcount is 0, so that nobody can get a
 * reference yet, and rmap does not know the folio as a large one. If the folio has more than
 * @nr_tails pages, the others are still reserved: either kho_release_tails() follows, or
 * their struct pages are freed.
 *
 * Context: The caller owns the pages, which are initialized and reserved.
 */
void kho_release_frozen_folio(struct page *page, unsigned int order, unsigned long nr_tails)
{
	unsigned long i, nr_pages = 1UL << order;

	release_page(page);
	__SetPageHead(page);
	release_tails(page + 1, page + min(nr_tails, nr_pages), page);

	/* Freeing struct pages asserts that the first one in each page is that of a tail. */
	for (i = nr_tails; i < nr_pages; i += nr_tails)
		release_tail(page + i, page, 0);

	prep_compound_head(page, order);
	adjust_managed_page_count(page, nr_pages);
}

/* Make a struct page what __init_single_page() makes of it, with a refcount of 0. */
static void init_tail(struct page *page, struct folio *folio)
{
	mm_zero_struct_page(page);
	set_page_links(page, page_zonenum(&folio->page), folio_nid(folio), page_to_pfn(page));
	atomic_set(&page->_mapcount, -1);
	page_cpupid_reset_last(page);
	page_kasan_tag_reset(page);
	clear_page_tag_ref(page);
}

/**
 * kho_release_tails - make the rest of a huge page
 * @folio: a folio after kho_release_frozen_folio()
 * @nr_tails: the number that was given there
 *
 * Also if hugetlb has begun to free the struct pages, and could not. Those that were freed, by
 * pages with @nr_tails of them, are copies of the first ones.
 *
 * Context: As there.
 */
void kho_release_tails(struct folio *folio, unsigned long nr_tails)
{
	struct page *head = &folio->page, *page = head + nr_tails, *end;

	/* Of those that were in one page, the last one is reserved if none was freed. */
	for (; page < head + folio_nr_pages(folio); page = end) {
		end = page + nr_tails;
		if (likely(PageReserved(end - 1))) {
			release_tails(page + 1, end, head);
			continue;
		}

		for (; page < end; page++) {
			init_tail(page, folio);
			prep_compound_tail(head, page - head);
		}
	}
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
		page->mapping = NULL;
		clear_page_tag_ref(page);

		if (page_zone(page) != page_zone(first)) {
			adjust_managed_page_count(first, page - first);
			first = page;
		}
	}

	adjust_managed_page_count(first, page - first);
}
