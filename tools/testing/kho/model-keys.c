// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model: a tree of keys is a set of numbers, and its ranges are what one gets
 * by sorting the blocks.
 */

#include <stdlib.h>
#include <string.h>
#include <linux/errno.h>
#include <linux/kernel.h>

#include "../../../kernel/liveupdate/kho_internal.h"
#include "harness.h"
#include "model.h"
#include "set.h"

#define NR_KEYS		BIT(KHO_RADIX_KEY_BITS)
#define LEAF_KEYS	BIT(KHO_RADIX_BITMAP_BITS)

/* More would take long to verify. */
#define MAX_KEYS	4096

static struct kho_radix_tree tree;
static struct kho_radix_iter iter;
static struct kho_range_iter range_iter;
static struct set set;

/* Which keys there are. */
static unsigned long (*random_key)(void);

/* Three leaves, many of whose bits are set. */
static unsigned long dense_key(void)
{
	return test_rand_below(3 * LEAF_KEYS / 64) * 16 + test_rand_below(2);
}

/* All magnitudes. */
static unsigned long sparse_key(void)
{
	return test_rand() >> (64 - test_rand_below(KHO_RADIX_KEY_BITS + 1)) %
	       64 & (NR_KEYS - 1);
}

/* Where nodes of some level meet. */
static unsigned long border_key(void)
{
	unsigned int level = test_rand_below(KHO_RADIX_LEVELS);
	unsigned int shift = KHO_RADIX_BITMAP_BITS + level * KHO_RADIX_TABLE_BITS;

	return ((test_rand_below(3) << shift) + test_rand_below(5) - 2) &
	       (NR_KEYS - 1);
}

/* Blocks of all orders that follow each other, or overlap. */
static unsigned long order_key(void)
{
	unsigned int order = test_rand_below(KHO_NR_ORDERS);
	unsigned long nr = 1UL << (KHO_ORDER_0_BIT - order);

	if (test_rand_below(2))
		order = test_rand_below(6);

	return kho_key(PFN_PHYS(test_rand_below(min(nr, 64UL)) << order), order);
}

static unsigned long extreme_key(void)
{
	static const unsigned long keys[] = {
		0, NR_KEYS / 2, NR_KEYS, 1UL << 63, 1UL << KHO_ORDER_0_BIT,
		2UL << KHO_ORDER_0_BIT, NR_KEYS - LEAF_KEYS,
	};

	return keys[test_rand_below(ARRAY_SIZE(keys))] + test_rand_below(17) - 8;
}

static unsigned long mixed_key(void)
{
	static unsigned long (* const all[])(void) = {
		dense_key, sparse_key, border_key, order_key, extreme_key,
	};

	return all[test_rand_below(ARRAY_SIZE(all))]();
}

/* A key that is in the set, or one beside it, or any. */
static unsigned long likely_key(void)
{
	if (!set.nr || !test_rand_below(4))
		return random_key();

	return set.keys[test_rand_below(set.nr)] +
	       (test_rand_below(4) ? 0 : test_rand_below(3) - 1);
}

/* What adding @key has to return, when memory does not run out. */
static int add_result(unsigned long key)
{
	return key < NR_KEYS ? 0 : -ERANGE;
}

static void add(void)
{
	unsigned long key = random_key();
	int err = kho_radix_add_key(&tree, key);

	if (model_enomem()) {
		EXPECT_EQ(err, -ENOMEM);
		return;
	}

	EXPECT_EQ(err, add_result(key));
	if (!err)
		set_add(&set, key);
}

static void add_new(void)
{
	unsigned long key = likely_key();
	bool before = test_rand() % 2, added = before;
	int err = kho_radix_add_new_key(&tree, key, &added);

	if (err)
		EXPECT_EQ(added, before);

	if (model_enomem()) {
		EXPECT_EQ(err, -ENOMEM);
		return;
	}

	EXPECT_EQ(err, add_result(key));
	if (!err)
		EXPECT_EQ(added, set_add(&set, key));
}

static void del(void)
{
	unsigned long key = likely_key();

	EXPECT_EQ(kho_radix_del_key(&tree, key), set_del(&set, key));
}

static void test(void)
{
	unsigned long key = likely_key();

	EXPECT_EQ(kho_radix_test_key(&tree, key), set_has(&set, key));
}

