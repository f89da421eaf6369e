// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks over all nodes and keys, and the iterator.
 */

#include <string.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kho_radix_tree.h>
#include <sanitizer/asan_interface.h>

#include "harness.h"

#define NR_KEYS		BIT(KHO_RADIX_KEY_BITS)
#define LEAF_KEYS	BIT(KHO_RADIX_BITMAP_BITS)

/* Ascending; from one leaf, neighbouring ones, and distant ones. */
static const unsigned long keys[] = {
	0, 1, 64, LEAF_KEYS - 1, LEAF_KEYS, 3 * LEAF_KEYS + 5,
	(LEAF_KEYS << KHO_RADIX_TABLE_BITS) - 1,
	LEAF_KEYS << KHO_RADIX_TABLE_BITS,
	(LEAF_KEYS << 2 * KHO_RADIX_TABLE_BITS) + 77,
	NR_KEYS / 2 - 1, NR_KEYS / 2, NR_KEYS - LEAF_KEYS - 1, NR_KEYS - 1,
};

#define NR	ARRAY_SIZE(keys)

static void make_tree(struct kho_radix_tree *tree)
{
	unsigned int i;

	EXPECT_EQ(kho_radix_init_tree(tree, NULL), 0);
	/* Not in their order. */
	for (i = 0; i < NR; i++)
		EXPECT_EQ(kho_radix_add_key(tree, keys[i * 5 % NR]), 0);
}

#define MAX_NODES	64

static struct {
	unsigned long keys[2 * NR];
	unsigned int nr_keys;
	unsigned int stop_at_key;
	phys_addr_t nodes[MAX_NODES];
	unsigned int nr_nodes;
	unsigned int stop_at_node;
} seen;

static int see_key(unsigned long key, void *data)
{
	EXPECT(data == &seen);
	EXPECT(seen.nr_keys < ARRAY_SIZE(seen.keys));
	seen.keys[seen.nr_keys++] = key;

	return seen.nr_keys == seen.stop_at_key ? -EINTR : 0;
}

static int see_node(phys_addr_t phys, void *data)
{
	unsigned int i;

	EXPECT(data == &seen);
	EXPECT_EQ(phys % PAGE_SIZE, 0);
	for (i = 0; i < seen.nr_nodes; i++)
		EXPECT(seen.nodes[i] != phys);
	EXPECT(seen.nr_nodes < MAX_NODES);
	seen.nodes[seen.nr_nodes++] = phys;
	ASAN_UNPOISON_MEMORY_REGION(phys_to_virt(phys), PAGE_SIZE);

	return seen.nr_nodes == seen.stop_at_node ? -ECANCELED : 0;
}

static const struct kho_radix_walk_cb keys_cb = { .leaf = see_key };
static const struct kho_radix_walk_cb nodes_cb = { .node = see_node };
static const struct kho_radix_walk_cb both_cb = {
	.leaf = see_key, .node = see_node,
};

TEST(walk_keys)
{
	struct kho_radix_tree tree;

	make_tree(&tree);
	memset(&seen, 0, sizeof(seen));
	EXPECT_EQ(kho_radix_walk_tree(&tree, &keys_cb, &seen), 0);
	EXPECT_EQ(seen.nr_keys, NR);
	EXPECT(!memcmp(seen.keys, keys, sizeof(keys)));
	kho_radix_destroy_tree(&tree);
}

TEST(walk_nodes)
{
	struct kho_radix_tree tree;

	make_tree(&tree);
	memset(&seen, 0, sizeof(seen));
	EXPECT_EQ(kho_radix_walk_tree(&tree, &nodes_cb, &seen), 0);
	EXPECT_EQ(seen.nr_keys, 0);
	EXPECT_EQ(seen.nr_nodes, shim_live());
	EXPECT_EQ(seen.nodes[0], virt_to_phys(tree.root));
	kho_radix_destroy_tree(&tree);
}

/* Reading a node that the callback was not told of is an error of ASan. */
TEST(walk_node_before_content)
{
	struct kho_radix_tree tree;
	unsigned int i;

	make_tree(&tree);
	memset(&seen, 0, sizeof(seen));
	EXPECT_EQ(kho_radix_walk_tree(&tree, &nodes_cb, &seen), 0);
	for (i = 0; i < seen.nr_nodes; i++)
		ASAN_POISON_MEMORY_REGION(phys_to_virt(seen.nodes[i]), PAGE_SIZE);

	memset(&seen, 0, sizeof(seen));
	EXPECT_EQ(kho_radix_walk_tree(&tree, &both_cb, &seen), 0);
	EXPECT_EQ(seen.nr_nodes, shim_live());
	EXPECT_EQ(seen.nr_keys, NR);
	EXPECT(!memcmp(seen.keys, keys, sizeof(keys)));
	kho_radix_destroy_tree(&tree);
}

TEST(walk_ends_when_told)
{
	struct kho_radix_tree tree;
	unsigned int nr_nodes, i;

	make_tree(&tree);
	nr_nodes = shim_live();

	for (i = 1; i <= NR; i++) {
		memset(&seen, 0, sizeof(seen));
		seen.stop_at_key = i;
		EXPECT_EQ(kho_radix_walk_tree(&tree, &both_cb, &seen), -EINTR);
		EXPECT_EQ(seen.nr_keys, i);
		EXPECT(!memcmp(seen.keys, keys, i * sizeof(*keys)));
	}

	for (i = 1; i <= nr_nodes; i++) {
		memset(&seen, 0, sizeof(seen));
		seen.stop_at_node = i;
		EXPECT_EQ(kho_radix_walk_tree(&tree, &both_cb, &seen), -ECANCELED);
		EXPECT_EQ(seen.nr_nodes, i);
	}

	kho_radix_destroy_tree(&tree);
}

