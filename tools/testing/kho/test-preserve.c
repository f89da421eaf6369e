// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preserving folios and runs of pages: which keys that adds, and what is left
 * when it fails.
 */

#include <string.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/mm.h>

#include "handover.h"

#define SECTION		PAGES_PER_SECTION

TEST(preserve_init)
{
	handover_begin();
	EXPECT_EQ(kho_out_not_ready(), 0);
	EXPECT(handover_has(virt_to_folio(kho_out.fdt)->pfn, 0));
	EXPECT_EQ(kho_nr_pages(&kho_out.tree), 1);
	EXPECT_EQ(kho_out.nr_own_pages, 1);
	/* The FDT and a path to its key. */
	EXPECT_EQ(shim_live(), 1 + KHO_RADIX_LEVELS);
	handover_end();
}

TEST(preserve_init_no_memory)
{
	int nth;

	for (nth = 1; nth <= 1 + KHO_RADIX_LEVELS; nth++) {
		shim_alloc.fail_nth = nth;
		EXPECT_EQ(initcall_kho_out_init(), -ENOMEM);
		EXPECT_EQ(shim_take_messages(), 1);
		EXPECT_EQ(shim_live(), 0);
		EXPECT_EQ(kho_out_not_ready(), -EOPNOTSUPP);
		EXPECT_EQ(kho_preserve_folio(FOLIO(8, 3)), -EOPNOTSUPP);
	}

	shim_alloc.fail_nth = nth;
	handover_begin();
	EXPECT_EQ(shim_failed(), nth - 1);
	handover_end();
}

TEST(preserve_while_off)
{
	handover_begin();
	shim_enabled = false;
	EXPECT_EQ(kho_preserve_folio(FOLIO(8, 3)), -EOPNOTSUPP);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(8), 3), -EOPNOTSUPP);
	EXPECT_EQ(PTR_ERR(kho_alloc_preserve(1)), -EOPNOTSUPP);
	kho_unpreserve_folio(FOLIO(8, 3));
	kho_unpreserve_pages(pfn_to_page(8), 3);
	shim_enabled = true;
	EXPECT_EQ(handover_nr_pages(), 0);
	handover_end();
}

TEST(preserve_folio)
{
	unsigned int order;

	handover_begin();
	for (order = 0; order < 20; order++) {
		unsigned long pfn = 3UL << order;

		EXPECT_EQ(kho_preserve_folio(FOLIO(pfn, order)), 0);
		EXPECT(handover_has(pfn, order));
		EXPECT(!handover_has(pfn, order + 1));
		EXPECT_EQ(handover_nr_pages(), 1UL << order);

		/* Again: nothing changes. */
		EXPECT_EQ(kho_preserve_folio(FOLIO(pfn, order)), 0);
		EXPECT_EQ(handover_nr_pages(), 1UL << order);

		kho_unpreserve_folio(FOLIO(pfn, order));
		EXPECT(!handover_has(pfn, order));
		EXPECT_EQ(handover_nr_pages(), 0);
		kho_unpreserve_folio(FOLIO(pfn, order));
		EXPECT_EQ(handover_nr_pages(), 0);
	}
	handover_end();
}

/* Cut from the start into the largest aligned blocks. */
TEST(preserve_pages)
{
	handover_begin();
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(5), 30), 0);
	EXPECT(handover_has(5, 0));
	EXPECT(handover_has(6, 1));
	EXPECT(handover_has(8, 3));
	EXPECT(handover_has(16, 4));
	EXPECT(handover_has(32, 1));
	EXPECT(handover_has(34, 0));
	EXPECT(!handover_has(35, 0));
	EXPECT_EQ(handover_nr_pages(), 30);
	kho_unpreserve_pages(pfn_to_page(5), 30);
	EXPECT_EQ(handover_nr_pages(), 0);
	EXPECT(!handover_has(16, 4));

	/* Of page 0 only the length counts. */
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(0), 5), 0);
	EXPECT(handover_has(0, 2));
	EXPECT(handover_has(4, 0));
	EXPECT_EQ(handover_nr_pages(), 5);
	kho_unpreserve_pages(pfn_to_page(0), 5);
	handover_end();
}

