// SPDX-License-Identifier: GPL-2.0-only
/*
 * All trackers hand over the same; and what is particular to each of them.
 */

#include <stdlib.h>
#include <linux/errno.h>
#include <linux/kernel.h>

#include "../../../../kernel/liveupdate/kho_internal.h"
#include "../harness.h"
#include "chain.h"
#include "memory.h"
#include "patterns.h"

static struct tracker *add_all(const struct tracker_ops *ops,
			       const struct blocks *blocks)
{
	struct tracker *tracker = ops->create();
	unsigned long i;

	EXPECT(tracker);
	for (i = 0; i < blocks->nr; i++)
		EXPECT_EQ(ops->add(tracker, blocks->block[i].pfn,
				   blocks->block[i].order), 0);

	return tracker;
}

static unsigned long finalize(const struct tracker_ops *ops,
			      struct tracker *tracker)
{
	unsigned long phys;

	EXPECT_EQ(ops->finalize(tracker, &phys), 0);
	return phys;
}

/*
 * What is read, as keys; runs are counted, too.
 */
struct keys {
	unsigned long *key;
	unsigned long nr;
	unsigned long max;
	unsigned long nr_runs;
};

static int read_run(unsigned long pfn, unsigned int order, unsigned long nr,
		    void *data)
{
	struct keys *keys = data;

	keys->nr_runs++;
	while (nr--) {
		EXPECT(keys->nr < keys->max);
		keys->key[keys->nr++] = kho_key(PFN_PHYS(pfn), order);
		pfn += 1UL << order;
	}

	return 0;
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a;
	unsigned long y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

static void sort(struct keys *keys)
{
	qsort(keys->key, keys->nr, sizeof(*keys->key), compare);
}

static struct keys keys_alloc(unsigned long max)
{
	struct keys keys = { .max = max };

	keys.key = calloc(max, sizeof(*keys.key));
	EXPECT(keys.key);
	return keys;
}

static struct keys read_all(const struct tracker_ops *ops, unsigned long phys,
			    unsigned long max)
{
	struct keys keys = keys_alloc(max);

	mem_hide(true);
	EXPECT_EQ(ops->read(phys, read_run, &keys), 0);
	mem_hide(false);
	sort(&keys);
	return keys;
}

static void compare_pattern(const struct pattern *pattern)
{
	/* AddressSanitizer takes its time. */
	struct blocks blocks = pattern_blocks(pattern, 16);
	struct keys want = keys_alloc(blocks.nr);
	unsigned long i, j;

	for (i = 0; i < blocks.nr; i++)
		read_run(blocks.block[i].pfn, blocks.block[i].order, 1, &want);
	sort(&want);
	EXPECT(want.nr > 16);

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &blocks);
		unsigned long phys = finalize(trackers[i], tracker);
		struct keys keys = read_all(trackers[i], phys, want.nr);

		EXPECT_EQ(keys.nr, want.nr);
		for (j = 0; j < want.nr; j++)
			EXPECT_EQ(keys.key[j], want.key[j]);

		free(keys.key);
		trackers[i]->destroy(tracker);
	}

	free(want.key);
	free(blocks.block);
}

TEST(same_run)
{
	compare_pattern(&patterns[0]);
}

TEST(same_pages)
{
	compare_pattern(&patterns[1]);
}

TEST(same_thp)
{
	compare_pattern(&patterns[2]);
}

TEST(same_scattered)
{
	compare_pattern(&patterns[3]);
}

TEST(same_mixed)
{
	compare_pattern(&patterns[4]);
}

TEST(nothing_preserved)
{
	struct blocks none = {};
	unsigned int i;

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &none);
		unsigned long phys = finalize(trackers[i], tracker);
		struct keys keys = read_all(trackers[i], phys, 1);

		EXPECT_EQ(keys.nr, 0);
		free(keys.key);
		trackers[i]->destroy(tracker);
	}
}

static int stop(unsigned long pfn, unsigned int order, unsigned long nr,
		void *data)
{
	unsigned int *nr_calls = data;

	++*nr_calls;
	return -EINTR;
}

TEST(reading_ends_when_told)
{
	struct block block[] = { { 1, 0 }, { 3, 0 }, { 8, 3 }, { 1UL << 30, 0 } };
	struct blocks blocks = { block, ARRAY_SIZE(block) };
	unsigned int i;

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &blocks);
		unsigned long phys = finalize(trackers[i], tracker);
		unsigned int nr_calls = 0;

		EXPECT_EQ(trackers[i]->read(phys, stop, &nr_calls), -EINTR);
		EXPECT_EQ(nr_calls, 1);
		trackers[i]->destroy(tracker);
	}
}

/* What was written down before goes when it is written down again. */
TEST(finalize_again)
{
	struct block block[] = { { 5, 0 }, { 7, 0 } };
	struct blocks blocks = { block, ARRAY_SIZE(block) };
	unsigned int i;

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &blocks);
		long handed_over;
		struct keys keys;

		finalize(trackers[i], tracker);
		handed_over = mem_bytes().handed_over;
		EXPECT_EQ(trackers[i]->del(tracker, 5, 0), 0);
		EXPECT_EQ(trackers[i]->add(tracker, 6, 0), 0);

		keys = read_all(trackers[i], finalize(trackers[i], tracker), 2);
		EXPECT_EQ(keys.nr, 2);
		EXPECT_EQ(keys.key[0], kho_key(PFN_PHYS(6), 0));
		EXPECT_EQ(keys.key[1], kho_key(PFN_PHYS(7), 0));
		EXPECT_EQ(mem_bytes().handed_over, handed_over);
		free(keys.key);
		trackers[i]->destroy(tracker);
	}
}

