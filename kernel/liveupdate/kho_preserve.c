// SPDX-License-Identifier: GPL-2.0-only
/*
 * Outgoing: what this kernel preserves for the next one.
 *
 * Preserving adds keys to a radix tree and takes no reference: the owner keeps
 * the memory allocated and in place until the reboot. Nothing has to be
 * collected at that time. The tree and the root FDT are at all times what the
 * next kernel will find.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rwsem.h>

#include "kho_hint.h"
#include "kho_internal.h"

struct kho_out kho_out = {
	.lock = __MUTEX_INITIALIZER(kho_out.lock),
	.nodes_lock = __RWSEM_INITIALIZER(kho_out.nodes_lock),
};

/**
 * kho_out_not_ready - check whether memory can be preserved now
 *
 * Return:
 * * 0 - it can
 * * %-EOPNOTSUPP - KHO is off
 * * %-EUCLEAN - the tree or the root FDT is damaged; see kho_give_up()
 */
int kho_out_not_ready(void)
{
	if (!kho_is_enabled() || !kho_out.tree.root)
		return -EOPNOTSUPP;

	return kho_out_damaged() ? -EUCLEAN : 0;
}

/* As kho_preservable(), but for memory of devices, which can be in any section. */
static bool section_preservable(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end_pfn = pfn + nr_pages;

	if (__kho_scratch_overlap(PFN_PHYS(pfn), PFN_PHYS(nr_pages)))
		return false;

	for (; pfn < end_pfn; pfn = SECTION_ALIGN_UP(pfn + 1)) {
		if (!early_section(__pfn_to_section(pfn)))
			return false;
	}

	return true;
}

/**
 * kho_preservable - whether a range can be preserved at all
 * @pfn: its first page
 * @nr_pages: number of pages
 *
 * Not what lies in scratch, nor what the next kernel does not know to be RAM
 * when it boots: hotplugged memory and that of devices.
 *
 * Context: Any. The caller owns the range: its struct pages are read.
 * Return: true when it can.
 */
bool kho_preservable(unsigned long pfn, unsigned long nr_pages)
{
	return section_preservable(pfn, nr_pages) &&
	       !is_zone_device_page(pfn_to_page(pfn + nr_pages - 1));
}

/**
 * kho_alloc_folio - allocate a folio that can be preserved
 * @order: its order
 * @gfp: how to allocate it; __GFP_ZERO is added
 *
 * Context: Process context; may sleep.
 * Return: the folio, zeroed; or NULL.
 */
struct folio *kho_alloc_folio(unsigned int order, gfp_t gfp)
{
	struct folio *folio = folio_alloc(gfp | __GFP_ZERO, order);

	if (!folio || likely(kho_preservable(folio_pfn(folio), 1UL << order)))
		return folio;

	/* What the kernel allocates is never in scratch, so this is hotplugged memory. */
	folio_put(folio);
	return kho_alloc_boot_folio(gfp | __GFP_ZERO, order);
}

/* To look at each section of a leaf of larger blocks would take too long. */
#define LOOK_MAX_ORDER	3

/*
 * Let the next folio of the leaf of @key take the short way, if it may. Most of the
 * leaf is not the caller's, and may be about to be unplugged: nothing is read there.
 */
static void look_at_leaf(unsigned long key)
{
	unsigned long first = key & ~(KHO_LEAF_KEYS - 1);
	unsigned int order = kho_key_order(key);
	struct kho_out_hint *hint = get_cpu_ptr(&kho_out_hint);

	if (!hint->looked && order <= LOOK_MAX_ORDER &&
	    kho_hinted_leaf(&hint->hint, &kho_out.tree, key)) {
		hint->preservable = section_preservable(PHYS_PFN(kho_key_phys(first)),
							KHO_LEAF_KEYS << order);
		hint->looked = true;
	}
	put_cpu_ptr(&kho_out_hint);
}

/*
 * Add the key of a block that may be preserved, if the hint knows the leaf and that
 * it may. There is no hint before KHO is ready.
 */
