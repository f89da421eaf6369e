// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model: what is preserved is a set of keys. A folio is one of them; a run of
 * pages is cut by the rule of the ABI, which is spelled out again here.
 */

#include <linux/errno.h>
#include <linux/kernel.h>

#include "handover.h"
#include "model.h"
#include "set.h"

/* Where pages are, in sections; the nodes meet inside and at their borders. */
#define NR_SECTIONS	16
#define NR_PFNS		(NR_SECTIONS * PAGES_PER_SECTION)

static struct set set;
static bool many_nodes;

static unsigned long key_of(unsigned long pfn, unsigned int order)
{
	return (1UL << (64 - PAGE_SHIFT - order)) + (pfn >> order);
}

/* Pages that all keys of the set stand for. */
static unsigned long nr_pages_in_set(void)
{
	unsigned long nr_pages = 0;
	unsigned int i, order;

	for (i = 0; i < set.nr; i++) {
		for (order = 0; set.keys[i] >> (64 - PAGE_SHIFT - order) == 0;)
			order++;
		nr_pages += 1UL << order;
	}

	return nr_pages;
}

/* Whether a border between nodes lies inside of a block. */
static bool spans_nodes(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int i;

	for (i = 0; i + 1 < shim_memory.nr_nodes; i++) {
		if (pfn < shim_memory.end_pfn[i] &&
		    shim_memory.end_pfn[i] < pfn + nr_pages)
			return true;
	}

	return false;
}

/* Size of the first block of a run: by trying all sizes. */
static unsigned int cut(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int order, best = 0;

	for (order = 0; order < 40; order++) {
		unsigned long size = 1UL << order;

		if (pfn % size == 0 && size <= nr_pages && !spans_nodes(pfn, size))
			best = order;
	}

	return best;
}

struct run {
	unsigned long pfn;
	unsigned long nr_pages;
};

/* The last few runs and folios are tried again, to unpreserve them. */
#define NR_RECENT	32
static struct run recent_runs[NR_RECENT];
static struct folio recent_folios[NR_RECENT];

static struct run random_run(void)
{
	unsigned long pfn = test_rand_below(NR_PFNS);
	unsigned long nr_pages = NR_PFNS - pfn;

	/* All lengths; and most runs begin somewhat aligned. */
	pfn = round_down(pfn, 1UL << test_rand_below(12));
	return (struct run){
		pfn, 1 + test_rand_below(nr_pages) % (1UL << test_rand_below(20)),
	};
}

/* Add or delete the keys of all blocks that a run is cut into. */
static void change_keys(struct run run, bool (*fn)(struct set *, unsigned long))
{
	while (run.nr_pages) {
		unsigned int order = cut(run.pfn, run.nr_pages);

		fn(&set, key_of(run.pfn, order));
		run.pfn += 1UL << order;
		run.nr_pages -= 1UL << order;
	}
}

static void preserve_pages(void)
{
	struct run run = random_run(), *recent;
	int err;

	recent = &recent_runs[test_rand_below(NR_RECENT)];
	if (recent->nr_pages && test_rand_below(8) == 0)
		run = *recent;

	err = kho_preserve_pages(pfn_to_page(run.pfn), run.nr_pages);
	if (model_enomem()) {
		EXPECT_EQ(err, -ENOMEM);
		return;
	}

	EXPECT_EQ(err, 0);
	*recent = run;
	change_keys(run, set_add);
}

static void unpreserve_pages(void)
{
	struct run run = recent_runs[test_rand_below(NR_RECENT)];

	kho_unpreserve_pages(pfn_to_page(run.pfn), run.nr_pages);
	change_keys(run, set_del);
}

