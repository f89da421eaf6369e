// SPDX-License-Identifier: GPL-2.0-only
/*
 * Regions of memory with a flag of Kexec HandOver: scratch, and what is held.
 */
#include <limits.h>

#include "kho_regions_api.h"

#ifdef CONFIG_MEMBLOCK_KHO_SCRATCH

#define FUNC_KHO_REGIONS	"memblock_kho_regions"

/* Memory that is never touched. */
#define BASE	((phys_addr_t)SZ_1G)
#define SIZE	((phys_addr_t)SZ_16M)

typedef int (*mark_fn)(phys_addr_t base, phys_addr_t size);

static void begin(void)
{
	reset_memblock_regions();
	reset_memblock_attributes();
	memblock_add(BASE, SIZE);
}

/* For what allocates: memory that can be touched. Its halves are told apart. */
static phys_addr_t begin_halves(void)
{
	reset_memblock_regions();
	reset_memblock_attributes();
	dummy_physical_memory_init();
	memblock_add(dummy_physical_memory_base(), PHYS_MEM_SIZE);

	return dummy_physical_memory_base();
}

#define HALF	((phys_addr_t)PHYS_MEM_SIZE / 2)

static void end_halves(void)
{
	memblock_clear_kho_scratch_only();
	memblock_set_bottom_up(false);
	dummy_physical_memory_cleanup();
	reset_memblock_regions();
}

static void expect_region(unsigned long nr, phys_addr_t base, phys_addr_t size,
			  enum memblock_flags flags)
{
	ASSERT_LT(nr, memblock.memory.cnt);
	ASSERT_EQ(base, memblock.memory.regions[nr].base);
	ASSERT_EQ(size, memblock.memory.regions[nr].size);
	ASSERT_EQ(flags, memblock.memory.regions[nr].flags);
}

static void expect_one_region(enum memblock_flags flags)
{
	ASSERT_EQ(1, memblock.memory.cnt);
	expect_region(0, BASE, SIZE, flags);
	ASSERT_EQ(SIZE, memblock.memory.total_size);
}

/* Marking splits a region, and what has the same flags again is one. */
static void mark_all_in_parts(mark_fn mark, enum memblock_flags flag)
{
	begin();
	ASSERT_EQ(0, mark(BASE + SZ_4M, SZ_4M));
	ASSERT_EQ(3, memblock.memory.cnt);
	expect_region(0, BASE, SZ_4M, MEMBLOCK_NONE);
	expect_region(1, BASE + SZ_4M, SZ_4M, flag);
	expect_region(2, BASE + SZ_8M, SZ_8M, MEMBLOCK_NONE);

	/* Up to both ends, beyond them, and once more. */
	ASSERT_EQ(0, mark(BASE - SZ_1M, SZ_4M + SZ_1M));
	ASSERT_EQ(2, memblock.memory.cnt);
	expect_region(0, BASE, SZ_8M, flag);
	ASSERT_EQ(0, mark(BASE + SZ_8M, PHYS_ADDR_MAX - BASE - SZ_8M));
	expect_one_region(flag);
	ASSERT_EQ(0, mark(BASE + SZ_1M, SZ_1M));
	expect_one_region(flag);
}

static int kho_regions_split_check(void)
{
	PREFIX_PUSH();
	mark_all_in_parts(memblock_mark_kho_scratch, MEMBLOCK_KHO_SCRATCH);
	ASSERT_EQ(0, memblock_clear_kho_scratch(BASE, SZ_1M));
	ASSERT_EQ(2, memblock.memory.cnt);
	expect_region(0, BASE, SZ_1M, MEMBLOCK_NONE);
	expect_region(1, BASE + SZ_1M, SIZE - SZ_1M, MEMBLOCK_KHO_SCRATCH);
	ASSERT_EQ(0, memblock_clear_kho_scratch(0, PHYS_ADDR_MAX));
	expect_one_region(MEMBLOCK_NONE);

	/* There is no way but to clear all of this one. */
	mark_all_in_parts(memblock_mark_kho_held, MEMBLOCK_KHO_HELD);
	memblock_clear_kho_held();
	expect_one_region(MEMBLOCK_NONE);
	ASSERT_EQ(0, memblock_mark_kho_held(BASE, SZ_1M));
	ASSERT_EQ(0, memblock_mark_kho_held(BASE + SZ_8M, SZ_1M));
	ASSERT_EQ(4, memblock.memory.cnt);
	memblock_clear_kho_held();
	expect_one_region(MEMBLOCK_NONE);
	test_pass_pop();
	return 0;
}

