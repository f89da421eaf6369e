// SPDX-License-Identifier: GPL-2.0-only
/*
 * The radix tree: adding, deleting and testing keys, its format, its memory.
 */

#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kho_radix_tree.h>

#include "harness.h"

#define TABLES		(KHO_RADIX_LEVELS - 1)	/* and the leaf below them */
#define ENTRIES		(PAGE_SIZE / sizeof(u64))
#define NR_KEYS		BIT(KHO_RADIX_KEY_BITS)
#define LEAF_KEYS	BIT(KHO_RADIX_BITMAP_BITS)

/* Keys around each place where another node, or another word, begins. */
static const unsigned long border_keys[] = {
	0, 1, 63, 64, LEAF_KEYS - 1, LEAF_KEYS, LEAF_KEYS + 1,
	(LEAF_KEYS << KHO_RADIX_TABLE_BITS) - 1,
	LEAF_KEYS << KHO_RADIX_TABLE_BITS,
	(LEAF_KEYS << 2 * KHO_RADIX_TABLE_BITS) - 1,
	LEAF_KEYS << 2 * KHO_RADIX_TABLE_BITS,
	NR_KEYS / 2 - 1, NR_KEYS / 2, NR_KEYS - 1,
};

/*
 * Add one key and check which word of which page changes. The first entry is
 * that of the root.
 */
static void expect_path(unsigned long key, const unsigned int *entries,
			unsigned int bit)
{
	struct kho_radix_tree tree;
	unsigned int level, i;
	u64 *node;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, key), 0);
	EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS);

	node = (u64 *)tree.root;
	for (level = 0; level < TABLES; level++) {
		for (i = 0; i < ENTRIES; i++)
			EXPECT_EQ(node[i] != 0, i == entries[level]);
		EXPECT_EQ(node[entries[level]] % PAGE_SIZE, 0);
		node = phys_to_virt(node[entries[level]]);
	}

	for (i = 0; i < ENTRIES; i++)
		EXPECT_EQ(node[i], i == bit / 64 ? 1UL << bit % 64 : 0);

	kho_radix_destroy_tree(&tree);
}

TEST(radix_format)
{
#if PAGE_SHIFT == 12
	/* The example of "DOC: KHO radix tree". */
	expect_path(0x10000000012345, (unsigned int[]){ 2, 0, 0, 0, 2 }, 0x2345);
	expect_path(0x10000123456789, (unsigned int[]){ 2, 0, 0, 291, 138 }, 0x6789);
	expect_path(0, (unsigned int[]){ 0, 0, 0, 0, 0 }, 0);
	expect_path(0xfffffffffffffff,
		    (unsigned int[]){ 511, 511, 511, 511, 511 }, 0x7fff);
	/* Each entry is another one: 1, 2, 3, 4, 5 and bit 6. */
	expect_path(1UL << 51 | 2UL << 42 | 3UL << 33 | 4 << 24 | 5 << 15 | 6,
		    (unsigned int[]){ 1, 2, 3, 4, 5 }, 6);
#elif PAGE_SHIFT == 14
	expect_path(1UL << 50 | 2UL << 39 | 3UL << 28 | 4 << 17 | 5,
		    (unsigned int[]){ 1, 2, 3, 4 }, 5);
#elif PAGE_SHIFT == 16
	expect_path(1UL << 45 | 2UL << 32 | 3 << 19 | 4,
		    (unsigned int[]){ 1, 2, 3 }, 4);
#endif
}

TEST(radix_add_del_test)
{
	struct kho_radix_tree tree;
	bool added;
	unsigned int i;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);

	for (i = 0; i < ARRAY_SIZE(border_keys); i++) {
		unsigned long key = border_keys[i];

		EXPECT(!kho_radix_test_key(&tree, key));
		added = false;
		EXPECT_EQ(kho_radix_add_new_key(&tree, key, &added), 0);
		EXPECT(added);
		EXPECT_EQ(kho_radix_add_new_key(&tree, key, &added), 0);
		EXPECT(!added);
		EXPECT_EQ(kho_radix_add_key(&tree, key), 0);
		EXPECT(kho_radix_test_key(&tree, key));
	}

	for (i = 0; i < ARRAY_SIZE(border_keys); i++) {
		EXPECT(kho_radix_del_key(&tree, border_keys[i]));
		EXPECT(!kho_radix_test_key(&tree, border_keys[i]));
		EXPECT(!kho_radix_del_key(&tree, border_keys[i]));
	}

	kho_radix_destroy_tree(&tree);
}

