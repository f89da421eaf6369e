// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is compared: all trackers, each with the same blocks preserved.
 */

#include <stdlib.h>
#include <linux/kernel.h>

#include "../../../../kernel/liveupdate/kho_internal.h"
#include "patterns.h"

#define GIB_PAGES	(1UL << (30 - PAGE_SHIFT))
#define START_PFN	(4 * GIB_PAGES)
#define THP_ORDER	9
#define THP_PAGES	BIT(THP_ORDER)

const struct tracker_ops * const trackers[NR_TRACKERS] = {
	&tracker_radix, &tracker_xarray, &tracker_maple,
};

static void put(struct blocks *blocks, unsigned long pfn, unsigned int order)
{
	if (blocks->nr == blocks->room) {
		blocks->room = blocks->room * 2 + 1024;
		blocks->block = realloc(blocks->block,
					blocks->room * sizeof(*blocks->block));
		if (!blocks->block)
			abort();
	}

	blocks->block[blocks->nr++] = (struct block){ pfn, order };
}

static unsigned long random_below(unsigned long n)
{
	return lrand48() % n;
}

static void shuffle(struct blocks *blocks)
{
	unsigned long i, j;
	struct block block;

	for (i = blocks->nr; i > 1; i--) {
		j = random_below(i);
		block = blocks->block[j];
		blocks->block[j] = blocks->block[i - 1];
		blocks->block[i - 1] = block;
	}
}

static void fill_run(struct blocks *blocks, unsigned long nr_pages)
{
	unsigned long pfn = START_PFN + 1, end = pfn + nr_pages;
	unsigned int order;

	for (; pfn < end; pfn += 1UL << order) {
		order = kho_block_order(pfn, end - pfn);
		put(blocks, pfn, order);
	}
}

static void fill_pages(struct blocks *blocks, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i++)
		put(blocks, START_PFN + i, 0);
}

static void fill_thp(struct blocks *blocks, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i += THP_PAGES) {
		if (random_below(4))
			put(blocks, START_PFN + i, THP_ORDER);
	}
	shuffle(blocks);
}

static void fill_scattered(struct blocks *blocks, unsigned long nr_pages)
{
	unsigned long i;

	for (i = 0; i < nr_pages; i += 2)
		put(blocks, START_PFN + i, 0);
}

/* Blocks of random orders, every other one of which is preserved. */
static void fill_small(struct blocks *blocks, unsigned long pfn,
		       unsigned long end)
{
	unsigned int order;

	for (; pfn < end; pfn += 1UL << order) {
		order = min_t(unsigned int, random_below(THP_ORDER),
			      kho_block_order(pfn, end - pfn));
		if (random_below(2))
			put(blocks, pfn, order);
	}
}

static void fill_mixed(struct blocks *blocks, unsigned long nr_pages)
{
	unsigned long i;

	for (i = START_PFN; i < START_PFN + nr_pages; i += THP_PAGES) {
		switch (random_below(4)) {
		case 0:
			break;
		case 1:
			put(blocks, i, THP_ORDER);
			break;
		default:
			fill_small(blocks, i, i + THP_PAGES);
			break;
		}
	}
	shuffle(blocks);
}

const struct pattern patterns[NR_PATTERNS] = {
	{
		"contiguous, one run",
		"a run of 4 GiB from an odd page on, cut into the largest blocks",
		4 * GIB_PAGES, fill_run,
	}, {
		"contiguous, by page",
		"all pages of 1 GiB, one by one",
		GIB_PAGES, fill_pages,
	}, {
		"THP-sized",
		"3 of 4 blocks of 2 MiB in 64 GiB, at random, in random order",
		64 * GIB_PAGES, fill_thp,
	}, {
		"scattered",
		"every second page of 1 GiB",
		GIB_PAGES, fill_scattered,
	}, {
		"mixed",
		"blocks of 4 KiB to 2 MiB in 4 GiB, with gaps, in random order",
		4 * GIB_PAGES, fill_mixed,
	},
};

struct blocks pattern_blocks(const struct pattern *pattern, unsigned int part)
{
	struct blocks blocks = {};

	srand48(1);
	pattern->fill(&blocks, pattern->nr_pages / part);
	return blocks;
}
