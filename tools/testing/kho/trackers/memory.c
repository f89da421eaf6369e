// SPDX-License-Identifier: GPL-2.0-only
/*
 * What stands in for the allocators of the kernel.
 *
 * For tests, which AddressSanitizer looks at, each object is one of malloc()'s.
 * Where time is measured, the objects are taken from arrays of free ones, which
 * takes about as long as in the kernel; no memory is touched for the first time
 * then.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <linux/align.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kernel.h>

#include "memory.h"
#include "shim.h"

struct shim_alloc shim_alloc;
bool shim_verbose;

static struct mem_bytes bytes;
static unsigned int nr_warnings;

/* Callbacks of RCU come from another thread. */
static bool lock;

static void mem_lock(void)
{
	while (__atomic_test_and_set(&lock, __ATOMIC_ACQUIRE))
		;
}

static void mem_unlock(void)
{
	__atomic_clear(&lock, __ATOMIC_RELEASE);
}

#ifdef MEM_CHECKED

#include <sanitizer/asan_interface.h>

/* Follows each object, after some bytes that nobody may touch. */
struct record {
	struct record *next;
	struct record **prev;
	struct mem_pool *pool;
	void *obj;
};

#define GAP	16

static struct record *records;

static void *obj_get(struct mem_pool *pool)
{
	size_t size = ALIGN(pool->size, 8);
	struct record *r;
	void *obj;

	if (posix_memalign(&obj, pool->align, size + GAP + sizeof(*r)))
		abort();

	r = obj + size + GAP;
	*r = (struct record){ records, &records, pool, obj };
	if (records)
		records->prev = &r->next;
	records = r;

	ASAN_POISON_MEMORY_REGION(obj + size, GAP);
	if (pool->ctor)
		pool->ctor(obj);
	return obj;
}

static void obj_put(struct mem_pool *pool, void *obj)
{
	struct record *r = obj + ALIGN(pool->size, 8) + GAP;

	if (r->pool != pool || r->obj != obj)
		abort();

	*r->prev = r->next;
	if (r->next)
		r->next->prev = r->prev;
	free(obj);
}

void mem_hide(bool hide)
{
	struct record *r;

	for (r = records; r; r = r->next) {
		if (r->pool->handed_over)
			continue;
		if (hide)
			ASAN_POISON_MEMORY_REGION(r->obj, r->pool->size);
		else
			ASAN_UNPOISON_MEMORY_REGION(r->obj, r->pool->size);
	}
}

#else /* !MEM_CHECKED */

#define PIECE_SIZE	(64UL << 10)
#define ARENA_SIZE	(64UL << 20)

/* Memory that is there already, for objects of one kind. */
static void *piece_get(void)
{
	static char *arena, *end;

	if (arena == end) {
		arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (arena == MAP_FAILED) {
			perror("no memory");
			exit(2);
		}
		end = arena + ARENA_SIZE;
	}

	arena += PIECE_SIZE;
	return arena - PIECE_SIZE;
}

static void refill(struct mem_pool *pool)
{
	size_t size = ALIGN(pool->size, pool->align);
	size_t i, nr = PIECE_SIZE / size;
	char *piece = piece_get();

	pool->nr_all += nr;
	pool->free = realloc(pool->free, pool->nr_all * sizeof(*pool->free));
	if (!pool->free)
		abort();

	for (i = nr; i-- > 0;) {
		if (pool->ctor)
			pool->ctor(piece + i * size);
		pool->free[pool->nr_free++] = piece + i * size;
	}
}

static void *obj_get(struct mem_pool *pool)
{
	if (!pool->nr_free)
		refill(pool);

	return pool->free[--pool->nr_free];
}

static void obj_put(struct mem_pool *pool, void *obj)
{
	pool->free[pool->nr_free++] = obj;
}

void mem_hide(bool hide)
{
}

#endif /* !MEM_CHECKED */

/* Count down, and say when zero is reached. */
static bool fail_now(void)
{
	if (!shim_alloc.fail_nth || --shim_alloc.fail_nth)
		return false;

	shim_alloc.nr_failed++;
	return true;
}

void *mem_get(struct mem_pool *pool)
{
	void *obj = NULL;

	mem_lock();
	if (!fail_now()) {
		obj = obj_get(pool);
		shim_alloc.nr_live++;
		bytes.all += pool->size;
		bytes.handed_over += pool->handed_over ? pool->size : 0;
	}
	mem_unlock();

	return obj;
}

void mem_put(struct mem_pool *pool, void *obj)
{
	mem_lock();
	obj_put(pool, obj);
	shim_alloc.nr_live--;
	bytes.all -= pool->size;
	bytes.handed_over -= pool->handed_over ? pool->size : 0;
	mem_unlock();
}

struct mem_bytes mem_bytes(void)
{
	return bytes;
}

static struct mem_pool pages = {
	.size = PAGE_SIZE, .align = PAGE_SIZE, .handed_over = true,
};

void *mem_get_page(void)
{
	void *page = mem_get(&pages);

	return page ? memset(page, 0, PAGE_SIZE) : NULL;
}

void mem_put_page(void *page)
{
	mem_put(&pages, page);
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	return (unsigned long)mem_get_page();
}

void free_page(unsigned long addr)
{
	if (addr)
		mem_put_page((void *)addr);
}

unsigned long mem_phys(const void *virt)
{
	return virt ? virt_to_phys(virt) : 0;
}

void *mem_virt(unsigned long phys)
{
	return phys ? phys_to_virt(phys) : NULL;
}

/*
 * What the harness wants to know.
 */

void shim_reset(void)
{
	shim_alloc = (struct shim_alloc){ .nr_live = shim_alloc.nr_live };
	nr_warnings = 0;
}

long shim_live(void)
{
	return shim_alloc.nr_live;
}

long shim_failed(void)
{
	return shim_alloc.nr_failed;
}

void shim_warn(void)
{
	nr_warnings++;
}

unsigned int shim_take_warnings(void)
{
	unsigned int nr = nr_warnings;

	nr_warnings = 0;
	return nr;
}

unsigned int shim_take_messages(void)
{
	return 0;
}
