// SPDX-License-Identifier: GPL-2.0-only
/*
 * Limits that follow from how much memory there is.
 *
 * A kernel that takes over most of the memory has little of its own when it boots. It would
 * size itself by that for ever, although it gets the rest back a moment later. So what is
 * computed once, during boot, counts memory that is handed over as if it were free:
 *
 * - hash tables: kho_count_kept_pages()
 * - fs.file-max, the default size of a tmpfs, and limits of the network stack, which ask
 *   kho_unclaimed_pages() or nr_free_buffer_pages()
 * - what initcalls derive from totalram_pages(), which is larger in the meantime
 *
 * Watermarks and other limits of zones decide how much memory is kept free. They grow when the
 * memory is there: not for each folio that is restored, but some time after a part of the
 * memory has been.
 */

#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kho_mm.h>
#include <linux/mm.h>
#include <linux/workqueue.h>

#include "internal.h"

/* Restoring goes on meanwhile, and one adjustment counts for all of it. */
#define DELAY	(HZ / 4)

static unsigned long nr_counted __initdata;

static int __init count_handed_over(void)
{
	nr_counted = kho_unclaimed_pages();
	totalram_pages_add(nr_counted);
	return 0;
}
pure_initcall(count_handed_over);

static int __init uncount_handed_over(void)
{
	totalram_pages_add(-nr_counted);
	return 0;
}
late_initcall_sync(uncount_handed_over);

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
