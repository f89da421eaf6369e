// SPDX-License-Identifier: GPL-2.0-only
/*
 * Incoming: give what was preserved back to those who ask for it.
 *
 * Until then a block is a key in the incoming tree, and its pages are reserved
 * memory that nobody else may touch. Restoring is three calls, one after the other:
 *
 *   prepare	kho_prepare_pages(), in kho_late.c: the struct pages are ready
 *   claim	claim_block(), or kho_claim_run(): the key of the block is deleted, which only
 *		one caller can do
 *   release	kho_release_folio() and others, in mm/kho_init.c: the pages are no longer
 *		reserved, and belong to this kernel
 *
 * kho_claimed() accounts for it. When the last key is gone so is the tree.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "kho_hint.h"
#include "kho_internal.h"

/* Runs of at most so many blocks are claimed without allocating memory. */
#define NR_STACK_BLOCKS	64

/*
 * The tree is read under rcu_read_lock(), so that it can be taken away when
 * its last key has been claimed.
 */
static void free_incoming_tree(struct work_struct *work);
static DECLARE_WORK(free_tree_work, free_incoming_tree);

/* A block of a run may cross the border of zones, a folio does not. */
static bool in_one_zone(unsigned long pfn, unsigned int order)
{
	struct page *page = pfn_to_page(pfn);

	return !order || page_zone(page) == page_zone(page + (1UL << order) - 1);
}

static bool block_preserved(unsigned long pfn, unsigned int order)
{
	return kho_radix_test_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order));
}

/* Take a block out of the tree. Of those who try, one succeeds. */
static bool claim_block(unsigned long pfn, unsigned int order)
{
	return kho_radix_del_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order));
}

/* Remember where a folio was found. It has not been accounted for: the tree stays. */
static void set_hint(unsigned long pfn, unsigned int order)
{
	unsigned long key = kho_key(PFN_PHYS(pfn), order);
	unsigned int generation = READ_ONCE(kho_in.tree.generation);

	kho_in_hint_set(key, kho_radix_leaf(&kho_in.tree, key), generation);
}

/*
 * Claim a folio of the same order and leaf as the one before. Two blocks never begin
 * at the same page, so no other order has to be looked at. Returns its order or -ENOENT.
 */
static int claim_by_hint(unsigned long pfn)
{
	const struct kho_in_hint *hint = get_cpu_ptr(&kho_in_hint);
	unsigned int order = hint->order;
	unsigned long key = kho_key(PFN_PHYS(pfn), order);
	unsigned long *leaf = kho_hinted_leaf(&hint->hint, &kho_in.tree, key);
	unsigned long bit = kho_radix_leaf_bit(key);
	bool claimed;

	/* What is not preserved need not even have a struct page. */
	claimed = leaf && !(pfn & ((1UL << order) - 1)) && test_bit(bit, leaf) &&
		  in_one_zone(pfn, order) && test_and_clear_bit(bit, leaf);
	put_cpu_ptr(&kho_in_hint);

	return claimed ? order : -ENOENT;
}

/* Order of the folio that begins at @pfn, or -ENOENT when there is none. */
static int folio_order_at(unsigned long pfn)
{
	unsigned int max_order = pfn ? __ffs(pfn) : KHO_MAX_ORDER;
	unsigned int order;

	guard(rcu)();

	/* No folio is larger than this, whatever the key says. */
	max_order = min_t(unsigned int, max_order, PUD_ORDER);
	for (order = 0; order <= max_order; order++) {
		if (block_preserved(pfn, order))
			return order;
	}

	return -ENOENT;
}

/*
 * Return the order of the next block of a run, or -1 if the page at @pfn does not begin
 * a preserved block that fits. The sender lowers the order of a block until the block
 * lies in one NUMA node. Nodes can meet at any page, and not where this kernel thinks
 * (numa=off, or another firmware), so the largest block that exists is the right one.
 */
static int run_block_order(unsigned long pfn, unsigned long nr_pages)
{
	int order;

	for (order = kho_block_order(pfn, nr_pages); order >= 0; order--) {
		if (block_preserved(pfn, order))
			return order;
	}

	return -1;
}

/* Number of blocks of a run, 0 when not all of it is preserved. */
static unsigned int count_run_blocks(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int nr_blocks = 0;
	int order;

	guard(rcu)();

	if (pfn + nr_pages < pfn || pfn + nr_pages > PHYS_PFN(PHYS_ADDR_MAX))
		return 0;

	for (; nr_pages; nr_blocks++) {
		order = run_block_order(pfn, nr_pages);
		if (order < 0)
			return 0;
		pfn += 1UL << order;
		nr_pages -= 1UL << order;
	}

	return nr_blocks;
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
	return count_run_blocks(pfn, nr_pages);
}