/* A range may cross their borders, as what it asks for is memory; no others. */
static int kho_regions_is_memory_check(void)
{
	PREFIX_PUSH();
	begin();
	memblock_mark_kho_scratch(BASE + SZ_1M, SZ_1M);
	memblock_mark_kho_held(BASE + SZ_2M, SZ_2M);
	ASSERT_EQ(4, memblock.memory.cnt);
	ASSERT_TRUE(memblock_is_region_memory(BASE, SIZE));
	ASSERT_TRUE(memblock_is_region_memory(BASE + SZ_1M, SZ_1M));
	ASSERT_TRUE(memblock_is_region_memory(BASE + SZ_1M + SZ_4K, SZ_1M));
	ASSERT_FALSE(memblock_is_region_memory(BASE, SIZE + SZ_4K));
	ASSERT_FALSE(memblock_is_region_memory(BASE - SZ_4K, SZ_8K));

	memblock_mark_nomap(BASE + SZ_8M, SZ_1M);
	ASSERT_TRUE(memblock_is_region_memory(BASE, SZ_8M));
	ASSERT_FALSE(memblock_is_region_memory(BASE, SZ_8M + SZ_4K));
	test_pass_pop();
	return 0;
}

/* One flag does not touch another, and regions with different ones stay apart. */
static int kho_regions_other_flags_check(void)
{
	struct memblock_region *regions = memblock.memory.regions;

	PREFIX_PUSH();
	begin();
	memblock_mark_hotplug(BASE, SZ_8M);
	memblock_mark_kho_scratch(BASE, SZ_4M);
	memblock_mark_kho_held(BASE + SZ_8M, SZ_8M);
	ASSERT_EQ(3, memblock.memory.cnt);
	expect_region(0, BASE, SZ_4M, MEMBLOCK_HOTPLUG | MEMBLOCK_KHO_SCRATCH);
	expect_region(1, BASE + SZ_4M, SZ_4M, MEMBLOCK_HOTPLUG);
	expect_region(2, BASE + SZ_8M, SZ_8M, MEMBLOCK_KHO_HELD);

	ASSERT_TRUE(memblock_is_kho_scratch(&regions[0]));
	ASSERT_FALSE(memblock_is_kho_held(&regions[0]));
	ASSERT_FALSE(memblock_is_kho_scratch(&regions[2]));
	ASSERT_TRUE(memblock_is_kho_held(&regions[2]));

	ASSERT_TRUE(memblock_is_kho_scratch_memory(BASE));
	ASSERT_TRUE(memblock_is_kho_scratch_memory(BASE + SZ_4M - 1));
	ASSERT_FALSE(memblock_is_kho_scratch_memory(BASE + SZ_4M));
	ASSERT_FALSE(memblock_is_kho_scratch_memory(BASE - 1));

	memblock_clear_kho_held();
	memblock_clear_kho_scratch(0, PHYS_ADDR_MAX);
	ASSERT_EQ(2, memblock.memory.cnt);
	expect_region(0, BASE, SZ_8M, MEMBLOCK_HOTPLUG);
	expect_region(1, BASE + SZ_8M, SZ_8M, MEMBLOCK_NONE);
	test_pass_pop();
	return 0;
}