/* Empty tables and bitmaps are legal. */
TEST(walk_empty_nodes)
{
	struct kho_radix_tree tree = {};
	struct kho_radix_iter iter;
	unsigned long key = 0;
	unsigned int i;

	memset(&seen, 0, sizeof(seen));
	EXPECT_EQ(kho_radix_walk_tree(&tree, &both_cb, &seen), 0);
	EXPECT_EQ(seen.nr_nodes, 0);
	kho_radix_iter_init(&iter, &tree);
	EXPECT(!kho_radix_iter_next(&iter, &key, ~0UL));

	make_tree(&tree);
	for (i = 0; i < NR; i++)
		EXPECT(kho_radix_del_key(&tree, keys[i]));

	EXPECT_EQ(kho_radix_walk_tree(&tree, &both_cb, &seen), 0);
	EXPECT_EQ(seen.nr_nodes, shim_live());
	EXPECT_EQ(seen.nr_keys, 0);
	kho_radix_iter_init(&iter, &tree);
	EXPECT(!kho_radix_iter_next(&iter, &key, ~0UL));
	EXPECT_EQ(key, 0);

	/* One key behind them all. */
	EXPECT_EQ(kho_radix_add_key(&tree, NR_KEYS - 1), 0);
	EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
	EXPECT_EQ(key, NR_KEYS - 1);
	kho_radix_destroy_tree(&tree);
}

TEST(iter_all)
{
	struct kho_radix_tree tree;
	struct kho_radix_iter iter;
	unsigned long key = 0;
	unsigned int i;

	make_tree(&tree);
	kho_radix_iter_init(&iter, &tree);
	for (i = 0; i < NR; i++, key++) {
		EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
		EXPECT_EQ(key, keys[i]);
	}
	EXPECT(!kho_radix_iter_next(&iter, &key, ~0UL));
	EXPECT_EQ(key, NR_KEYS);

	key = ~0UL;
	EXPECT(!kho_radix_iter_next(&iter, &key, ~0UL));
	kho_radix_destroy_tree(&tree);
}

/* First key that may be found, and the last: both count. */
TEST(iter_limits)
{
	struct kho_radix_tree tree;
	struct kho_radix_iter iter;
	unsigned long key;
	unsigned int i;

	make_tree(&tree);
	for (i = 0; i < NR; i++) {
		unsigned long from = i ? keys[i - 1] + 1 : 0;

		kho_radix_iter_init(&iter, &tree);
		key = from;
		EXPECT(kho_radix_iter_next(&iter, &key, keys[i]));
		EXPECT_EQ(key, keys[i]);

		kho_radix_iter_init(&iter, &tree);
		key = keys[i];
		EXPECT(kho_radix_iter_next(&iter, &key, keys[i]));
		EXPECT_EQ(key, keys[i]);

		if (from == keys[i])
			continue;

		/* Nothing is found, and *key stays. */
		kho_radix_iter_init(&iter, &tree);
		key = from;
		EXPECT(!kho_radix_iter_next(&iter, &key, keys[i] - 1));
		EXPECT_EQ(key, from);
	}

	key = 5;
	EXPECT(!kho_radix_iter_next(&iter, &key, 4));
	EXPECT_EQ(key, 5);
	kho_radix_destroy_tree(&tree);
}

/* From the end of a table that is the last one of its parent: on further above. */
TEST(iter_climbs)
{
	unsigned long table = LEAF_KEYS << KHO_RADIX_TABLE_BITS;
	unsigned long parent = table << KHO_RADIX_TABLE_BITS;
	struct kho_radix_tree tree;
	struct kho_radix_iter iter;
	unsigned long key;

	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, 5), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, parent - table), 0);
	EXPECT_EQ(kho_radix_add_key(&tree, parent + 7), 0);

	kho_radix_iter_init(&iter, &tree);
	key = parent - LEAF_KEYS;
	EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
	EXPECT_EQ(key, parent + 7);

	/* And above the root there is nothing. */
	EXPECT_EQ(kho_radix_add_key(&tree, NR_KEYS - parent), 0);
	key = NR_KEYS - LEAF_KEYS;
	EXPECT(!kho_radix_iter_next(&iter, &key, ~0UL));
	kho_radix_destroy_tree(&tree);
}

/* The iterator remembers a leaf; it may be sent anywhere all the same. */
TEST(iter_backwards)
{
	struct kho_radix_tree tree;
	struct kho_radix_iter iter;
	unsigned long key;
	unsigned int i;

	make_tree(&tree);
	kho_radix_iter_init(&iter, &tree);
	for (i = NR; i--;) {
		key = keys[i];
		EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
		EXPECT_EQ(key, keys[i]);
	}
	kho_radix_destroy_tree(&tree);
}

/* What is added to the leaf that the iterator is in is found. */
TEST(iter_while_adding)
{
	struct kho_radix_tree tree;
	struct kho_radix_iter iter;
	unsigned long key = 0;

	make_tree(&tree);
	kho_radix_iter_init(&iter, &tree);
	EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
	EXPECT_EQ(kho_radix_add_key(&tree, 13), 0);
	EXPECT(kho_radix_del_key(&tree, 1));
	key = 1;
	EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
	EXPECT_EQ(key, 13);
	kho_radix_destroy_tree(&tree);
}
