// SPDX-License-Identifier: GPL-2.0-only
/*
 * Incoming: give what was preserved back to those who ask for it.
 *
 * Until then a block is a key in the incoming tree, and its pages are reserved
 * memory that nobody else may touch. Claiming a block deletes its key, which
 * only one caller can do; after that the pages are released to this kernel.
 * When the last key is gone so is the tree.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/export.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

#include "kho_internal.h"

/*
 * A run is cut into about two blocks per power of two, and some more where
 * nodes meet. What takes more is not one run.
 */
#define MAX_RUN_BLOCKS	192

/*
 * The tree is read under rcu_read_lock(), so that it can be taken away when
 * its last key has been claimed.
 */
static void free_incoming_tree(struct work_struct *work);
static DECLARE_WORK(free_tree_work, free_incoming_tree);

/* Order of the block that begins at @pfn, or -1 when there is none. */
static int find_block(unsigned long pfn, unsigned int max_order)
{
	unsigned int order;

	for (order = 0; order <= max_order; order++) {
		if (kho_radix_test_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order)))
			return order;
	}

	return -1;
}

static int claim_folio(unsigned long pfn)
{
	unsigned int max_order = pfn ? __ffs(pfn) : KHO_MAX_ORDER;
	int order;

	guard(rcu)();

	order = find_block(pfn, min(max_order, (unsigned int)KHO_MAX_ORDER));
	if (order < 0 ||
	    !kho_radix_del_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order)))
		return -1;

	return order;
}

/*
 * Order of the next block of a run, or -1 when that is not preserved. The
 * sender may have cut a block where its NUMA nodes met, which may not be where
 * ours do (numa=off): then take the largest block that exists. Nodes do not
 * meet inside of a pageblock, so smaller blocks are never cut, and what has
 * others is not this run.
 */
static int run_block_order(unsigned long pfn, unsigned long nr_pages)
{
	int order = kho_block_order(pfn, nr_pages);
	int min_order = min_t(int, order, pageblock_order);

	for (; order >= min_order; order--) {
		if (kho_radix_test_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order)))
			return order;
	}

	return -1;
}

/**
 * kho_run_preserved - whether a run of pages is there and unclaimed
 * @pfn: the first page
 * @nr_pages: number of pages
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: true when kho_restore_pages() would find all of it now.
 */
bool kho_run_preserved(unsigned long pfn, unsigned long nr_pages)
{
	int order;

	guard(rcu)();

	if (!nr_pages || pfn + nr_pages < pfn ||
	    pfn + nr_pages > PHYS_PFN(PHYS_ADDR_MAX))
		return false;

	while (nr_pages) {
		order = run_block_order(pfn, nr_pages);
		if (order < 0)
			return false;
		pfn += 1UL << order;
		nr_pages -= 1UL << order;
	}

	return true;
}

/**
 * kho_claim_run - take a run of pages out of the tree
 * @pfn: the first page
 * @nr_pages: number of pages
 *
 * The caller then owns the pages, which are still reserved memory, and calls
 * kho_claimed().
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: true when all pages were there and nobody else has claimed them;
 *	   otherwise nothing has changed.
 */
bool kho_claim_run(unsigned long pfn, unsigned long nr_pages)
{
	u8 orders[MAX_RUN_BLOCKS];
	unsigned int nr_blocks = 0;
	int order;

	guard(rcu)();

	if (!kho_run_preserved(pfn, nr_pages))
		return false;

	while (nr_pages) {
		order = run_block_order(pfn, nr_pages);
		if (order < 0 || nr_blocks == MAX_RUN_BLOCKS ||
		    !kho_radix_del_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order)))
			goto err_undo;
		orders[nr_blocks++] = order;
		pfn += 1UL << order;
		nr_pages -= 1UL << order;
	}

	return true;

err_undo:
	/*
	 * Somebody claims parts of the run at the same time. Put back what we
	 * took; as the leaves still exist this allocates nothing.
	 */
	while (nr_blocks--) {
		pfn -= 1UL << orders[nr_blocks];
		kho_radix_add_key(&kho_in.tree,
				  kho_key(PFN_PHYS(pfn), orders[nr_blocks]));
	}
	return false;
}

/* The walk still needs the node: free it when it is through. */
static int note_node(phys_addr_t phys, void *nodes)
{
	list_add(&pfn_to_page(PHYS_PFN(phys))->lru, nodes);
	return 0;
}

