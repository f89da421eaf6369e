// SPDX-License-Identifier: GPL-2.0-only
/*
 * For each order bitmaps of 512 bytes, in an xarray; and an xarray of these by
 * order. A bitmap of order-0 pages covers 16 MiB, one of 2 MiB folios 8 GiB.
 *
 * What points to the bitmaps cannot be handed over. In the end it is written
 * down in a chain, order by order; the bitmaps stay where they are.
 */

#include <linux/bitmap.h>
#include <linux/err.h>
#include <linux/radix-tree.h>
#include <linux/xarray.h>

#include "chain.h"
#include "memory.h"
#include "tracker.h"

#define BITMAP_SHIFT	12
#define BITMAP_BITS	BIT(BITMAP_SHIFT)

struct tracker {
	struct xarray orders;
	struct chain chain;
};

struct order {
	struct xarray bitmaps;
};

struct bits {
	DECLARE_BITMAP(bit, BITMAP_BITS);
};

static struct mem_pool handles = {
	.size = sizeof(struct tracker), .align = sizeof(long),
};

static struct mem_pool orders = {
	.size = sizeof(struct order), .align = sizeof(long),
};

static struct mem_pool bitmaps = {
	.size = sizeof(struct bits), .align = sizeof(struct bits),
	.handed_over = true,
};

static void __attribute__((constructor)) init(void)
{
	rcu_register_thread();
	radix_tree_init();
}

/* Atomic, like those of the radix tree. */
static bool test_and_set_bit(unsigned long nr, unsigned long *addr)
{
	return __atomic_fetch_or(addr + BIT_WORD(nr), BIT_MASK(nr),
				 __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

static bool test_and_clear_bit(unsigned long nr, unsigned long *addr)
{
	return __atomic_fetch_and(addr + BIT_WORD(nr), ~BIT_MASK(nr),
				  __ATOMIC_SEQ_CST) & BIT_MASK(nr);
}

static struct tracker *xarray_create(void)
{
	struct tracker *tracker = mem_get(&handles);

	if (tracker) {
		xa_init(&tracker->orders);
		tracker->chain = (struct chain){};
	}

	return tracker;
}

/* Put @new, which may be NULL, at @index. What cannot be kept is freed. */
static void *insert(struct xarray *xa, unsigned long index,
		    struct mem_pool *pool, void *new)
{
	int err;

	if (!new)
		return ERR_PTR(-ENOMEM);

	err = xa_insert(xa, index, new, GFP_KERNEL);
	if (err) {
		mem_put(pool, new);
		return ERR_PTR(err);
	}

	return new;
}

static struct order *add_order(struct tracker *tracker, unsigned int nr)
{
	struct order *order = mem_get(&orders);

	if (order)
		xa_init(&order->bitmaps);

	return insert(&tracker->orders, nr, &orders, order);
}

static struct bits *add_bits(struct order *order, unsigned long index)
{
	struct bits *bits = mem_get(&bitmaps);

	if (bits)
		bitmap_zero(bits->bit, BITMAP_BITS);

	return insert(&order->bitmaps, index, &bitmaps, bits);
}

static int xarray_add(struct tracker *tracker, unsigned long pfn,
		      unsigned int nr)
{
	unsigned long index = pfn >> nr;
	struct order *order;
	struct bits *bits;

	order = xa_load(&tracker->orders, nr);
	if (!order)
		order = add_order(tracker, nr);
	if (IS_ERR(order))
		return PTR_ERR(order);

	bits = xa_load(&order->bitmaps, index >> BITMAP_SHIFT);
	if (!bits)
		bits = add_bits(order, index >> BITMAP_SHIFT);
	if (IS_ERR(bits))
		return PTR_ERR(bits);

	test_and_set_bit(index % BITMAP_BITS, bits->bit);
	return 0;
}

/* Empty bitmaps are kept: more is likely to come. */
static int xarray_del(struct tracker *tracker, unsigned long pfn,
		      unsigned int nr)
{
	unsigned long index = pfn >> nr;
	struct order *order;
	struct bits *bits;

	order = xa_load(&tracker->orders, nr);
	if (!order)
		return -ENOENT;

	bits = xa_load(&order->bitmaps, index >> BITMAP_SHIFT);
	if (!bits || !test_and_clear_bit(index % BITMAP_BITS, bits->bit))
		return -ENOENT;

	return 0;
}

static int chain_order(struct chain *chain, unsigned int nr,
		       struct order *order)
{
	unsigned long index;
	struct bits *bits;
	int err;

	xa_for_each(&order->bitmaps, index, bits) {
		if (bitmap_empty(bits->bit, BITMAP_BITS))
			continue;

		err = chain_add(chain, index << BITMAP_SHIFT << nr, nr,
				mem_phys(bits));
		if (err)
			return err;
	}

	return 0;
}

static int xarray_finalize(struct tracker *tracker, unsigned long *phys)
{
	struct order *order;
	unsigned long nr;
	int err;

	chain_free(&tracker->chain);
	xa_for_each(&tracker->orders, nr, order) {
		err = chain_order(&tracker->chain, nr, order);
		if (err) {
			chain_free(&tracker->chain);
			return err;
		}
	}

	*phys = mem_phys(tracker->chain.first);
	return 0;
}

static void xarray_destroy(struct tracker *tracker)
{
	unsigned long nr, index;
	struct order *order;
	struct bits *bits;

	chain_free(&tracker->chain);
	xa_for_each(&tracker->orders, nr, order) {
		xa_for_each(&order->bitmaps, index, bits)
			mem_put(&bitmaps, bits);
		xa_destroy(&order->bitmaps);
		mem_put(&orders, order);
	}
	xa_destroy(&tracker->orders);
	mem_put(&handles, tracker);
	rcu_barrier();
}

static int read_bits(const struct chain_entry *entry, tracker_fn fn, void *data)
{
	const struct bits *bits = mem_virt(entry->value);
	unsigned int order = entry_order(entry);
	unsigned long bit, end;
	int err;

	for (bit = find_first_bit(bits->bit, BITMAP_BITS); bit < BITMAP_BITS;
	     bit = find_next_bit(bits->bit, BITMAP_BITS, end)) {
		end = find_next_zero_bit(bits->bit, BITMAP_BITS, bit);
		err = fn(entry_pfn(entry) + (bit << order), order, end - bit,
			 data);
		if (err)
			return err;
	}

	return 0;
}

static int xarray_read(unsigned long phys, tracker_fn fn, void *data)
{
	return chain_read(phys, read_bits, fn, data);
}

const struct tracker_ops tracker_xarray = {
	.name = "xarray, bitmaps",
	.create = xarray_create,
	.add = xarray_add,
	.del = xarray_del,
	.finalize = xarray_finalize,
	.destroy = xarray_destroy,
	.read = xarray_read,
};
