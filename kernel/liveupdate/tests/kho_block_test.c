// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of chains of blocks.
 */

#include <linux/err.h>
#include <linux/kho_block.h>

#include "kho_kunit.h"

/* Two entries a block, and some bytes that are left over. */
#define SIZE		(PAGE_SIZE / 2 - 16)
#define PER_BLOCK	2

static unsigned int allocs_left;

static struct kho_block *alloc(void)
{
	if (!allocs_left)
		return ERR_PTR(-ENOMEM);

	allocs_left--;
	return kho_alloc_preserve(PAGE_SIZE);
}

/* How many pages the test has preserved. */
static unsigned long nr_pages(struct kunit *test)
{
	return nr_preserved() - (unsigned long)test->priv;
}

static struct kho_block *block_at(u64 phys)
{
	return phys_to_virt(phys);
}

/* Make room for @nr entries, and number them. */
static void fill(struct kunit *test, struct kho_block_set *set, unsigned int nr)
{
	struct kho_block_it it;
	unsigned int i;
	u32 *entry;

	KUNIT_ASSERT_EQ(test, kho_block_set_grow(set, nr), 0);
	kho_block_it_init(&it, set);
	for (i = 0; i < nr; i++) {
		entry = kho_block_it_reserve_entry(&it);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		*entry = i;
	}
}

/* See that the entries are numbered from 0 to @nr - 1. */
static void expect_entries(struct kunit *test, struct kho_block_set *set,
			   unsigned int nr)
{
	struct kho_block_it it;
	unsigned int i;
	u32 *entry;

	KUNIT_EXPECT_EQ(test, kho_block_set_nr_entries(set), nr);
	kho_block_it_init(&it, set);
	for (i = 0; i < nr; i++) {
		entry = kho_block_it_read_entry(&it);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		KUNIT_EXPECT_EQ(test, *entry, i);
	}
	KUNIT_EXPECT_NULL(test, kho_block_it_read_entry(&it));
}

/* What other kernels rely on: which byte of which page is what. */
static void format(struct kunit *test)
{
	struct kho_block_set set;
	u64 *first, *second;
	unsigned int i;

	if (PAGE_SIZE != SZ_4K)
		kunit_skip(test, "the values are those of 4 KiB pages");

	KUNIT_EXPECT_EQ(test, KHO_BLOCK_ENTRIES(80), 51);
	KUNIT_EXPECT_EQ(test, KHO_BLOCK_ENTRIES(64), 63);

	kho_block_set_init(&set, 80);
	fill(test, &set, 52);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 2);

	first = phys_to_virt(kho_block_set_head_pa(&set));
	KUNIT_ASSERT_TRUE(test, block_preserved(first[0]));
	second = phys_to_virt(first[0]);
	KUNIT_EXPECT_EQ(test, first[1], 51);
	KUNIT_EXPECT_EQ(test, second[0], 0);
	KUNIT_EXPECT_EQ(test, second[1], 1);
	for (i = 0; i < 51; i++)
		KUNIT_EXPECT_EQ(test, first[2 + i * 10], i);
	KUNIT_EXPECT_EQ(test, second[2], 51);

	kho_block_set_destroy(&set);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&set), 0);
}

static void growing(struct kunit *test)
{
	struct kho_block_set set;
	struct kho_block_it it;
	u64 head_pa;

	kho_block_set_init(&set, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&set), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 0), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	kho_block_it_init(&it, &set);
	KUNIT_EXPECT_NULL(test, kho_block_it_reserve_entry(&it));
	KUNIT_EXPECT_NULL(test, kho_block_it_read_entry(&it));
	KUNIT_EXPECT_NULL(test, kho_block_it_prev(&it));

	/* An iterator of a set without blocks sees those that come. */
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 1), 0);
	KUNIT_EXPECT_NOT_NULL(test, kho_block_it_reserve_entry(&it));
	head_pa = kho_block_set_head_pa(&set);

	/* The number is that of all entries, not of more. */
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, PER_BLOCK), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 1);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, PER_BLOCK * 2 + 1), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 3);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 1), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 3);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&set), head_pa);
	KUNIT_EXPECT_EQ(test, block_at(head_pa)->next, 0);
	KUNIT_EXPECT_NOT_NULL(test, kho_block_it_reserve_entry(&it));
	KUNIT_EXPECT_NOT_NULL(test, kho_block_it_reserve_entry(&it));
	KUNIT_EXPECT_EQ(test, kho_block_set_nr_entries(&set), 3);

	/* The third block is empty, the second one is not. */
	kho_block_set_shrink(&set, 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 2);
	KUNIT_EXPECT_EQ(test, block_at(block_at(head_pa)->next)->next, 0);

	kho_block_set_clear(&set);
	KUNIT_EXPECT_EQ(test, kho_block_set_nr_entries(&set), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 2);
	kho_block_set_shrink(&set, PER_BLOCK + 1);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 2);
	kho_block_set_shrink(&set, PER_BLOCK);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 1);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&set), head_pa);
	kho_block_set_shrink(&set, 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&set), 0);
	kho_block_set_shrink(&set, 0);
}

