// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print what the trackers cost: time and memory, as multiples of what the radix
 * tree takes in the same run.
 */

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <linux/kernel.h>

#include "memory.h"
#include "patterns.h"

/*
 * The least of so many times is what counts, as nothing makes a program faster.
 * Of what takes little time there are more.
 */
#define NR_REPEATS	25
#define NR_BLOCKS	10000

enum { ADD, FINALIZE, READ, NR_STEPS };

struct cost {
	unsigned long ns[NR_STEPS];
	struct mem_bytes bytes;
};

static unsigned long clock_ns;

/* Not the time that others have the CPU. */
static unsigned long now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000UL + ts.tv_nsec;
}

/* What it takes to look at the clock. */
static unsigned long now_takes(void)
{
	unsigned long t, least = ~0UL;
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		t = now();
		least = min(least, now() - t);
	}

	return least;
}

/* As little as a receiver can do with a run. */
static int count(unsigned long pfn, unsigned int order, unsigned long nr,
		 void *data)
{
	*(unsigned long *)data += nr << order;
	return 0;
}

static void must(int err)
{
	if (err) {
		fprintf(stderr, "a tracker fails: %d\n", err);
		exit(1);
	}
}

static void measure(const struct tracker_ops *ops, const struct blocks *blocks,
		    struct cost *cost)
{
	struct tracker *tracker = ops->create();
	unsigned long t[NR_STEPS + 1], i, ns, phys, nr_pages = 0;

	must(!tracker);
	for (i = 0; i < blocks->nr; i++)
		nr_pages -= 1UL << blocks->block[i].order;

	t[ADD] = now();
	for (i = 0; i < blocks->nr; i++)
		must(ops->add(tracker, blocks->block[i].pfn,
			      blocks->block[i].order));
	t[FINALIZE] = now();
	must(ops->finalize(tracker, &phys));
	t[READ] = now();
	must(ops->read(phys, count, &nr_pages));
	t[NR_STEPS] = now();

	must(nr_pages != 0);
	cost->bytes = mem_bytes();
	for (i = 0; i < NR_STEPS; i++) {
		ns = t[i + 1] - t[i];
		cost->ns[i] = min(cost->ns[i], ns - min(ns, clock_ns));
	}
	ops->destroy(tracker);
}

static void print_ratio(double ratio)
{
	if (ratio >= 0.01)
		printf("%8.2f", ratio);
	else
		printf("%8s", ratio > 0 ? "<0.01" : "0");
}

static void print_ns(unsigned long ns, unsigned long nr_blocks)
{
	printf("%8.1f", (double)ns / nr_blocks);
}

static void print_bytes(long bytes, long radix)
{
	printf("%10.1f", bytes / 1024.0);
	print_ratio((double)bytes / radix);
}

static void print(const struct tracker_ops *ops, const struct cost *cost,
		  const struct cost *radix, unsigned long nr_blocks)
{
	printf("  %-17s", ops->name);
	print_ns(cost->ns[ADD], nr_blocks);
	print_ratio((double)cost->ns[ADD] / radix->ns[ADD]);
	print_ratio((double)cost->ns[FINALIZE] / radix->ns[ADD]);
	print_ns(cost->ns[READ], nr_blocks);
	print_ratio((double)cost->ns[READ] / radix->ns[READ]);
	print_bytes(cost->bytes.handed_over, radix->bytes.handed_over);
	print_bytes(cost->bytes.all, radix->bytes.all);
	printf("\n");
}

static void compare(const struct pattern *pattern)
{
	struct blocks blocks = pattern_blocks(pattern, 1);
	unsigned int nr_repeats = NR_REPEATS + NR_BLOCKS / blocks.nr;
	struct cost cost[NR_TRACKERS];
	unsigned int i, j;

	for (i = 0; i < NR_TRACKERS; i++)
		cost[i] = (struct cost){ .ns = { ~0UL, ~0UL, ~0UL } };

	for (j = 0; j < nr_repeats; j++) {
		for (i = 0; i < NR_TRACKERS; i++)
			measure(trackers[i], &blocks, &cost[i]);
	}

	printf("%s: %s, %lu blocks\n", pattern->name, pattern->text, blocks.nr);
	for (i = 0; i < NR_TRACKERS; i++)
		print(trackers[i], &cost[i], &cost[0], blocks.nr);

	free(blocks.block);
}

int main(void)
{
	unsigned int i;

	clock_ns = now_takes();
	printf("%19s%16s%8s%16s%18s%18s\n", "", "add", "end", "read",
	       "handed over", "in all");
	printf("%19s%8s%8s%8s%8s%8s%10s%8s%10s%8s\n", "", "ns", "ratio", "ratio",
	       "ns", "ratio", "KiB", "ratio", "KiB", "ratio");
	for (i = 0; i < NR_PATTERNS; i++)
		compare(&patterns[i]);

	printf("\nns are for each block. Ratios are to the radix tree; that of \"end\", what is\n"
	       "done before the kexec, is to the time that the radix tree takes to add all.\n"
	       "The least of %d times or more.\n", NR_REPEATS);
	return 0;
}
