// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hotplugged memory, which the next kernel does not know to be RAM when it boots.
 *
 * It cannot be preserved, so folios that are to be preserved are allocated from boot memory:
 * memory that was RAM when this kernel booted. Boot memory and hotplugged memory can share a
 * zone, where the page allocator does not tell one from the other. If it returns hotplugged
 * memory, kho_alloc_boot_folio() takes a pageblock of boot memory, after movable pages in it
 * have been migrated. Order-0 folios are taken from one pageblock after the other, which is
 * called the pool here.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kexec_handover.h>
#include <linux/kho_mm.h>
#include <linux/memcontrol.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/mutex.h>
#include <linux/page-isolation.h>
#include <linux/pgalloc_tag.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>

#include "internal.h"

/* So many ranges are tried for one allocation. To try one may wait for all CPUs. */
#define MAX_TRIES	4

/* When migrating has not helped, it is not tried again for so long. */
#define MIGRATE_DELAY	HZ

/* Pages of the pool that nobody has asked for are freed after so long. */
#define POOL_DELAY	(10 * HZ)

static DEFINE_MUTEX(boot_lock);

/* Where to look next for a range, and from when on movable pages may be migrated. */
static unsigned long search_pfn;
static unsigned long migrate_at = INITIAL_JIFFIES;

/* The pool: pages from @pool_pfn to @pool_end_pfn are allocated, and not in use. */
static unsigned long pool_pfn, pool_end_pfn;

static void free_pool(void)
{
	for (; pool_pfn < pool_end_pfn; pool_pfn++)
		__free_page(pfn_to_page(pool_pfn));
}

static void free_unused_pool(struct work_struct *unused)
{
	guard(mutex)(&boot_lock);
	free_pool();
}

static DECLARE_DELAYED_WORK(pool_work, free_unused_pool);

/* The same zones as for an allocation of the kernel, and not the small one. */
static bool zone_usable(struct zone *zone, unsigned long nr_pages)
{
	if (zone_idx(zone) > ZONE_NORMAL || zone_managed_pages(zone) < SZ_64M / PAGE_SIZE)
		return false;

	return zone_watermark_ok(zone, 0, high_wmark_pages(zone) + nr_pages, ZONE_NORMAL, 0);
}

/*
 * Whether a range of whole pageblocks, in one section, may be allocated. Without the lock of
 * the zone this is only a hint. Unmovable pages are most often in other pageblocks.
 */
static bool range_usable(unsigned long pfn, unsigned long nr_pages, bool is_free)
{
	struct page *first = pfn_to_online_page(pfn);
	struct page *last = pfn_to_online_page(pfn + nr_pages - 1);
	unsigned long end_pfn = pfn + nr_pages;
	unsigned int type;

	if (!first || !last || page_zone(first) != page_zone(last) ||
	    !zone_usable(page_zone(first), nr_pages))
		return false;

	if (is_free && (!PageBuddy(first) || buddy_order_unsafe(first) < ilog2(nr_pages)))
		return false;

	for (; pfn < end_pfn; pfn += pageblock_nr_pages) {
		type = get_pageblock_migratetype(pfn_to_page(pfn));
		if (is_free ? type >= MIGRATE_PCPTYPES : type != MIGRATE_MOVABLE)
			return false;
	}

	return true;
}

/* The first range from @pfn on, or ULONG_MAX. */
static unsigned long find_range(unsigned long pfn, unsigned long nr_pages, bool is_free)
{
	unsigned long nr = pfn_to_section_nr(pfn), end_pfn;

	if (nr > __highest_present_section_nr)
		return ULONG_MAX;
	if (!present_section_nr(nr)) {
		nr = next_present_section_nr(nr);
		pfn = section_nr_to_pfn(nr);
	}

	for (; nr <= __highest_present_section_nr;
	     nr = next_present_section_nr(nr), pfn = section_nr_to_pfn(nr)) {
		if (!early_section(__nr_to_section(nr)))
			continue;

		end_pfn = section_nr_to_pfn(nr + 1);
		for (; pfn < end_pfn; pfn += nr_pages) {
			if (range_usable(pfn, nr_pages, is_free))
				return pfn;
		}
		cond_resched();
	}

	return ULONG_MAX;
}

/*
 * The caller may have folios locked, so that migration must not wait for such a lock: as in
 * direct compaction, PF_MEMALLOC keeps it from that. What is migrated may go anywhere, also
 * if the caller is about to pin what it allocates.
 */
static int alloc_range(unsigned long pfn, unsigned long nr_pages, gfp_t gfp)
{
	unsigned int pin = current->flags & PF_MEMALLOC_PIN;
	unsigned int noreclaim = memalloc_noreclaim_save();
	unsigned long end_pfn;
	int err;

	current->flags &= ~PF_MEMALLOC_PIN;
	err = alloc_contig_range(pfn, pfn + nr_pages, MIGRATE_MOVABLE, gfp);
	current->flags |= pin;
	memalloc_noreclaim_restore(noreclaim);

	if (err)
		return err;

	/*
	 * Most of it will be preserved, and stay. Do not try to migrate that for another
	 * allocation. The range has no free pages, which would be on another list.
	 */
	for (end_pfn = pfn + nr_pages; pfn < end_pfn; pfn += pageblock_nr_pages)
		set_pageblock_migratetype(pfn_to_page(pfn), MIGRATE_UNMOVABLE);
	return 0;
}

/*
 * Allocate a range between @pfn and @end_pfn, which must be free if @is_free is true. Returns
 * its first page, or ULONG_MAX.
 */
