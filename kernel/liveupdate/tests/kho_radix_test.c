// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the radix tree, its keys, and the iteration over ranges.
 */

#include <kunit/test.h>
#include <linux/io.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "../kho_internal.h"

static struct kho_radix_tree *new_tree(struct kunit *test)
{
	struct kho_radix_tree *tree;

	tree = kunit_kzalloc(test, sizeof(*tree), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, tree);
	KUNIT_ASSERT_EQ(test, kho_radix_init_tree(tree, NULL), 0);
	KUNIT_ASSERT_NOT_NULL(test, tree->root);
	test->priv = tree;
	return tree;
}

static void tree_exit(struct kunit *test)
{
	if (test->priv)
		kho_radix_destroy_tree(test->priv);
}

/* The values that other kernels rely on, written out for 4 KiB pages. */
static void key_encoding(struct kunit *test)
{
	static const struct {
		phys_addr_t phys;
		unsigned int order;
		unsigned long key;
	} keys[] = {
		{ 0, 0, 0x10000000000000 },
		{ 0x1000, 0, 0x10000000000001 },
		{ 0x12345000, 0, 0x10000000012345 },
		{ 0x2000, 1, 0x8000000000001 },
		{ 0x40000000, 9, 0x80000000200 },
		{ 0x40000000, 18, 0x400000001 },
		{ 0x8000000000000000, 51, 0x3 },
	};
	unsigned int i;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "the values are those of 4 KiB pages");

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		KUNIT_EXPECT_EQ(test, kho_key(keys[i].phys, keys[i].order),
				keys[i].key);
		KUNIT_EXPECT_EQ(test, kho_key_phys(keys[i].key), keys[i].phys);
		KUNIT_EXPECT_EQ(test, kho_key_order(keys[i].key), keys[i].order);
		KUNIT_EXPECT_TRUE(test, kho_key_valid(keys[i].key));
	}

	KUNIT_EXPECT_FALSE(test, kho_key_valid(0));
	KUNIT_EXPECT_FALSE(test, kho_key_valid(1));
	KUNIT_EXPECT_FALSE(test, kho_key_valid(BIT(KHO_ORDER_0_BIT + 1)));
	KUNIT_EXPECT_EQ(test, KHO_RADIX_LEVELS, 6);
}

/* Every order and address must survive encoding, and no two collide. */
static void key_round_trip(struct kunit *test)
{
	unsigned int order, i;
	phys_addr_t phys;

	for (order = 0; order <= KHO_MAX_ORDER; order++) {
		for (i = 0; i < 64; i++) {
			phys = get_random_u64() & (~0ULL << (PAGE_SHIFT + order));
			KUNIT_EXPECT_EQ(test, phys,
					kho_key_phys(kho_key(phys, order)));
			KUNIT_EXPECT_EQ(test, order,
					kho_key_order(kho_key(phys, order)));
		}
	}
}

static void block_order(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, kho_block_order(0, 1), 0);
	KUNIT_EXPECT_EQ(test, kho_block_order(0, 1023), 9);
	KUNIT_EXPECT_EQ(test, kho_block_order(1, 1024), 0);
	KUNIT_EXPECT_EQ(test, kho_block_order(6, 1024), 1);
	KUNIT_EXPECT_EQ(test, kho_block_order(1UL << 20, 1UL << 20), 20);
}

/* The format of a tree: which word of which page a key changes. */
static void format(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	static const unsigned int entry[] = { 2, 0, 0, 0, 2 };
	u64 *table = (u64 *)tree->root;
	unsigned int level, i;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "the values are those of 4 KiB pages");

	KUNIT_ASSERT_EQ(test, kho_radix_add_key(tree, 0x10000000012345), 0);

	for (level = 0; level < ARRAY_SIZE(entry); level++) {
		for (i = 0; i < PAGE_SIZE / sizeof(u64); i++) {
			if (i == entry[level])
				KUNIT_ASSERT_NE(test, table[i], 0);
			else
				KUNIT_ASSERT_EQ(test, table[i], 0);
		}
		KUNIT_ASSERT_TRUE(test, PAGE_ALIGNED(table[entry[level]]));
		table = phys_to_virt(table[entry[level]]);
	}

	for (i = 0; i < PAGE_SIZE / sizeof(u64); i++)
		KUNIT_EXPECT_EQ(test, table[i],
				i == 0x2345 / 64 ? BIT(0x2345 % 64) : 0);
}

