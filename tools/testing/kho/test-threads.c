// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many threads at once. Run under AddressSanitizer, which sees use after free,
 * and under ThreadSanitizer, which sees what is not ordered.
 */

#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <linux/kexec.h>
#include <linux/range.h>
#include <linux/errno.h>
#include <linux/kernel.h>

#include "handover.h"

#define NR_THREADS	4
#define NR_SHARED	1024

struct thread {
	pthread_t id;
	unsigned int nr;
	u64 seed;
	void (*fn)(struct thread *thread);
	unsigned long nr_added;
	unsigned long nr_deleted;
	unsigned long nr_enomem;
};

static struct thread threads[NR_THREADS];
static pthread_barrier_t barrier;
static struct kho_radix_tree tree;

/* Of how many threads each key was new to, less those that deleted it. */
static int balance[NR_SHARED];

/* Spread, so that there are many nodes to be added, and neighbours in some. */
static unsigned long shared_key(unsigned int i)
{
	return (i / 4) * 0x9e3779b97UL % (1UL << 40) * 4 + i % 4;
}

static void *start(void *data)
{
	struct thread *thread = data;

	test_srand(thread->seed);
	pthread_barrier_wait(&barrier);
	thread->fn(thread);
	return NULL;
}

/* Each thread runs one of @fns; they begin together. */
static void run_threads(void (* const *fns)(struct thread *), unsigned int nr_fns)
{
	unsigned int i;

	EXPECT_EQ(pthread_barrier_init(&barrier, NULL, NR_THREADS), 0);
	for (i = 0; i < NR_THREADS; i++) {
		threads[i] = (struct thread){
			.nr = i, .seed = test_rand(), .fn = fns[i % nr_fns],
		};
		EXPECT_EQ(pthread_create(&threads[i].id, NULL, start, &threads[i]), 0);
	}
	for (i = 0; i < NR_THREADS; i++)
		EXPECT_EQ(pthread_join(threads[i].id, NULL), 0);
	pthread_barrier_destroy(&barrier);
}

static void run_all(void (*fn)(struct thread *))
{
	run_threads(&fn, 1);
}