/*
 * See that the chain of a set has @nr blocks, and that each of them has at least one
 * entry: Linux 7.3 refuses others.
 */
static void expect_chain(struct kunit *test, const struct kho_block_set *set,
			 unsigned int nr)
{
	unsigned int found = 0;
	u64 phys;

	/* A caller without entries hands over 0. */
	phys = kho_block_set_nr_entries(set) ? kho_block_set_head_pa(set) : 0;
	for (; phys; phys = block_at(phys)->next) {
		KUNIT_ASSERT_TRUE(test, block_preserved(phys));
		KUNIT_EXPECT_GT(test, block_at(phys)->count, 0);
		found++;
	}
	KUNIT_EXPECT_EQ(test, found, nr);
}

/* Room that nothing is in is not handed over, however it came about. */
static void no_empty_block(struct kunit *test)
{
	struct kho_block_set set;
	struct kho_block_it it;
	unsigned int i;

	kho_block_set_init(&set, SIZE);
	expect_chain(test, &set, 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 3 * PER_BLOCK), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 3);
	expect_chain(test, &set, 0);

	/* A block after the other, as they get their first entries. */
	kho_block_it_init(&it, &set);
	for (i = 0; i < 3 * PER_BLOCK; i++) {
		KUNIT_ASSERT_NOT_NULL(test, kho_block_it_reserve_entry(&it));
		expect_chain(test, &set, i / PER_BLOCK + 1);
	}

	/* Less than there was before: the rest of the chain is cut off, not emptied. */
	kho_block_set_clear(&set);
	expect_chain(test, &set, 0);
	fill(test, &set, PER_BLOCK);
	expect_chain(test, &set, 1);
	expect_entries(test, &set, PER_BLOCK);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 3);
	kho_block_set_shrink(&set, PER_BLOCK);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 1);
	expect_chain(test, &set, 1);

	/* And more again. */
	kho_block_set_clear(&set);
	fill(test, &set, PER_BLOCK + 1);
	expect_chain(test, &set, 2);
	expect_entries(test, &set, PER_BLOCK + 1);

	kho_block_set_clear(&set);
	kho_block_set_shrink(&set, 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	expect_chain(test, &set, 0);
}

/* It makes all the room that was asked for, or none. */
static void no_memory(struct kunit *test)
{
	struct kho_block_set set;
	u64 head_pa;

	kunit_activate_static_stub(test, kho_block_alloc, alloc);
	kho_block_set_init(&set, SIZE);

	allocs_left = 2;
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 3 * PER_BLOCK), -ENOMEM);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&set), 0);

	allocs_left = 3;
	fill(test, &set, 2 * PER_BLOCK);
	head_pa = kho_block_set_head_pa(&set);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 4 * PER_BLOCK), -ENOMEM);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 2);
	KUNIT_EXPECT_EQ(test, block_at(block_at(head_pa)->next)->next, 0);
	expect_entries(test, &set, 2 * PER_BLOCK);

	kho_block_set_destroy(&set);
}