/* No block lies in two nodes; what is too large is cut until it does not. */
TEST(preserve_pages_across_nodes)
{
	shim_memory = (struct shim_memory){
		.nr_nodes = 3,
		.end_pfn = { 4 * SECTION + 6, 6 * SECTION },
		.nid = { 0, 1, 0 },
	};

	handover_begin();
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(0), 8 * SECTION), 0);
	EXPECT(handover_has(0, ilog2(4 * SECTION)));
	EXPECT(handover_has(4 * SECTION, 2));
	EXPECT(handover_has(4 * SECTION + 4, 1));
	EXPECT(handover_has(4 * SECTION + 6, 1));
	EXPECT(handover_has(4 * SECTION + 8, 3));
	EXPECT(handover_has(5 * SECTION, ilog2(SECTION)));
	EXPECT(handover_has(6 * SECTION, ilog2(2 * SECTION)));
	EXPECT_EQ(handover_nr_pages(), 8 * SECTION);
	kho_unpreserve_pages(pfn_to_page(0), 8 * SECTION);
	EXPECT_EQ(handover_nr_pages(), 0);

	/* A folio is one block, wherever it lies. */
	EXPECT_EQ(kho_preserve_folio(FOLIO(0, ilog2(8 * SECTION))), 0);
	EXPECT(handover_has(0, ilog2(8 * SECTION)));
	kho_unpreserve_folio(FOLIO(0, ilog2(8 * SECTION)));
	handover_end();
}

TEST(preserve_where_it_cannot_be)
{
	handover_begin();
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(8), 0), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(8), ~0UL), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(8), ~0UL >> PAGE_SHIFT), -EINVAL);

	shim_memory.scratch_pfn = 64;
	shim_memory.scratch_end_pfn = 128;
	EXPECT_EQ(kho_preserve_folio(FOLIO(64, 0)), -EINVAL);
	EXPECT_EQ(kho_preserve_folio(FOLIO(127, 0)), -EINVAL);
	EXPECT_EQ(kho_preserve_folio(FOLIO(0, 7)), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(63), 2), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(63), 1), 0);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(128), 1), 0);

	shim_memory.hotplug_pfn = 4 * SECTION;
	shim_memory.hotplug_end_pfn = 5 * SECTION;
	EXPECT_EQ(kho_preserve_folio(FOLIO(4 * SECTION, 0)), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(4 * SECTION - 1), 2), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(2 * SECTION + 1), 2 * SECTION),
		  -EINVAL);
	EXPECT_EQ(kho_preserve_folio(FOLIO(4 * SECTION, ilog2(2 * SECTION))), -EINVAL);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(4 * SECTION - 1), 1), 0);
	EXPECT_EQ(handover_nr_pages(), 3);

	kho_unpreserve_pages(pfn_to_page(63), 1);
	kho_unpreserve_pages(pfn_to_page(128), 1);
	kho_unpreserve_pages(pfn_to_page(4 * SECTION - 1), 1);
	handover_end();
}

