/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_GFP_H
#define _KHO_TEST_GFP_H

#include <linux/mm_types.h>

#define __GFP_ZERO	0

/* shim.c */
struct folio *folio_alloc(gfp_t gfp, unsigned int order);
void folio_put(struct folio *folio);
struct folio *virt_to_folio(const void *mem);
unsigned long get_zeroed_page(gfp_t gfp);
void free_page(unsigned long addr);

#endif /* _KHO_TEST_GFP_H */
