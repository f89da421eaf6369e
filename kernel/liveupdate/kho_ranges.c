// SPDX-License-Identifier: GPL-2.0-only
/*
 * A tree of preserved blocks, read as ascending address ranges.
 *
 * In the tree the blocks of one order come after those of the next higher
 * order. Here the orders are merged, so that whoever needs addresses in order
 * (memblock, struct page initialization, a reader of debugfs) sees each range
 * once, and the cost stays linear in the number of blocks.
 */

#include <linux/bitmap.h>

#include "kho_internal.h"

/* Move @order on to its first key >= @key. */
static void advance(struct kho_range_iter *it, unsigned int order,
		    unsigned long key)
{
	unsigned long first = kho_key(0, order);

	if (kho_radix_iter_next(&it->iter[order], &key, first | (first - 1))) {
		it->key[order] = key;
		it->phys[order] = kho_key_phys(key);
		__set_bit(order, it->active);
	} else {
		__clear_bit(order, it->active);
	}
}

/**
 * kho_range_iter_init - begin an iteration
 * @it: the iteration
 * @tree: the tree; its nodes must stay while @it is in use
 */
void kho_range_iter_init(struct kho_range_iter *it,
			 const struct kho_radix_tree *tree)
{
	it->tree = tree;
	kho_range_iter_seek(it, 0);
}

/**
 * kho_range_iter_seek - go on with another block
 * @it: the iteration
 * @phys: the next block is the first one that begins there or later
 *
 * Nodes may have been taken out of the tree since the last step.
 */
void kho_range_iter_seek(struct kho_range_iter *it, phys_addr_t phys)
{
	unsigned int order;
	phys_addr_t size;

	bitmap_zero(it->active, KHO_NR_ORDERS);
	for (order = 0; order < KHO_NR_ORDERS; order++) {
		size = (phys_addr_t)PAGE_SIZE << order;
		kho_radix_iter_init(&it->iter[order], it->tree);
		advance(it, order, kho_key(phys + size - 1, order));
	}
}

/* The order whose next block has the lowest address, KHO_NR_ORDERS if none. */
static unsigned int lowest(const struct kho_range_iter *it)
{
	unsigned int found = KHO_NR_ORDERS;
	unsigned int order;

	for_each_set_bit(order, it->active, KHO_NR_ORDERS) {
		if (found == KHO_NR_ORDERS || it->phys[order] < it->phys[found])
			found = order;
	}

	return found;
}

/**
 * kho_range_iter_next_block - next block in order of addresses
 * @it: the iteration
 * @phys: physical address of the block
 * @order: its order
 *
 * Blocks that overlap come in the order of their starts, the smaller one
 * first when they start together.
 *
 * Return: false when there are no more.
 */
bool kho_range_iter_next_block(struct kho_range_iter *it, phys_addr_t *phys,
			       unsigned int *order)
{
	unsigned int found = lowest(it);

	if (found == KHO_NR_ORDERS)
		return false;

	*phys = it->phys[found];
	*order = found;
	advance(it, found, it->key[found] + 1);

	return true;
}

/**
 * kho_range_iter_next - next range in order of addresses
 * @it: the iteration
 * @start: physical address of its first byte
 * @end: physical address after its last byte
 *
 * A range is as long as blocks follow each other without a gap.
 *
 * Return: false when there are no more.
 */
bool kho_range_iter_next(struct kho_range_iter *it, phys_addr_t *start,
			 phys_addr_t *end)
{
	phys_addr_t phys;
	unsigned int order;

	if (!kho_range_iter_next_block(it, start, &order))
		return false;

	*end = *start + (PAGE_SIZE << order);
	while ((order = lowest(it)) != KHO_NR_ORDERS) {
		phys = it->phys[order];
		if (phys > *end)
			break;

		*end = max(*end, phys + (PAGE_SIZE << order));
		advance(it, order, it->key[order] + 1);
	}

	return true;
}

/**
 * kho_nr_pages - number of pages in all blocks of a tree
 * @tree: the tree; its nodes must stay meanwhile
 *
 * Linear in the size of the tree, not in the number of blocks. What is preserved
 * or unpreserved meanwhile may count or not.
 *
 * Return: the number.
 */
unsigned long kho_nr_pages(const struct kho_radix_tree *tree)
{
	unsigned long key = kho_key(0, KHO_MAX_ORDER), nr_pages = 0;
	struct kho_radix_iter iter;

	kho_radix_iter_init(&iter, tree);
	while (kho_radix_iter_next(&iter, &key, ~0UL)) {
		/* Only the first leaf has blocks of several orders. */
		if (!iter.base) {
			nr_pages += 1UL << kho_key_order(key);
			key++;
			continue;
		}

		/* A leaf is a bitmap. This one may be out of the tree by now. */
		nr_pages += (unsigned long)bitmap_weight((const unsigned long *)iter.leaf,
							 KHO_LEAF_KEYS) <<
			    kho_key_order(key);
		key = iter.base + KHO_LEAF_KEYS;
	}

	return nr_pages;
}

/**
 * kho_range_covered - whether all of a range is preserved, in whatever blocks
 * @tree: the tree
 * @phys: physical address of the first byte
 * @size: length in bytes
 *
 * Return: true when each byte lies in some block.
 */
bool kho_range_covered(const struct kho_radix_tree *tree, phys_addr_t phys,
		       phys_addr_t size)
{
	phys_addr_t end = phys + size;
	unsigned int order;

	if (end < phys)
		return false;

	while (phys < end) {
		for (order = 0; order < KHO_NR_ORDERS; order++) {
			if (kho_radix_test_key(tree, kho_key(phys, order)))
				break;
		}
		if (order == KHO_NR_ORDERS)
			return false;

		phys = round_down(phys, PAGE_SIZE << order) +
		       (PAGE_SIZE << order);
	}

	return true;
}
