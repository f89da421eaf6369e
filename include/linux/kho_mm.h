/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between mm/ and kernel/liveupdate/. Not for drivers, which use
 * <linux/kexec_handover.h>.
 */
#ifndef _LINUX_KHO_MM_H
#define _LINUX_KHO_MM_H

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/pageblock-flags.h>
#include <linux/pfn.h>
#include <linux/rcupdate.h>
#include <linux/types.h>
#include <linux/kho/abi/kexec_handover.h>

struct page;

#ifdef CONFIG_KEXEC_HANDOVER

/* kernel/liveupdate/kho_scratch.c */
extern struct kho_scratch *kho_scratch;
extern unsigned int kho_scratch_cnt;
bool __kho_scratch_overlap(phys_addr_t phys, size_t size);

/* kernel/liveupdate/kho_scratch_size.c */
void kho_note_late_use(unsigned long nr_pages);

/* kernel/liveupdate/kho_boot.c */
unsigned long kho_unclaimed_pages(void);
unsigned long kho_revived_pages(void);

/* kernel/liveupdate/kho_late.c */
void kho_init_pages_late(void);

/* kernel/liveupdate/kho_hold.c */
extern unsigned long *kho_held_blocks;
extern unsigned long kho_nr_blocks;
extern unsigned long *kho_exact_blocks;
void kho_hold_read_preserved(unsigned long pfn, unsigned long *pages);
void kho_hold_add_nodes(unsigned long pfn, unsigned long *pages);
void kho_count_kept_pages(unsigned long *nr_all, unsigned long *nr_kernel);

/* kernel/liveupdate/kho_preserve.c */
bool kho_preservable(unsigned long pfn, unsigned long nr_pages);

/* kernel/liveupdate/kho_restore.c */
bool kho_run_preserved(unsigned long pfn, unsigned long nr_pages);
void kho_watch_claims(void);
struct folio *kho_restore_frozen_folio(phys_addr_t phys, unsigned long nr_tails);

/* kernel/liveupdate/luo_core.c */
bool liveupdate_refused(void);

/* kernel/liveupdate/kho_reserve_mem.c */
phys_addr_t kho_reserve_mem_revive(const char *name, phys_addr_t size,
				   phys_addr_t align);

/* mm/memblock.c */
int reserve_mem_for_each(int (*fn)(const char *name, phys_addr_t start,
				   phys_addr_t size, void *data), void *data);

/* mm/kho_init.c */
bool kho_defer_pages(unsigned long pfn);
void kho_open_blocks(unsigned long pfn, unsigned long end_pfn);
void kho_init_pages_exact(void);
void kho_init_scratch_pageblocks(unsigned long pfn, unsigned long end_pfn);
void kho_clear_unclaimed(struct page *page, unsigned long nr_pages);
void kho_release_folio(struct page *page, unsigned int order);
void kho_release_frozen_folio(struct page *page, unsigned int order, unsigned long nr_tails);
void kho_release_tails(struct folio *folio, unsigned long nr_tails);
void kho_release_pages(struct page *page, unsigned long nr_pages);
void kho_account_scratch(void);
unsigned long kho_scratch_pages(void);

/* mm/kho_hotplug.c */
#ifdef CONFIG_MEMORY_HOTPLUG
struct folio *kho_alloc_boot_folio(gfp_t gfp, unsigned int order);
#else
static inline struct folio *kho_alloc_boot_folio(gfp_t gfp, unsigned int order)
{
	return NULL;
}
#endif

/* mm/kho_sizes.c */
void kho_adjust_limits(void);
void kho_uncount_pages(unsigned long nr_pages);
unsigned long kho_total_pages(void);

/**
 * kho_page_held - whether a page is in a block that is held
 * @pfn: the page
 *
 * Return: true until the block is opened; see kernel/liveupdate/kho_hold.c.
 */
static inline bool kho_page_held(unsigned long pfn)
{
	unsigned long block = pfn / MAX_ORDER_NR_PAGES;
	const unsigned long *held;
	bool is_held;

	/* Pairs with free_maps(). */
	rcu_read_lock();
	held = READ_ONCE(kho_held_blocks);
	is_held = held && block < kho_nr_blocks && test_bit(block, held);
	rcu_read_unlock();

	return is_held;
}

/**
 * kho_pageblock_migratetype - migratetype that a pageblock begins with
 * @pfn: first page of the pageblock
 * @migratetype: what it would be without KHO
 *
 * A pageblock that touches scratch is MIGRATE_CMA from the first free page on,
 * so that nothing unmovable, which could never be preserved, is allocated
 * there. The areas come from a kernel that may have smaller pageblocks.
 *
 * Return: the migratetype to use.
 */
static inline int kho_pageblock_migratetype(unsigned long pfn, int migratetype)
{
	if (kho_scratch_cnt && migratetype == MIGRATE_MOVABLE &&
	    __kho_scratch_overlap(PFN_PHYS(pfn), PFN_PHYS(pageblock_nr_pages)))
		return MIGRATE_CMA;

	return migratetype;
}

/**
 * kho_init_reserved_pageblock - set the type of a pageblock
 * @page: a reserved page whose struct page was initialized just now
 * @pfn: its page frame number
 *
 * Pageblocks get their type when their first page is initialized or freed.
 * With deferred initialization, nobody does that for one that begins with a
 * reserved page, as many do when what is preserved is scattered.
 */
static inline void kho_init_reserved_pageblock(struct page *page,
					       unsigned long pfn)
{
	int migratetype;

	if (!kho_scratch_cnt || !pageblock_aligned(pfn))
		return;

	migratetype = kho_pageblock_migratetype(pfn, MIGRATE_MOVABLE);
	set_pageblock_migratetype(page, migratetype);
}

#ifdef CONFIG_LIVEUPDATE_HUGETLB
/**
 * hugetlb_forget_arriving - do not wait for huge pages of the previous kernel any more
 *
 * Live update is off, or their memory was discarded, though a list of it was damaged. The
 * function is in mm/hugetlb.c.
 *
 * Context: Process context.
 */
void hugetlb_forget_arriving(void);
#else
static inline void hugetlb_forget_arriving(void) {}
#endif

#else /* !CONFIG_KEXEC_HANDOVER */

static inline phys_addr_t kho_reserve_mem_revive(const char *name,
						 phys_addr_t size,
						 phys_addr_t align)
{
	return 0;
}

static inline bool kho_page_held(unsigned long pfn)
{
	return false;
}

static inline bool kho_defer_pages(unsigned long pfn)
{
	return false;
}

static inline void kho_init_pages_late(void) {}
static inline void kho_watch_claims(void) {}
static inline void kho_account_scratch(void) {}

static inline unsigned long kho_scratch_pages(void)
{
	return 0;
}

static inline unsigned long kho_unclaimed_pages(void)
{
	return 0;
}

static inline unsigned long kho_revived_pages(void)
{
	return 0;
}

static inline unsigned long kho_total_pages(void)
{
	return totalram_pages();
}

static inline void kho_count_kept_pages(unsigned long *nr_all,
					unsigned long *nr_kernel)
{
}

static inline int kho_pageblock_migratetype(unsigned long pfn, int migratetype)
{
	return migratetype;
}

static inline void kho_init_reserved_pageblock(struct page *page,
					       unsigned long pfn)
{
}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_MM_H */
