// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kernel/liveupdate/ calls of the rest of the kernel.
 *
 * Nothing here knows how KHO works. The page allocator hands out real memory,
 * under the eyes of AddressSanitizer; all other pages are mere numbers.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>
#include <sanitizer/asan_interface.h>

#include "../../../kernel/liveupdate/kho_internal.h"
#include "shim.h"

struct shim_alloc shim_alloc;
struct shim_memory shim_memory;
bool shim_enabled;
bool shim_verbose;
struct kho_in kho_in;
struct kho_scratch *kho_scratch;
unsigned int kho_scratch_cnt;
void (*shim_sleep_hook)(void);

static unsigned int nr_warnings;
static unsigned int nr_messages;

void shim_reset(void)
{
	long nr_live = shim_live();

	shim_alloc = (struct shim_alloc){ .nr_live = nr_live };
	shim_memory = (struct shim_memory){ .nr_nodes = 1 };
	shim_enabled = true;
	shim_sleep_hook = NULL;
	kho_scratch_cnt = 0;
	nr_warnings = 0;
	nr_messages = 0;
}

long shim_live(void)
{
	return __atomic_load_n(&shim_alloc.nr_live, __ATOMIC_RELAXED);
}

long shim_failed(void)
{
	return __atomic_load_n(&shim_alloc.nr_failed, __ATOMIC_RELAXED);
}

/* Count down, and say when zero is reached. */
static bool fail_now(void)
{
	static long nr;

	if (shim_alloc.fail_nth &&
	    !__atomic_sub_fetch(&shim_alloc.fail_nth, 1, __ATOMIC_RELAXED))
		return true;

	return shim_alloc.fail_every &&
	       !(__atomic_add_fetch(&nr, 1, __ATOMIC_RELAXED) %
		 shim_alloc.fail_every);
}

/*
 * page_private() of the pages that have it: a hash table, as there are no struct pages.
 */
#define NR_BUCKETS	4096

static struct private {
	struct private *next;
	unsigned long pfn;
	unsigned long private;
} *privates[NR_BUCKETS];

static pthread_mutex_t privates_lock = PTHREAD_MUTEX_INITIALIZER;

static struct private **find_private(unsigned long pfn)
{
	struct private **link = &privates[pfn % NR_BUCKETS];

	while (*link && (*link)->pfn != pfn)
		link = &(*link)->next;

	return link;
}

unsigned long page_private(const struct page *page)
{
	struct private *found;
	unsigned long private;

	pthread_mutex_lock(&privates_lock);
	found = *find_private(page_to_pfn(page));
	private = found ? found->private : 0;
	pthread_mutex_unlock(&privates_lock);
	return private;
}

void set_page_private(struct page *page, unsigned long private)
{
	struct private **link, *found;

	pthread_mutex_lock(&privates_lock);
	link = find_private(page_to_pfn(page));
	found = *link;
	if (found && !private) {
		*link = found->next;
		free(found);
	} else if (private) {
		if (!found) {
			found = calloc(1, sizeof(*found));
			if (!found)
				abort();
			found->pfn = page_to_pfn(page);
			*link = found;
		}
		found->private = private;
	}
	pthread_mutex_unlock(&privates_lock);
}

/*
 * A folio is allocated together with its pages, one page before them. Between
 * the two nothing may be touched.
 */
#define FOLIO_GAP	(PAGE_SIZE - sizeof(struct folio))

static struct folio *mem_folio(const void *mem)
{
	return (struct folio *)((unsigned long)mem - PAGE_SIZE);
}

struct folio *folio_alloc(gfp_t gfp, unsigned int order)
{
	unsigned long size = PAGE_SIZE << order;
	struct folio *folio;
	char *mem;

	if (shim_alloc.hook)
		shim_alloc.hook();

	if (fail_now()) {
		__atomic_add_fetch(&shim_alloc.nr_failed, 1, __ATOMIC_RELAXED);
		return NULL;
	}

	/* Pages are aligned to their size, like those of the kernel. */
	mem = aligned_alloc(size, 2 * size);
	if (!mem)
		abort();

