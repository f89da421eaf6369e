// SPDX-License-Identifier: GPL-2.0-only
/*
 * CONFIG_KEXEC_HANDOVER_DEBUG: find overlapping preservations at the call.
 *
 * The radix tree cannot tell that a block overlaps one of another order; the
 * next kernel does, and refuses the handover. A maple tree of page ranges
 * tells it while the culprit is still on the stack.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/maple_tree.h>
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
