// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the struct pages of what is preserved become ready.
 *
 * All of it is ready after kho_init_pages_late(), with which all CPUs open all blocks beside
 * the threads that initialize deferred struct pages. What is restored before that has its
 * blocks opened by who restores it, in kho_prepare_pages(). A lock serializes the two. After
 * both nobody takes a lock: the block of what is restored is open, and is not looked at as a
 * block any more.
 */

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/kho_mm.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/padata.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>

#include "kho_internal.h"

/* What a thread does at a time: whole blocks, and whole pageblocks. */
#define CHUNK_PAGES	(32 * MAX_ORDER_NR_PAGES)

static DEFINE_MUTEX(open_lock);
bool kho_pages_are_ready;

struct kho_late kho_late;

/**
 * kho_prepare_pages - make the struct pages of preserved memory ready, if they are not yet
 * @pfn: the first page
 * @nr_pages: number of pages, all of which are preserved
 *
 * For who restores the pages, before he takes them out of the incoming tree: the blocks that
 * they lie in are open afterwards.
 *
 * Context: Process context; may sleep.
 */
void kho_prepare_pages(unsigned long pfn, unsigned long nr_pages)
{
	if (kho_pages_ready())
		return;

	guard(mutex)(&open_lock);
	if (!kho_pages_are_ready)
		kho_open_blocks(pfn, pfn + nr_pages);
}

/* Count a thread in, and note how many there were at most. */
static void __init begin_chunk(atomic_t *running)
{
	int nr = atomic_inc_return(running), most = atomic_read(&kho_late.threads);

	while (most < nr && !atomic_try_cmpxchg(&kho_late.threads, &most, nr))
		;
}

static void __init open_chunk(unsigned long pfn, unsigned long end_pfn, void *running)
{
	unsigned long block = pfn / MAX_ORDER_NR_PAGES;
	unsigned long end = DIV_ROUND_UP(end_pfn, MAX_ORDER_NR_PAGES);

	if (find_next_bit(kho_held_blocks, end, block) >= end &&
	    find_next_bit(kho_exact_blocks, end, block) >= end)
		return;

	begin_chunk(running);
	kho_open_blocks(pfn, end_pfn);
	atomic_dec(running);
}

/**
 * kho_init_pages_late - open all blocks that are still held or exact
 *
 * kho_watch_claims() follows.
 *
 * Context: page_alloc_init_late(), beside the threads that initialize deferred
 *	    struct pages, and before memblock is discarded.
 */
void __init kho_init_pages_late(void)
{
	unsigned long end_pfn = kho_nr_blocks * MAX_ORDER_NR_PAGES;
	atomic_t running = ATOMIC_INIT(0);
	ktime_t start = ktime_get();

	if (!is_kho_boot())
		return;

	guard(mutex)(&open_lock);
#ifdef CONFIG_PADATA
	padata_do_multithreaded(&(struct padata_mt_job) {
		.thread_fn = open_chunk,
		.fn_arg = &running,
		.size = end_pfn,
		.align = CHUNK_PAGES,
		.min_chunk = CHUNK_PAGES,
		.max_threads = num_online_cpus(),
	});
#else
	open_chunk(0, end_pfn, &running);
#endif
	kho_late.ns = ktime_to_ns(ktime_sub(ktime_get(), start));

	/* It is based on free pages, of which there are more now. */
	files_maxfiles_init();

	/* Pairs with kho_pages_ready(). */
	smp_store_release(&kho_pages_are_ready, true);
}
