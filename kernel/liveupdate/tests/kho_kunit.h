/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What KUnit tests of the outgoing side share: they count what is preserved, and have
 * to leave as much as they have found.
 */
#ifndef _KHO_KUNIT_H
#define _KHO_KUNIT_H

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "../kho_internal.h"

static inline unsigned long nr_preserved(void)
{
	guard(rcu)();

	return kho_nr_pages(&kho_out.tree);
}

static inline bool preserved(phys_addr_t phys, unsigned int order)
{
	guard(rcu)();

	return kho_radix_test_key(&kho_out.tree, kho_key(phys, order));
}

static inline int preserving_test_init(struct kunit *test)
{
	if (!kho_is_enabled())
		kunit_skip(test, "KHO is off");

	test->priv = (void *)nr_preserved();
	return 0;
}

/* Whatever a test does, it leaves nothing preserved. */
static inline void preserving_test_exit(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, nr_preserved(), (unsigned long)test->priv);
}

/*
 * To hand a chain of blocks over within one kernel, the functions that tie it to a
 * handover are replaced: what is preserved for the next kernel counts as what the
 * previous one has left.
 */
static inline bool block_preserved(u64 phys)
{
	return PAGE_ALIGNED(phys) && preserved(phys, 0);
}

static inline struct kho_block *block_claim(u64 phys)
{
	void *block;

	if (!block_preserved(phys))
		return NULL;

	block = phys_to_virt(phys);
	kho_unpreserve_folio(virt_to_folio(block));
	return block;
}

static inline int blocks_test_init(struct kunit *test)
{
	kunit_activate_static_stub(test, kho_block_preserved, block_preserved);
	kunit_activate_static_stub(test, kho_block_claim, block_claim);
	return preserving_test_init(test);
}

#endif /* _KHO_KUNIT_H */