static void add_del_test(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	static const unsigned long keys[] = {
		0, 1, 63, 64, 32767, 32768, 1UL << 24, (1UL << 53) - 1,
		(1UL << KHO_RADIX_KEY_BITS) - 1,
	};
	bool added;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, keys[i]));
		KUNIT_EXPECT_EQ(test, 0, kho_radix_add_new_key(tree, keys[i], &added));
		KUNIT_EXPECT_TRUE(test, added);
		KUNIT_EXPECT_EQ(test, 0, kho_radix_add_new_key(tree, keys[i], &added));
		KUNIT_EXPECT_FALSE(test, added);
		KUNIT_EXPECT_EQ(test, 0, kho_radix_add_key(tree, keys[i]));
		KUNIT_EXPECT_TRUE(test, kho_radix_test_key(tree, keys[i]));
	}

	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		KUNIT_EXPECT_TRUE(test, kho_radix_del_key(tree, keys[i]));
		KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, keys[i]));
		KUNIT_EXPECT_FALSE(test, kho_radix_del_key(tree, keys[i]));
	}

	/* Out of range, and where no node is. */
	KUNIT_EXPECT_EQ(test, -ERANGE,
			kho_radix_add_key(tree, 1UL << KHO_RADIX_KEY_BITS));
	KUNIT_EXPECT_EQ(test, -ERANGE, kho_radix_add_key(tree, ~0UL));
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, ~0UL));
	KUNIT_EXPECT_FALSE(test, kho_radix_del_key(tree, ~0UL));
	KUNIT_EXPECT_FALSE(test, kho_radix_del_key(tree, 1UL << 40));
}

#define NR_RANDOM	2000

static int cmp_key(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a;
	unsigned long y = *(const unsigned long *)b;

	return (x > y) - (x < y);
}

/* Keys of all magnitudes, some of them neighbours, sorted and without twins. */
static unsigned int random_keys(struct kunit *test, unsigned long **keys)
{
	unsigned long *k;
	unsigned int i, nr = 0;

	k = kunit_kcalloc(test, NR_RANDOM, sizeof(*k), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, k);

	for (i = 0; i < NR_RANDOM; i++) {
		if (i % 4 == 3)
			k[i] = k[i - 1] + 1;
		else
			k[i] = get_random_u64() >> (get_random_u32_below(50) + 5);
	}

	sort(k, NR_RANDOM, sizeof(*k), cmp_key, NULL);
	for (i = 0; i < NR_RANDOM; i++) {
		if (!nr || k[i] != k[nr - 1])
			k[nr++] = k[i];
	}

	*keys = k;
	return nr;
}

struct walk_state {
	struct kunit *test;
	const unsigned long *keys;
	unsigned int nr_keys;
	unsigned int nr_nodes;
	int stop_after;
};

static int walk_leaf(unsigned long key, void *data)
{
	struct walk_state *state = data;

	KUNIT_EXPECT_EQ(state->test, key, state->keys[state->nr_keys]);
	state->nr_keys++;

	return state->stop_after-- ? 0 : -EINTR;
}

static int walk_node(phys_addr_t phys, void *data)
{
	struct walk_state *state = data;

	KUNIT_EXPECT_TRUE(state->test, PAGE_ALIGNED(phys));
	state->nr_nodes++;
	return 0;
}

