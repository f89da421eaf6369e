/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_MM_H
#define _KHO_FUZZ_MM_H

#include <linux/align.h>
#include <linux/bitmap.h>
#include <linux/bug.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/mmzone.h>
#include <linux/pfn.h>
#include <linux/printk.h>

#define PAGE_ALIGN(addr)	ALIGN(addr, PAGE_SIZE)
#define PAGE_ALIGN_DOWN(addr)	ALIGN_DOWN(addr, PAGE_SIZE)
#define PAGE_ALIGNED(addr)	IS_ALIGNED((unsigned long)(addr), PAGE_SIZE)

/* Small, so that there are many held blocks in little memory. */
#ifndef MAX_PAGE_ORDER
#define MAX_PAGE_ORDER		6
#endif
#define MAX_ORDER_NR_PAGES	BIT(MAX_PAGE_ORDER)
#define pageblock_order		MAX_PAGE_ORDER
#define pageblock_nr_pages	MAX_ORDER_NR_PAGES
#define pageblock_align(pfn)	ALIGN(pfn, pageblock_nr_pages)
#define pageblock_aligned(pfn)	IS_ALIGNED(pfn, pageblock_nr_pages)
#define pageblock_start_pfn(pfn) ALIGN_DOWN(pfn, pageblock_nr_pages)

#define MIGRATE_MOVABLE		1
#define MIGRATE_CMA		3

static inline void set_pageblock_migratetype(struct page *page, int type)
{
}

static inline struct page *pfn_to_page(unsigned long pfn)
{
	return (struct page *)pfn;
}

/* memory.c */
bool pfn_valid(unsigned long pfn);

/* What nobody calls, or what does not matter before there is a page allocator. */
static inline int early_pfn_to_nid(unsigned long pfn)
{
	return 0;
}

static inline void totalram_pages_inc(void) {}
static inline void totalram_pages_add(long nr_pages) {}
static inline void reserve_bootmem_region(phys_addr_t start, phys_addr_t end, int nid) {}
static inline void free_reserved_area(void *start, void *end, int poison,
				      const char *name)
{
}

#endif /* _KHO_FUZZ_MM_H */
