/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between mm/ and kernel/liveupdate/. Not for drivers, which use
 * <linux/kexec_handover.h>.
 */
#ifndef _LINUX_KHO_MM_H
#define _LINUX_KHO_MM_H

#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/types.h>

struct page;

#ifdef CONFIG_KEXEC_HANDOVER

/* kernel/liveupdate/kho_scratch.c */
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
void kho_init_pages(unsigned long pfn, unsigned long end_pfn);
void kho_init_pages_late(void);
void kho_init_scratch_pageblocks(unsigned long pfn, unsigned long end_pfn);
void kho_release_folio(struct page *page, unsigned int order);
void kho_release_pages(struct page *page, unsigned long nr_pages);

/**
 * kho_pageblock_migratetype - migratetype that a pageblock begins with
 * @pfn: first page of the pageblock
 * @migratetype: what it would be without KHO
 *
 * A pageblock in scratch is MIGRATE_CMA from the first free page on, so that
 * nothing unmovable, which could never be preserved, is allocated there.
 *
 * Return: the migratetype to use.
 */
static inline int kho_pageblock_migratetype(unsigned long pfn, int migratetype)
{
	if (kho_scratch_cnt && __kho_scratch_overlap(PFN_PHYS(pfn), PAGE_SIZE))
		return MIGRATE_CMA;

	return migratetype;
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

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_MM_H */
