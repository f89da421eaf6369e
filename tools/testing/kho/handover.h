/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An outgoing handover for the length of a test, and what is in it.
 */
#ifndef _KHO_TEST_HANDOVER_H
#define _KHO_TEST_HANDOVER_H

#include <linux/list.h>
#include <linux/rcupdate.h>

#include "../../../kernel/liveupdate/kho_internal.h"
#include "harness.h"

static inline void handover_begin(void)
{
	EXPECT_EQ(initcall_kho_out_init(), 0);
}

static inline void handover_end(void)
{
	kho_unpreserve_free(kho_out.fdt);
	kho_out.fdt = NULL;
	EXPECT_EQ(kho_nr_pages(&kho_out.tree), 0);
	kho_radix_destroy_tree(&kho_out.tree);
}

static inline bool handover_has(unsigned long pfn, unsigned int order)
{
	guard(rcu)();

	return kho_radix_test_key(&kho_out.tree, kho_key(PFN_PHYS(pfn), order));
}

/* Pages that are preserved, without the root FDT. */
static inline unsigned long handover_nr_pages(void)
{
	return kho_nr_pages(&kho_out.tree) - kho_out.nr_own_pages;
}

/* A folio that is not there: enough to be preserved. */
#define FOLIO(first_pfn, folio_order) \
	(&(struct folio){ .pfn = (first_pfn), .order = (folio_order) })

#endif /* _KHO_TEST_HANDOVER_H */
