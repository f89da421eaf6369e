// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of what the public functions of KHO promise within one kernel:
 * errnos, and that a call that fails changes nothing.
 */

#include <linux/completion.h>
#include <linux/err.h>
#include <linux/kexec_handover.h>
#include <linux/kthread.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "kho_kunit.h"

static void folios(struct kunit *test)
{
	unsigned int order;

	for (order = 0; order <= MAX_PAGE_ORDER; order++) {
		struct folio *folio = folio_alloc(GFP_KERNEL, order);
		void *addr;

		KUNIT_ASSERT_NOT_NULL(test, folio);
		addr = folio_address(folio);

		KUNIT_EXPECT_EQ(test, kho_preserve_folio(folio), 0);
		KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr), order));
		/* No reference is taken, and a second time changes nothing. */
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		KUNIT_EXPECT_EQ(test, kho_preserve_folio(folio), 0);
		KUNIT_EXPECT_EQ(test, nr_preserved(),
				(unsigned long)test->priv + (1UL << order));

		kho_unpreserve_folio(folio);
		KUNIT_EXPECT_FALSE(test, preserved(virt_to_phys(addr), order));
		folio_put(folio);
	}
}

static void runs(struct kunit *test)
{
	size_t size = 16 * PAGE_SIZE;
	void *addr = alloc_pages_exact(size, GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, addr);
	page = virt_to_page(addr);

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, ULONG_MAX), -EINVAL);

	/* 7 pages from a multiple of 16 on: 4, 2 and 1. */
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 7), 0);
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr), 2));
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr + 4 * PAGE_SIZE), 1));
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr + 6 * PAGE_SIZE), 0));
	kho_unpreserve_pages(page, 7);
	KUNIT_EXPECT_EQ(test, nr_preserved(), (unsigned long)test->priv);

	/* From an odd page on: 1, 2, 4 and 8. */
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page + 1, 15), 0);
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr + PAGE_SIZE), 0));
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr + 2 * PAGE_SIZE), 1));
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr + 4 * PAGE_SIZE), 2));
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(addr + 8 * PAGE_SIZE), 3));
	kho_unpreserve_pages(page + 1, 15);

	free_pages_exact(addr, size);
}

/* The tree is a set: the second time changes nothing, on the way in or out. */
static void runs_twice(struct kunit *test)
{
	void *addr = alloc_pages_exact(8 * PAGE_SIZE, GFP_KERNEL);
	struct page *page;

	KUNIT_ASSERT_NOT_NULL(test, addr);
	page = virt_to_page(addr);

	/* The second run contains the only block of the first one. */
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page + 4, 2), 0);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 7), 0);
	KUNIT_EXPECT_EQ(test, nr_preserved(), (unsigned long)test->priv + 7);
	kho_unpreserve_pages(page, 7);
	kho_unpreserve_pages(page + 4, 2);

	free_pages_exact(addr, 8 * PAGE_SIZE);
}

static void scratch(struct kunit *test)
{
	phys_addr_t addr = kho_scratch[0].addr, size = kho_scratch[0].size;
	struct page *page = pfn_to_page(PHYS_PFN(addr));

	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(addr, 1));
	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(addr + size - 1, 1));
	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(addr - 1, 2));
	KUNIT_EXPECT_TRUE(test, kho_scratch_overlap(0, SIZE_MAX));
	KUNIT_EXPECT_FALSE(test, kho_scratch_overlap(addr, 0));

	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_preserve_pages(page - 1, 2), -EINVAL);
}

static void areas(struct kunit *test)
{
	struct kho_vmalloc area = {}, other = {};
	void *addr = vmalloc(5 * PAGE_SIZE);

	KUNIT_ASSERT_NOT_NULL(test, addr);

	/* Five pages and a chunk that lists them. */
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(addr, &area), 0);
	KUNIT_EXPECT_EQ(test, area.total_pages, 5);
	KUNIT_EXPECT_EQ(test, nr_preserved(), (unsigned long)test->priv + 6);

	/* Nobody else gets a part of it, and the first one keeps all. */
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(addr, &other), -EEXIST);
	KUNIT_EXPECT_EQ(test, nr_preserved(), (unsigned long)test->priv + 6);
	kho_unpreserve_vmalloc(&area);
	KUNIT_EXPECT_EQ(test, area.first, 0);

	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(addr + PAGE_SIZE, &area),
			-EINVAL);
	vfree(addr);

	addr = vmalloc_user(PAGE_SIZE);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(addr, &area), -EOPNOTSUPP);
	vfree(addr);

	addr = kmalloc(PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	KUNIT_EXPECT_EQ(test, kho_preserve_vmalloc(addr, &area), -EINVAL);
	kfree(addr);

	KUNIT_EXPECT_EQ(test, area.first, 0);
}

static void alloc_preserve(struct kunit *test)
{
	u8 *mem;

	KUNIT_EXPECT_EQ(test, PTR_ERR(kho_alloc_preserve(0)), -EINVAL);
	KUNIT_EXPECT_EQ(test,
			PTR_ERR(kho_alloc_preserve((PAGE_SIZE << MAX_PAGE_ORDER) + 1)),
			-E2BIG);

	mem = kho_alloc_preserve(3 * PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mem));
	KUNIT_EXPECT_TRUE(test, preserved(virt_to_phys(mem), 2));
	KUNIT_EXPECT_NULL(test, memchr_inv(mem, 0, 3 * PAGE_SIZE));
	kho_unpreserve_free(mem);

	kho_unpreserve_free(NULL);
	kho_unpreserve_free(ERR_PTR(-ENOMEM));
	kho_restore_free(NULL);
}