static void iterating(struct kunit *test)
{
	struct kho_block_set set;
	struct kho_block_it it;
	unsigned int i;
	u32 *entry;

	kho_block_set_init(&set, SIZE);
	fill(test, &set, 5);

	/* Up to the end, which is not passed, back, and once more. */
	kho_block_it_init(&it, &set);
	KUNIT_EXPECT_NULL(test, kho_block_it_prev(&it));
	while (kho_block_it_read_entry(&it))
		;
	KUNIT_EXPECT_NULL(test, kho_block_it_read_entry(&it));
	for (i = 5; i--;) {
		entry = kho_block_it_prev(&it);
		KUNIT_ASSERT_NOT_NULL(test, entry);
		KUNIT_EXPECT_EQ(test, *entry, i);
	}
	KUNIT_EXPECT_NULL(test, kho_block_it_prev(&it));
	entry = kho_block_it_read_entry(&it);
	KUNIT_ASSERT_NOT_NULL(test, entry);
	KUNIT_EXPECT_EQ(test, *entry, 0);

	/* Blocks without entries do not count, in either direction. */
	block_at(block_at(kho_block_set_head_pa(&set))->next)->count = 0;
	KUNIT_EXPECT_EQ(test, kho_block_set_nr_entries(&set), 3);
	KUNIT_EXPECT_EQ(test, *(u32 *)kho_block_it_read_entry(&it), 1);
	KUNIT_EXPECT_EQ(test, *(u32 *)kho_block_it_read_entry(&it), 4);
	KUNIT_EXPECT_NULL(test, kho_block_it_read_entry(&it));
	KUNIT_EXPECT_EQ(test, *(u32 *)kho_block_it_prev(&it), 4);
	KUNIT_EXPECT_EQ(test, *(u32 *)kho_block_it_prev(&it), 1);

	/* An entry is zeroed that was used before, and nothing beside it. */
	kho_block_set_clear(&set);
	kho_block_it_init(&it, &set);
	entry = kho_block_it_reserve_entry(&it);
	memset(entry, 0xff, SIZE);
	entry = kho_block_it_reserve_entry(&it);
	memset(entry, 0xff, SIZE);
	kho_block_set_clear(&set);
	kho_block_it_init(&it, &set);
	entry = kho_block_it_reserve_entry(&it);
	KUNIT_EXPECT_NULL(test, memchr_inv(entry, 0, SIZE));
	KUNIT_EXPECT_NULL(test, memchr_inv((u8 *)entry + SIZE, 0xff, SIZE));

	kho_block_set_destroy(&set);
}

static void bad_sizes(struct kunit *test)
{
	struct kho_block_set set;

	/* One byte more than fits would warn. */
	kho_block_set_init(&set, PAGE_SIZE - sizeof(struct kho_block));
	fill(test, &set, 2);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 2);
	expect_entries(test, &set, 2);
	kho_block_set_destroy(&set);

	set = (struct kho_block_set){ .blocks = LIST_HEAD_INIT(set.blocks) };
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&set, 1), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&set, 0), -EINVAL);
}

static void handing_over(struct kunit *test)
{
	struct kho_block_set sent, taken;
	u64 head_pa;

	kho_block_set_init(&sent, SIZE);
	fill(test, &sent, 2 * PER_BLOCK + 1);
	head_pa = kho_block_set_head_pa(&sent);

	kho_block_set_init(&taken, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&taken, head_pa), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	KUNIT_EXPECT_EQ(test, kho_block_set_head_pa(&taken), head_pa);
	expect_entries(test, &taken, 2 * PER_BLOCK + 1);

	/* It is read, not gone on with, and taken over only once. */
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&taken, 100), -EINVAL);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&taken, head_pa), -EINVAL);
	expect_entries(test, &taken, 2 * PER_BLOCK + 1);
	kho_block_set_init(&sent, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&sent, head_pa), -EINVAL);
	KUNIT_EXPECT_EQ(test, sent.nr_blocks, 0);
	KUNIT_EXPECT_FALSE(test, sent.restored);

	/* Whoever is through can use the handle for a chain of his own. */
	kho_block_set_destroy(&taken);
	KUNIT_EXPECT_EQ(test, kho_block_set_grow(&taken, 1), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 1);
	kho_block_set_destroy(&taken);

	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&taken, 0), 0);
	expect_entries(test, &taken, 0);
}

/* Earlier kernels of this ABI hand blocks without entries over. */
static void taking_empty_blocks(struct kunit *test)
{
	struct kho_block_set sent, taken;
	struct kho_block *block[3];
	u64 head_pa;

	/* All of a list, if it has no entries. */
	kho_block_set_init(&sent, SIZE);
	fill(test, &sent, 1);
	head_pa = kho_block_set_head_pa(&sent);
	block_at(head_pa)->count = 0;
	kho_block_set_init(&taken, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&taken, head_pa), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	expect_entries(test, &taken, 0);
	kho_block_set_destroy(&taken);

	/* The first, and the last of three. */
	kho_block_set_init(&sent, SIZE);
	fill(test, &sent, 3 * PER_BLOCK);
	head_pa = kho_block_set_head_pa(&sent);
	block[0] = block_at(head_pa);
	block[1] = block_at(block[0]->next);
	block[2] = block_at(block[1]->next);
	*(u32 *)block[1]->entries = 0;
	block[0]->count = 0;
	block[1]->count = 1;
	block[2]->count = 0;
	kho_block_set_init(&taken, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&taken, head_pa), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 0);
	expect_entries(test, &taken, 1);
	kho_block_set_destroy(&taken);
}

