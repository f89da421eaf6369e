// SPDX-License-Identifier: GPL-2.0-only
/*
 * A maple tree of ranges, each with the order of the blocks that it consists
 * of. Neighbours of the same order are one range.
 *
 * The tree cannot be handed over. In the end its ranges are written down in a
 * chain, by address.
 */

#include <linux/err.h>
#include <linux/maple_tree.h>
#include <linux/xarray.h>

#include "chain.h"
#include "memory.h"
#include "tracker.h"

struct tracker {
	struct maple_tree ranges;
	struct chain chain;
};

static struct mem_pool handles = {
	.size = sizeof(struct tracker), .align = sizeof(long),
};

static void __attribute__((constructor)) init(void)
{
	maple_tree_init();
}

static struct tracker *maple_create(void)
{
	struct tracker *tracker = mem_get(&handles);

	if (tracker) {
		mt_init(&tracker->ranges);
		tracker->chain = (struct chain){};
	}

	return tracker;
}

/* Unlike the other trackers this one notices blocks that overlap: -EEXIST. */
static int store(struct ma_state *mas, unsigned long last, void *order)
{
	unsigned long pfn = mas->index, start = pfn, end = last;
	unsigned long gap_start, gap_end;
	bool moved = false;
	void *entry;

	entry = mas_walk(mas);
	if (entry)
		return entry == order ? 0 : -EEXIST;

	gap_start = mas->index;
	gap_end = mas->last;
	if (gap_end < last)
		return -EEXIST;

	if (gap_start == pfn && pfn) {
		if (mas_prev(mas, pfn - 1) == order)
			start = mas->index;
		else
			moved = true;
	}

	if (gap_end == last) {
		if (mas_next(mas, last + 1) == order)
			end = mas->last;
		moved = true;
	}

	/* It need not walk again while it is where the range starts. */
	if (moved)
		mas_set_range(mas, start, end);
	else
		__mas_set_range(mas, start, end);

	return mas_store_gfp(mas, order, GFP_KERNEL);
}

static int maple_add(struct tracker *tracker, unsigned long pfn,
		     unsigned int order)
{
	MA_STATE(mas, &tracker->ranges, pfn, pfn);
	int err;

	mas_lock(&mas);
	err = store(&mas, pfn + (1UL << order) - 1, xa_mk_value(order));
	mas_unlock(&mas);

	return err;
}

/* May need memory: what is cut out of a range leaves two. */
static int maple_del(struct tracker *tracker, unsigned long pfn,
		     unsigned int order)
{
	MA_STATE(mas, &tracker->ranges, pfn, pfn);
	int err = -ENOENT;

	mas_lock(&mas);
	if (mas_walk(&mas) == xa_mk_value(order)) {
		__mas_set_range(&mas, pfn, pfn + (1UL << order) - 1);
		err = mas_store_gfp(&mas, NULL, GFP_KERNEL);
	}
	mas_unlock(&mas);

	return err;
}

static int maple_finalize(struct tracker *tracker, unsigned long *phys)
{
	MA_STATE(mas, &tracker->ranges, 0, 0);
	unsigned int order;
	void *entry;
	int err;

	chain_free(&tracker->chain);
	mas_for_each(&mas, entry, ULONG_MAX) {
		order = xa_to_value(entry);
		err = chain_add(&tracker->chain, mas.index, order,
				(mas.last - mas.index + 1) >> order);
		if (err) {
			chain_free(&tracker->chain);
			return err;
		}
	}

	*phys = mem_phys(tracker->chain.first);
	return 0;
}

static void maple_destroy(struct tracker *tracker)
{
	chain_free(&tracker->chain);
	mtree_destroy(&tracker->ranges);
	mem_put(&handles, tracker);
}

static int read_range(const struct chain_entry *entry, tracker_fn fn,
		      void *data)
{
	return fn(entry_pfn(entry), entry_order(entry), entry->value, data);
}

static int maple_read(unsigned long phys, tracker_fn fn, void *data)
{
	return chain_read(phys, read_range, fn, data);
}

const struct tracker_ops tracker_maple = {
	.name = "maple tree, chain",
	.by_address = true,
	.create = maple_create,
	.add = maple_add,
	.del = maple_del,
	.finalize = maple_finalize,
	.destroy = maple_destroy,
	.read = maple_read,
};