/* Nothing of what is held counts as free, in either direction. */
static int kho_held_free_ranges_check(void)
{
	static const phys_addr_t starts[] = { BASE, BASE + SZ_2M, BASE + SZ_8M };
	static const phys_addr_t ends[] = { BASE + SZ_1M, BASE + SZ_4M, BASE + SIZE };
	phys_addr_t start, end;
	int nr = 0;
	u64 i;

	PREFIX_PUSH();
	begin();
	memblock_reserve(BASE + SZ_1M, SZ_1M);
	memblock_mark_kho_held(BASE + SZ_4M, SZ_4M);

	for_each_free_mem_range(i, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end, NULL) {
		ASSERT_LT(nr, (int)ARRAY_SIZE(starts));
		ASSERT_EQ(starts[nr], start);
		ASSERT_EQ(ends[nr], end);
		nr++;
	}
	ASSERT_EQ((int)ARRAY_SIZE(starts), nr);

	for_each_free_mem_range_reverse(i, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end,
					NULL) {
		nr--;
		ASSERT_EQ(starts[nr], start);
		ASSERT_EQ(ends[nr], end);
	}
	ASSERT_EQ(0, nr);

	/* It is RAM all the same. */
	ASSERT_TRUE(memblock_is_memory(BASE + SZ_4M));
	ASSERT_TRUE(memblock_is_region_memory(BASE + SZ_4M, SZ_4M));
	ASSERT_EQ(SIZE, memblock_phys_mem_size());
	test_pass_pop();
	return 0;
}

/* What is held is not reserved: who must not use it asks for just that. */
static int kho_held_overlaps_check(void)
{
	PREFIX_PUSH();
	begin();
	memblock_mark_kho_held(BASE + SZ_4M, SZ_4M);

	ASSERT_TRUE(memblock_overlaps_kho_held(BASE + SZ_4M, SZ_4M));
	ASSERT_TRUE(memblock_overlaps_kho_held(BASE + SZ_4M - 1, 2));
	ASSERT_TRUE(memblock_overlaps_kho_held(BASE + SZ_8M - 1, 1));
	ASSERT_TRUE(memblock_overlaps_kho_held(BASE, SIZE));
	ASSERT_FALSE(memblock_overlaps_kho_held(BASE, SZ_4M));
	ASSERT_FALSE(memblock_overlaps_kho_held(BASE + SZ_8M, SZ_8M));

	ASSERT_FALSE(memblock_is_region_reserved(BASE, SIZE));
	memblock_reserve(BASE + SZ_4M, SZ_4K);
	ASSERT_TRUE(memblock_is_region_reserved(BASE + SZ_4M, SZ_4M));
	ASSERT_FALSE(memblock_is_region_reserved(BASE + SZ_4M + SZ_4K, SZ_1M));

	memblock_clear_kho_held();
	ASSERT_FALSE(memblock_overlaps_kho_held(BASE, SIZE));
	test_pass_pop();
	return 0;
}

/* Who iterates over all memory sees all of it, whatever is not free now. */
static int kho_all_memory_check(void)
{
	phys_addr_t start, end, total = 0, total_rev = 0, total_free = 0;
	unsigned long start_pfn, end_pfn, nr_pages = 0;
	int i;
	u64 idx;

	PREFIX_PUSH();
	begin();
	memblock_mark_kho_held(BASE + SZ_4M, SZ_4M);
	memblock_mark_kho_scratch(BASE, SZ_2M);
	memblock_set_kho_scratch_only();
	memblock_payload_begin();

	for_each_mem_range(idx, &start, &end)
		total += end - start;
	for_each_mem_range_rev(idx, &start, &end)
		total_rev += end - start;
	for_each_mem_pfn_range(i, MAX_NUMNODES, &start_pfn, &end_pfn, NULL)
		nr_pages += end_pfn - start_pfn;
	for_each_free_mem_range(idx, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end, NULL)
		total_free += end - start;

	memblock_payload_end();
	memblock_clear_kho_scratch_only();
	ASSERT_EQ(SIZE, total);
	ASSERT_EQ(SIZE, total_rev);
	ASSERT_EQ(PHYS_PFN(SIZE), nr_pages);
	/* Scratch is not for payload, and nothing else is known to be free. */
	ASSERT_EQ(0, total_free);
	test_pass_pop();
	return 0;
}

