// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys: what a block of pages is called in the tree. The values are part of
 * the ABI, and thus written out.
 */

#include <linux/kernel.h>

#include "../../../kernel/liveupdate/kho_internal.h"
#include "harness.h"

struct encoding {
	phys_addr_t phys;
	unsigned int order;
	unsigned long key;
};

static const struct encoding encodings[] = {
#if PAGE_SHIFT == 12
	{ 0, 0, 0x10000000000000 },
	{ 0x1000, 0, 0x10000000000001 },
	{ 0x12345000, 0, 0x10000000012345 },
	{ 0x123456789000, 0, 0x10000123456789 },
	{ 0xfffffffffffff000, 0, 0x1fffffffffffff },
	{ 0, 1, 0x8000000000000 },
	{ 0x2000, 1, 0x8000000000001 },
	{ 0x200000, 9, 0x80000000001 },
	{ 0x40000000, 9, 0x80000000200 },
	{ 0x40000000, 18, 0x400000001 },
	{ 0x18000000000, 18, 0x400000600 },
	{ 0, 51, 0x2 },
	{ 0x8000000000000000, 51, 0x3 },
#elif PAGE_SHIFT == 14
	{ 0, 0, 0x4000000000000 },
	{ 0x4000, 0, 0x4000000000001 },
	{ 0x2000000, 11, 0x8000000001 },
	{ 0xffffffffffffc000, 0, 0x7ffffffffffff },
	{ 0x8000000000000000, 49, 0x3 },
#elif PAGE_SHIFT == 16
	{ 0, 0, 0x1000000000000 },
	{ 0x10000, 0, 0x1000000000001 },
	{ 0x20000000, 13, 0x800000001 },
	{ 0xffffffffffff0000, 0, 0x1ffffffffffff },
	{ 0x8000000000000000, 47, 0x3 },
#else
#error "write the values for this page size down"
#endif
};

TEST(key_encoding)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(encodings); i++) {
		const struct encoding *e = &encodings[i];

		EXPECT_EQ(kho_key(e->phys, e->order), e->key);
		EXPECT_EQ(kho_key_phys(e->key), e->phys);
		EXPECT_EQ(kho_key_order(e->key), e->order);
		EXPECT(kho_key_valid(e->key));
	}
}

TEST(key_geometry)
{
#if PAGE_SHIFT == 12
	EXPECT_EQ(KHO_RADIX_BITMAP_BITS, 15);
	EXPECT_EQ(KHO_RADIX_TABLE_BITS, 9);
	EXPECT_EQ(KHO_RADIX_LEVELS, 6);
	EXPECT_EQ(KHO_RADIX_KEY_BITS, 60);
	EXPECT_EQ(KHO_NR_ORDERS, 52);
#elif PAGE_SHIFT == 14
	EXPECT_EQ(KHO_RADIX_BITMAP_BITS, 17);
	EXPECT_EQ(KHO_RADIX_TABLE_BITS, 11);
	EXPECT_EQ(KHO_RADIX_LEVELS, 5);
	EXPECT_EQ(KHO_RADIX_KEY_BITS, 61);
	EXPECT_EQ(KHO_NR_ORDERS, 50);
#elif PAGE_SHIFT == 16
	EXPECT_EQ(KHO_RADIX_BITMAP_BITS, 19);
	EXPECT_EQ(KHO_RADIX_TABLE_BITS, 13);
	EXPECT_EQ(KHO_RADIX_LEVELS, 4);
	EXPECT_EQ(KHO_RADIX_KEY_BITS, 58);
	EXPECT_EQ(KHO_NR_ORDERS, 48);
#endif
}

/* The highest key of an order is below the lowest of the next lower order. */
TEST(key_orders_do_not_collide)
{
	unsigned int order;

	for (order = 0; order <= KHO_MAX_ORDER; order++) {
		phys_addr_t top = ~0UL << (PAGE_SHIFT + order);

		EXPECT_EQ(kho_key_order(kho_key(0, order)), order);
		EXPECT_EQ(kho_key_phys(kho_key(0, order)), 0);
		EXPECT_EQ(kho_key_order(kho_key(top, order)), order);
		EXPECT_EQ(kho_key_phys(kho_key(top, order)), top);
		if (order)
			EXPECT_EQ(kho_key(top, order) + 1, kho_key(0, order - 1));
	}
}

/* Any address in a block gives the key of the block. */
TEST(key_of_an_address_inside)
{
	EXPECT_EQ(kho_key(PFN_PHYS(0x12345) + 1, 0), kho_key(PFN_PHYS(0x12345), 0));
	EXPECT_EQ(kho_key(PFN_PHYS(0x123ff), 8), kho_key(PFN_PHYS(0x12300), 8));
}

TEST(key_validity)
{
	EXPECT(!kho_key_valid(0));
	EXPECT(!kho_key_valid(1));
	EXPECT(kho_key_valid(2));
	EXPECT(kho_key_valid((2UL << (64 - PAGE_SHIFT)) - 1));
	EXPECT(!kho_key_valid(2UL << (64 - PAGE_SHIFT)));
	EXPECT(!kho_key_valid(~0UL));
}

TEST(block_order)
{
	EXPECT_EQ(kho_block_order(0, 1), 0);
	EXPECT_EQ(kho_block_order(0, 2), 1);
	EXPECT_EQ(kho_block_order(0, 1023), 9);
	EXPECT_EQ(kho_block_order(1, 1024), 0);
	EXPECT_EQ(kho_block_order(6, 1), 0);
	EXPECT_EQ(kho_block_order(6, 1024), 1);
	EXPECT_EQ(kho_block_order(1UL << 20, 1UL << 20), 20);
	EXPECT_EQ(kho_block_order(3UL << 20, 1UL << 30), 20);
	/* Nothing aligns page 0 but the largest block there is. */
	EXPECT_EQ(kho_block_order(0, 1UL << (63 - PAGE_SHIFT)), 63 - PAGE_SHIFT);
	EXPECT_EQ(kho_block_order(0, ~0UL), KHO_MAX_ORDER);
}
