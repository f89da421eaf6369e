// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the default sizes of scratch areas, also for machines that no test runs on.
 */

#include <kunit/test.h>
#include <linux/cma.h>
#include <linux/sizes.h>

#include "../kho_internal.h"

static struct kho_scratch_needs needs_of(phys_addr_t kernel, phys_addr_t initrd,
					 phys_addr_t ram)
{
	return (struct kho_scratch_needs){
		.kernel = kernel,
		.initrd = initrd,
		.ram = ram,
		/* A boot has taken the image and struct pages. */
		.free = ram - ram / 64 - kernel - initrd,
	};
}

/* The limit for both areas together, with what pageblocks of more than 2 MiB add. */
static phys_addr_t limit(phys_addr_t size)
{
	return size + 2 * (CMA_MIN_ALIGNMENT_BYTES - min_t(size_t, SZ_2M, CMA_MIN_ALIGNMENT_BYTES));
}

static void expect_image_fits(struct kunit *test, const struct kho_scratch_needs *needs)
{
	phys_addr_t next = (needs->kernel + needs->initrd) / 4 * 5, low, global;

	kho_scratch_default_sizes(needs, &low, &global);

	/* In each area, wherever the running kernel is. */
	KUNIT_EXPECT_GE(test, low, next);
	KUNIT_EXPECT_GE(test, global, next);

	/* When it has been loaded, there is room for it to be moved, and for early tables. */
	KUNIT_EXPECT_GE(test, low + global - next, needs->kernel / 4 * 5);
	KUNIT_EXPECT_GE(test, low + global - next, needs->ram >> 14);
	KUNIT_EXPECT_GE(test, global - next, needs->ram >> 18);
}

static void small_kernel(struct kunit *test)
{
	static const struct {
		phys_addr_t ram, max;
	} machines[] = {
		{ 800ULL * SZ_1M, 56 * SZ_1M },
		{ SZ_4G, 56 * SZ_1M },
		{ SZ_32G, 64 * SZ_1M },
		{ 512ULL * SZ_1G, 128 * SZ_1M },
		{ SZ_1T, 128 * SZ_1M },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(machines); i++) {
		struct kho_scratch_needs needs = needs_of(12 * SZ_1M, SZ_1M, machines[i].ram);
		phys_addr_t low, global;

		kho_scratch_default_sizes(&needs, &low, &global);
		KUNIT_EXPECT_LE_MSG(test, low + global, limit(machines[i].max),
				    "%llu MiB of RAM", (u64)machines[i].ram >> 20);
		expect_image_fits(test, &needs);
	}
}

/* Debian's cloud kernel, on machines from 2 GiB to 1 TiB. */
static void large_kernel(struct kunit *test)
{
	phys_addr_t ram, low, global;

	for (ram = SZ_2G; ram <= SZ_1T; ram *= 2) {
		struct kho_scratch_needs needs = needs_of(60 * SZ_1M, 34 * SZ_1M, ram);

		kho_scratch_default_sizes(&needs, &low, &global);
		KUNIT_EXPECT_LE_MSG(test, low + global, limit(300 * SZ_1M),
				    "%llu MiB of RAM", (u64)ram >> 20);
		expect_image_fits(test, &needs);
	}
}

/* With pages of 4 KiB, the page tables of the direct map take 1/512 of the RAM. */
static void small_pages(struct kunit *test)
{
	struct kho_scratch_needs needs = needs_of(12 * SZ_1M, SZ_1M, SZ_64G);
	phys_addr_t low, global;

	needs.small_pages = true;
	kho_scratch_default_sizes(&needs, &low, &global);
	KUNIT_EXPECT_GE(test, global, 13 * SZ_1M / 4 * 5 + SZ_64G / 512);
	expect_image_fits(test, &needs);
}

/* However little memory there is, three quarters of it are left. */
static void small_machine(struct kunit *test)
{
	phys_addr_t ram, low, global;

	for (ram = SZ_128M; ram <= SZ_8G; ram += SZ_64M) {
		struct kho_scratch_needs needs = needs_of(60 * SZ_1M, 34 * SZ_1M, ram);

		kho_scratch_default_sizes(&needs, &low, &global);
		KUNIT_EXPECT_LE(test, low + global, needs.free / 4);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(low | global, CMA_MIN_ALIGNMENT_BYTES));
		/* Rather one area that a kernel fits into than two that are too small. */
		KUNIT_EXPECT_TRUE(test, !global || global >= needs.kernel);
		if (needs.free / 4 >= 60 * SZ_1M + CMA_MIN_ALIGNMENT_BYTES)
			KUNIT_EXPECT_GE(test, low, needs.kernel);
	}
}

static struct kunit_case kho_scratch_cases[] = {
	KUNIT_CASE(small_kernel),
	KUNIT_CASE(large_kernel),
	KUNIT_CASE(small_pages),
	KUNIT_CASE(small_machine),
	{}
};

static struct kunit_suite kho_scratch_suite = {
	.name = "kho_scratch",
	.test_cases = kho_scratch_cases,
};

kunit_test_suite(kho_scratch_suite);

MODULE_DESCRIPTION("KUnit tests for Kexec HandOver");
MODULE_LICENSE("GPL");