static const struct kho_radix_walk_cb note_cb = {
	.node = note_node,
};

static void free_incoming_tree(struct work_struct *work)
{
	struct kho_radix_tree tree = {
		.root = xchg(&kho_in.tree.root, NULL),
	};
	struct page *page, *next;
	LIST_HEAD(nodes);

	if (!tree.root)
		return;

	synchronize_rcu();

	kho_radix_walk_tree(&tree, &note_cb, &nodes);
	list_for_each_entry_safe(page, next, &nodes, lru)
		free_reserved_page(page);
}

/**
 * kho_claimed - account for pages that were claimed
 * @nr_pages: how many
 */
void kho_claimed(unsigned long nr_pages)
{
	if (!atomic_long_sub_return(nr_pages, &kho_in.nr_unclaimed) &&
	    system_state >= SYSTEM_RUNNING)
		schedule_work(&free_tree_work);
}

/* What was claimed during boot. */
static int __init kho_in_tidy(void)
{
	if (is_kho_boot() && !atomic_long_read(&kho_in.nr_unclaimed))
		schedule_work(&free_tree_work);

	return 0;
}
late_initcall_sync(kho_in_tidy);

/**
 * kho_restore_folio - get a preserved folio back
 * @phys: physical address of its head page
 *
 * The folio has the order and content that it was preserved with, a refcount
 * of 1 that the caller owns, and is part of this kernel's managed memory:
 * folio_put() frees it.
 *
 * Context: Process context; may sleep before page_alloc_init_late().
 * Return: the folio; NULL when @phys is not the head of a preserved folio, or
 *	   was restored before.
 */
struct folio *kho_restore_folio(phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);
	int order = -1;
	bool early;

	if (is_kho_boot() && PAGE_ALIGNED(phys)) {
		early = kho_pages_early_lock();
		order = claim_folio(pfn);
		if (early && order >= 0)
			kho_init_pages(pfn, pfn + (1UL << order));
		kho_pages_early_unlock(early);
	}

	if (order < 0) {
		pr_warn("no folio to restore at %pa\n", &phys);
		return NULL;
	}

	kho_release_folio(pfn_to_page(pfn), order);
	kho_claimed(1UL << order);
	return pfn_folio(pfn);
}
EXPORT_SYMBOL_GPL(kho_restore_folio);

/**
 * kho_restore_pages - get a preserved run of pages back
 * @phys: physical address of the first page
 * @nr_pages: the number of pages that was preserved
 *
 * Each page has the content that it was preserved with, a refcount of 1 that
 * the caller owns, and is part of this kernel's managed memory: __free_page()
 * frees it.
 *
 * Context: Process context; may sleep before page_alloc_init_late().
 * Return: the first page; NULL when not all of the pages are preserved or some
 *	   were restored before, and then nothing has changed.
 */
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);
	bool early, claimed = false;

	if (is_kho_boot() && PAGE_ALIGNED(phys)) {
		early = kho_pages_early_lock();
		claimed = kho_claim_run(pfn, nr_pages);
		if (early && claimed)
			kho_init_pages(pfn, pfn + nr_pages);
		kho_pages_early_unlock(early);
	}

	if (!claimed) {
		pr_warn("no run of %lu pages to restore at %pa\n", nr_pages,
			&phys);
		return NULL;
	}

	kho_release_pages(pfn_to_page(pfn), nr_pages);
	kho_claimed(nr_pages);
	return pfn_to_page(pfn);
}
EXPORT_SYMBOL_GPL(kho_restore_pages);

/**
 * kho_restore_free - free preserved memory that has served its purpose
 * @mem: what kho_alloc_preserve() returned in the previous kernel, found in
 *	 this kernel's direct map; NULL is ignored
 *
 * Context: Process context.
 */
void kho_restore_free(void *mem)
{
	struct folio *folio;

	if (!mem)
		return;

	folio = kho_restore_folio(virt_to_phys(mem));
	if (folio)
		folio_put(folio);
}
EXPORT_SYMBOL_GPL(kho_restore_free);

/* The root FDT becomes ordinary memory, which this kernel keeps. */
static int __init kho_in_init(void)
{
	if (is_kho_boot())
		kho_restore_folio(__pa(kho_in.fdt));

	return 0;
}
fs_initcall(kho_in_init);
