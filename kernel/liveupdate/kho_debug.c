// SPDX-License-Identifier: GPL-2.0-only
/*
 * CONFIG_KEXEC_HANDOVER_DEBUG: find overlapping preservations at the call.
 *
 * The radix tree cannot tell that a block overlaps one of another order; the
 * next kernel does, and refuses the handover. A maple tree of page ranges
 * tells it while the culprit is still on the stack. debugfs lists it in
 * out/ranges, which has to agree with what the radix tree says in
 * out/preserved.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/debugfs.h>
#include <linux/maple_tree.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "kho_internal.h"

static struct maple_tree tracked = MTREE_INIT(tracked, MT_FLAGS_USE_RCU);

/**
 * kho_debug_track - note a block that is about to be preserved
 * @pfn: its first page
 * @order: its order
 *
 * Context: Process context; may sleep.
 * Return: 0, also when the very same block is tracked already; -EEXIST after
 * a warning when it overlaps another one; -ENOMEM.
 */
int kho_debug_track(unsigned long pfn, unsigned int order)
{
	MA_STATE(mas, &tracked, pfn, pfn);
	unsigned long last = pfn + (1UL << order) - 1;
	void *entry;
	int err;

	do {
		err = mtree_insert_range(&tracked, pfn, last,
					 xa_mk_value(order), GFP_KERNEL);
		if (err != -EEXIST)
			return err;

		rcu_read_lock();
		mas_set(&mas, pfn);
		entry = mas_find(&mas, last);
		rcu_read_unlock();
		/* Gone again: somebody unpreserves it at the same time. */
	} while (!entry);

	/* Aligned blocks of one order are the same or do not overlap. */
	if (entry == xa_mk_value(order))
		return 0;

	WARN(1, "kho: pages %#lx to %#lx overlap a preserved block of order %lu\n",
	     pfn, last, xa_to_value(entry));
	return -EEXIST;
}

/**
 * kho_debug_untrack - note that a block is not preserved any more
 * @pfn: its first page
 * @order: its order
 */
void kho_debug_untrack(unsigned long pfn, unsigned int order)
{
	mtree_erase(&tracked, pfn);
}

/* A line of out/ranges: blocks that follow each other without a gap. */
struct range_seq {
	unsigned long first;
	unsigned long last;
};

/* The position is the page to go on with, whatever has changed meanwhile. */
static void *range_from(struct seq_file *m, loff_t pos)
{
	MA_STATE(mas, &tracked, pos, pos);
	struct range_seq *range = m->private;

	if (!mas_find(&mas, ULONG_MAX))
		return NULL;

	range->first = max_t(unsigned long, mas.index, pos);
	do {
		range->last = mas.last;
	} while (mas_find(&mas, range->last + 1));

	return range;
}

static void *ranges_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	rcu_read_lock();
	return range_from(m, *pos);
}

static void *ranges_next(struct seq_file *m, void *v, loff_t *pos)
{
	const struct range_seq *range = v;

	*pos = range->last + 1;
	return range_from(m, *pos);
}

static void ranges_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static int ranges_show(struct seq_file *m, void *v)
{
	const struct range_seq *range = v;

	seq_printf(m, "%#llx-%#llx pages %lu\n", (u64)PFN_PHYS(range->first),
		   (u64)PFN_PHYS(range->last + 1) - 1,
		   range->last - range->first + 1);
	return 0;
}

static const struct seq_operations ranges_sops = {
	.start = ranges_start,
	.next = ranges_next,
	.stop = ranges_stop,
	.show = ranges_show,
};

static int ranges_open(struct inode *inode, struct file *file)
{
	return seq_open_private(file, &ranges_sops, sizeof(struct range_seq));
}

static const struct file_operations ranges_fops = {
	.owner = THIS_MODULE,
	.open = ranges_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

/**
 * kho_debug_create_files - show in debugfs what is tracked
 * @dir: directory for the outgoing side
 */
void __init kho_debug_create_files(struct dentry *dir)
{
	debugfs_create_file("ranges", 0400, dir, NULL, &ranges_fops);
}
