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
#include <linux/delay.h>
#include <linux/maple_tree.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/xarray.h>

#include "kho_internal.h"

static struct maple_tree tracked = MTREE_INIT(tracked, MT_FLAGS_USE_RCU);

/*
 * A block is an entry that holds its order, and this as long as a caller is changing the
 * block: adding or deleting its key and its entry are two steps, and to others they are
 * one. It is a lock for one block, not for all, as memory is allocated under it, and
 * reclaim may unpreserve other blocks for that.
 */
#define BUSY	BIT(8)

/* The block is not preserved any more, but there was no memory to erase its entry. */
#define GONE	BIT(9)

/* Store the value of a block in the place of its entry: that takes no memory. */
static void set_value(unsigned long pfn, unsigned int order, unsigned long value)
{
	MA_STATE(mas, &tracked, pfn, pfn + (1UL << order) - 1);

	lockdep_assert_held(&tracked.ma_lock);

	mas_store(&mas, xa_mk_value(value));
}

/* Erase a busy entry. If there is no memory for that, the block is gone, but not busy. */
static bool erase(unsigned long pfn, unsigned int order)
{
	MA_STATE(mas, &tracked, pfn, pfn);
	bool erased;

	/* May drop the lock for a while, but other callers wait as the entry is busy. */
	mtree_lock(&tracked);
	mas_erase(&mas);
	erased = !mas_is_err(&mas);
	if (!erased)
		set_value(pfn, order, order | GONE);
	mtree_unlock(&tracked);

	return erased;
}

/*
 * Mark a tracked block as busy. Returns 0; -ENOENT if nothing is tracked in its range;
 * -EBUSY if what is tracked there is busy; -EEXIST if it is another block, and then sets
 * @order to the order of that; -ESTALE if that block, or the same, is gone, and then its
 * entry is busy, and @pfn and @order are set to it.
 */
static int mark_busy(unsigned long *pfn, unsigned int *order)
{
	MA_STATE(mas, &tracked, *pfn, *pfn);
	unsigned long last = *pfn + (1UL << *order) - 1, value;
	void *entry;
	int err = 0;

	mtree_lock(&tracked);
	entry = mas_find(&mas, last);
	value = entry ? xa_to_value(entry) : 0;
	if (!entry) {
		err = -ENOENT;
	} else if (value & BUSY) {
		err = -EBUSY;
	} else if (value & GONE) {
		*pfn = mas.index;
		*order = value & ~GONE;
		set_value(*pfn, *order, *order | BUSY);
		err = -ESTALE;
	} else if (value != *order) {
		*order = value;
		err = -EEXIST;
	} else {
		/* Aligned blocks of one order are the same or do not overlap. */
		set_value(*pfn, *order, value | BUSY);
	}
	mtree_unlock(&tracked);

	return err;
}

/* Let the other caller do its second step. */
static void wait_until_done(void)
{
	usleep_range(10, 100);
}

/**
 * kho_debug_begin_add - begin to preserve a block
 * @pfn: its first page
 * @order: its order
 *
 * Waits as long as another caller is changing the block.
 *
 * Context: Process context; may sleep.
 * Return:
 * * 0 - the caller calls kho_debug_end() when the key is added or cannot be; also if
 *   the very same block is preserved already
 * * %-EEXIST - it overlaps another block, which a warning names
 * * %-ENOMEM - there is no memory to track it
 */
int kho_debug_begin_add(unsigned long pfn, unsigned int order)
{
	unsigned long last = pfn + (1UL << order) - 1, at;
	unsigned int other;
	int err;

	for (;;) {
		err = mtree_insert_range(&tracked, pfn, last, xa_mk_value(order | BUSY),
					 GFP_KERNEL);
		if (err != -EEXIST)
			return err;

		at = pfn;
		other = order;
		err = mark_busy(&at, &other);
		if (!err)
			return 0;
		if (err == -EEXIST)
			break;
		if (err == -ESTALE && !erase(at, other))
			return -ENOMEM;
		/* It is about to go, or gone by now. */
		if (err == -EBUSY)
			wait_until_done();
	}

	WARN(1, "kho: pages %#lx to %#lx overlap a preserved block of order %u\n", pfn,
	     last, other);
	return -EEXIST;
}

/**
 * kho_debug_begin_del - begin to unpreserve a block
 * @pfn: its first page
 * @order: its order
 *
 * Waits as long as another caller is changing the block.
 *
 * Context: Process context; may sleep.
 * Return: true if the block is preserved: the caller calls kho_debug_end() when the key
 * is deleted.
 */
bool kho_debug_begin_del(unsigned long pfn, unsigned int order)
{
	unsigned long at = pfn;
	int err;

	while ((err = mark_busy(&at, &order)) == -EBUSY)
		wait_until_done();
	if (err == -ESTALE)
		erase(at, order);

	return !err;
}

/**
 * kho_debug_end - end what kho_debug_begin_add() or kho_debug_begin_del() began
 * @pfn: first page of the block
 * @order: its order
 * @preserved: whether the key of the block is in the tree now
 *
 * Context: Process context; may sleep.
 */
void kho_debug_end(unsigned long pfn, unsigned int order, bool preserved)
{
	if (!preserved) {
		erase(pfn, order);
		return;
	}

	mtree_lock(&tracked);
	set_value(pfn, order, order);
	mtree_unlock(&tracked);
}

/* A line of out/ranges: blocks that follow each other without a gap. */
struct range_seq {
	unsigned long first;
	unsigned long last;
};

static bool find_preserved(struct ma_state *mas, unsigned long last)
{
	void *entry;

	do {
		entry = mas_find(mas, last);
	} while (entry && xa_to_value(entry) & GONE);

	return entry;
}

/* The position is the page to go on with, whatever has changed meanwhile. */
static void *range_from(struct seq_file *m, loff_t pos)
{
	MA_STATE(mas, &tracked, pos, pos);
	struct range_seq *range = m->private;

	if (!find_preserved(&mas, ULONG_MAX))
		return NULL;

	range->first = max_t(unsigned long, mas.index, pos);
	do {
		range->last = mas.last;
	} while (find_preserved(&mas, range->last + 1));

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
	/* As in kho_debugfs.c. */
	return security_locked_down(LOCKDOWN_KCORE) ?:
	       seq_open_private(file, &ranges_sops, sizeof(struct range_seq));
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
