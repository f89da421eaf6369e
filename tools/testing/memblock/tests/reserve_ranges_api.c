// SPDX-License-Identifier: GPL-2.0-only
/*
 * memblock_reserve_ranges(): it has to do the same as memblock_reserve() for each
 * range, but for the place of the array of regions.
 */
#include <linux/range.h>
#include <stdlib.h>
#include <string.h>

#include "reserve_ranges_api.h"

#define FUNC_RESERVE_RANGES	"memblock_reserve_ranges"

/* More than the array of regions has room for. */
#define MAX_RANGES		(4 * INIT_MEMBLOCK_REGIONS)
#define RANDOM_ROUNDS		200

static struct memblock_region *static_regions;
static struct range ranges[MAX_RANGES];
static struct memblock_region expected[3 * MAX_RANGES];
static unsigned long nr_expected;

static void begin(void)
{
	reset_memblock_regions();
	memblock_allow_resize();
	dummy_physical_memory_init();
	memblock_add(dummy_physical_memory_base(), PHYS_MEM_SIZE);
	static_regions = memblock.reserved.regions;
}

/* An array in the dummy memory must not be used once that is gone. */
static void end(void)
{
	dummy_physical_memory_cleanup();
	memblock.reserved.regions = static_regions;
	memblock.reserved.max = INIT_MEMBLOCK_RESERVED_REGIONS;
	memblock.reserved.cnt = 0;
	memset(static_regions, 0,
	       INIT_MEMBLOCK_RESERVED_REGIONS * sizeof(*static_regions));
}

static struct range range(phys_addr_t base, phys_addr_t size)
{
	return (struct range){ base, base + size - 1 };
}

/* Regions below the dummy memory, where arrays of regions are. */
static unsigned long nr_regions_below(void)
{
	unsigned long i;

	for (i = 0; i < memblock.reserved.cnt; i++) {
		if (memblock.reserved.regions[i].base >= dummy_physical_memory_base())
			break;
	}

	return i;
}

/* Reserve what begin() and @nr_old regions at @old leave, one by one. */
static void expect(const struct range *old, unsigned long nr_old,
		   unsigned long nr_ranges)
{
	unsigned long i;

	begin();
	for (i = 0; i < nr_old; i++)
		memblock_reserve(old[i].start, range_len(&old[i]));
	for (i = 0; i < nr_ranges; i++)
		memblock_reserve(ranges[i].start, range_len(&ranges[i]));

	nr_expected = nr_regions_below();
	memcpy(expected, memblock.reserved.regions,
	       nr_expected * sizeof(*expected));
	end();
}

static void compare(const struct range *old, unsigned long nr_old,
		    unsigned long nr_ranges)
{
	struct memblock_type *type = &memblock.reserved;
	phys_addr_t total = 0;
	unsigned long i;

	expect(old, nr_old, nr_ranges);

	begin();
	for (i = 0; i < nr_old; i++)
		memblock_reserve(old[i].start, range_len(&old[i]));
	ASSERT_EQ(0, memblock_reserve_ranges(ranges, nr_ranges));

	ASSERT_EQ(nr_expected, nr_regions_below());
	for (i = 0; i < nr_expected; i++) {
		ASSERT_EQ(expected[i].base, type->regions[i].base);
		ASSERT_EQ(expected[i].size, type->regions[i].size);
		ASSERT_EQ(expected[i].flags, type->regions[i].flags);
	}

	/* The array is reserved itself. */
	if (type->regions != static_regions)
		ASSERT_TRUE(memblock_is_region_reserved(__pa(type->regions),
							type->max * sizeof(*type->regions)));
	ASSERT_LE(type->cnt, type->max);

	for (i = 0; i < type->cnt; i++)
		total += type->regions[i].size;
	ASSERT_EQ(total, type->total_size);

	/* It goes on as usual. */
	ASSERT_EQ(0, memblock_reserve(SZ_2G, SZ_4K));
	ASSERT_TRUE(memblock_is_reserved(SZ_2G));
	ASSERT_EQ(0, memblock_phys_free(SZ_2G, SZ_4K));
	end();
}

/* None reserved before; more ranges than there is room for. */
static int reserve_ranges_many_check(void)
{
	unsigned long i;

	PREFIX_PUSH();
	for (i = 0; i < MAX_RANGES; i++)
		ranges[i] = range(SZ_1M + i * SZ_64K, SZ_4K);
	compare(NULL, 0, MAX_RANGES);
	test_pass_pop();
	return 0;
}

/* Ranges that touch each other become one region. */
static int reserve_ranges_adjacent_check(void)
{
	unsigned long i;

	PREFIX_PUSH();
	for (i = 0; i < MAX_RANGES; i++)
		ranges[i] = range(SZ_1M + i * SZ_4K, SZ_4K);
	compare(NULL, 0, MAX_RANGES);
	ASSERT_EQ(1, nr_expected);
	test_pass_pop();
	return 0;
}