TEST(radix_key_out_of_range)
{
	static const unsigned long keys[] = {
		NR_KEYS, NR_KEYS + 1, NR_KEYS << 1, 1UL << 63, ~0UL,
	};
	struct kho_radix_tree tree;
	bool added = true;
	unsigned int i;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, 0), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, NR_KEYS - 1), 0);

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		EXPECT_EQ(kho_radix_add_key(&tree, keys[i]), -ERANGE);
		EXPECT_EQ(kho_radix_add_new_key(&tree, keys[i], &added), -ERANGE);
		EXPECT(added);
		EXPECT(!kho_radix_test_key(&tree, keys[i]));
		EXPECT(!kho_radix_del_key(&tree, keys[i]));
	}

	EXPECT(kho_radix_test_key(&tree, 0));
	EXPECT(kho_radix_test_key(&tree, NR_KEYS - 1));
	kho_radix_destroy_tree(&tree);
}

/* Looking for what is not there adds no nodes, and deleting takes none away. */
TEST(radix_nodes)
{
	struct kho_radix_tree tree;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	EXPECT_EQ(shim_live(), 1);

	EXPECT(!kho_radix_test_key(&tree, 4711));
	EXPECT(!kho_radix_del_key(&tree, 4711));
	EXPECT_EQ(shim_live(), 1);

	EXPECT_EQ(kho_radix_add_key(&tree, 0), 0);
	EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS);
	EXPECT_EQ(kho_radix_add_key(&tree, LEAF_KEYS - 1), 0);
	EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS);
	EXPECT_EQ(kho_radix_add_key(&tree, LEAF_KEYS), 0);
	EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS + 1);
	EXPECT_EQ(kho_radix_add_key(&tree, NR_KEYS - 1), 0);
	EXPECT_EQ(shim_live(), 2 * KHO_RADIX_LEVELS);

	kho_radix_destroy_tree(&tree);
	EXPECT(!tree.root);
	EXPECT_EQ(shim_live(), 0);
}

TEST(radix_destroy_what_is_not_set_up)
{
	struct kho_radix_tree tree = {};

	kho_radix_destroy_tree(&tree);
	EXPECT(!kho_radix_test_key(&tree, 0));
	EXPECT(!kho_radix_del_key(&tree, 0));

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	kho_radix_destroy_tree(&tree);
	kho_radix_destroy_tree(&tree);
}

TEST(radix_no_memory_for_root)
{
	struct kho_radix_tree tree;

	shim_alloc.fail_nth = 1;
	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), -ENOMEM);
	EXPECT(!tree.root);
	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	kho_radix_destroy_tree(&tree);
}

/* The content is what it was, and trying again goes through. */
TEST(radix_no_memory_for_nodes)
{
	struct kho_radix_tree tree;
	unsigned long key = NR_KEYS / 2;
	bool added;
	int nth;

	for (nth = 1; nth <= TABLES; nth++) {
		EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
		EXPECT_EQ(kho_radix_add_key(&tree, 42), 0);

		shim_alloc.fail_nth = nth;
		added = true;
		EXPECT_EQ(kho_radix_add_new_key(&tree, key, &added), -ENOMEM);
		EXPECT(added);
		EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS + nth - 1);
		EXPECT(!kho_radix_test_key(&tree, key));
		EXPECT(!kho_radix_del_key(&tree, key));
		EXPECT(kho_radix_test_key(&tree, 42));

		/* What was added on the way is used. */
		EXPECT_EQ(kho_radix_add_key(&tree, key), 0);
		EXPECT_EQ(shim_live(), 2 * KHO_RADIX_LEVELS - 1);
		EXPECT(kho_radix_test_key(&tree, key));
		kho_radix_destroy_tree(&tree);
		EXPECT_EQ(shim_live(), 0);
	}
}