/* A chain is refused as long as *@word is @value, and nothing is claimed. */
static void expect_refusal(struct kunit *test, u64 head_pa, u64 *word, u64 value)
{
	unsigned long nr = nr_preserved();
	struct kho_block_set set;
	u64 was = *word;

	*word = value;
	kho_block_set_init(&set, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&set, head_pa), -EINVAL);
	KUNIT_EXPECT_EQ(test, set.nr_blocks, 0);
	KUNIT_EXPECT_EQ(test, nr_preserved(), nr);
	*word = was;
}

static void damage(struct kunit *test)
{
	struct folio *foreign = folio_alloc(GFP_KERNEL | __GFP_ZERO, 0);
	struct kho_block *large = kho_alloc_preserve(2 * PAGE_SIZE);
	struct kho_block *block[7];
	struct kho_block_set set;
	unsigned int i, j;
	u64 head_pa;

	KUNIT_ASSERT_NOT_NULL(test, foreign);
	KUNIT_ASSERT_FALSE(test, IS_ERR(large));
	kho_block_set_init(&set, SIZE);
	fill(test, &set, ARRAY_SIZE(block) * PER_BLOCK);
	head_pa = kho_block_set_head_pa(&set);
	block[0] = block_at(head_pa);
	for (i = 1; i < ARRAY_SIZE(block); i++)
		block[i] = block_at(block[i - 1]->next);

	for (i = 0; i < ARRAY_SIZE(block); i++) {
		u64 *next = &block[i]->next, *count = &block[i]->count;

		expect_refusal(test, head_pa, count, PER_BLOCK + 1);
		expect_refusal(test, head_pa, count, U64_MAX);
		expect_refusal(test, head_pa, next, *next + 8);
		expect_refusal(test, head_pa, next, 1);
		expect_refusal(test, head_pa, next, U64_MAX);
		expect_refusal(test, head_pa, next, ~0ULL << PAGE_SHIFT);
		/* Memory that was not preserved, or in another way. */
		expect_refusal(test, head_pa, next,
			       folio_pfn(foreign) << PAGE_SHIFT);
		expect_refusal(test, head_pa, next, virt_to_phys(large));
		expect_refusal(test, head_pa, next,
			       virt_to_phys(large) + PAGE_SIZE);
		/* Circles of all lengths, behind tails of all lengths. */
		for (j = 0; j <= i; j++)
			expect_refusal(test, head_pa, next,
				       virt_to_phys(block[j]));
	}
	expect_refusal(test, head_pa + 8, &head_pa, head_pa);
	expect_refusal(test, virt_to_phys(large), &head_pa, head_pa);

	/* After all of that it is still there. */
	kho_block_set_init(&set, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&set, head_pa), 0);
	expect_entries(test, &set, ARRAY_SIZE(block) * PER_BLOCK);
	kho_block_set_destroy(&set);

	kho_unpreserve_free(large);
	folio_put(foreign);
}

static unsigned int claims_left;

static struct kho_block *claim_some(u64 phys)
{
	return claims_left-- ? block_claim(phys) : NULL;
}

/* Somebody else claims a block at the same time: what we have got is freed. */
static void race(struct kunit *test)
{
	struct kho_block_set set;
	u64 head_pa, third;

	kunit_activate_static_stub(test, kho_block_claim, claim_some);
	kho_block_set_init(&set, SIZE);
	fill(test, &set, 3 * PER_BLOCK);
	head_pa = kho_block_set_head_pa(&set);
	third = block_at(block_at(head_pa)->next)->next;

	claims_left = 2;
	kho_block_set_init(&set, SIZE);
	KUNIT_EXPECT_EQ(test, kho_block_set_restore(&set, head_pa), -EINVAL);
	KUNIT_EXPECT_EQ(test, set.nr_blocks, 0);
	KUNIT_EXPECT_FALSE(test, set.restored);
	KUNIT_EXPECT_EQ(test, nr_pages(test), 1);
	kho_unpreserve_free(block_at(third));
}

static struct kunit_case block_cases[] = {
	KUNIT_CASE(format),
	KUNIT_CASE(growing),
	KUNIT_CASE(no_empty_block),
	KUNIT_CASE(no_memory),
	KUNIT_CASE(iterating),
	KUNIT_CASE(bad_sizes),
	KUNIT_CASE(handing_over),
	KUNIT_CASE(taking_empty_blocks),
	KUNIT_CASE(damage),
	KUNIT_CASE(race),
	{}
};

static struct kunit_suite block_suite = {
	.name = "kho_block",
	.init = blocks_test_init,
	.exit = preserving_test_exit,
	.test_cases = block_cases,
};

kunit_test_suite(block_suite);