static unsigned long try_ranges(unsigned long pfn, unsigned long end_pfn,
				unsigned long nr_pages, gfp_t gfp, bool is_free)
{
	unsigned int tries;

	for (tries = 0; tries < MAX_TRIES; tries++, pfn += nr_pages) {
		pfn = find_range(pfn, nr_pages, is_free);
		if (pfn >= end_pfn)
			break;

		search_pfn = pfn + nr_pages;
		if (!alloc_range(pfn, nr_pages, gfp))
			return pfn;
	}

	return ULONG_MAX;
}

static unsigned long try_all_ranges(unsigned long nr_pages, gfp_t gfp, bool is_free)
{
	unsigned long start_pfn = ALIGN(search_pfn, nr_pages);
	unsigned long pfn = try_ranges(start_pfn, ULONG_MAX, nr_pages, gfp, is_free);

	return pfn == ULONG_MAX ? try_ranges(0, start_pfn, nr_pages, gfp, is_free) : pfn;
}

/* Allocate a range of boot memory: its first page, or ULONG_MAX. Free memory comes first. */
static unsigned long alloc_boot_range(unsigned long nr_pages, gfp_t gfp)
{
	unsigned long pfn;

	gfp &= __GFP_IO | __GFP_FS | __GFP_RECLAIM | __GFP_ZERO | __GFP_COMP;
	gfp |= __GFP_NOWARN;

	pfn = try_all_ranges(nr_pages, gfp, true);
	if (pfn != ULONG_MAX || time_before(jiffies, migrate_at))
		return pfn;

	pfn = try_all_ranges(nr_pages, gfp, false);
	if (pfn == ULONG_MAX)
		migrate_at = jiffies + MIGRATE_DELAY;
	return pfn;
}

/* Make a folio of pages that are allocated one by one. */
static struct folio *make_folio(unsigned long pfn, unsigned int order)
{
	struct page *page = pfn_to_page(pfn);
	unsigned long i;

	for (i = 1; i < 1UL << order; i++) {
		set_page_count(page + i, 0);
		clear_page_tag_ref(page + i);
	}

	if (order)
		prep_compound_page(page, order);
	return page_rmappable_folio(page);
}

static struct folio *alloc_from_pool(gfp_t gfp, unsigned int order)
{
	unsigned long nr_pages = 1UL << order, pfn, i;
	struct folio *folio;

	/* What is left is too small, or not aligned. */
	while (pool_pfn < pool_end_pfn &&
	       (pool_pfn % nr_pages || pool_end_pfn - pool_pfn < nr_pages))
		__free_page(pfn_to_page(pool_pfn++));

	if (pool_pfn == pool_end_pfn) {
		pfn = alloc_boot_range(pageblock_nr_pages, gfp & ~(__GFP_ZERO | __GFP_COMP));
		if (pfn == ULONG_MAX)
			return NULL;

		pool_pfn = pfn;
		pool_end_pfn = pfn + pageblock_nr_pages;
	}

	folio = make_folio(pool_pfn, order);
	pool_pfn += nr_pages;
	mod_delayed_work(system_wq, &pool_work, POOL_DELAY);

	for (i = 0; gfp & __GFP_ZERO && i < nr_pages; i++)
		clear_highpage(folio_page(folio, i));
	return folio;
}

static struct folio *alloc_boot(gfp_t gfp, unsigned int order)
{
	unsigned long pfn;

	guard(mutex)(&boot_lock);

	if (order < pageblock_order)
		return alloc_from_pool(gfp, order);

	pfn = alloc_boot_range(1UL << order, gfp | __GFP_COMP);
	return pfn == ULONG_MAX ? NULL : page_rmappable_folio(pfn_to_page(pfn));
}

static bool is_boot_folio(struct folio *folio)
{
	return early_section(__pfn_to_section(folio_pfn(folio)));
}

/**
 * kho_alloc_boot_folio - allocate a folio that is not in hotplugged memory
 * @gfp: how to allocate it; may not ask for a zone
 * @order: its order, at most MAX_PAGE_ORDER
 *
 * Much slower than folio_alloc(), whose result should be tried first.
 *
 * Context: Process context, in which folios may be locked, but none isolated. May sleep.
 * Return: the folio, or NULL.
 */
struct folio *kho_alloc_boot_folio(gfp_t gfp, unsigned int order)
{
	struct folio *folio;

	folio = alloc_boot(gfp, order);
	if (folio) {
		if (!(gfp & __GFP_ACCOUNT) ||
		    !memcg_kmem_charge_page(folio_page(folio, 0), gfp, order))
			return folio;

		folio_put(folio);
		return NULL;
	}

	/* Most of this zone is boot memory, and here it can be reclaimed. */
	folio = folio_alloc(gfp | __GFP_DMA32, order);
	if (!folio || is_boot_folio(folio))
		return folio;

	folio_put(folio);
	return NULL;
}

static int memory_online(struct notifier_block *nb, unsigned long action, void *arg)
{
	static unsigned long last_end_pfn;
	const struct memory_notify *mem = arg;
	unsigned long end_pfn = mem->start_pfn + mem->nr_pages;
	phys_addr_t start = PFN_PHYS(mem->start_pfn);

	if (action != MEM_ONLINE || !kho_is_enabled() ||
	    early_section(__pfn_to_section(mem->start_pfn)))
		return NOTIFY_OK;

	/* A device comes in many blocks. */
	if (mem->start_pfn != last_end_pfn)
		pr_info("memory from %pa on was hotplugged: it can be used, but not preserved\n",
			&start);
	last_end_pfn = end_pfn;
	return NOTIFY_OK;
}

/* Before ACPI adds memory that was there when the kernel booted. */
static int __init watch_hotplug(void)
{
	hotplug_memory_notifier(memory_online, DEFAULT_CALLBACK_PRI);
	return 0;
}
core_initcall(watch_hotplug);