static int count_key(unsigned long key, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

static int count_node(phys_addr_t phys, void *data)
{
	++*(unsigned long *)data;
	return 0;
}

/* All nodes that are allocated are in the tree: who came second freed his. */
static void expect_no_lost_nodes(void)
{
	static const struct kho_radix_walk_cb cb = { .node = count_node };
	unsigned long nr_nodes = 0;

	EXPECT_EQ(kho_radix_walk_tree(&tree, &cb, &nr_nodes), 0);
	EXPECT_EQ(shim_live(), nr_nodes);
}

static unsigned long nr_keys(void)
{
	static const struct kho_radix_walk_cb cb = { .leaf = count_key };
	unsigned long nr = 0;

	EXPECT_EQ(kho_radix_walk_tree(&tree, &cb, &nr), 0);
	return nr;
}

/* Whoever is interrupted here meets others at the same entry afterwards. */
static void yield_sometimes(void)
{
	if (test_rand() % 2)
		sched_yield();
}

static void begin(void)
{
	EXPECT_EQ(kho_radix_init_tree(&tree, NULL), 0);
	memset(balance, 0, sizeof(balance));
	shim_alloc.hook = yield_sometimes;
}

/* All add the same keys in the same order, so that they race for each node. */
static void add_all(struct thread *thread)
{
	unsigned int i;
	bool added;

	for (i = 0; i < NR_SHARED; i++) {
		EXPECT_EQ(kho_radix_add_new_key(&tree, shared_key(i), &added), 0);
		thread->nr_added += added;
		EXPECT(kho_radix_test_key(&tree, shared_key(i)));
	}
}

static void del_all(struct thread *thread)
{
	unsigned int i;

	for (i = 0; i < NR_SHARED; i++) {
		thread->nr_deleted += kho_radix_del_key(&tree, shared_key(i));
		EXPECT(!kho_radix_test_key(&tree, shared_key(i)));
	}
}

TEST(threads_just_one_is_told)
{
	unsigned long nr_added = 0, nr_deleted = 0;
	unsigned int round, i;

	begin();
	for (round = 0; round < 5; round++) {
		run_all(add_all);
		for (i = 0; i < NR_THREADS; i++)
			nr_added += threads[i].nr_added;
		EXPECT_EQ(nr_keys(), NR_SHARED);
		EXPECT_EQ(nr_added, (round + 1) * NR_SHARED);
		expect_no_lost_nodes();

		run_all(del_all);
		for (i = 0; i < NR_THREADS; i++)
			nr_deleted += threads[i].nr_deleted;
		EXPECT_EQ(nr_keys(), 0);
		EXPECT_EQ(nr_deleted, nr_added);
	}
	kho_radix_destroy_tree(&tree);
}

/* All wait for each other while they have found no node and allocate one. */
static pthread_barrier_t in_alloc;
static __thread bool waited;

static void wait_in_alloc(void)
{
	if (!waited)
		pthread_barrier_wait(&in_alloc);
	waited = true;
}

static void add_own(struct thread *thread)
{
	EXPECT_EQ(kho_radix_add_key(&tree, thread->nr), 0);
}

TEST(threads_same_node)
{
	unsigned int round, i;

	for (round = 0; round < 20; round++) {
		begin();
		EXPECT_EQ(pthread_barrier_init(&in_alloc, NULL, NR_THREADS), 0);
		shim_alloc.hook = wait_in_alloc;
		run_all(add_own);
		pthread_barrier_destroy(&in_alloc);

		for (i = 0; i < NR_THREADS; i++)
			EXPECT(kho_radix_test_key(&tree, i));
		EXPECT_EQ(nr_keys(), NR_THREADS);
		EXPECT_EQ(shim_live(), KHO_RADIX_LEVELS);
		shim_alloc.hook = NULL;
		kho_radix_destroy_tree(&tree);
	}
}

/* Add, delete and test any key, and keep accounts of what one is told. */
static void mix(struct thread *thread)
{
	unsigned long nr = test_nr_ops;
	bool added;
	int err;

	while (nr--) {
		unsigned int i = test_rand_below(NR_SHARED);

		switch (test_rand_below(5)) {
		case 0:
		case 1:
			err = kho_radix_add_new_key(&tree, shared_key(i), &added);
			if (err) {
				EXPECT_EQ(err, -ENOMEM);
				thread->nr_enomem++;
			} else if (added) {
				__atomic_add_fetch(&balance[i], 1, __ATOMIC_RELAXED);
			}
			break;
		case 2:
		case 3:
			if (kho_radix_del_key(&tree, shared_key(i)))
				__atomic_sub_fetch(&balance[i], 1, __ATOMIC_RELAXED);
			break;
		default:
			kho_radix_test_key(&tree, shared_key(i));
		}
	}
}

static void expect_balance(void)
{
	unsigned long nr = 0;
	unsigned int i;

	for (i = 0; i < NR_SHARED; i++) {
		EXPECT_EQ(kho_radix_test_key(&tree, shared_key(i)), balance[i]);
		nr += balance[i];
	}
	EXPECT_EQ(nr_keys(), nr);
	expect_no_lost_nodes();
}

TEST(threads_add_del_test)
{
	begin();
	run_all(mix);
	expect_balance();
	kho_radix_destroy_tree(&tree);
}

TEST(threads_no_memory)
{
	unsigned long nr_enomem = 0;
	unsigned int i;

	begin();
	shim_alloc.fail_every = 3;
	run_all(mix);
	shim_alloc.fail_every = 0;
	for (i = 0; i < NR_THREADS; i++)
		nr_enomem += threads[i].nr_enomem;
	EXPECT_EQ(nr_enomem, shim_failed());
	EXPECT(nr_enomem);
	expect_balance();
	kho_radix_destroy_tree(&tree);
}

/*
 * Who walks or iterates meanwhile sees ascending keys, and all of those that
 * stay; of the others any.
 */
#define NR_FIXED	64

static unsigned long fixed_key(unsigned int i)
{
	return shared_key(i * (NR_SHARED / NR_FIXED)) ^ 64;
}

struct reader {
	unsigned long next;
	unsigned int nr_fixed;
};

static void see_key(struct reader *reader, unsigned long key)
{
	unsigned int i;

	EXPECT(key >= reader->next);
	reader->next = key + 1;
	for (i = 0; i < NR_FIXED; i++) {
		if (fixed_key(i) == key)
			reader->nr_fixed++;
	}
}

static int see_leaf(unsigned long key, void *data)
{
	see_key(data, key);
	return 0;
}

static void read_all(struct thread *thread)
{
	static const struct kho_radix_walk_cb cb = { .leaf = see_leaf };
	unsigned int round;

	for (round = 0; round < 5; round++) {
		struct reader walk = {}, iteration = {};
		struct kho_radix_iter iter;
		unsigned long key;

		EXPECT_EQ(kho_radix_walk_tree(&tree, &cb, &walk), 0);
		EXPECT_EQ(walk.nr_fixed, NR_FIXED);

		kho_radix_iter_init(&iter, &tree);
		for (key = 0; kho_radix_iter_next(&iter, &key, ~0UL); key++)
			see_key(&iteration, key);
		EXPECT_EQ(iteration.nr_fixed, NR_FIXED);
	}
}

TEST(threads_walk_and_iterate)
{
	static void (* const fns[])(struct thread *) = { mix, read_all };
	unsigned int i;

	begin();
	for (i = 0; i < NR_FIXED; i++)
		EXPECT_EQ(kho_radix_add_key(&tree, fixed_key(i)), 0);
	run_threads(fns, ARRAY_SIZE(fns));
	for (i = 0; i < NR_FIXED; i++)
		EXPECT(kho_radix_del_key(&tree, fixed_key(i)));
	expect_balance();
	kho_radix_destroy_tree(&tree);
}

/* Runs and folios of their own; they share the leaves, and the count of pages. */
static void preserve(struct thread *thread)
{
	unsigned long nr = test_nr_ops / 10 + 1;

	while (nr--) {
		unsigned long pfn = (test_rand_below(256) * NR_THREADS + thread->nr) * 256;
		unsigned long nr_pages = 1 + test_rand_below(256);
		struct folio *folio = FOLIO(pfn, test_rand_below(9));

		EXPECT_EQ(kho_preserve_pages(pfn_to_page(pfn), nr_pages), 0);
		kho_unpreserve_pages(pfn_to_page(pfn), nr_pages);
		EXPECT_EQ(kho_preserve_folio(folio), 0);
		if (nr)
			kho_unpreserve_folio(folio);
		else
			thread->nr_added = folio_nr_pages(folio);
	}
}

/*
 * All of them the same run: it is preserved once, or not at all. It lies beyond
 * the folios that preserve() leaves.
 */
static void preserve_same(struct thread *thread)
{
	unsigned int round;

	for (round = 0; round < 50; round++) {
		EXPECT_EQ(kho_preserve_pages(pfn_to_page(0x100001), 0x2345), 0);
		kho_unpreserve_pages(pfn_to_page(0x100001), 0x2345);
	}
}

TEST(threads_preserve)
{
	unsigned long nr_pages = 0;
	unsigned int i;

	handover_begin();
	shim_alloc.hook = yield_sometimes;
	run_all(preserve);
	for (i = 0; i < NR_THREADS; i++)
		nr_pages += threads[i].nr_added;
	EXPECT_EQ(handover_nr_pages(), nr_pages);

	run_all(preserve_same);
	EXPECT_EQ(handover_nr_pages(), nr_pages);

	for (i = 0; i < 256 * NR_THREADS; i++) {
		unsigned int order;

		for (order = 0; order < 9; order++)
			kho_unpreserve_folio(FOLIO(i * 256UL, order));
	}
	handover_end();
}

/* Neighbours, so that hints are of use, and then none, so that leaves go away. */
static void preserve_in_a_row(struct thread *thread)
{
	unsigned long nr = test_nr_ops / 100 + 1, pfn, i;

	while (nr--) {
		pfn = test_rand_below(8) * KHO_LEAF_KEYS + thread->nr * 64;
		for (i = pfn; i < pfn + 64; i++)
			EXPECT_EQ(kho_preserve_folio(FOLIO(i, 0)), 0);
		for (i = pfn; i < pfn + 64; i++) {
			EXPECT(handover_has(i, 0));
			kho_unpreserve_folio(FOLIO(i, 0));
		}
	}
}

static void prune_all_the_time(struct thread *thread)
{
	unsigned long nr = test_nr_ops / 10 + 1;

	while (nr--) {
		shim_run_work();
		sched_yield();
	}
}

TEST(threads_prune)
{
	static void (* const fns[])(struct thread *) = {
		preserve_in_a_row, preserve_in_a_row, preserve_in_a_row, prune_all_the_time,
	};
	long nr_nodes;

	handover_begin();
	nr_nodes = shim_live();
	run_threads(fns, ARRAY_SIZE(fns));
	shim_run_work();
	EXPECT_EQ(handover_nr_pages(), 0);
	EXPECT_EQ(shim_live(), nr_nodes);
	handover_end();
}

static bool checks_done;

/* A folio, and then a page of it: they are never preserved at the same time. */
static void preserve_in_turn(struct thread *thread)
{
	unsigned long pfn = 64 + 16 * thread->nr;

	while (!READ_ONCE(checks_done)) {
		EXPECT_EQ(kho_preserve_folio(FOLIO(pfn, 4)), 0);
		kho_unpreserve_folio(FOLIO(pfn, 4));
		EXPECT_EQ(kho_preserve_folio(FOLIO(pfn + 3, 0)), 0);
		kho_unpreserve_folio(FOLIO(pfn + 3, 0));
	}
}

static void check_all_the_time(struct thread *thread)
{
	struct range ram = { 0, ~0ULL << PAGE_SHIFT };
	struct kimage image = { .kho.ram = &ram, .kho.nr_ram = 1 };
	unsigned long nr = test_nr_ops / 10 + 1;

	while (nr--)
		EXPECT_EQ(kho_check_out(&image), 0);
	WRITE_ONCE(checks_done, true);
}

/* What is preserved meanwhile is no reason to refuse. */
TEST(threads_check_out)
{
	static void (* const fns[])(struct thread *) = {
		preserve_in_turn, preserve_in_turn, prune_all_the_time, check_all_the_time,
	};

	checks_done = false;
	handover_begin();
	run_threads(fns, ARRAY_SIZE(fns));
	EXPECT_EQ(handover_nr_pages(), 0);
	handover_end();
}

static char blobs[NR_THREADS];

static void add_subtrees(struct thread *thread)
{
	char name[] = { 'a' + thread->nr, 0 };
	unsigned int round;

	for (round = 0; round < 200; round++) {
		EXPECT_EQ(kho_add_subtree(name, &blobs[thread->nr], 1), 0);
		kho_remove_subtree(&blobs[thread->nr]);
	}
	EXPECT_EQ(kho_add_subtree(name, &blobs[thread->nr], 1), 0);
}

TEST(threads_subtrees)
{
	phys_addr_t phys;
	unsigned int i;

	handover_begin();
	run_all(add_subtrees);
	kho_in.fdt = kho_out.fdt;
	for (i = 0; i < NR_THREADS; i++) {
		char name[] = { 'a' + i, 0 };

		EXPECT_EQ(kho_retrieve_subtree(name, &phys, NULL), 0);
		EXPECT_EQ(phys, virt_to_phys(&blobs[i]));
	}
	handover_end();
}