/* In the middle, when there are pages of the chain already. */
TEST(finalize_fails)
{
	static const int err[NR_TRACKERS] = { 0, -ENOMEM, -ENOMEM };
	struct block block[600];
	struct blocks blocks = { block, ARRAY_SIZE(block) };
	unsigned int i;

	for (i = 0; i < blocks.nr; i++)
		block[i] = (struct block){ (unsigned long)i << 12, 0 };

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &blocks);
		long handed_over = mem_bytes().handed_over;
		unsigned long phys;
		struct keys keys;

		shim_alloc.fail_nth = 2;
		EXPECT_EQ(trackers[i]->finalize(tracker, &phys), err[i]);
		EXPECT_EQ(mem_bytes().handed_over, handed_over);
		shim_alloc.fail_nth = 0;

		phys = finalize(trackers[i], tracker);
		keys = read_all(trackers[i], phys, blocks.nr);
		EXPECT_EQ(keys.nr, blocks.nr);
		free(keys.key);
		trackers[i]->destroy(tracker);
	}
}

TEST(chunk_too_full)
{
	struct block block = { 5, 0 };
	struct blocks blocks = { &block, 1 };
	struct keys keys = keys_alloc(1);
	unsigned int i;

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &blocks);
		unsigned long phys = finalize(trackers[i], tracker);
		struct chunk *chunk = mem_virt(phys);

		if (trackers[i] != &tracker_radix) {
			EXPECT_EQ(chunk->nr, 1);
			chunk->nr = CHUNK_ENTRIES + 1;
			EXPECT_EQ(trackers[i]->read(phys, read_run, &keys),
				  -EINVAL);
		}
		trackers[i]->destroy(tracker);
	}

	EXPECT_EQ(keys.nr, 0);
	free(keys.key);
}

/*
 * What each takes for one page: five tables and a leaf; a bitmap and a page of
 * the chain; a page of the chain.
 */
TEST(bytes_of_one_page)
{
	static const long bytes[NR_TRACKERS] = { 6 * 4096, 512 + 4096, 4096 };
	struct block block = { 5, 0 };
	struct blocks blocks = { &block, 1 };
	unsigned int i;

	for (i = 0; i < NR_TRACKERS; i++) {
		struct tracker *tracker = add_all(trackers[i], &blocks);

		finalize(trackers[i], tracker);
		EXPECT_EQ(mem_bytes().handed_over, bytes[i]);
		EXPECT(mem_bytes().all > bytes[i]);
		trackers[i]->destroy(tracker);
	}
}

/* The runs that the next kernel of a maple tree reads. */
static unsigned long nr_runs(struct tracker *tracker)
{
	unsigned long phys = finalize(&tracker_maple, tracker), nr;
	struct keys keys = read_all(&tracker_maple, phys, 64);

	nr = keys.nr_runs;
	free(keys.key);
	return nr;
}

TEST(maple_merges)
{
	struct block block[] = { { 8, 1 }, { 12, 1 }, { 14, 0 }, { 0, 0 } };
	struct blocks blocks = { block, ARRAY_SIZE(block) };
	struct tracker *tracker = add_all(&tracker_maple, &blocks);

	/* The order has to be the same, too. */
	EXPECT_EQ(nr_runs(tracker), 4);
	EXPECT_EQ(tracker_maple.add(tracker, 10, 1), 0);
	EXPECT_EQ(nr_runs(tracker), 3);
	EXPECT_EQ(tracker_maple.add(tracker, 15, 0), 0);
	EXPECT_EQ(tracker_maple.add(tracker, 1, 0), 0);
	EXPECT_EQ(nr_runs(tracker), 3);
	EXPECT_EQ(tracker_maple.del(tracker, 10, 1), 0);
	EXPECT_EQ(nr_runs(tracker), 4);
	tracker_maple.destroy(tracker);
}

TEST(maple_finds_overlaps)
{
	struct block block[] = { { 8, 2 }, { 12, 2 } };
	struct blocks blocks = { block, ARRAY_SIZE(block) };
	struct tracker *tracker = add_all(&tracker_maple, &blocks);

	EXPECT_EQ(tracker_maple.add(tracker, 8, 2), 0);
	EXPECT_EQ(tracker_maple.add(tracker, 8, 0), -EEXIST);
	EXPECT_EQ(tracker_maple.add(tracker, 11, 0), -EEXIST);
	EXPECT_EQ(tracker_maple.add(tracker, 10, 1), -EEXIST);
	EXPECT_EQ(tracker_maple.add(tracker, 8, 3), -EEXIST);
	EXPECT_EQ(tracker_maple.add(tracker, 0, 4), -EEXIST);
	EXPECT_EQ(tracker_maple.del(tracker, 8, 0), -ENOENT);
	EXPECT_EQ(nr_runs(tracker), 1);
	tracker_maple.destroy(tracker);
}
