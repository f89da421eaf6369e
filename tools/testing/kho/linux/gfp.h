/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_GFP_H
#define _KHO_TEST_GFP_H

#include <linux/bits.h>
#include <linux/mm_types.h>

#define __GFP_ZERO		0
#define __GFP_RETRY_MAYFAIL	0
#define __GFP_ACCOUNT		BIT(16)
#define GFP_KERNEL_ACCOUNT	(GFP_KERNEL | __GFP_ACCOUNT)

/* shim.c */
struct folio *folio_alloc(gfp_t gfp, unsigned int order);
void folio_put(struct folio *folio);
struct folio *virt_to_folio(const void *mem);
unsigned long get_zeroed_page(gfp_t gfp);
void free_page(unsigned long addr);

#endif /* _KHO_TEST_GFP_H */