/* Claim the blocks of a run, or none. @orders has room for @max_blocks. */
static bool claim_run_blocks(unsigned long pfn, unsigned long nr_pages,
			     u8 *orders, unsigned int max_blocks)
{
	unsigned int nr_blocks = 0;
	int order;

	guard(rcu)();

	while (nr_pages) {
		order = run_block_order(pfn, nr_pages);
		if (order < 0 || nr_blocks == max_blocks ||
		    !claim_block(pfn, order))
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

/**
 * kho_claim_run - take a run of pages out of the tree
 * @pfn: the first page
 * @nr_pages: number of pages
 *
 * The caller then owns the pages, which are still reserved memory, and calls
 * kho_claimed().
 *
 * Context: Process context, after kho_reserve_preserved(); may sleep.
 * Return: true when all pages were there and nobody else has claimed them;
 * otherwise nothing has changed.
 */
bool kho_claim_run(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int nr_blocks = count_run_blocks(pfn, nr_pages);
	u8 on_stack[NR_STACK_BLOCKS];
	u8 *orders = on_stack;
	bool claimed;

	if (!nr_blocks)
		return false;

	/* Not charged to a memory cgroup: it is freed before anything else happens. */
	if (nr_blocks > NR_STACK_BLOCKS)
		orders = kvmalloc(nr_blocks, GFP_KERNEL);
	if (!orders)
		return false;

	claimed = claim_run_blocks(pfn, nr_pages, orders, nr_blocks);
	if (orders != on_stack)
		kvfree(orders);

	return claimed;
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

	/* Hints are void, and nobody uses one any more, or is in the tree. */
	WRITE_ONCE(kho_in.tree.generation, kho_in.tree.generation + 2);
	synchronize_rcu();

	kho_radix_walk_tree(&tree, &note_cb, &nodes);
	list_for_each_entry_safe(page, next, &nodes, lru)
		free_reserved_page(page);
}

/* The number of unclaimed pages at which limits of zones are adjusted. */
static long adjust_at;

/*
 * The number of unclaimed pages at which there is something to do: @adjust_at; or any number,
 * as long as the limits count what is unclaimed. Comparing with it costs no more than
 * comparing with 0.
 */
static long watched_for;

/* Limits of zones are adjusted when at least this part of the memory has been claimed. */
#define WATCHED_PARTS		64
#define WATCHED_PAGES_MIN	1024

static long next_watched(long left)
{
	long step = max_t(long, kho_in.nr_pages / WATCHED_PARTS, WATCHED_PAGES_MIN);

	return max(left - step, 0);
}

static void adjust_to_claims(long left)
{
	if (!kho_pages_ready())
		return;

	if (!left)
		schedule_work(&free_tree_work);

	kho_adjust_limits();
	/* If another thread is later with a higher value, limits are adjusted once more. */
	WRITE_ONCE(adjust_at, next_watched(left));
	if (READ_ONCE(watched_for) != LONG_MAX)
		WRITE_ONCE(watched_for, READ_ONCE(adjust_at));
}

static noinline void much_claimed(long left, unsigned long nr_pages)
{
	kho_uncount_pages(nr_pages);
	if (left <= READ_ONCE(adjust_at))
		adjust_to_claims(left);
}

/**
 * kho_claimed - account for pages that were claimed
 * @nr_pages: how many
 *
 * When none are left the tree is freed, but not before kho_init_pages_late()
 * has read it. Limits of zones are adjusted now and then.
 */
void kho_claimed(unsigned long nr_pages)
{
	long left = atomic_long_sub_return(nr_pages, &kho_in.nr_unclaimed);

	if (unlikely(left <= READ_ONCE(watched_for)))
		much_claimed(left, nr_pages);
}

/**
 * kho_watch_claims - begin to adjust limits to what is claimed
 *
 * Context: page_alloc_init_late(), after kho_init_pages_late().
 */
void __init kho_watch_claims(void)
{
	if (!is_kho_boot())
		return;

	WRITE_ONCE(adjust_at, next_watched(kho_unclaimed_pages()));
	WRITE_ONCE(watched_for, LONG_MAX);

	/* Maybe all was claimed before. */
	kho_claimed(0);
}

/* The limits do not count any more what is unclaimed: go on, but not at each claim. */
static int __init watch_fewer_claims(void)
{
	WRITE_ONCE(watched_for, READ_ONCE(adjust_at));
	return 0;
}
late_initcall_sync(watch_fewer_claims);

/**
 * kho_claimed_reserved - account for pages that were claimed, and stay reserved
 * @nr_pages: how many
 *
 * As kho_claimed(), for pages that were not counted as memory that will be free.
 */
void __init kho_claimed_reserved(unsigned long nr_pages)
{
	long left = atomic_long_sub_return(nr_pages, &kho_in.nr_unclaimed);

	if (left <= READ_ONCE(adjust_at))
		adjust_to_claims(left);
}

/*
 * Claim the folio at @pfn, with its struct pages initialized. Returns its order, -ENOENT if
 * there is none, or -EXDEV if it lies in more than one zone. Not inlined, to keep the way by
 * the hint short.
 */
static noinline int claim_folio(unsigned long pfn)
{
	int order = folio_order_at(pfn);

	if (order < 0)
		return order;

	kho_prepare_pages(pfn, 1UL << order);

	scoped_guard(rcu) {
		if (!in_one_zone(pfn, order))
			return -EXDEV;
		if (!claim_block(pfn, order))
			return -ENOENT;
	}

	set_hint(pfn, order);
	return order;
}

/* Claim a run of pages, with their struct pages initialized. */
static bool claim_pages(unsigned long pfn, unsigned long nr_pages)
{
	/* Struct pages are initialized for nothing that is not preserved. */
	if (!kho_pages_ready()) {
		if (!kho_run_preserved(pfn, nr_pages))
			return false;
		kho_prepare_pages(pfn, nr_pages);
	}

	return kho_claim_run(pfn, nr_pages);
}

static noinline void say_why(phys_addr_t phys, int err)
{
	if (err == -EXDEV)
		pr_warn("the folio at %pa lies in more than one zone of this kernel\n", &phys);
	else
		pr_warn("no folio to restore at %pa\n", &phys);
}

/* Claim the folio at @phys. Returns its order, or -errno after a line in the log. */
static __always_inline int claim_folio_at(phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);
	int order = -ENOENT;

	/* Struct pages are ready only when there was a handover. */
	if (likely(kho_pages_ready() && PAGE_ALIGNED(phys)))
		order = claim_by_hint(pfn);
	if (order < 0 && is_kho_boot() && PAGE_ALIGNED(phys))
		order = claim_folio(pfn);

	if (order < 0)
		say_why(phys, order);
	return order;
}

/**
 * kho_restore_folio - get a preserved folio back
 * @phys: physical address of its head page
 *
 * The folio has the order and content that it was preserved with, a refcount
 * of 1 that the caller owns, and is part of this kernel's managed memory:
 * folio_put() frees it.
 *
 * Context: Process context; may sleep.
 * Return: the folio; NULL when @phys is not the head of a preserved folio, or
 * was restored before.
 */
struct folio *kho_restore_folio(phys_addr_t phys)
{
	int order = claim_folio_at(phys);

	if (order < 0)
		return NULL;

	kho_release_folio(pfn_to_page(PHYS_PFN(phys)), order);
	kho_claimed(1UL << order);
	return pfn_folio(PHYS_PFN(phys));
}
EXPORT_SYMBOL_GPL(kho_restore_folio);

/**
 * kho_restore_frozen_folio - get a preserved huge page back
 * @phys: physical address of its head page
 * @nr_tails: number of struct pages that are needed, with that of the head page
 *
 * For hugetlb. Like kho_restore_folio(), but the refcount of the folio is 0, and nobody
 * gets a reference before the caller sets it. kho_release_tails() has to follow, unless the
 * struct pages of the folio are freed up to the first @nr_tails.
 *
 * Context: Process context; may sleep.
 * Return:
 * * the folio
 * * %-ENOENT - @phys is not the head of a preserved folio of more than one page, or was
 *   restored before
 * * %-EXDEV - the folio lies in more than one zone of this kernel, or on more than one node;
 *   it is still preserved, and kho_restore_pages() restores its pages
 */
struct folio *kho_restore_frozen_folio(phys_addr_t phys, unsigned long nr_tails)
{
	int order = claim_folio_at(phys);

	if (order < 0)
		return ERR_PTR(order);

	kho_claimed(1UL << order);
	if (order) {
		kho_release_frozen_folio(pfn_to_page(PHYS_PFN(phys)), order, nr_tails);
		return pfn_folio(PHYS_PFN(phys));
	}

	/* Not what it is said to be. */
	kho_release_folio(pfn_to_page(PHYS_PFN(phys)), 0);
	folio_put(pfn_folio(PHYS_PFN(phys)));
	return ERR_PTR(-ENOENT);
}

/**
 * kho_restore_pages - get a preserved run of pages back
 * @phys: physical address of the first page
 * @nr_pages: the number of pages that was preserved
 *
 * Each page has the content that it was preserved with, a refcount of 1 that
 * the caller owns, and is part of this kernel's managed memory: __free_page()
 * frees it.
 *
 * What was preserved is known by blocks, not by calls. So a count that is wrong
 * is noticed unless it ends where a block does, as 4 of 6 pages may, also one of the
 * next run if that follows without a gap.
 *
 * Context: Process context; may sleep.
 * Return: the first page; NULL when not all of the pages are preserved or some
 * were restored before, and then nothing has changed.
 */
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages)
{
	unsigned long pfn = PHYS_PFN(phys);

	if (!is_kho_boot() || !PAGE_ALIGNED(phys) ||
	    !claim_pages(pfn, nr_pages)) {
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
 * Does nothing but warn when there is no such memory, or it was restored before.
 *
 * Context: Process context; may sleep.
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