/* Keep it small. */
static void thin(void)
{
	while (set.nr > MAX_KEYS) {
		unsigned long key = set.keys[test_rand_below(set.nr)];

		EXPECT(kho_radix_del_key(&tree, key));
		set_del(&set, key);
	}
}

/* A few steps from anywhere to anywhere, with an iterator that is new or not. */
static void iterate(void)
{
	unsigned long key = likely_key(), last = likely_key(), before;
	unsigned int steps = test_rand_below(20), i;

	if (!test_rand_below(4))
		last = ~0UL;
	if (test_rand_below(2))
		kho_radix_iter_init(&iter, &tree);

	while (steps--) {
		i = set_find(&set, key);
		before = key;
		if (i == set.nr || set.keys[i] > last) {
			EXPECT(!kho_radix_iter_next(&iter, &key, last));
			EXPECT_EQ(key, before);
			return;
		}
		EXPECT(kho_radix_iter_next(&iter, &key, last));
		EXPECT_EQ(key, set.keys[i]);
		key++;
	}
}

struct walk {
	unsigned int nr_keys;
	unsigned int nr_nodes;
	unsigned int stop_at;
};

static int walk_leaf(unsigned long key, void *data)
{
	struct walk *walk = data;

	EXPECT(walk->nr_keys < set.nr);
	EXPECT_EQ(key, set.keys[walk->nr_keys]);
	return ++walk->nr_keys == walk->stop_at ? -EINTR : 0;
}

static int walk_node(phys_addr_t phys, void *data)
{
	struct walk *walk = data;

	EXPECT_EQ(phys % PAGE_SIZE, 0);
	walk->nr_nodes++;
	return 0;
}

static const struct kho_radix_walk_cb walk_cb = {
	.leaf = walk_leaf, .node = walk_node,
};

static void walk_some(void)
{
	struct walk walk = { .stop_at = test_rand_below(set.nr + 1) };

	EXPECT_EQ(kho_radix_walk_tree(&tree, &walk_cb, &walk),
		  walk.stop_at ? -EINTR : 0);
	EXPECT_EQ(walk.nr_keys, walk.stop_at ?: set.nr);
}

/* A handle that knows no more than where the root is. */
static void reopen(void)
{
	phys_addr_t root = virt_to_phys(tree.root);

	memset(&tree, 0xff, sizeof(tree));
	EXPECT_EQ(kho_radix_init_tree(&tree, phys_to_virt(root)), 0);
	kho_radix_iter_init(&iter, &tree);
}

/* Blocks as a list, by the rule that the ABI has for keys. */
struct block {
	phys_addr_t start;
	phys_addr_t size;
	unsigned int order;
};

static struct block *blocks;
static unsigned int nr_blocks;

static int cmp_blocks(const void *a, const void *b)
{
	const struct block *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;

	return x->order < y->order ? -1 : x->order > y->order;
}

/*
 * The last block of each order ends where there is no address any more, which
 * ranges cannot express: such keys are taken out first. No kernel has them, as
 * no physical address has 64 bits.
 */
static void find_blocks(void)
{
	unsigned int order, i;
	unsigned long first;

	for (order = 0; order < 64 - PAGE_SHIFT; order++) {
		first = 1UL << (64 - PAGE_SHIFT - order);
		EXPECT_EQ(kho_radix_del_key(&tree, first * 2 - 1),
			  set_del(&set, first * 2 - 1));
	}

	nr_blocks = 0;
	blocks = realloc(blocks, (set.nr + 1) * sizeof(*blocks));
	for (i = 0; i < set.nr; i++) {
		for (order = 0; order < 64 - PAGE_SHIFT; order++) {
			first = 1UL << (64 - PAGE_SHIFT - order);
			if (set.keys[i] < first || set.keys[i] >= first * 2)
				continue;
			blocks[nr_blocks].size = PAGE_SIZE << order;
			blocks[nr_blocks].start = (set.keys[i] - first) *
						  blocks[nr_blocks].size;
			blocks[nr_blocks].order = order;
			nr_blocks++;
		}
	}

	qsort(blocks, nr_blocks, sizeof(*blocks), cmp_blocks);
}