static __always_inline bool add_preservable(unsigned long key)
{
	const struct kho_out_hint *hint = get_cpu_ptr(&kho_out_hint);
	unsigned long bit = kho_radix_leaf_bit(key);
	unsigned long *leaf = NULL;

	if (likely(hint->preservable))
		leaf = kho_hinted_leaf(&hint->hint, &kho_out.tree, key);
	/* A locked operation costs more than to look. */
	if (leaf && !test_bit(bit, leaf))
		set_bit(bit, leaf);
	put_cpu_ptr(&kho_out_hint);

	return leaf;
}

/* Add a key if a hint knows its leaf. */
static bool add_by_hint(unsigned long key, bool *added)
{
	unsigned long *leaf = kho_out_hint_recall(get_cpu_ptr(&kho_out_hint), key);

	if (leaf)
		*added = !test_and_set_bit(kho_radix_leaf_bit(key), leaf);
	put_cpu_ptr(&kho_out_hint);

	return leaf;
}

static int add_key(unsigned long key, bool *added)
{
	unsigned int generation;
	unsigned long *leaf;

	if (add_by_hint(key, added))
		return 0;

	/* Until the bit is set the leaf may be as empty as it was. */
	guard(rwsem_read)(&kho_out.nodes_lock);

	/* Before the leaf is looked up; pairs with begin_generation(). */
	generation = smp_load_acquire(&kho_out.tree.generation);
	leaf = kho_radix_add_leaf(&kho_out.tree, key);
	if (!leaf) {
		/* Tables may have been added for a leaf that was not. */
		kho_prune_later();
		return kho_out_not_ready() ?: -ENOMEM;
	}

	*added = !test_and_set_bit(kho_radix_leaf_bit(key), leaf);
	kho_out_hint_set(key, leaf, generation);
	return 0;
}

/**
 * kho_preserve_block - preserve one block
 * @pfn: its first page
 * @order: its order
 * @added: set to whether it was not preserved before; unchanged on failure
 *
 * The caller has seen that it can be preserved.
 *
 * Return:
 * * 0 - the block is preserved
 * * %-EEXIST - as in kho_preserve_folio()
 * * %-ENOMEM - there is no memory for the tree
 * * %-EUCLEAN - the tree is damaged
 */
int kho_preserve_block(unsigned long pfn, unsigned int order, bool *added)
{
	unsigned long key = kho_key(PFN_PHYS(pfn), order);
	int err;

	err = kho_debug_begin_add(pfn, order);
	if (err)
		return err;

	/* It fails if there is no leaf, so that the key is not in the tree, either. */
	err = add_key(key, added);
	kho_debug_end(pfn, order, !err);

	return err;
}

/* The same for a key that is to be deleted, if it is the last hint: -1 when it is not. */
static __always_inline int del_by_last_hint(unsigned long key)
{
	const struct kho_out_hint *hint = get_cpu_ptr(&kho_out_hint);
	unsigned long *leaf = kho_hinted_leaf(&hint->hint, &kho_out.tree, key);
	int deleted = -1;

	if (leaf)
		deleted = test_and_clear_bit(kho_radix_leaf_bit(key), leaf);
	put_cpu_ptr(&kho_out_hint);

	return deleted;
}

static int del_by_hint(unsigned long key)
{
	unsigned long *leaf = kho_out_hint_recall(get_cpu_ptr(&kho_out_hint), key);
	int deleted = -1;

	if (leaf)
		deleted = test_and_clear_bit(kho_radix_leaf_bit(key), leaf);
	put_cpu_ptr(&kho_out_hint);

	return deleted;
}

