// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slab caches for the xarray and the maple tree.
 */

#include <stdlib.h>
#include <linux/gfp.h>
#include <linux/slab.h>

#include "memory.h"

/* radix-tree.c is told to be silent. */
int kmalloc_verbose;

struct kmem_cache {
	struct mem_pool pool;
	bool fail;
};

struct kmem_cache *kmem_cache_create(const char *name, unsigned int size,
				     unsigned int align, unsigned int flags,
				     void (*ctor)(void *))
{
	struct kmem_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		abort();

	cache->pool.size = size;
	cache->pool.align = align ?: sizeof(long);
	cache->pool.ctor = ctor;
	return cache;
}

/*
 * Who is not allowed to sleep fails, and tries again after it has dropped its
 * locks: when a test lets the first one fail, the second one fails, too.
 */
void *kmem_cache_alloc_lru(struct kmem_cache *cache, struct list_lru *lru,
			   int flags)
{
	void *obj;

	if (cache->fail && flags & __GFP_DIRECT_RECLAIM) {
		cache->fail = false;
		return NULL;
	}

	obj = mem_get(&cache->pool);
	cache->fail = !obj && !(flags & __GFP_DIRECT_RECLAIM);
	if (obj && flags & __GFP_ZERO)
		memset(obj, 0, cache->pool.size);

	return obj;
}

void kmem_cache_free(struct kmem_cache *cache, void *obj)
{
	mem_put(&cache->pool, obj);
}

/* All of them or none. */
int kmem_cache_alloc_bulk(struct kmem_cache *cache, gfp_t flags, size_t nr,
			  void **objs)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		objs[i] = kmem_cache_alloc(cache, flags);
		if (!objs[i]) {
			kmem_cache_free_bulk(cache, i, objs);
			return 0;
		}
	}

	return nr;
}

void kmem_cache_free_bulk(struct kmem_cache *cache, size_t nr, void **objs)
{
	while (nr--)
		kmem_cache_free(cache, objs[nr]);
}
