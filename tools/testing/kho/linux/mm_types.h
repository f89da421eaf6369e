/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_MM_TYPES_H
#define _KHO_TEST_MM_TYPES_H

#include <linux/bitops.h>
#include <linux/const.h>
#include <linux/types.h>

/* The Makefile builds the tests for several page sizes. */
#ifndef PAGE_SHIFT
#define PAGE_SHIFT		12
#endif
#define PAGE_SIZE		(_AC(1, UL) << PAGE_SHIFT)
#define PHYS_ADDR_MAX		(~(phys_addr_t)0)

/*
 * struct page is never dereferenced: a pointer to it is a page frame number,
 * so that tests can preserve memory that does not exist.
 */
struct page;

struct folio {
	struct list_head lru;
	unsigned long pfn;
	unsigned int order;
	void *mem;
};

#endif /* _KHO_TEST_MM_TYPES_H */