/* All blocks of a run or none; and what was there before stays. */
TEST(preserve_pages_no_memory)
{
	/* A block of each order, so that many nodes are needed. */
	unsigned long pfn = 1, nr_pages = (1UL << 24) - 1;
	int err, nth = 0;

	do {
		handover_begin();
		EXPECT_EQ(kho_preserve_folio(FOLIO(2, 1)), 0);

		shim_alloc.fail_nth = ++nth;
		err = kho_preserve_pages(pfn_to_page(pfn), nr_pages);
		shim_alloc.fail_nth = 0;
		EXPECT_EQ(err, shim_failed() == nth ? -ENOMEM : 0);
		EXPECT(handover_has(2, 1));
		EXPECT_EQ(handover_nr_pages(), err ? 2 : nr_pages);
		EXPECT_EQ(handover_has(1, 0), !err);
		EXPECT_EQ(handover_has(1 << 23, 23), !err);

		kho_unpreserve_pages(pfn_to_page(pfn), nr_pages);
		EXPECT_EQ(handover_nr_pages(), 0);
		handover_end();
		EXPECT_EQ(shim_live(), 0);
	} while (err);

	EXPECT(nth > KHO_RADIX_LEVELS);
}

TEST(alloc_preserve)
{
	char *mem;
	int i;

	handover_begin();
	EXPECT_EQ(PTR_ERR(kho_alloc_preserve(0)), -EINVAL);
	EXPECT_EQ(PTR_ERR(kho_alloc_preserve((PAGE_SIZE << MAX_PAGE_ORDER) + 1)),
		  -E2BIG);

	mem = kho_alloc_preserve(2 * PAGE_SIZE + 1);
	EXPECT(!IS_ERR(mem));
	for (i = 0; i < 4 * PAGE_SIZE; i++)
		EXPECT_EQ(mem[i], 0);
	EXPECT(handover_has(PHYS_PFN(virt_to_phys(mem)), 2));
	EXPECT_EQ(handover_nr_pages(), 4);
	kho_unpreserve_free(mem);
	EXPECT_EQ(handover_nr_pages(), 0);

	shim_alloc.fail_nth = 1;
	EXPECT_EQ(PTR_ERR(kho_alloc_preserve(1)), -ENOMEM);

	/* A folio, but no memory for its key: in another leaf, for its order. */
	shim_alloc.fail_nth = 2;
	EXPECT_EQ(PTR_ERR(kho_alloc_preserve(PAGE_SIZE << 8)), -ENOMEM);

	kho_unpreserve_free(NULL);
	kho_unpreserve_free(ERR_PTR(-ENOMEM));
	EXPECT_EQ(handover_nr_pages(), 0);
	handover_end();
}

/* The first allocations lie where nothing can be preserved. */
static unsigned int nr_in_scratch;

static void alloc_in_scratch(void)
{
	shim_memory.scratch_end_pfn = nr_in_scratch ? ~0UL >> PAGE_SHIFT : 0;
	if (nr_in_scratch)
		nr_in_scratch--;
}

TEST(alloc_preservable)
{
	struct folio *folio;

	shim_alloc.hook = alloc_in_scratch;
	folio = kho_alloc_folio(0, GFP_KERNEL);
	EXPECT(folio);
	EXPECT_EQ(shim_alloc.nr_allocs, 1);
	folio_put(folio);

	/* Boot memory is asked for, and what does not serve is freed. */
	nr_in_scratch = 1;
	folio = kho_alloc_folio(0, GFP_KERNEL);
	EXPECT(folio);
	EXPECT_EQ(shim_alloc.nr_allocs, 3);
	EXPECT_EQ(shim_live(), 1);
	folio_put(folio);

	/* There is none. */
	nr_in_scratch = 1;
	shim_alloc.fail_nth = 2;
	EXPECT(!kho_alloc_folio(0, GFP_KERNEL));
	EXPECT_EQ(shim_live(), 0);
}

/* Memory is charged to its owner, and nodes of the tree to nobody: see alloc_tree_node(). */
TEST(alloc_accounted)
{
	long nr_accounted, nr_live;
	void *mem;

	handover_begin();
	nr_accounted = shim_alloc.nr_accounted;
	mem = kho_alloc_preserve(PAGE_SIZE);
	EXPECT(!IS_ERR(mem));
	EXPECT_EQ(shim_alloc.nr_accounted, nr_accounted + 1);
	kho_unpreserve_free(mem);

	nr_live = shim_live();
	EXPECT_EQ(kho_preserve_folio(FOLIO(0, 4)), 0);
	EXPECT(shim_live() > nr_live);
	EXPECT_EQ(shim_alloc.nr_accounted, nr_accounted + 1);
	kho_unpreserve_folio(FOLIO(0, 4));
	handover_end();
}

