// SPDX-License-Identifier: GPL-2.0-only
/*
 * Model: a tracker is a set of blocks, and what the next kernel reads is the
 * same set.
 */

#include <linux/errno.h>
#include <linux/kernel.h>

#include "../../../../kernel/liveupdate/kho_internal.h"
#include "../harness.h"
#include "../model.h"
#include "../set.h"
#include "memory.h"
#include "tracker.h"

/*
 * Pages are in areas, far from each other, that begin and end where addresses
 * and nodes do; in each so few that neighbours are common.
 */
#define AREA_SHIFT	10
#define AREA_PAGES	BIT(AREA_SHIFT)

static const unsigned long areas[] = {
	0,
	(1UL << 15) - AREA_PAGES,
	1UL << 15,
	1UL << 20,
	(1UL << 52) - AREA_PAGES,
};

static const struct tracker_ops *ops;
static struct tracker *tracker;
static struct set set;
static unsigned long nr_enomem;

static void random_block(unsigned long *pfn, unsigned int *order)
{
	unsigned int any = test_rand_below(AREA_SHIFT + 1);

	*order = test_rand_below(2) ? test_rand_below(3) : any;
	*pfn = areas[test_rand_below(ARRAY_SIZE(areas))] +
	       (test_rand_below(AREA_PAGES >> *order) << *order);
}

/* Mostly one that is there. */
static void likely_block(unsigned long *pfn, unsigned int *order)
{
	unsigned long key;

	random_block(pfn, order);
	if (set.nr && test_rand_below(4)) {
		key = set.keys[test_rand_below(set.nr)];
		*pfn = PHYS_PFN(kho_key_phys(key));
		*order = kho_key_order(key);
	}
}

static bool overlaps(unsigned long pfn, unsigned int order)
{
	unsigned long key, start, end;
	unsigned int i;

	for (i = 0; i < set.nr; i++) {
		key = set.keys[i];
		start = PHYS_PFN(kho_key_phys(key));
		end = start + (1UL << kho_key_order(key));
		if (start < pfn + (1UL << order) && end > pfn)
			return true;
	}

	return false;
}

/* True when there was no memory. */
static bool enomem(int err)
{
	if (err != -ENOMEM)
		return false;

	EXPECT(model_enomem());
	nr_enomem++;
	return true;
}

static void add(void)
{
	unsigned long pfn, key;
	unsigned int order;
	int err;

	random_block(&pfn, &order);
	key = kho_key(PFN_PHYS(pfn), order);
	if (overlaps(pfn, order) && !set_has(&set, key))
		return;

	err = ops->add(tracker, pfn, order);
	if (enomem(err))
		return;

	EXPECT_EQ(err, 0);
	set_add(&set, key);
}

static void del(void)
{
	unsigned long pfn, key;
	unsigned int order;
	int err;

	likely_block(&pfn, &order);
	key = kho_key(PFN_PHYS(pfn), order);
	err = ops->del(tracker, pfn, order);
	if (enomem(err))
		return;

	EXPECT_EQ(err, set_has(&set, key) ? 0 : -ENOENT);
	set_del(&set, key);
}

struct reading {
	struct set set;
	unsigned long next;	/* page that follows the last one read */
};

static int read_run(unsigned long pfn, unsigned int order, unsigned long nr,
		    void *data)
{
	struct reading *reading = data;

	EXPECT(nr);
	EXPECT(!ops->by_address || pfn >= reading->next);
	while (nr--) {
		EXPECT(set_add(&reading->set, kho_key(PFN_PHYS(pfn), order)));
		pfn += 1UL << order;
	}
	reading->next = pfn;

	return 0;
}

/* The next kernel has nothing of this one but what is handed over. */
static void hand_over(void)
{
	struct reading reading = {};
	unsigned long phys;
	unsigned int i;
	int err;

	err = ops->finalize(tracker, &phys);
	if (enomem(err))
		return;

	EXPECT_EQ(err, 0);
	mem_hide(true);
	EXPECT_EQ(ops->read(phys, read_run, &reading), 0);
	mem_hide(false);
	EXPECT_EQ(reading.set.nr, set.nr);
	for (i = 0; i < set.nr; i++)
		EXPECT_EQ(reading.set.keys[i], set.keys[i]);

	set_clear(&reading.set);
}

static void begin(void)
{
	tracker = ops->create();
	EXPECT(tracker);
}

static void end(void)
{
	ops->destroy(tracker);
	set_clear(&set);
	EXPECT_EQ(mem_bytes().all, 0);
	EXPECT_EQ(mem_bytes().handed_over, 0);
}

static const struct model_op model_ops[] = {
	{ "add", 50, add },
	{ "del", 30, del },
	{ "hand over", 1, hand_over },
};

static const struct model model = {
	.name = "tracker",
	.begin = begin,
	.end = end,
	.verify = hand_over,
	.ops = model_ops,
	.nr_ops = ARRAY_SIZE(model_ops),
};

static void run(const struct tracker_ops *which)
{
	ops = which;
	model_run(&model);
}

static void run_failing(const struct tracker_ops *which)
{
	ops = which;
	model_run_failing(&model);
	/* It is not enough that allocations fail: somebody has to be told. */
	EXPECT(nr_enomem);
}

TEST(model_radix)
{
	run(&tracker_radix);
}

TEST(model_xarray)
{
	run(&tracker_xarray);
}

TEST(model_maple)
{
	run(&tracker_maple);
}

TEST(model_radix_failing)
{
	run_failing(&tracker_radix);
}

TEST(model_xarray_failing)
{
	run_failing(&tracker_xarray);
}

TEST(model_maple_failing)
{
	run_failing(&tracker_maple);
}
