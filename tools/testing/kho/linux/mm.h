/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_MM_H
#define _KHO_TEST_MM_H

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/pfn.h>
#include <linux/printk.h>

#define MAX_PAGE_ORDER		10
#define PAGE_ALIGNED(addr)	IS_ALIGNED((unsigned long)(addr), PAGE_SIZE)

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return (struct page *)pfn;
}

static inline unsigned long page_to_pfn(const struct page *page)
{
	return (unsigned long)page;
}

static inline bool pfn_valid(unsigned long pfn)
{
	return pfn < PHYS_PFN(2 * KHO_TEST_PHYS_OFFSET);
}

/* shim.c */
unsigned long page_private(const struct page *page);
void set_page_private(struct page *page, unsigned long private);

static inline bool is_zone_device_page(const struct page *page)
{
	return false;
}

static inline bool folio_is_zone_device(const struct folio *folio)
{
	return false;
}

static inline unsigned long folio_pfn(const struct folio *folio)
{
	return folio->pfn;
}

static inline unsigned int folio_order(const struct folio *folio)
{
	return folio->order;
}

static inline unsigned long folio_nr_pages(const struct folio *folio)
{
	return 1UL << folio->order;
}

static inline void *folio_address(const struct folio *folio)
{
	return folio->mem;
}

static inline int get_order(unsigned long size)
{
	int order = 0;

	while ((PAGE_SIZE << order) < size)
		order++;

	return order;
}

/* Sections of 128 MiB, known by their number. shim.c says what is in them. */
#define PAGES_PER_SECTION	(1UL << (27 - PAGE_SHIFT))
#define SECTION_ALIGN_UP(pfn)	ALIGN(pfn, PAGES_PER_SECTION)

static inline unsigned long __pfn_to_section(unsigned long pfn)
{
	return pfn / PAGES_PER_SECTION;
}

bool early_section(unsigned long section);
int page_to_nid(const struct page *page);
int num_possible_nodes(void);

/* What <linux/kho_mm.h> needs; nothing here has pageblocks. */
#define MIGRATE_MOVABLE		1
#define MIGRATE_CMA		3
#define MAX_ORDER_NR_PAGES	1024UL
#define pageblock_nr_pages	512UL
#define pageblock_aligned(pfn)	IS_ALIGNED(pfn, pageblock_nr_pages)

static inline void set_pageblock_migratetype(struct page *page, int type)
{
}

#endif /* _KHO_TEST_MM_H */