static unsigned int nr_node_allocs;

static void *own_alloc_node(unsigned long first_key, unsigned int level)
{
	EXPECT(level < KHO_RADIX_LEVELS);
	nr_node_allocs++;
	return (void *)get_zeroed_page(GFP_KERNEL);
}

static void *alloc_nothing(unsigned long first_key, unsigned int level)
{
	return NULL;
}

TEST(radix_alloc_node)
{
	struct kho_radix_tree tree;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	EXPECT(!tree.alloc_node);

	tree.alloc_node = own_alloc_node;
	nr_node_allocs = 0;
	EXPECT_EQ(kho_radix_add_key(&tree, 42), 0);
	EXPECT_EQ(nr_node_allocs, TABLES);

	tree.alloc_node = alloc_nothing;
	EXPECT_EQ(kho_radix_add_key(&tree, 43), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, NR_KEYS / 2), -ENOMEM);
	kho_radix_destroy_tree(&tree);
}

/*
 * While a node is being allocated somebody else adds it: done here by the
 * allocation itself. The one who comes second frees its node and goes on with
 * the other one.
 */
static struct kho_radix_tree *race_tree;
static unsigned long race_key;
static unsigned int race_countdown;

static void race(void)
{
	if (race_countdown && !--race_countdown)
		EXPECT_EQ(kho_radix_add_key(race_tree, race_key), 0);
}

TEST(radix_lost_race)
{
	struct kho_radix_tree tree;
	unsigned int nth;
	bool added;

	for (nth = 1; nth <= TABLES; nth++) {
		EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);

		/* A key of the same leaf. */
		race_tree = &tree;
		race_key = 1;
		race_countdown = nth;
		shim_alloc.hook = race;
		EXPECT_EQ(kho_radix_add_new_key(&tree, 2, &added), 0);
		shim_alloc.hook = NULL;

		EXPECT_EQ(race_countdown, 0);
		EXPECT(added);
		EXPECT(kho_radix_test_key(&tree, 1));
		EXPECT(kho_radix_test_key(&tree, 2));
		EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS);
		kho_radix_destroy_tree(&tree);
		EXPECT_EQ(shim_live(), 0);
	}
}

/* The same key: only one of the two has added it. */
TEST(radix_lost_race_for_a_key)
{
	struct kho_radix_tree tree;
	bool added = true;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	race_tree = &tree;
	race_key = 7;
	race_countdown = 1;
	shim_alloc.hook = race;
	EXPECT_EQ(kho_radix_add_new_key(&tree, 7, &added), 0);
	EXPECT(!added);
	kho_radix_destroy_tree(&tree);
}

/* Who knows the address of the root has the whole set. */
TEST(radix_reopen)
{
	struct kho_radix_tree tree, next;
	phys_addr_t root;
	unsigned int i;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	for (i = 0; i < ARRAY_SIZE(border_keys); i++)
		EXPECT_EQ(kho_radix_add_key(&tree, border_keys[i]), 0);

	root = virt_to_phys(tree.root);
	tree = (struct kho_radix_tree){};

	/* No allocation for the handle of a tree that exists. */
	shim_alloc.fail_nth = 1;
	next.alloc_node = own_alloc_node;
	EXPECT_EQ(kho_radix_init_tree(&next, phys_to_virt(root)), 0);
	EXPECT(!next.alloc_node);
	EXPECT_EQ(shim_failed(), 0);
	shim_alloc.fail_nth = 0;

	for (i = 0; i < ARRAY_SIZE(border_keys); i++) {
		EXPECT(kho_radix_test_key(&next, border_keys[i]));
		EXPECT(kho_radix_del_key(&next, border_keys[i]));
	}
	EXPECT_EQ(kho_radix_add_key(&next, 12345), 0);
	kho_radix_destroy_tree(&next);
}