/* Takes no lock under which memory is allocated: that may be why it is called. */
static noinline bool del_key(unsigned long key)
{
	unsigned int generation;
	unsigned long *leaf;
	int deleted;

	deleted = del_by_hint(key);
	if (deleted >= 0)
		return deleted;

	guard(rcu)();

	/* Before the leaf is looked up; pairs with begin_generation(). */
	generation = smp_load_acquire(&kho_out.tree.generation);
	leaf = kho_radix_leaf(&kho_out.tree, key);
	if (!leaf)
		return false;

	kho_out_hint_set(key, leaf, generation);
	return test_and_clear_bit(kho_radix_leaf_bit(key), leaf);
}

static void unpreserve_block(unsigned long pfn, unsigned int order)
{
	unsigned long key = kho_key(PFN_PHYS(pfn), order);
	int deleted;

	if (!kho_debug_begin_del(pfn, order))
		return;

	deleted = del_by_last_hint(key);
	if (deleted < 0)
		deleted = del_key(key);
	kho_debug_end(pfn, order, false);

	if (deleted)
		kho_prune_later();
}

/* When there is no hint, or it cannot tell. */
static noinline int preserve_folio(unsigned long pfn, unsigned int order)
{
	bool added;
	int err;

	err = kho_out_not_ready();
	if (err)
		return err;

	if (!kho_preservable(pfn, 1UL << order))
		return -EINVAL;

	err = kho_preserve_block(pfn, order, &added);
	if (!err)
		look_at_leaf(kho_key(PFN_PHYS(pfn), order));

	return err;
}

/**
 * kho_preserve_folio - preserve a folio
 * @folio: the folio; of any order
 *
 * The next kernel gets it back from kho_restore_folio(), with the same order
 * and content. The caller goes on owning the folio: it keeps it allocated, and
 * out of the reach of migration, until the reboot or kho_unpreserve_folio().
 * Preserving the same folio again changes nothing.
 *
 * Context: Process context, after fs_initcall; may sleep. Any number of
 *	    threads at once. On failure nothing has changed.
 *
 * Return:
 * * 0 - the folio is preserved
 * * %-EEXIST - another preserved block overlaps; without CONFIG_KEXEC_HANDOVER_DEBUG
 *   this is only found when an image is loaded or started, which then fails
 * * %-EINVAL - the folio lies in scratch, or in hotplugged or device memory
 * * %-ENOMEM - there is no memory for the tree
 * * %-EOPNOTSUPP - KHO is off
 * * %-EUCLEAN - the tree or the root FDT is damaged, so nothing can be handed over
 */
int kho_preserve_folio(struct folio *folio)
{
	unsigned int order = folio_order(folio);
	unsigned long pfn = folio_pfn(folio);

	/* A leaf may also have device memory, for which there was no need to look. */
	if (!IS_ENABLED(CONFIG_KEXEC_HANDOVER_DEBUG) && !folio_is_zone_device(folio) &&
	    add_preservable(kho_key(PFN_PHYS(pfn), order)))
		return 0;

	return preserve_folio(pfn, order);
}
EXPORT_SYMBOL_GPL(kho_preserve_folio);

/**
 * kho_unpreserve_folio - take kho_preserve_folio() back
 * @folio: a folio that was preserved; one that was not is ignored
 *
 * The caller goes on owning the folio, and may free it now.
 *
 * Context: Process context; may sleep.
 */
void kho_unpreserve_folio(struct folio *folio)
{
	if (!kho_out_not_ready())
		unpreserve_block(folio_pfn(folio), folio_order(folio));
}
EXPORT_SYMBOL_GPL(kho_unpreserve_folio);

/*
 * Whether a block lies in one NUMA node. Nodes begin and end anywhere in a section. A node
 * that lies in one section as a whole, between two parts of another node, is not found: to
 * look at each page would take longer than to preserve it, and no firmware describes such
 * a node of less than SECTION_SIZE. If there were one, the next kernel would take the
 * block over all the same, as it does blocks of senders that do not cut at borders at all.
 */
