/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory for the trackers. It is counted, apart for what is handed over and for
 * what only the sending kernel needs.
 */
#ifndef _KHO_TRACKER_MEMORY_H
#define _KHO_TRACKER_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

/* Objects of one size, like a slab cache. What is not named here is zero. */
struct mem_pool {
	size_t size;
	size_t align;
	bool handed_over;
	void (*ctor)(void *obj);
	void **free;
	size_t nr_free;
	size_t nr_all;
};

/* NULL when a test wants it to fail. Not zeroed. */
void *mem_get(struct mem_pool *pool);
void mem_put(struct mem_pool *pool, void *obj);

/* A page to be handed over, zeroed. */
void *mem_get_page(void);
void mem_put_page(void *page);

/* The physical address of something to be handed over; 0 for NULL. */
unsigned long mem_phys(const void *virt);
void *mem_virt(unsigned long phys);

struct mem_bytes {
	long handed_over;
	long all;
};

struct mem_bytes mem_bytes(void);

/*
 * With AddressSanitizer, from now on or no longer, whoever touches what is not
 * handed over is caught.
 */
void mem_hide(bool hide);

#endif /* _KHO_TRACKER_MEMORY_H */
