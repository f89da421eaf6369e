// SPDX-License-Identifier: GPL-2.0-only
/*
 * A chain of pages full of entries.
 */

#include <linux/errno.h>

#include "chain.h"
#include "memory.h"

int chain_add(struct chain *chain, unsigned long pfn, unsigned int order,
	      u64 value)
{
	struct chunk *chunk = chain->last;

	if (!chunk || chunk->nr == CHUNK_ENTRIES) {
		chunk = mem_get_page();
		if (!chunk)
			return -ENOMEM;

		if (chain->last)
			chain->last->next = mem_phys(chunk);
		else
			chain->first = chunk;
		chain->last = chunk;
	}

	chunk->entry[chunk->nr++] = (struct chain_entry){
		.phys_order = (u64)pfn << CHAIN_PAGE_SHIFT | order,
		.value = value,
	};
	return 0;
}

void chain_free(struct chain *chain)
{
	struct chunk *chunk, *next;

	for (chunk = chain->first; chunk; chunk = next) {
		next = mem_virt(chunk->next);
		mem_put_page(chunk);
	}

	*chain = (struct chain){};
}

int chain_read(u64 phys, int (*read)(const struct chain_entry *entry,
				     tracker_fn fn, void *data),
	       tracker_fn fn, void *data)
{
	const struct chunk *chunk;
	unsigned int i;
	int err;

	for (chunk = mem_virt(phys); chunk; chunk = mem_virt(chunk->next)) {
		if (chunk->nr > CHUNK_ENTRIES)
			return -EINVAL;

		for (i = 0; i < chunk->nr; i++) {
			err = read(&chunk->entry[i], fn, data);
			if (err)
				return err;
		}
	}

	return 0;
}
