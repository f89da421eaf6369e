// SPDX-License-Identifier: GPL-2.0-only
/*
 * Blocks of all orders as one ascending stream, and as ranges.
 */

#include <linux/kernel.h>

#include "../../../kernel/liveupdate/kho_internal.h"
#include "harness.h"

/* In pages, so that the same test serves for all page sizes. */
struct block {
	unsigned long pfn;
	unsigned int order;
};

struct range {
	unsigned long pfn;
	unsigned long end_pfn;
};

static struct kho_radix_tree tree;
static struct kho_range_iter it;

static void make_tree(const struct block *blocks, unsigned int nr)
{
	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	while (nr--)
		EXPECT_EQ(kho_radix_add_key(&tree,
					    kho_key(PFN_PHYS(blocks[nr].pfn),
						    blocks[nr].order)), 0);
}

static void expect_blocks(const struct block *blocks, unsigned int nr)
{
	unsigned int order, i;
	phys_addr_t phys;

	kho_range_iter_init(&it, &tree);
	for (i = 0; i < nr; i++) {
		EXPECT(kho_range_iter_next_block(&it, &phys, &order));
		EXPECT_EQ(phys, PFN_PHYS(blocks[i].pfn));
		EXPECT_EQ(order, blocks[i].order);
	}
	EXPECT(!kho_range_iter_next_block(&it, &phys, &order));
	EXPECT(!kho_range_iter_next_block(&it, &phys, &order));
}

static void expect_ranges(const struct range *ranges, unsigned int nr)
{
	phys_addr_t start, end;
	unsigned int i;

	kho_range_iter_init(&it, &tree);
	for (i = 0; i < nr; i++) {
		EXPECT(kho_range_iter_next(&it, &start, &end));
		EXPECT_EQ(start, PFN_PHYS(ranges[i].pfn));
		EXPECT_EQ(end, PFN_PHYS(ranges[i].end_pfn));
	}
	EXPECT(!kho_range_iter_next(&it, &start, &end));
}

TEST(ranges_of_nothing)
{
	make_tree(NULL, 0);
	expect_blocks(NULL, 0);
	expect_ranges(NULL, 0);
	EXPECT(!kho_range_covered(&tree, 0, 1));
	kho_radix_destroy_tree(&tree);

	/* No tree at all. */
	expect_blocks(NULL, 0);
}

TEST(ranges_merge_orders)
{
	static const struct block blocks[] = {
		{ 1, 0 }, { 2, 1 }, { 4, 2 },
		{ 16, 0 },
		{ 1UL << 18, 18 }, { 2UL << 18, 0 },
		{ 1UL << 20, 20 },
	};
	static const struct range ranges[] = {
		{ 1, 8 }, { 16, 17 }, { 1UL << 18, (2UL << 18) + 1 },
		{ 1UL << 20, 2UL << 20 },
	};

	make_tree(blocks, ARRAY_SIZE(blocks));
	expect_blocks(blocks, ARRAY_SIZE(blocks));
	expect_ranges(ranges, ARRAY_SIZE(ranges));
	kho_radix_destroy_tree(&tree);
}

/* Large blocks before small ones, too. */
TEST(ranges_descending_orders)
{
	static const struct block blocks[] = {
		{ 0, 4 }, { 16, 2 }, { 20, 1 }, { 22, 0 }, { 24, 3 },
	};
	static const struct range ranges[] = { { 0, 23 }, { 24, 32 } };

	make_tree(blocks, ARRAY_SIZE(blocks));
	expect_blocks(blocks, ARRAY_SIZE(blocks));
	expect_ranges(ranges, ARRAY_SIZE(ranges));
	kho_radix_destroy_tree(&tree);
}

/* Overlaps are somebody's bug, which check_blocks() finds by the order. */
TEST(ranges_overlap)
{
	static const struct block blocks[] = {
		{ 0, 0 }, { 0, 3 }, { 2, 1 }, { 8, 0 }, { 12, 2 }, { 15, 0 },
	};
	static const struct range ranges[] = { { 0, 9 }, { 12, 16 } };

	make_tree(blocks, ARRAY_SIZE(blocks));
	expect_blocks(blocks, ARRAY_SIZE(blocks));
	expect_ranges(ranges, ARRAY_SIZE(ranges));
	kho_radix_destroy_tree(&tree);
}

/* The first and the last block of an order; the next order begins there. */
TEST(ranges_ends_of_orders)
{
	unsigned int order;

	for (order = 0; order <= KHO_MAX_ORDER; order++) {
		unsigned long last_pfn = ~0UL << order & ~0UL >> PAGE_SHIFT;
		struct block blocks[] = { { 0, order }, { last_pfn, order } };

		make_tree(blocks, 2);
		expect_blocks(blocks, 2);
		kho_radix_destroy_tree(&tree);
	}
}

TEST(ranges_all_orders)
{
	struct block blocks[KHO_MAX_ORDER];
	struct range range = { 1, 1UL << KHO_MAX_ORDER };
	unsigned int order;

	for (order = 0; order < KHO_MAX_ORDER; order++)
		blocks[order] = (struct block){ 1UL << order, order };

	make_tree(blocks, ARRAY_SIZE(blocks));
	expect_blocks(blocks, ARRAY_SIZE(blocks));
	expect_ranges(&range, 1);
	EXPECT(kho_range_covered(&tree, PFN_PHYS(1), PFN_PHYS(range.end_pfn - 1)));
	EXPECT(!kho_range_covered(&tree, PFN_PHYS(1), PFN_PHYS(range.end_pfn)));
	kho_radix_destroy_tree(&tree);
}

/* A key that no block has is not shown as one. */
TEST(ranges_impossible_keys)
{
	static const struct block block = { 5, 0 };

	make_tree(&block, 1);
	EXPECT_EQ(kho_radix_add_key(&tree, 0), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, 1), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, 2UL << (64 - PAGE_SHIFT)), 0);
	expect_blocks(&block, 1);
	kho_radix_destroy_tree(&tree);
}

TEST(ranges_covered)
{
	static const struct block blocks[] = {
		{ 1, 0 }, { 2, 1 }, { 4, 2 }, { 9, 0 },
	};
	phys_addr_t start = PFN_PHYS(1), end = PFN_PHYS(8);

	make_tree(blocks, ARRAY_SIZE(blocks));
	EXPECT(kho_range_covered(&tree, start, end - start));
	EXPECT(kho_range_covered(&tree, start, 1));
	EXPECT(kho_range_covered(&tree, end - 1, 1));
	EXPECT(kho_range_covered(&tree, PFN_PHYS(5) + 123, PAGE_SIZE));
	EXPECT(!kho_range_covered(&tree, start, end - start + 1));
	EXPECT(!kho_range_covered(&tree, start - 1, 2));
	EXPECT(!kho_range_covered(&tree, end - 1, 2));
	EXPECT(!kho_range_covered(&tree, end, 1));
	EXPECT(!kho_range_covered(&tree, start, PFN_PHYS(9)));
	/* Wraps around. */
	EXPECT(!kho_range_covered(&tree, start, ~0UL));
	EXPECT(!kho_range_covered(&tree, ~0UL, 2));
	kho_radix_destroy_tree(&tree);
}
