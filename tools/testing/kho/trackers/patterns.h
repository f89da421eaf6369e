/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is compared: all trackers, each with the same blocks preserved.
 */
#ifndef _KHO_TRACKER_PATTERNS_H
#define _KHO_TRACKER_PATTERNS_H

#include "tracker.h"

#define NR_TRACKERS	3
extern const struct tracker_ops * const trackers[NR_TRACKERS];

struct block {
	unsigned long pfn;
	unsigned int order;
};

/* No block twice, none overlaps another; in the order they are added. */
struct blocks {
	struct block *block;
	unsigned long nr;
	unsigned long room;
};

struct pattern {
	const char *name;
	const char *text;
	unsigned long nr_pages;		/* of memory that it lies in */
	void (*fill)(struct blocks *blocks, unsigned long nr_pages);
};

#define NR_PATTERNS	5
extern const struct pattern patterns[NR_PATTERNS];

/* In @part-th of the memory; the same blocks each time. */
struct blocks pattern_blocks(const struct pattern *pattern, unsigned int part);

#endif /* _KHO_TRACKER_PATTERNS_H */