/* What is reserved while it is held, others must find when it is not held any more. */
static int kho_held_reserve_check(void)
{
	phys_addr_t start, end, total = 0;
	u64 i;

	PREFIX_PUSH();
	begin();
	memblock_mark_kho_held(BASE, SIZE);
	ASSERT_EQ(0, memblock_reserve(BASE + SZ_4M, SZ_1M));
	expect_one_region(MEMBLOCK_KHO_HELD);
	ASSERT_EQ(1, memblock.reserved.cnt);
	ASSERT_EQ(BASE + SZ_4M, memblock.reserved.regions[0].base);
	ASSERT_EQ((phys_addr_t)SZ_1M, memblock.reserved.regions[0].size);

	memblock_clear_kho_held();
	for_each_free_mem_range(i, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end, NULL) {
		ASSERT_TRUE(end <= BASE + SZ_4M || start >= BASE + SZ_4M + SZ_1M);
		total += end - start;
	}
	ASSERT_EQ(SIZE - SZ_1M, total);
	test_pass_pop();
	return 0;
}

/* The macros evaluate their arguments twice: allocate outside of them. */
static void expect_alloc_in(phys_addr_t base, phys_addr_t size)
{
	phys_addr_t phys = memblock_phys_alloc(SZ_4K, SZ_4K);

	ASSERT_LE(base, phys);
	ASSERT_LE(phys + SZ_4K, base + size);
}

/* Allocations stay away from what is held, top down and bottom up. */
static int kho_held_alloc_check(void)
{
	phys_addr_t base;

	PREFIX_PUSH();
	base = begin_halves();
	memblock_mark_kho_held(base + HALF, HALF);
	expect_alloc_in(base, HALF);
	ASSERT_EQ(0, memblock_phys_alloc_range(SZ_4K, SZ_4K, base + HALF,
					       base + PHYS_MEM_SIZE));
	memblock_clear_kho_held();
	expect_alloc_in(base + HALF, HALF);

	memblock_set_bottom_up(true);
	memblock_mark_kho_held(base, HALF);
	expect_alloc_in(base + HALF, HALF);
	memblock_mark_kho_held(base, PHYS_MEM_SIZE);
	ASSERT_EQ(0, memblock_phys_alloc(SZ_4K, SZ_4K));
	end_halves();
	test_pass_pop();
	return 0;
}

/* With the window open all comes from scratch, or nothing. */
static int kho_scratch_only_check(void)
{
	phys_addr_t base;

	PREFIX_PUSH();
	base = begin_halves();
	memblock_mark_kho_scratch(base, SZ_1M);

	/* Before and after, scratch is the last resort. */
	expect_alloc_in(base + SZ_1M, PHYS_MEM_SIZE - SZ_1M);
	memblock_set_bottom_up(true);
	expect_alloc_in(base + SZ_1M, PHYS_MEM_SIZE - SZ_1M);
	memblock_set_bottom_up(false);
	memblock_reserve(base + SZ_1M, PHYS_MEM_SIZE - SZ_1M);
	expect_alloc_in(base, SZ_1M);
	ASSERT_EQ(0, memblock_phys_alloc(SZ_1M, SZ_4K));
	memblock_phys_free(base + SZ_1M, PHYS_MEM_SIZE - SZ_1M);
	expect_alloc_in(base + SZ_1M, PHYS_MEM_SIZE - SZ_1M);

	memblock_set_kho_scratch_only();
	expect_alloc_in(base, SZ_1M);
	ASSERT_EQ(0, memblock_phys_alloc(SZ_1M, SZ_4K));
	ASSERT_EQ(0, memblock_phys_alloc_range(SZ_4K, SZ_4K, base + SZ_1M,
					       base + PHYS_MEM_SIZE));

	/* What is held and scratch is not free, either. */
	memblock_mark_kho_held(base, SZ_1M);
	ASSERT_EQ(0, memblock_phys_alloc(SZ_4K, SZ_4K));

	memblock_clear_kho_scratch_only();
	expect_alloc_in(base + SZ_1M, PHYS_MEM_SIZE - SZ_1M);
	end_halves();
	test_pass_pop();
	return 0;
}

