// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restore memory from several CPUs while a kernel boots that Kexec HandOver has
 * handed over to: before, while and after it initializes the struct pages.
 *
 *	/sys/kernel/debug/kho_race/control	write N: preserve N items that lie all
 *						over the memory
 *	/sys/kernel/debug/kho_race/report	what came of it, "name value":
 *		items		that were handed over
 *		threads		that restored them, each on a CPU of its own
 *		before		items that were restored before struct pages were
 *				initialized
 *		across		those whose restoring began before that, and ended
 *				afterwards
 *		after		those that were restored afterwards
 *		tried_again	attempts to restore what somebody had restored
 *		refused		and how many of them were in vain, as they have to be
 *		not_once	items that were not restored exactly once
 *		damaged		items that are not what they were
 *
 * kho_race.restore=1 restores them, with one thread on each CPU that begins as soon
 * as the CPU is up: on the first one from an early initcall.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/cpuhotplug.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#include "../kho_internal.h"
#include "kho_fill.h"

#define SUBTREE		"kho-race"
#define MAGIC		0x656361722d6f686bULL
#define MAX_ITEMS	4096

/* Items are so many pages apart. Even ones are folios, odd ones runs of pages. */
#define ITEM_STEP	64
#define RUN_PAGES	3

/* So many items there are for each that all threads try to restore. */
#define PER_CONTESTED	8

/* Crosses kernels: the blob of the subtree. */
struct record {
	u64 magic;
	u64 nr_items;
	u64 phys[MAX_ITEMS];
};

static struct record *outgoing, *incoming;
static DEFINE_MUTEX(lock);

/* How often each item was restored. */
static atomic_t *nr_restored;

static atomic_t nr_threads, nr_running, nr_before, nr_across, nr_after;
static atomic_t nr_tried_again, nr_refused, nr_damaged;
static DECLARE_WAIT_QUEUE_HEAD(all_done);

static bool restore;
module_param(restore, bool, 0444);
MODULE_PARM_DESC(restore, "restore from all CPUs as soon as they are up");

static unsigned int item_pages(unsigned int nr)
{
	return nr % 2 ? RUN_PAGES : 1;
}

/*
 * The kernel that preserves
 */

static int preserve_item(struct page *page)
{
	unsigned int nr = outgoing->nr_items++, i;

	outgoing->phys[nr] = page_to_phys(page);
	for (i = 0; i < item_pages(nr); i++)
		kho_fill(page_to_pfn(page) + i, nr, KHO_FILL_PAGE);

	if (nr % 2)
		return kho_preserve_pages(page, RUN_PAGES);

	return kho_preserve_folio(page_folio(page));
}

/* Free what lies between the items of a block. */
static int preserve_block(struct page *page, unsigned long nr_items)
{
	unsigned int i, taken = 0;
	int err = 0;

	for (i = 0; i < MAX_ORDER_NR_PAGES; i++) {
		if (!err && !(i % ITEM_STEP) && outgoing->nr_items < nr_items) {
			taken = i + item_pages(outgoing->nr_items);
			err = preserve_item(page + i);
		}
		if (i >= taken)
			__free_page(page + i);
	}

	return err;
}

static int preserve(unsigned long nr_items)
{
	struct page *page;
	int err;

	if (outgoing)
		return -EEXIST;
	if (!nr_items || nr_items > MAX_ITEMS)
		return -EINVAL;

	outgoing = kho_alloc_preserve(sizeof(*outgoing));
	if (IS_ERR(outgoing)) {
		err = PTR_ERR(outgoing);
		outgoing = NULL;
		return err;
	}

	outgoing->magic = MAGIC;
	while (outgoing->nr_items < nr_items) {
		page = alloc_pages(GFP_KERNEL, MAX_PAGE_ORDER);
		if (!page)
			return -ENOMEM;

		split_page(page, MAX_PAGE_ORDER);
		err = preserve_block(page, nr_items);
		if (err)
			return err;
		cond_resched();
	}

	return kho_add_subtree(SUBTREE, outgoing, sizeof(*outgoing));
}

/*
 * The kernel that restores
 */

static bool item_ok(const struct page *page, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < item_pages(nr); i++) {
		if (page_ref_count(page + i) != 1 || PageReserved(page + i) ||
		    !kho_filled(page_to_pfn(page) + i, nr, KHO_FILL_PAGE))
			return false;
	}

	return true;
}