static bool block_in_one_node(unsigned long pfn, unsigned int order)
{
	unsigned long end_pfn = pfn + (1UL << order);
	int nid = page_to_nid(pfn_to_page(pfn));
	unsigned long next;

	for (; pfn < end_pfn; pfn = next) {
		next = min(SECTION_ALIGN_UP(pfn + 1), end_pfn);
		if (page_to_nid(pfn_to_page(pfn)) != nid ||
		    page_to_nid(pfn_to_page(next - 1)) != nid)
			return false;
	}

	return true;
}

/* Order of the next block of a run. Depends on nothing but its arguments. */
static unsigned int run_block_order(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int order = kho_block_order(pfn, nr_pages);

	if (num_possible_nodes() == 1)
		return order;

	while (order && !block_in_one_node(pfn, order))
		order--;

	return order;
}

/*
 * Blocks of a run that somebody else has preserved already are noted up to this
 * number. No run has as many unless it crosses dozens of nodes.
 */
#define MAX_NOTED_BLOCKS	256

/*
 * Unpreserve the blocks below @stop_pfn of a run of @nr_pages at @pfn, but for
 * those whose number is set in @keep.
 */
static void unpreserve_run(unsigned long pfn, unsigned long nr_pages,
			   unsigned long stop_pfn, const unsigned long *keep)
{
	unsigned int order, nr = 0;

	for (; pfn < stop_pfn; nr++) {
		order = run_block_order(pfn, nr_pages);
		if (!keep || nr >= MAX_NOTED_BLOCKS || !test_bit(nr, keep))
			unpreserve_block(pfn, order);
		pfn += 1UL << order;
		nr_pages -= 1UL << order;
	}
}

/**
 * kho_preserve_pages - preserve a run of order-0 pages
 * @page: the first page
 * @nr_pages: number of contiguous pages
 *
 * The next kernel gets them back from kho_restore_pages(), when it names the
 * same start and number. The caller goes on owning the pages, as with
 * kho_preserve_folio(). The run may cross zones and NUMA nodes. It must not
 * share a page with another preservation.
 *
 * Context: Process context, after fs_initcall; may sleep. Any number of
 *	    threads at once.
 * Return: On failure nothing has changed.
 * * 0 - the pages are preserved
 * * %-EINVAL - @nr_pages is 0, or a page lies where it cannot be preserved
 * * %-EEXIST, %-ENOMEM, %-EOPNOTSUPP, %-EUCLEAN - as in kho_preserve_folio()
 */
int kho_preserve_pages(struct page *page, unsigned long nr_pages)
{
	DECLARE_BITMAP(keep, MAX_NOTED_BLOCKS) = {};
	unsigned long start_pfn = page_to_pfn(page);
	unsigned long pfn = start_pfn, left = nr_pages;
	unsigned int order, nr = 0;
	bool added;
	int err;

	err = kho_out_not_ready();
	if (err)
		return err;

	if (!nr_pages || nr_pages > PHYS_PFN(PHYS_ADDR_MAX) - start_pfn ||
	    !kho_preservable(pfn, nr_pages))
		return -EINVAL;

	for (; left; nr++) {
		order = run_block_order(pfn, left);
		err = kho_preserve_block(pfn, order, &added);
		if (err) {
			unpreserve_run(start_pfn, nr_pages, pfn, keep);
			return err;
		}
		if (!added && nr < MAX_NOTED_BLOCKS)
			__set_bit(nr, keep);

		pfn += 1UL << order;
		left -= 1UL << order;
	}

	return 0;
}
EXPORT_SYMBOL_GPL(kho_preserve_pages);

/**
 * kho_unpreserve_pages - take kho_preserve_pages() back
 * @page: the first page
 * @nr_pages: the same number as was given to kho_preserve_pages()
 *
 * The caller goes on owning the pages, and may free them now. Another number
 * may leave some of them preserved.
 *
 * Context: Process context; may sleep.
 */
void kho_unpreserve_pages(struct page *page, unsigned long nr_pages)
{
	unsigned long pfn = page_to_pfn(page);

	if (!kho_out_not_ready())
		unpreserve_run(pfn, nr_pages, pfn + nr_pages, NULL);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_pages);