static void ranges(void)
{
	phys_addr_t start, end, phys;
	unsigned int order, i;

	find_blocks();

	kho_range_iter_init(&range_iter, &tree);
	for (i = 0; i < nr_blocks; i++) {
		EXPECT(kho_range_iter_next_block(&range_iter, &phys, &order));
		EXPECT_EQ(phys, blocks[i].start);
		EXPECT_EQ(order, blocks[i].order);
	}
	EXPECT(!kho_range_iter_next_block(&range_iter, &phys, &order));

	kho_range_iter_init(&range_iter, &tree);
	for (i = 0; i < nr_blocks;) {
		phys = blocks[i].start;
		for (; i < nr_blocks && blocks[i].start <= phys; i++)
			phys = max(phys, blocks[i].start + blocks[i].size);
		EXPECT(kho_range_iter_next(&range_iter, &start, &end));
		EXPECT_EQ(end, phys);
		EXPECT(kho_range_covered(&tree, start, end - start));
		EXPECT(!kho_range_covered(&tree, start, end - start + 1));
	}
	EXPECT(!kho_range_iter_next(&range_iter, &start, &end));
}

/* Each page by itself; so not for many of them. */
static void covered(void)
{
	phys_addr_t start, end, phys;
	bool all = true;
	unsigned int i;

	find_blocks();
	if (!nr_blocks)
		return;

	start = blocks[test_rand_below(nr_blocks)].start +
		test_rand_below(4 * PAGE_SIZE);
	end = start + 1 + test_rand_below(8 * PAGE_SIZE);
	if (end < start || end > round_down(~0UL, PAGE_SIZE))
		return;

	for (phys = start; phys < end; phys = round_down(phys, PAGE_SIZE) + PAGE_SIZE) {
		bool found = false;

		for (i = 0; i < nr_blocks; i++)
			found |= phys - blocks[i].start < blocks[i].size;
		all &= found;
	}

	EXPECT_EQ(kho_range_covered(&tree, start, end - start), all);
}

static void begin(void)
{
	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	kho_radix_iter_init(&iter, &tree);
}

static void end(void)
{
	kho_radix_destroy_tree(&tree);
	set_clear(&set);
	free(blocks);
	blocks = NULL;
}

static void verify(void)
{
	struct walk walk = {};
	unsigned long key = 0;
	unsigned int i;

	EXPECT_EQ(kho_radix_walk_tree(&tree, &walk_cb, &walk), 0);
	EXPECT_EQ(walk.nr_keys, set.nr);
	EXPECT_EQ(walk.nr_nodes, shim_live());

	kho_radix_iter_init(&iter, &tree);
	for (i = 0; i < set.nr; i++, key++) {
		EXPECT(kho_radix_iter_next(&iter, &key, ~0UL));
		EXPECT_EQ(key, set.keys[i]);
		EXPECT(kho_radix_test_key(&tree, key));
	}
	EXPECT(!kho_radix_iter_next(&iter, &key, ~0UL));
	ranges();
}

static const struct model_op ops[] = {
	{ "add", 400, add },
	{ "add_new", 200, add_new },
	{ "del", 200, del },
	{ "test", 200, test },
	{ "thin", 20, thin },
	{ "iterate", 200, iterate },
	{ "walk_some", 5, walk_some },
	{ "reopen", 5, reopen },
	{ "ranges", 1, ranges },
	{ "covered", 20, covered },
};

static const struct model keys_model = {
	.name = "keys",
	.begin = begin,
	.end = end,
	.verify = verify,
	.ops = ops,
	.nr_ops = ARRAY_SIZE(ops),
};

static void run(unsigned long (*key)(void))
{
	random_key = key;
	model_run(&keys_model);
}

static void run_failing(unsigned long (*key)(void))
{
	random_key = key;
	model_run_failing(&keys_model);
}

TEST(model_dense_keys)
{
	run(dense_key);
}

TEST(model_dense_keys_no_memory)
{
	run_failing(dense_key);
}

TEST(model_sparse_keys)
{
	run(sparse_key);
}

TEST(model_sparse_keys_no_memory)
{
	run_failing(sparse_key);
}

TEST(model_border_keys)
{
	run(border_key);
}

TEST(model_border_keys_no_memory)
{
	run_failing(border_key);
}

TEST(model_order_keys)
{
	run(order_key);
}

TEST(model_order_keys_no_memory)
{
	run_failing(order_key);
}

TEST(model_extreme_keys)
{
	run(extreme_key);
}

TEST(model_extreme_keys_no_memory)
{
	run_failing(extreme_key);
}

TEST(model_mixed_keys)
{
	run(mixed_key);
}

TEST(model_mixed_keys_no_memory)
{
	run_failing(mixed_key);
}