static void subtrees(struct kunit *test)
{
	static const char * const bad_names[] = { "", "a/b", "a@1", "a b", "\t" };
	void *blob = kho_alloc_preserve(PAGE_SIZE);
	void *other = kho_alloc_preserve(PAGE_SIZE);
	int i;

	KUNIT_ASSERT_FALSE(test, IS_ERR(blob) || IS_ERR(other));

	for (i = 0; i < ARRAY_SIZE(bad_names); i++)
		KUNIT_EXPECT_EQ(test, kho_add_subtree(bad_names[i], blob, 1),
				-EINVAL);
	KUNIT_EXPECT_EQ(test, kho_add_subtree("kunit", blob, 0), -EINVAL);

	KUNIT_EXPECT_EQ(test, kho_add_subtree("kunit", blob, PAGE_SIZE), 0);
	KUNIT_EXPECT_EQ(test, kho_add_subtree("kunit", other, 1), -EEXIST);
	KUNIT_EXPECT_EQ(test, kho_add_subtree("kunit2", other, 1), 0);
	kho_remove_subtree(blob);
	KUNIT_EXPECT_EQ(test, kho_add_subtree("kunit", blob, PAGE_SIZE), 0);
	kho_remove_subtree(blob);
	kho_remove_subtree(other);

	kho_unpreserve_free(blob);
	kho_unpreserve_free(other);
}

/* What was not handed over is not found, whether this is a handover boot or not. */
static void nothing_to_restore(struct kunit *test)
{
	struct kho_vmalloc area = { .total_pages = 1 };
	void *mem = kho_alloc_preserve(PAGE_SIZE);
	phys_addr_t phys = 1;
	size_t size = 1;

	KUNIT_ASSERT_FALSE(test, IS_ERR(mem));
	area.first = virt_to_phys(mem);

	KUNIT_EXPECT_EQ(test, kho_retrieve_subtree("no such", &phys, &size),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, phys, 1);
	KUNIT_EXPECT_EQ(test, size, 1);
	KUNIT_EXPECT_NULL(test, kho_restore_folio(virt_to_phys(mem)));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(virt_to_phys(mem) + 1));
	KUNIT_EXPECT_NULL(test, kho_restore_folio(PHYS_ADDR_MAX));
	KUNIT_EXPECT_NULL(test, kho_restore_pages(virt_to_phys(mem), 1));
	KUNIT_EXPECT_NULL(test, kho_restore_pages(virt_to_phys(mem), 0));
	KUNIT_EXPECT_NULL(test, kho_restore_pages(virt_to_phys(mem), ULONG_MAX));
	KUNIT_EXPECT_NULL(test, kho_restore_vmalloc(&area));

	kho_unpreserve_free(mem);
}

#ifdef CONFIG_KEXEC_HANDOVER_DEBUG
#define RACE_ROUNDS	50
#define RACE_CALLS	1000

static DECLARE_COMPLETION(race_done);

static int preserve_often(void *folio)
{
	unsigned int i;

	for (i = 0; i < RACE_CALLS; i++) {
		kho_preserve_folio(folio);
		kho_unpreserve_folio(folio);
	}
	kho_preserve_folio(folio);
	complete(&race_done);

	return 0;
}

static int unpreserve_often(void *folio)
{
	unsigned int i;

	for (i = 0; i < RACE_CALLS; i++) {
		kho_unpreserve_folio(folio);
		kho_preserve_folio(folio);
	}
	kho_unpreserve_folio(folio);
	complete(&race_done);

	return 0;
}

/* Whether a block is tracked, or in the tree, but not both. */
static bool tracking_differs(struct folio *folio)
{
	bool tracked = kho_debug_begin_del(folio_pfn(folio), 0);

	if (tracked)
		kho_debug_end(folio_pfn(folio), 0, true);

	return tracked != preserved(PFN_PHYS(folio_pfn(folio)), 0);
}

/* Threads that preserve and unpreserve one block at the same time agree on its state. */
static void tracking(struct kunit *test)
{
	int (*const functions[])(void *folio) = { preserve_often, unpreserve_often };
	struct folio *folio = folio_alloc(GFP_KERNEL, 0);
	struct task_struct *task;
	unsigned int round, i;

	KUNIT_ASSERT_NOT_NULL(test, folio);

	for (round = 0; round < RACE_ROUNDS; round++) {
		for (i = 0; i < ARRAY_SIZE(functions); i++) {
			task = kthread_run(functions[i], folio, "kho_api/%u", i);
			KUNIT_ASSERT_FALSE(test, IS_ERR(task));
		}
		for (i = 0; i < ARRAY_SIZE(functions); i++)
			wait_for_completion(&race_done);
		if (tracking_differs(folio))
			break;
	}
	KUNIT_EXPECT_EQ(test, round, RACE_ROUNDS);

	kho_unpreserve_folio(folio);
	KUNIT_EXPECT_FALSE(test, tracking_differs(folio));
	folio_put(folio);
}
#endif

static struct kunit_case api_cases[] = {
	KUNIT_CASE(folios),
	KUNIT_CASE(runs),
	KUNIT_CASE(runs_twice),
	KUNIT_CASE(scratch),
	KUNIT_CASE(areas),
	KUNIT_CASE(alloc_preserve),
	KUNIT_CASE(subtrees),
	KUNIT_CASE(nothing_to_restore),
#ifdef CONFIG_KEXEC_HANDOVER_DEBUG
	KUNIT_CASE(tracking),
#endif
	{}
};

static struct kunit_suite api_suite = {
	.name = "kho_api",
	.init = preserving_test_init,
	.exit = preserving_test_exit,
	.test_cases = api_cases,
};

kunit_test_suite(api_suite);