static void ordered_walk(struct kunit *test)
{
	static const struct kho_radix_walk_cb cb = {
		.leaf = walk_leaf, .node = walk_node,
	};
	struct kho_radix_tree *tree = new_tree(test);
	struct walk_state state = { .test = test, .stop_after = -1 };
	struct kho_radix_iter iter;
	unsigned long *keys, key;
	unsigned int nr, i;

	nr = random_keys(test, &keys);
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0,
				kho_radix_add_key(tree, keys[(i * 7919UL) % nr]));
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0, kho_radix_add_key(tree, keys[i]));

	state.keys = keys;
	KUNIT_EXPECT_EQ(test, 0, kho_radix_walk_tree(tree, &cb, &state));
	KUNIT_EXPECT_EQ(test, state.nr_keys, nr);
	KUNIT_EXPECT_GE(test, state.nr_nodes, KHO_RADIX_LEVELS);

	/* A callback can end the walk. */
	state = (struct walk_state){ .test = test, .keys = keys, .stop_after = 9 };
	KUNIT_EXPECT_EQ(test, -EINTR, kho_radix_walk_tree(tree, &cb, &state));
	KUNIT_EXPECT_EQ(test, state.nr_keys, 10);

	/* The iterator finds the same, from any place on and no further. */
	kho_radix_iter_init(&iter, tree);
	for (i = 0, key = 0; i < nr; i++, key++) {
		KUNIT_ASSERT_TRUE(test, kho_radix_iter_next(&iter, &key, ~0UL));
		KUNIT_ASSERT_EQ(test, key, keys[i]);
	}
	KUNIT_EXPECT_FALSE(test, kho_radix_iter_next(&iter, &key, ~0UL));

	for (i = 1; i < nr; i++) {
		kho_radix_iter_init(&iter, tree);
		key = keys[i - 1] + 1;
		KUNIT_ASSERT_TRUE(test, kho_radix_iter_next(&iter, &key, keys[i]));
		KUNIT_ASSERT_EQ(test, key, keys[i]);
		key = keys[i - 1] + 1;
		KUNIT_ASSERT_FALSE(test, kho_radix_iter_next(&iter, &key, keys[i] - 1));
	}
}

/* Empty tables and bitmaps are legal, and hold nothing. */
static void empty_nodes(struct kunit *test)
{
	static const struct kho_radix_walk_cb cb = { .leaf = walk_leaf };
	struct kho_radix_tree *tree = new_tree(test);
	struct walk_state state = { .test = test, .stop_after = -1 };
	struct kho_radix_iter iter;
	unsigned long key;

	for (key = 1; key < BIT(53); key <<= 3) {
		kho_radix_add_key(tree, key);
		kho_radix_del_key(tree, key);
	}

	KUNIT_EXPECT_EQ(test, 0, kho_radix_walk_tree(tree, &cb, &state));
	KUNIT_EXPECT_EQ(test, state.nr_keys, 0);

	kho_radix_iter_init(&iter, tree);
	key = 0;
	KUNIT_EXPECT_FALSE(test, kho_radix_iter_next(&iter, &key, ~0UL));
}

/* A tree can be used by who knows nothing but the address of its root. */
static void second_handle(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	struct kho_radix_tree other;

	KUNIT_ASSERT_EQ(test, 0, kho_radix_add_key(tree, 4711));
	KUNIT_ASSERT_EQ(test, 0, kho_radix_init_tree(&other, tree->root));
	KUNIT_EXPECT_TRUE(test, kho_radix_test_key(&other, 4711));
	KUNIT_EXPECT_TRUE(test, kho_radix_del_key(&other, 4711));
	KUNIT_EXPECT_FALSE(test, kho_radix_test_key(tree, 4711));
}

static void ranges(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	static const struct {
		phys_addr_t phys;
		unsigned int order;
	} blocks[] = {
		{ 0x1000, 0 }, { 0x2000, 1 }, { 0x4000, 2 },	/* 0x1000-0x8000 */
		{ 0x10000, 0 },					/* alone */
		{ 0x40000000, 18 }, { 0x80000000, 0 },		/* merge */
		{ 0x100000000, 20 },
	};
	static const phys_addr_t expected[][2] = {
		{ 0x1000, 0x8000 }, { 0x10000, 0x11000 },
		{ 0x40000000, 0x80001000 }, { 0x100000000, 0x200000000 },
	};
	struct kho_range_iter *it;
	phys_addr_t start, end;
	unsigned int i, order;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "the values are those of 4 KiB pages");

	it = kunit_kzalloc(test, sizeof(*it), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, it);

	for (i = ARRAY_SIZE(blocks); i--;)
		KUNIT_ASSERT_EQ(test, 0,
				kho_radix_add_key(tree, kho_key(blocks[i].phys,
								blocks[i].order)));

	kho_range_iter_init(it, tree);
	for (i = 0; i < ARRAY_SIZE(blocks); i++) {
		KUNIT_ASSERT_TRUE(test, kho_range_iter_next_block(it, &start, &order));
		KUNIT_EXPECT_EQ(test, start, blocks[i].phys);
		KUNIT_EXPECT_EQ(test, order, blocks[i].order);
	}
	KUNIT_EXPECT_FALSE(test, kho_range_iter_next_block(it, &start, &order));

	kho_range_iter_init(it, tree);
	for (i = 0; i < ARRAY_SIZE(expected); i++) {
		KUNIT_ASSERT_TRUE(test, kho_range_iter_next(it, &start, &end));
		KUNIT_EXPECT_EQ(test, start, expected[i][0]);
		KUNIT_EXPECT_EQ(test, end, expected[i][1]);
	}
	KUNIT_EXPECT_FALSE(test, kho_range_iter_next(it, &start, &end));

	KUNIT_EXPECT_TRUE(test, kho_range_covered(tree, 0x1000, 0x7000));
	KUNIT_EXPECT_TRUE(test, kho_range_covered(tree, 0x5123, 0x10));
	KUNIT_EXPECT_FALSE(test, kho_range_covered(tree, 0x1000, 0x7001));
	KUNIT_EXPECT_FALSE(test, kho_range_covered(tree, 0xfff, 2));
	KUNIT_EXPECT_FALSE(test, kho_range_covered(tree, ~0ULL, 2));
}