	mem += size;
	memset(mem, 0, size);
	folio = mem_folio(mem);
	folio->mem = mem;
	folio->order = order;
	folio->pfn = PHYS_PFN(virt_to_phys(mem));
	ASAN_POISON_MEMORY_REGION(folio + 1, FOLIO_GAP);

	__atomic_add_fetch(&shim_alloc.nr_live, 1, __ATOMIC_RELAXED);
	__atomic_add_fetch(&shim_alloc.nr_allocs, 1, __ATOMIC_RELAXED);
	if (gfp & __GFP_ACCOUNT)
		__atomic_add_fetch(&shim_alloc.nr_accounted, 1, __ATOMIC_RELAXED);
	return folio;
}

phys_addr_t kho_boot_memory(void)
{
	return shim_memory.boot_memory;
}

/* Of mm/kho_hotplug.c: a test says where it lies. */
struct folio *kho_alloc_boot_folio(gfp_t gfp, unsigned int order)
{
	return folio_alloc(gfp, order);
}

void folio_put(struct folio *folio)
{
	ASAN_UNPOISON_MEMORY_REGION(folio + 1, FOLIO_GAP);
	set_page_private(pfn_to_page(folio->pfn), 0);
	__atomic_sub_fetch(&shim_alloc.nr_live, 1, __ATOMIC_RELAXED);
	free((char *)folio->mem - (PAGE_SIZE << folio->order));
}

struct folio *virt_to_folio(const void *mem)
{
	return mem_folio(mem);
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	struct folio *folio = folio_alloc(gfp, 0);

	return folio ? (unsigned long)folio->mem : 0;
}

void free_page(unsigned long addr)
{
	if (addr)
		folio_put(mem_folio((void *)addr));
}

bool early_section(unsigned long section)
{
	unsigned long pfn = section * PAGES_PER_SECTION;

	return pfn < shim_memory.hotplug_pfn || pfn >= shim_memory.hotplug_end_pfn;
}

int page_to_nid(const struct page *page)
{
	unsigned int i = 0;

	while (i + 1 < shim_memory.nr_nodes &&
	       page_to_pfn(page) >= shim_memory.end_pfn[i])
		i++;

	return shim_memory.nid[i];
}

int num_possible_nodes(void)
{
	return shim_memory.nr_nodes;
}

bool __kho_scratch_overlap(phys_addr_t phys, size_t size)
{
	return phys < PFN_PHYS(shim_memory.scratch_end_pfn) &&
	       phys + size > PFN_PHYS(shim_memory.scratch_pfn);
}

void msleep(unsigned int msecs)
{
	if (shim_sleep_hook)
		shim_sleep_hook();
}

bool kho_is_enabled(void)
{
	return shim_enabled;
}

bool is_kho_boot(void)
{
	return kho_in.fdt;
}

pthread_rwlock_t shim_rcu = PTHREAD_RWLOCK_INITIALIZER;

static struct delayed_work *scheduled;

void schedule_delayed_work(struct delayed_work *work, unsigned long delay)
{
	__atomic_store_n(&work->pending, true, __ATOMIC_RELAXED);
	__atomic_store_n(&scheduled, work, __ATOMIC_RELEASE);
}

void shim_run_work(void)
{
	struct delayed_work *work = __atomic_exchange_n(&scheduled, NULL, __ATOMIC_ACQUIRE);

	if (!work)
		return;

	__atomic_store_n(&work->pending, false, __ATOMIC_RELAXED);
	work->work.func(&work->work);
}

void shim_warn(void)
{
	__atomic_add_fetch(&nr_warnings, 1, __ATOMIC_RELAXED);
}

void shim_printk(const char *fmt, ...)
{
	va_list args;

	__atomic_add_fetch(&nr_messages, 1, __ATOMIC_RELAXED);
	if (!shim_verbose)
		return;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
}

unsigned int shim_take_warnings(void)
{
	return __atomic_exchange_n(&nr_warnings, 0, __ATOMIC_RELAXED);
}

unsigned int shim_take_messages(void)
{
	return __atomic_exchange_n(&nr_messages, 0, __ATOMIC_RELAXED);
}
