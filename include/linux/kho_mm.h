/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between mm/ and kernel/liveupdate/. Not for drivers, which use
 * <linux/kexec_handover.h>.
 */
#ifndef _LINUX_KHO_MM_H
#define _LINUX_KHO_MM_H

#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/pageblock-flags.h>
#include <linux/pfn.h>
#include <linux/types.h>
#include <linux/kho/abi/kexec_handover.h>

struct page;

#ifdef CONFIG_KEXEC_HANDOVER

/* kernel/liveupdate/kho_scratch.c */
extern struct kho_scratch *kho_scratch;
extern unsigned int kho_scratch_cnt;
bool __kho_scratch_overlap(phys_addr_t phys, size_t size);

/* kernel/liveupdate/kho_boot.c */
bool kho_preserved_begin(void);
void kho_preserved_for_each(void (*fn)(unsigned long pfn, unsigned long end_pfn));
void kho_preserved_end(void);

/* kernel/liveupdate/kho_reserve_mem.c */
phys_addr_t kho_reserve_mem_revive(const char *name, phys_addr_t size,
				   phys_addr_t align);

/* mm/memblock.c */
int reserve_mem_for_each(int (*fn)(const char *name, phys_addr_t start,
				   phys_addr_t size, void *data), void *data);

/* mm/kho_init.c */
bool kho_noinit_range(phys_addr_t *start, phys_addr_t *end);
int kho_init_pages_early(unsigned long pfn, unsigned long end_pfn);
void kho_init_pages_late(void);
void kho_init_scratch_pageblocks(unsigned long pfn, unsigned long end_pfn);
void kho_release_folio(struct page *page, unsigned int order);
void kho_release_pages(struct page *page, unsigned long nr_pages);

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
	if (kho_scratch_cnt &&
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
	if (kho_scratch_cnt && pageblock_aligned(pfn))
		set_pageblock_migratetype(page,
				kho_pageblock_migratetype(pfn, MIGRATE_MOVABLE));
}

#else /* !CONFIG_KEXEC_HANDOVER */

static inline phys_addr_t kho_reserve_mem_revive(const char *name,
						 phys_addr_t size,
						 phys_addr_t align)
{
	return 0;
}

static inline void kho_init_pages_late(void) {}

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