static void preserve_folio(void)
{
	unsigned int order = test_rand_below(ilog2(NR_PFNS) + 1);
	struct folio folio = {
		.order = order,
		.pfn = test_rand_below(NR_PFNS >> order) << order,
	};
	int err = kho_preserve_folio(&folio);

	if (model_enomem()) {
		EXPECT_EQ(err, -ENOMEM);
		return;
	}

	EXPECT_EQ(err, 0);
	recent_folios[test_rand_below(NR_RECENT)] = folio;
	set_add(&set, key_of(folio.pfn, order));
}

static void unpreserve_folio(void)
{
	struct folio *folio = &recent_folios[test_rand_below(NR_RECENT)];

	kho_unpreserve_folio(folio);
	set_del(&set, key_of(folio->pfn, folio->order));
}

static void refused(void)
{
	struct run run = random_run();

	shim_memory.scratch_pfn = run.pfn + test_rand_below(run.nr_pages);
	shim_memory.scratch_end_pfn = shim_memory.scratch_pfn + 1;
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(run.pfn), run.nr_pages), -EINVAL);
	shim_memory.scratch_end_pfn = 0;
	EXPECT(!model_enomem());
}

static void begin(void)
{
	unsigned long pfn = 0;
	unsigned int i;

	shim_memory.nr_nodes = 1;
	if (many_nodes) {
		/* Two borders never share a section. */
		shim_memory.nr_nodes = 2 + test_rand_below(SHIM_MAX_NODES - 1);
		for (i = 0; i < shim_memory.nr_nodes; i++) {
			pfn = round_up(pfn + 1, PAGES_PER_SECTION) +
			      PAGES_PER_SECTION * test_rand_below(2);
			if (test_rand_below(2))
				pfn += test_rand_below(PAGES_PER_SECTION);
			shim_memory.end_pfn[i] = pfn;
			shim_memory.nid[i] = i % 3;
		}
	}

	handover_begin();
	for (i = 0; i < NR_RECENT; i++) {
		recent_runs[i] = (struct run){};
		recent_folios[i] = (struct folio){};
	}
}

static int compare_key(unsigned long key, void *data)
{
	unsigned int *nr = data;

	if (key == kho_key(virt_to_phys(kho_out.fdt), 0))
		return 0;

	EXPECT(*nr < set.nr);
	EXPECT_EQ(key, set.keys[*nr]);
	++*nr;
	return 0;
}

static const struct kho_radix_walk_cb compare_cb = { .leaf = compare_key };

static void verify(void)
{
	unsigned int nr = 0;

	EXPECT_EQ(kho_radix_walk_tree(&kho_out.tree, &compare_cb, &nr), 0);
	EXPECT_EQ(nr, set.nr);
	EXPECT_EQ(handover_nr_pages(), nr_pages_in_set());
}

/* Forget what is left, one key at a time. */
static void end(void)
{
	while (set.nr) {
		unsigned long key = set.keys[set.nr - 1];

		kho_unpreserve_folio(FOLIO(PHYS_PFN(kho_key_phys(key)),
					   kho_key_order(key)));
		set_del(&set, key);
	}
	set_clear(&set);
	EXPECT_EQ(handover_nr_pages(), 0);
	handover_end();
}

static const struct model_op ops[] = {
	{ "preserve_pages", 10, preserve_pages },
	{ "unpreserve_pages", 12, unpreserve_pages },
	{ "preserve_folio", 10, preserve_folio },
	{ "unpreserve_folio", 12, unpreserve_folio },
	{ "refused", 1, refused },
};

static const struct model preserve_model = {
	.name = "preserve",
	.begin = begin,
	.end = end,
	.verify = verify,
	.ops = ops,
	.nr_ops = ARRAY_SIZE(ops),
};

TEST(model_preserve)
{
	model_run(&preserve_model);
}

TEST(model_preserve_no_memory)
{
	model_run_failing(&preserve_model);
}

TEST(model_preserve_on_nodes)
{
	many_nodes = true;
	model_run(&preserve_model);
}

TEST(model_preserve_on_nodes_no_memory)
{
	many_nodes = true;
	model_run_failing(&preserve_model);
}