/* Leaves that are used in turns, so that there is a hint about each, and then gone. */
TEST(preserve_in_turns)
{
	unsigned int round, nr_leaves, i;
	long nr_nodes;

	handover_begin();
	nr_nodes = shim_live();
	for (round = 0; round < 16; round++) {
		nr_leaves = round / 2 + 1;
		for (i = 0; i < 64; i++) {
			unsigned long pfn = i % nr_leaves * KHO_LEAF_KEYS + i / nr_leaves;

			EXPECT_EQ(kho_preserve_folio(FOLIO(pfn, 0)), 0);
			EXPECT(handover_has(pfn, 0));
		}
		EXPECT_EQ(kho_preserve_pages(pfn_to_page(8 * KHO_LEAF_KEYS + 1), 1023), 0);
		EXPECT_EQ(handover_nr_pages(), 64 + 1023);

		kho_unpreserve_pages(pfn_to_page(8 * KHO_LEAF_KEYS + 1), 1023);
		for (i = 0; i < 64; i++)
			kho_unpreserve_folio(FOLIO(i % nr_leaves * KHO_LEAF_KEYS +
						   i / nr_leaves, 0));
		EXPECT_EQ(handover_nr_pages(), 0);

		/* Every second time the leaves stay. */
		if (round % 2)
			shim_run_work();
	}
	shim_run_work();
	EXPECT_EQ(shim_live(), nr_nodes);
	handover_end();
}

TEST(preserve_prune)
{
	long nr_nodes, nr_more;
	unsigned long pfn;

	handover_begin();
	nr_nodes = shim_live();

	/* A leaf each, and one for all of the larger order. */
	for (pfn = 0; pfn < 8 * KHO_LEAF_KEYS; pfn += KHO_LEAF_KEYS) {
		EXPECT_EQ(kho_preserve_folio(FOLIO(pfn, 0)), 0);
		EXPECT_EQ(kho_preserve_folio(FOLIO(pfn + 16, 4)), 0);
	}
	nr_more = shim_live();

	/* What is preserved keeps its leaf, by a hint or not. */
	for (pfn = KHO_LEAF_KEYS; pfn < 8 * KHO_LEAF_KEYS; pfn += KHO_LEAF_KEYS) {
		kho_unpreserve_folio(FOLIO(pfn, 0));
		kho_unpreserve_folio(FOLIO(pfn + 16, 4));
	}
	shim_run_work();
	EXPECT(handover_has(0, 0));
	EXPECT(handover_has(16, 4));
	EXPECT_EQ(handover_nr_pages(), 17);
	EXPECT_EQ(shim_live(), nr_more - 7);

	/* The hint is about a leaf that is gone. */
	EXPECT_EQ(kho_preserve_folio(FOLIO(pfn, 0)), 0);
	kho_unpreserve_folio(FOLIO(pfn, 0));
	shim_run_work();
	EXPECT_EQ(kho_preserve_folio(FOLIO(pfn + 1, 0)), 0);
	EXPECT(handover_has(pfn + 1, 0));
	kho_unpreserve_folio(FOLIO(pfn + 1, 0));

	kho_unpreserve_folio(FOLIO(0, 0));
	kho_unpreserve_folio(FOLIO(16, 4));
	shim_run_work();
	EXPECT_EQ(shim_live(), nr_nodes);

	/* Nothing was deleted: nothing is put off. */
	kho_unpreserve_folio(FOLIO(16, 4));
	shim_run_work();
	EXPECT_EQ(shim_live(), nr_nodes);
	handover_end();
}
