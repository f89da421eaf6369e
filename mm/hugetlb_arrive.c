// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tell the next kernel how many huge pages arrive.
 *
 * The pool of the next kernel is to have as many pages as its command line says, with those
 * that arrive. It has to know their number before it allocates any: pages larger than the
 * page allocator has come from memblock, long before anything is retrieved. So there is a
 * table of the huge pages that are preserved, by size and node, in a subtree of KHO. It is
 * there as long as a memfd of hugetlb is preserved, and kept up to date with each page.
 *
 * The next kernel reads it when a size of huge pages becomes known, and counts the pages as
 * in use; see hugetlb_count_arriving().
 */

#define pr_fmt(fmt) "hugetlb: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/hugetlb.h>
#include <linux/kho_mm.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/nodemask.h>
#include <linux/spinlock.h>

/* The table for the next kernel: NULL as long as there are no users. */
static struct hugetlb_pool_ser *table;
static unsigned int nr_users;
static DEFINE_MUTEX(table_lock);

/* Of the numbers in the table. */
static DEFINE_SPINLOCK(count_lock);

static unsigned int nr_counts(void)
{
	return hugetlb_max_hstate * nr_node_ids;
}

static int make_table(void)
{
	size_t size = struct_size(table, counts, nr_counts());
	struct hugetlb_pool_ser *new;
	unsigned int i;
	int err;

	new = kho_alloc_preserve(size);
	if (IS_ERR(new))
		return PTR_ERR(new);

	new->nr = nr_counts();
	for (i = 0; i < new->nr; i++) {
		new->counts[i].order = hstates[i / nr_node_ids].order;
		new->counts[i].nid = i % nr_node_ids;
	}

	err = kho_add_subtree(HUGETLB_POOL_SUBTREE, new, size);
	if (err) {
		kho_unpreserve_free(new);
		return err;
	}

	table = new;
	return 0;
}

/**
 * hugetlb_arrive_get - begin to count huge pages for the next kernel
 *
 * Context: Process context; may sleep.
 * Return: 0, and then hugetlb_arrive_put() has to follow; or -errno, as of
 * kho_alloc_preserve() or kho_add_subtree().
 */
int hugetlb_arrive_get(void)
{
	int err = 0;

	guard(mutex)(&table_lock);

	if (!nr_users)
		err = make_table();
	if (!err)
		nr_users++;
	return err;
}

/**
 * hugetlb_arrive_put - undo hugetlb_arrive_get()
 *
 * Context: Process context; may sleep. The caller has taken back what it has counted.
 */
void hugetlb_arrive_put(void)
{
	guard(mutex)(&table_lock);

	if (--nr_users)
		return;

	kho_remove_subtree(table);
	kho_unpreserve_free(table);
	table = NULL;
}

/**
 * hugetlb_arrive_count - count a huge page that was preserved, or is not any more
 * @folio: the huge page
 * @add: whether it was preserved
 *
 * Context: Process context, between hugetlb_arrive_get() and hugetlb_arrive_put().
 */
void hugetlb_arrive_count(struct folio *folio, bool add)
{
	unsigned int index = hstate_index(folio_hstate(folio)) * nr_node_ids +
			     folio_nid(folio);

	guard(spinlock)(&count_lock);
	table->counts[index].nr += add ? 1 : -1;
}

/* Of the previous kernel: NULL if there is none that can be believed. */
static struct hugetlb_pool_ser *arriving __initdata;

static bool __init table_valid(const struct hugetlb_pool_ser *ser, size_t size)
{
	u64 max_pages = PHYS_PFN(memblock_phys_mem_size()), nr_pages = 0;
	unsigned int i;

	if (size < sizeof(*ser) || size != struct_size(ser, counts, ser->nr))
		return false;

	for (i = 0; i < ser->nr; i++) {
		if (ser->counts[i].order > PUD_ORDER || ser->counts[i].nr > max_pages)
			return false;
		nr_pages += ser->counts[i].nr << ser->counts[i].order;
		if (nr_pages > max_pages)
			return false;
	}

	return true;
}

static void __init find_table(void)
{
	static bool looked __initdata;
	struct hugetlb_pool_ser *ser;
	phys_addr_t phys;
	size_t size;

	if (looked)
		return;

	looked = true;
	if (kho_retrieve_subtree(HUGETLB_POOL_SUBTREE, &phys, &size))
		return;

	ser = phys_to_virt(phys);
	if (PAGE_ALIGNED(phys) && size <= PAGE_SIZE << MAX_PAGE_ORDER &&
	    kho_run_preserved(PHYS_PFN(phys), 1UL << get_order(size)) &&
	    table_valid(ser, size))
		arriving = ser;
	else
		pr_warn("table of huge pages that arrive is damaged: the pool may have more pages than asked for\n");
}

/**
 * hugetlb_arriving - number of huge pages that the previous kernel has handed over
 * @order: their order
 * @nid: the node that they are on
 *
 * Context: Once the previous kernel's memory is reserved, until fs_initcall.
 * Return: the number; 0 with liveupdate=off.
 */
unsigned long __init hugetlb_arriving(unsigned int order, int nid)
{
	unsigned int i;

	find_table();
	/* What nobody can retrieve is not part of the pool. */
	if (!arriving || liveupdate_refused())
		return 0;

	for (i = 0; i < arriving->nr; i++) {
		if (arriving->counts[i].order == order && arriving->counts[i].nid == nid)
			return arriving->counts[i].nr;
	}

	return 0;
}

/* All sizes are known by now. */
static int __init hugetlb_arrive_init(void)
{
	find_table();
	kho_restore_free(arriving);
	arriving = NULL;
	return 0;
}
fs_initcall(hugetlb_arrive_init);
