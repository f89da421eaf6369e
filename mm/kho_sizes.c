// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits that follow from how much memory there is.
 *
 * A kernel that takes over most of the memory has little of its own when it boots. It would
 * size itself by that for ever, although it gets the rest back a moment later. So what is
 * computed once, during boot, counts memory that is handed over as if it were free:
 *
 * - hash tables: kho_count_kept_pages()
 * - fs.file-max, the size of a tmpfs, and limits of the network stack, which ask
 *   kho_unclaimed_pages(), kho_total_pages() or nr_free_buffer_pages()
 * - what initcalls derive from totalram_pages(), which is larger in the meantime
 *
 * Watermarks and other limits of zones decide how much memory is kept free. They grow when the
 * memory is there: not for each folio that is restored, but some time after a part of the
 * memory has been.
 */

#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kho_mm.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

#include "internal.h"

/* Restoring goes on meanwhile, and one adjustment counts for all of it. */
#define DELAY	(HZ / 4)

/* Pages that totalram_pages() counts, and that have not been restored. */
static atomic_long_t nr_counted;

static int __init count_handed_over(void)
{
	unsigned long nr_pages = kho_unclaimed_pages();

	totalram_pages_add(nr_pages);
	atomic_long_set(&nr_counted, nr_pages);
	return 0;
}
pure_initcall(count_handed_over);

/* Before it or after it, kho_restore.c stops to look at each claim: the order does not matter. */
static int __init uncount_handed_over(void)
{
	kho_uncount_pages(ULONG_MAX);
	return 0;
}
late_initcall_sync(uncount_handed_over);

/**
 * kho_uncount_pages - no longer count memory that is handed over
 * @nr_pages: number of pages that have been restored, and so count themselves
 *
 * Context: Any.
 */
void kho_uncount_pages(unsigned long nr_pages)
{
	long counted = atomic_long_read(&nr_counted);
	unsigned long nr;

	do {
		nr = min_t(unsigned long, nr_pages, counted);
		if (!nr)
			return;
	} while (!atomic_long_try_cmpxchg(&nr_counted, &counted, counted - nr));

	totalram_pages_add(-nr);
}

/**
 * kho_total_pages - tell how much memory there is when all is restored
 *
 * Context: Any.
 * Return: totalram_pages(), and the pages that will be restored, which it counts during
 * initcalls alone.
 */
unsigned long kho_total_pages(void)
{
	unsigned long unclaimed = kho_unclaimed_pages();
	unsigned long counted = atomic_long_read(&nr_counted);

	return totalram_pages() + unclaimed - min(unclaimed, counted);
}

static void adjust_limits(struct work_struct *unused)
{
	adjust_limits_to_zones();
}

static DECLARE_DELAYED_WORK(adjust_work, adjust_limits);

/**
 * kho_adjust_limits - adjust limits of zones to memory that has been restored
 *
 * Context: Any, after workqueues are there. The limits change some time later.
 */
void kho_adjust_limits(void)
{
	schedule_delayed_work(&adjust_work, DELAY);
}
