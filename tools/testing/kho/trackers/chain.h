/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A chain of pages full of entries: the form that a tracker is brought into
 * when what it has in memory cannot be handed over as it is.
 */
#ifndef _KHO_TRACKER_CHAIN_H
#define _KHO_TRACKER_CHAIN_H

#include <linux/bits.h>
#include <linux/types.h>

#include "tracker.h"

#define CHAIN_PAGE_SHIFT	12
#define CHAIN_PAGE_SIZE		BIT(CHAIN_PAGE_SHIFT)

/* The order is where the address of a block has zeroes. */
struct chain_entry {
	u64 phys_order;
	u64 value;
};

#define CHUNK_ENTRIES	(CHAIN_PAGE_SIZE / sizeof(struct chain_entry) - 1)

struct chunk {
	u64 next;	/* physical address, 0 in the last one */
	u64 nr;
	struct chain_entry entry[CHUNK_ENTRIES];
};

struct chain {
	struct chunk *first;
	struct chunk *last;
};

int chain_add(struct chain *chain, unsigned long pfn, unsigned int order,
	      u64 value);
void chain_free(struct chain *chain);

/* Call @read for each entry of the chain at @phys, until it returns not 0. */
int chain_read(u64 phys, int (*read)(const struct chain_entry *entry,
				     tracker_fn fn, void *data),
	       tracker_fn fn, void *data);

static inline unsigned long entry_pfn(const struct chain_entry *entry)
{
	return entry->phys_order >> CHAIN_PAGE_SHIFT;
}

static inline unsigned int entry_order(const struct chain_entry *entry)
{
	return entry->phys_order & (CHAIN_PAGE_SIZE - 1);
}

#endif /* _KHO_TRACKER_CHAIN_H */