static struct page *restore_pages(unsigned int nr)
{
	struct folio *folio;

	if (nr % 2)
		return kho_restore_pages(incoming->phys[nr], RUN_PAGES);

	folio = kho_restore_folio(incoming->phys[nr]);
	return folio ? folio_page(folio, 0) : NULL;
}

static void restore_item(unsigned int nr)
{
	bool ready = kho_pages_ready(), again = atomic_read(&nr_restored[nr]);
	struct page *page;

	if (again && nr % PER_CONTESTED)
		return;

	page = restore_pages(nr);
	if (again) {
		atomic_inc(&nr_tried_again);
		if (!page)
			atomic_inc(&nr_refused);
	}
	if (!page)
		return;

	atomic_inc(&nr_restored[nr]);
	atomic_inc(ready ? &nr_after : kho_pages_ready() ? &nr_across : &nr_before);
	if (!item_ok(page, nr))
		atomic_inc(&nr_damaged);
}

/* The threads come from both ends. They leave items for later, but do not stop. */
static int restore_thread(void *unused)
{
	bool backwards = smp_processor_id() % 2;
	unsigned int i;

	for (i = 0; i < incoming->nr_items; i++) {
		restore_item(backwards ? incoming->nr_items - 1 - i : i);
		if (!kho_pages_ready())
			usleep_range(50, 100);
		cond_resched();
	}

	if (atomic_dec_and_test(&nr_running))
		wake_up(&all_done);
	return 0;
}

static int start_restoring(unsigned int cpu)
{
	struct task_struct *task;

	task = kthread_create_on_cpu(restore_thread, NULL, cpu, "kho_race/%u");
	if (IS_ERR(task))
		return 0;

	atomic_inc(&nr_threads);
	atomic_inc(&nr_running);
	wake_up_process(task);
	return 0;
}

static int __init race_early(void)
{
	phys_addr_t phys;
	size_t size;
	int err;

	if (!restore)
		return 0;

	err = kho_retrieve_subtree(SUBTREE, &phys, &size);
	if (err || size != sizeof(*incoming) || !kho_restore_folio(phys)) {
		pr_err("there are no items: %d\n", err);
		return 0;
	}

	incoming = phys_to_virt(phys);
	nr_restored = kcalloc(MAX_ITEMS, sizeof(*nr_restored), GFP_KERNEL);
	if (!nr_restored || incoming->magic != MAGIC || incoming->nr_items > MAX_ITEMS) {
		pr_err("the items cannot be restored\n");
		incoming = NULL;
		return 0;
	}

	/* Now on this CPU, later on each of the others. */
	err = cpuhp_setup_state(CPUHP_AP_ONLINE_DYN, "kho/race:online",
				start_restoring, NULL);
	if (err < 0)
		pr_err("no threads: %d\n", err);
	return 0;
}
early_initcall(race_early);

/*
 * debugfs
 */

static int nr_items_set(void *unused, u64 nr)
{
	guard(mutex)(&lock);
	return preserve(nr);
}
DEFINE_DEBUGFS_ATTRIBUTE(control_fops, NULL, nr_items_set, "%llu\n");

static unsigned int count_not_once(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < incoming->nr_items; i++)
		nr += atomic_read(&nr_restored[i]) != 1;

	return nr;
}

static int report_show(struct seq_file *m, void *unused)
{
	if (!incoming)
		return -ENOENT;

	wait_event(all_done, !atomic_read(&nr_running));
	seq_printf(m, "items %llu\n", incoming->nr_items);
	seq_printf(m, "threads %d\n", atomic_read(&nr_threads));
	seq_printf(m, "before %d\n", atomic_read(&nr_before));
	seq_printf(m, "across %d\n", atomic_read(&nr_across));
	seq_printf(m, "after %d\n", atomic_read(&nr_after));
	seq_printf(m, "tried_again %d\n", atomic_read(&nr_tried_again));
	seq_printf(m, "refused %d\n", atomic_read(&nr_refused));
	seq_printf(m, "not_once %u\n", count_not_once());
	seq_printf(m, "damaged %d\n", atomic_read(&nr_damaged));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init race_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_race", NULL);

	debugfs_create_file_unsafe("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);
	return 0;
}
device_initcall(race_init);