/* Old regions that split ranges, cover them, touch them, lie between them. */
static int reserve_ranges_overlap_check(void)
{
	const struct range old[] = {
		range(SZ_1M, SZ_4K),
		range(SZ_2M + SZ_4K, SZ_4K),
		range(SZ_2M + SZ_16K, SZ_4K),
		range(SZ_4M, SZ_1M),
		range(SZ_8M, SZ_64K),
	};

	PREFIX_PUSH();
	ranges[0] = range(SZ_1M - SZ_4K, SZ_4K);
	ranges[1] = range(SZ_2M, SZ_1M);
	ranges[2] = range(SZ_4M, SZ_4K);
	ranges[3] = range(SZ_4M + SZ_64K, SZ_4K);
	ranges[4] = range(SZ_4M + SZ_512K, SZ_1M);
	ranges[5] = range(SZ_8M + SZ_64K, SZ_4K);
	compare(old, ARRAY_SIZE(old), 6);
	test_pass_pop();
	return 0;
}

static int reserve_ranges_random_check(void)
{
	struct range old[64];
	unsigned long i, nr_old, nr_ranges;
	unsigned int round;
	phys_addr_t base;

	PREFIX_PUSH();
	srand(1);
	for (round = 0; round < RANDOM_ROUNDS; round++) {
		nr_old = rand() % ARRAY_SIZE(old);
		nr_ranges = rand() % (MAX_RANGES / 2);

		for (i = 0; i < nr_old; i++)
			old[i] = range(SZ_4K * (1 + rand() % 4096),
				       SZ_4K * (1 + rand() % 64));

		base = 0;
		for (i = 0; i < nr_ranges; i++) {
			base += SZ_4K * (rand() % 16);
			ranges[i] = range(base, SZ_4K * (1 + rand() % 8));
			base = ranges[i].end + 1;
		}

		compare(old, nr_old, nr_ranges);
	}
	test_pass_pop();
	return 0;
}

/* Where the array would go by itself is what shall be reserved. */
static int reserve_ranges_in_free_memory_check(void)
{
	phys_addr_t base, array;

	PREFIX_PUSH();
	begin();
	base = dummy_physical_memory_base();
	ranges[0] = range(base, SZ_1M);
	ranges[1] = range(base + PHYS_MEM_SIZE - SZ_1M, SZ_1M);
	ASSERT_EQ(0, memblock_reserve_ranges(ranges, 2));

	array = __pa(memblock.reserved.regions);
	ASSERT_LE(base + SZ_1M, array);
	ASSERT_LT(array, base + PHYS_MEM_SIZE - SZ_1M);
	end();
	test_pass_pop();
	return 0;
}

static int reserve_ranges_errors_check(void)
{
	PREFIX_PUSH();
	begin();
	memblock_reserve(SZ_1M, SZ_4K);

	/* Not ascending, overlapping, of negative length, up to the end. */
	ranges[0] = range(SZ_2M, SZ_4K);
	ranges[1] = range(SZ_1M, SZ_4K);
	ASSERT_EQ(-EINVAL, memblock_reserve_ranges(ranges, 2));
	ranges[1] = range(SZ_2M + SZ_4K - 1, SZ_4K);
	ASSERT_EQ(-EINVAL, memblock_reserve_ranges(ranges, 2));
	ranges[1] = (struct range){ SZ_4M, SZ_4M - 2 };
	ASSERT_EQ(-EINVAL, memblock_reserve_ranges(ranges, 2));
	ranges[1] = (struct range){ SZ_4M, PHYS_ADDR_MAX };
	ASSERT_EQ(-EINVAL, memblock_reserve_ranges(ranges, 2));

	/* No room but in what shall be reserved. */
	ranges[0] = range(dummy_physical_memory_base(), PHYS_MEM_SIZE);
	ASSERT_EQ(-ENOMEM, memblock_reserve_ranges(ranges, 1));

	ASSERT_EQ(0, memblock_reserve_ranges(ranges, 0));
	ASSERT_EQ(1, memblock.reserved.cnt);
	ASSERT_EQ(SZ_4K, memblock.reserved.total_size);
	end();
	test_pass_pop();
	return 0;
}

int memblock_reserve_ranges_checks(void)
{
	prefix_reset();
	prefix_push(FUNC_RESERVE_RANGES);
	test_print("Running %s tests...\n", FUNC_RESERVE_RANGES);

	reserve_ranges_many_check();
	reserve_ranges_adjacent_check();
	reserve_ranges_overlap_check();
	reserve_ranges_random_check();
	reserve_ranges_in_free_memory_check();
	reserve_ranges_errors_check();

	prefix_pop();
	return 0;
}