/**
 * kho_alloc_preserve - allocate memory and preserve it
 * @size: bytes; rounded up to a folio
 *
 * The memory is physically contiguous, in the direct map, and never in scratch.
 * It is charged to the memory cgroup of the caller, until it is freed.
 *
 * Context: Process context, after fs_initcall; may sleep.
 * Return:
 * * zeroed memory - it is owned by the caller until kho_unpreserve_free()
 * * ERR_PTR(%-E2BIG) - @size takes more than MAX_PAGE_ORDER
 * * ERR_PTR(%-EINVAL) - @size is 0
 * * ERR_PTR(%-ENOMEM) - there is no memory, or the memory cgroup of the caller
 *   has no room, for which no process is killed
 * * ERR_PTR(%-EOPNOTSUPP) - KHO is off
 * * ERR_PTR(%-EUCLEAN) - as in kho_preserve_folio()
 */
void *kho_alloc_preserve(size_t size)
{
	struct folio *folio;
	int order, err;

	err = kho_out_not_ready();
	if (err)
		return ERR_PTR(err);

	if (!size)
		return ERR_PTR(-EINVAL);

	order = get_order(size);
	if (order > MAX_PAGE_ORDER)
		return ERR_PTR(-E2BIG);

	folio = kho_alloc_folio(order, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL);
	if (!folio)
		return ERR_PTR(-ENOMEM);

	err = kho_preserve_folio(folio);
	if (err) {
		folio_put(folio);
		return ERR_PTR(err);
	}

	return folio_address(folio);
}
EXPORT_SYMBOL_GPL(kho_alloc_preserve);

/**
 * kho_unpreserve_free - free what kho_alloc_preserve() allocated
 * @mem: the memory, or NULL or an ERR_PTR(), which are ignored
 *
 * Context: Process context; may sleep.
 */
void kho_unpreserve_free(void *mem)
{
	struct folio *folio;

	if (IS_ERR_OR_NULL(mem))
		return;

	folio = virt_to_folio(mem);
	kho_unpreserve_folio(folio);
	folio_put(folio);
}
EXPORT_SYMBOL_GPL(kho_unpreserve_free);

/*
 * The next kernel has to find the nodes, too. They are not charged to a memory cgroup:
 * all who preserve memory nearby share them, and the cgroup that needs a node last is
 * seldom the one that needed it first. Nor do they need a limit. A node is freed when
 * it is empty; a leaf holds at least one block that is charged, unless it is not memory
 * of user space; and if all memory is preserved, leaves are 1/16384 of it at most.
 */
static void *alloc_tree_node(unsigned long first_key, unsigned int level)
{
	struct folio *folio = kho_alloc_folio(0, GFP_KERNEL);

	if (!folio)
		return NULL;

	kho_node_mark(folio_pfn(folio), first_key, level);
	return folio_address(folio);
}

static void free_tree_node(void *node)
{
	kho_node_unmark(PHYS_PFN(virt_to_phys(node)));
	free_page((unsigned long)node);
}

static int __init kho_out_init(void)
{
	void *root;
	int err;

	if (!kho_is_enabled())
		return 0;

	kho_nodes_init();
	root = alloc_tree_node(0, KHO_RADIX_LEVELS - 1);
	if (!root) {
		err = -ENOMEM;
		goto err_off;
	}

	kho_out.tree.alloc_node = alloc_tree_node;
	kho_out.tree.free_node = free_tree_node;
	kho_out.tree.node_valid = kho_node_valid;
	kho_out.tree.root = root;

	err = kho_fdt_init();
	if (err)
		goto err_destroy;

	kho_out.nr_own_pages = kho_nr_pages(&kho_out.tree);
	return 0;

err_destroy:
	kho_radix_destroy_tree(&kho_out.tree);
err_off:
	pr_err("nothing can be preserved: no memory for the root FDT and tree\n");
	return err;
}
core_initcall(kho_out_init);