/* What others may preserve never comes from scratch, and does not count. */
static int kho_payload_check(void)
{
	phys_addr_t base;

	PREFIX_PUSH();
	base = begin_halves();
	memblock_mark_kho_scratch(base + HALF, HALF);
	ASSERT_EQ(0, memblock_kernel_allocated(0, PHYS_ADDR_MAX, NUMA_NO_NODE));

	memblock_payload_begin();
	expect_alloc_in(base, HALF);
	ASSERT_EQ(0, memblock_phys_alloc_range(SZ_4K, SZ_4K, base + HALF,
					       base + PHYS_MEM_SIZE));
	memblock_payload_end();
	ASSERT_EQ(0, memblock_kernel_allocated(0, PHYS_ADDR_MAX, NUMA_NO_NODE));

	expect_alloc_in(base, HALF);
	memblock_reserve(base, SZ_64K);
	ASSERT_EQ((phys_addr_t)SZ_4K,
		  memblock_kernel_allocated(0, PHYS_ADDR_MAX, NUMA_NO_NODE));
	ASSERT_EQ(0, memblock_kernel_allocated(base + HALF, PHYS_ADDR_MAX, NUMA_NO_NODE));
	end_halves();
	test_pass_pop();
	return 0;
}

#ifdef CONFIG_NUMA
/* Scratch of another node will do, unless just this one is wanted. */
static int kho_scratch_only_nid_check(void)
{
	phys_addr_t base;
	void *addr;

	PREFIX_PUSH();
	base = begin_halves();
	memblock_set_node(base, HALF, &memblock.memory, 0);
	memblock_set_node(base + HALF, HALF, &memblock.memory, 1);
	memblock_mark_kho_scratch(base + HALF, SZ_1M);
	memblock_set_kho_scratch_only();

	addr = memblock_alloc_try_nid(SZ_4K, SZ_4K, 0, MEMBLOCK_ALLOC_ACCESSIBLE, 0);
	ASSERT_NE(NULL, addr);
	ASSERT_TRUE(memblock_is_kho_scratch_memory((phys_addr_t)addr));
	addr = memblock_alloc_exact_nid_raw(SZ_4K, SZ_4K, 0, MEMBLOCK_ALLOC_ACCESSIBLE, 0);
	ASSERT_EQ(NULL, addr);
	addr = memblock_alloc_exact_nid_raw(SZ_4K, SZ_4K, 0, MEMBLOCK_ALLOC_ACCESSIBLE, 1);
	ASSERT_NE(NULL, addr);

	ASSERT_EQ((phys_addr_t)0, memblock_kernel_allocated(0, PHYS_ADDR_MAX, 0));
	ASSERT_EQ((phys_addr_t)SZ_8K, memblock_kernel_allocated(0, PHYS_ADDR_MAX, 1));
	end_halves();
	test_pass_pop();
	return 0;
}
#endif

int memblock_kho_regions_checks(void)
{
	prefix_reset();
	prefix_push(FUNC_KHO_REGIONS);
	test_print("Running %s tests...\n", FUNC_KHO_REGIONS);

	kho_regions_split_check();
	kho_regions_is_memory_check();
	kho_regions_other_flags_check();
	kho_held_free_ranges_check();
	kho_held_overlaps_check();
	kho_all_memory_check();
	kho_held_reserve_check();
	kho_held_alloc_check();
	kho_scratch_only_check();
	kho_payload_check();
#ifdef CONFIG_NUMA
	kho_scratch_only_nid_check();
#endif

	prefix_pop();
	return 0;
}

#else

int memblock_kho_regions_checks(void)
{
	return 0;
}

#endif