#define NR_THREADS	4
#define THREAD_KEYS	20000

struct thread_state {
	struct kho_radix_tree *tree;
	struct completion done;
	unsigned int id;
	unsigned int nr_added;
	unsigned int nr_deleted;
	int err;
};

/* All threads add the same keys; then each deletes every other one. */
static int thread_fn(void *data)
{
	struct thread_state *state = data;
	unsigned long i, key;
	bool added;

	for (i = 0; i < THREAD_KEYS && !state->err; i++) {
		/* Often a new leaf, so that threads meet when adding nodes. */
		key = (i * 977 + state->id) % THREAD_KEYS * 1237;
		state->err = kho_radix_add_new_key(state->tree, key, &added);
		state->nr_added += !state->err && added;
	}

	for (i = 0; i < THREAD_KEYS; i += 2)
		state->nr_deleted += kho_radix_del_key(state->tree, i * 1237);

	complete(&state->done);
	return 0;
}

static void threads(struct kunit *test)
{
	struct kho_radix_tree *tree = new_tree(test);
	unsigned int nr_added = 0, nr_deleted = 0, nr_left = 0, i;
	struct thread_state *state;
	struct task_struct *task;
	unsigned long key;

	state = kunit_kcalloc(test, NR_THREADS, sizeof(*state), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, state);

	for (i = 0; i < NR_THREADS; i++) {
		state[i].tree = tree;
		state[i].id = i * 5003;
		init_completion(&state[i].done);
		task = kthread_run(thread_fn, &state[i], "kho_radix/%u", i);
		KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	}

	for (i = 0; i < NR_THREADS; i++) {
		wait_for_completion(&state[i].done);
		KUNIT_EXPECT_EQ(test, state[i].err, 0);
		nr_added += state[i].nr_added;
		nr_deleted += state[i].nr_deleted;
	}

	for (key = 0; key < THREAD_KEYS; key++)
		nr_left += kho_radix_test_key(tree, key * 1237);

	/* Each addition of a key that was not there was told exactly once. */
	KUNIT_EXPECT_EQ(test, nr_added - nr_deleted, nr_left);
	KUNIT_EXPECT_GE(test, nr_added, THREAD_KEYS);
	KUNIT_EXPECT_GE(test, nr_left, THREAD_KEYS / 2);
	for (key = 1; key < THREAD_KEYS; key += 2)
		KUNIT_ASSERT_TRUE(test, kho_radix_test_key(tree, key * 1237));
}

static struct kunit_case kho_radix_cases[] = {
	KUNIT_CASE(key_encoding),
	KUNIT_CASE(key_round_trip),
	KUNIT_CASE(block_order),
	KUNIT_CASE(format),
	KUNIT_CASE(add_del_test),
	KUNIT_CASE(ordered_walk),
	KUNIT_CASE(empty_nodes),
	KUNIT_CASE(second_handle),
	KUNIT_CASE(ranges),
	KUNIT_CASE(threads),
	{}
};

static struct kunit_suite kho_radix_suite = {
	.name = "kho_radix",
	.exit = tree_exit,
	.test_cases = kho_radix_cases,
};

kunit_test_suite(kho_radix_suite);

MODULE_DESCRIPTION("KUnit tests for Kexec HandOver");
MODULE_LICENSE("GPL");
