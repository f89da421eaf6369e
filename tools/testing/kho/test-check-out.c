// SPDX-License-Identifier: GPL-2.0-only
/*
 * The check of what is about to be handed over: does it refuse what the next kernel
 * would, and nothing else? Compared with a look at each single page.
 */

#include <string.h>
#include <linux/errno.h>
#include <linux/kexec.h>
#include <linux/kernel.h>
#include <linux/libfdt.h>
#include <linux/mm.h>
#include <linux/range.h>

#include "handover.h"

/* Where blocks, RAM and scratch are, in pages: leaves of order 0 and part of higher ones */
#define NR_PFNS		(3 * KHO_LEAF_KEYS)
/* What tests allocate is above that. */
#define HIGH_PFN	PHYS_PFN(KHO_TEST_PHYS_OFFSET)

#define MAX_RANGES	16
#define MAX_BLOCKS	64

static struct range ram[MAX_RANGES + 1];
static struct kho_scratch scratch[4];
static struct kimage image = { .kho.ram = ram };

static void add_ram(unsigned long pfn, unsigned long end_pfn)
{
	ram[image.kho.nr_ram++] = (struct range){ PFN_PHYS(pfn), PFN_PHYS(end_pfn) };
}

static void begin(void)
{
	handover_begin();
	image.kho.nr_ram = 0;
	kho_scratch = scratch;
	kho_scratch_cnt = 0;
}

static void begin_with_ram(void)
{
	begin();
	add_ram(0, NR_PFNS);
	add_ram(HIGH_PFN, 2 * HIGH_PFN);
}

static unsigned long key_of(unsigned long pfn, unsigned int order)
{
	return kho_key(PFN_PHYS(pfn), order);
}

static void add(unsigned long pfn, unsigned int order)
{
	EXPECT_EQ(kho_radix_add_key(&kho_out.tree, key_of(pfn, order)), 0);
}

static void del(unsigned long pfn, unsigned int order)
{
	EXPECT(kho_radix_del_key(&kho_out.tree, key_of(pfn, order)));
}

static void accepted(void)
{
	EXPECT_EQ(kho_check_out(&image), 0);
}

static void refused(int err, unsigned int nr_messages)
{
	EXPECT_EQ(kho_check_out(&image), err);
	EXPECT_EQ(shim_take_messages(), nr_messages);
}

TEST(check_out_nothing)
{
	begin_with_ram();
	accepted();
	handover_end();
}

/* A block at its last page, one behind it, and one before it. */
static void check_overlaps(unsigned int order, unsigned int other)
{
	accepted();
	add((2UL << order) - (1UL << other), other);
	refused(-EPROTO, 1);
	del((2UL << order) - (1UL << other), other);
	add(2UL << order, other);
	add((1UL << order) - (1UL << other), other);
	accepted();
	del(2UL << order, other);
	del((1UL << order) - (1UL << other), other);
}

/* So many that they are not looked at one by one. */
#define NR_MANY		16

TEST(check_out_overlap)
{
	unsigned int order, other, i;

	begin_with_ram();
	for (order = 1; order < 16; order++) {
		for (other = 0; other < order; other++) {
			unsigned long behind = (2UL << order) + (1UL << other);

			add(1UL << order, order);
			check_overlaps(order, other);
			if (behind + (NR_MANY << other) <= NR_PFNS) {
				for (i = 0; i < NR_MANY; i++)
					add(behind + ((unsigned long)i << other), other);
				check_overlaps(order, other);
				for (i = 0; i < NR_MANY; i++)
					del(behind + ((unsigned long)i << other), other);
			}
			del(1UL << order, order);
		}
	}
	handover_end();
}

/* Blocks so large that all orders of them share a leaf. */
TEST(check_out_huge)
{
	unsigned int order;

	begin();
	add_ram(0, PHYS_PFN(PHYS_ADDR_MAX));
	for (order = 30; order < KHO_MAX_ORDER; order++) {
		unsigned long pfn = 1UL << order, half = pfn + pfn / 2;

		/* The nodes are there. */
		if (HIGH_PFN >> order == 1)
			continue;

		add(pfn, order);
		accepted();
		add(pfn, 5);
		refused(-EPROTO, 1);
		del(pfn, 5);
		add(half, order - 1);
		refused(-EPROTO, 1);
		del(half, order - 1);
		del(pfn, order);
	}
	handover_end();
}

static void add_many(unsigned long pfn)
{
	unsigned int i;

	for (i = 0; i < NR_MANY; i++)
		add(pfn + i, 0);
}

static void del_many(unsigned long pfn)
{
	unsigned int i;

	for (i = 0; i < NR_MANY; i++)
		del(pfn + i, 0);
}

/* The next kernel needs some memory that is neither preserved nor scratch. */
TEST(check_out_room)
{
	begin();
	add_ram(0, 4096);
	add_ram(HIGH_PFN, 2 * HIGH_PFN);
	add(0, 10);
	shim_memory.boot_memory = PFN_PHYS(HIGH_PFN + 3000);
	accepted();

	/* Nodes of the tree take some, too. */
	shim_memory.boot_memory = PFN_PHYS(HIGH_PFN + 3072);
	refused(-EPROTO, 1);

	shim_memory.boot_memory = PFN_PHYS(HIGH_PFN + 3000);
	add(1024, 10);
	refused(-EPROTO, 1);
	del(1024, 10);
	accepted();
	del(0, 10);
	shim_memory.boot_memory = 0;
	handover_end();
}

TEST(check_out_ram)
{
	begin();
	add_ram(0, 1000);
	add_ram(1024, 4096);
	add_ram(HIGH_PFN, 2 * HIGH_PFN);
	add(999, 0);
	add(1024, 10);
	accepted();
	add(1000, 0);
	refused(-EPROTO, 1);
	add_many(100);
	refused(-EPROTO, 1);
	del(1000, 0);
	accepted();
	del_many(100);
	add(1023, 0);
	refused(-EPROTO, 1);
	del(1023, 0);
	add(4096, 3);
	refused(-EPROTO, 1);
	del(4096, 3);
	accepted();

	/* An image that knows less, and one that knows nothing. */
	ram[1].end -= PAGE_SIZE;
	add(4095, 0);
	refused(-EPROTO, 1);
	del(4095, 0);
	accepted();
	image.kho.nr_ram = 0;
	refused(-EPROTO, 1);

	/* It does not know of the nodes. */
	image.kho.nr_ram = 2;
	refused(-EPROTO, 1);
	del(999, 0);
	del(1024, 10);
	handover_end();
}

TEST(check_out_scratch)
{
	begin_with_ram();
	scratch[0] = (struct kho_scratch){ PFN_PHYS(512), PFN_PHYS(512) };
	scratch[1] = (struct kho_scratch){};
	kho_scratch_cnt = 2;
	add(511, 0);
	add(1024, 4);
	accepted();

	shim_memory.scratch_pfn = 512;
	shim_memory.scratch_end_pfn = 1024;
	add(512, 0);
	refused(-EPROTO, 1);
	add_many(100);
	refused(-EPROTO, 1);
	del(512, 0);
	accepted();
	del_many(100);
	add(1023, 0);
	refused(-EPROTO, 1);
	del(1023, 0);
	add(0, 10);
	refused(-EPROTO, 1);
	del(0, 10);
	accepted();

	/* The image does not know of all of it. */
	ram[0].end = PFN_PHYS(1023);
	refused(-EPROTO, 1);
	del(511, 0);
	del(1024, 4);
	handover_end();
}

TEST(check_out_contains_node)
{
	unsigned long pfn;

	begin_with_ram();
	pfn = PHYS_PFN(virt_to_phys(kho_out.tree.root));
	add(pfn, 0);
	refused(-EPROTO, 1);
	del(pfn, 0);
	add(pfn & ~255UL, 8);
	refused(-EPROTO, 1);
	del(pfn & ~255UL, 8);
	accepted();
	handover_end();
}

static void *late_blob;

static void preserve_late_blob(void)
{
	add(PHYS_PFN(virt_to_phys(late_blob)), 0);
	shim_sleep_hook = NULL;
}

TEST(check_out_blobs)
{
	char *blob;

	begin_with_ram();
	blob = kho_alloc_preserve(3 * PAGE_SIZE);
	EXPECT_EQ(kho_add_subtree("fine", blob, 4 * PAGE_SIZE), 0);
	accepted();
	kho_remove_subtree(blob);
	EXPECT_EQ(kho_add_subtree("longer", blob, 4 * PAGE_SIZE + 1), 0);
	refused(-EPROTO, 1);
	kho_remove_subtree(blob);
	EXPECT_EQ(kho_add_subtree("wraps", blob, ~0UL), 0);
	refused(-EPROTO, 1);
	kho_remove_subtree(blob);
	kho_unpreserve_free(blob);

	/* One that is preserved a moment later. */
	late_blob = (void *)get_zeroed_page(0);
	EXPECT_EQ(kho_add_subtree("late", late_blob, 5), 0);
	refused(-EPROTO, 1);
	shim_sleep_hook = preserve_late_blob;
	accepted();
	kho_remove_subtree(late_blob);
	kho_unpreserve_free(late_blob);
	handover_end();
}

/* After damage the handover stays given up: nothing can be taken back, only freed. */
static void damaged_end(void *blob)
{
	kho_unpreserve_free(blob);
	EXPECT_EQ(kho_out_not_ready(), -EUCLEAN);
	EXPECT_EQ(kho_preserve_folio(FOLIO(8, 3)), -EUCLEAN);
	EXPECT_EQ(kho_preserve_pages(pfn_to_page(8), 3), -EUCLEAN);
	kho_unpreserve_folio(FOLIO(16, 3));
	shim_run_work();
	refused(-EUCLEAN, 1);
}

static u64 *entry_of(unsigned long key, unsigned int level)
{
	u64 *table = (u64 *)kho_out.tree.root;
	unsigned int l, shift;

	for (l = KHO_RADIX_LEVELS - 1; ; l--) {
		shift = KHO_RADIX_BITMAP_BITS + (l - 1) * KHO_RADIX_TABLE_BITS;
		table += key >> shift & (BIT(KHO_RADIX_TABLE_BITS) - 1);
		if (l == level)
			return table;
		table = phys_to_virt(*table);
	}
}

static void damage_entry(unsigned int level, u64 (*value)(void))
{
	unsigned long key = key_of(8, 3);
	u64 *entry, good;
	void *blob;

	begin_with_ram();
	add(16, 3);
	add(8, 3);
	blob = kho_alloc_preserve(1);
	entry = entry_of(key, level);
	good = *entry;
	*entry = value();
	refused(-EUCLEAN, 2);
	damaged_end(blob);

	*entry = good;
	kho_out.tree.node_valid = NULL;
	kho_radix_destroy_tree(&kho_out.tree);
	folio_put(virt_to_folio(kho_out.fdt));
	kho_out.fdt = NULL;
}

#define DAMAGED_ENTRY(name, level, value)				\
	static u64 entry_##name(void)					\
	{								\
		return value;						\
	}								\
	TEST(check_out_entry_##name)					\
	{								\
		damage_entry(level, entry_##name);			\
	}

DAMAGED_ENTRY(nowhere, 3, 0xdeadbeef000)
DAMAGED_ENTRY(top, 2, ~0ULL << PAGE_SHIFT)
DAMAGED_ENTRY(unaligned, 1, (*entry_of(key_of(8, 3), 1)) + 8)
DAMAGED_ENTRY(leaf_nowhere, 1, PAGE_SIZE)
DAMAGED_ENTRY(root, KHO_RADIX_LEVELS - 1, virt_to_phys(kho_out.tree.root))
DAMAGED_ENTRY(itself, 2, *entry_of(key_of(8, 3), 3))
DAMAGED_ENTRY(leaf_for_table, 2, *entry_of(key_of(8, 3), 1))
DAMAGED_ENTRY(other_leaf, 1, *entry_of(kho_key(virt_to_phys(kho_out.fdt), 0), 1))

static void damage_fdt(u32 offset, u32 value)
{
	fdt32_t *word;
	void *blob;

	begin_with_ram();
	blob = kho_alloc_preserve(1);
	EXPECT_EQ(kho_add_subtree("blob", blob, 1), 0);
	accepted();
	word = kho_out.fdt + offset;
	*word = cpu_to_fdt32(value);
	refused(-EUCLEAN, 2);
	kho_remove_subtree(blob);
	EXPECT_EQ(kho_add_subtree("other", blob, 1), -EUCLEAN);
	damaged_end(blob);

	kho_out.tree.node_valid = NULL;
	kho_radix_destroy_tree(&kho_out.tree);
	folio_put(virt_to_folio(kho_out.fdt));
	kho_out.fdt = NULL;
}

#define DAMAGED_FDT(name, member, value)				\
	static void damaged_fdt_##name(void)				\
	{								\
		damage_fdt(offsetof(struct fdt_header, member), value);	\
	}								\
	TEST(check_out_fdt_##name)					\
	{								\
		damaged_fdt_##name();					\
	}

DAMAGED_FDT(magic, magic, 0)
DAMAGED_FDT(size, totalsize, PAGE_SIZE + 8)
DAMAGED_FDT(smaller, totalsize, 64)
DAMAGED_FDT(struct, off_dt_struct, PAGE_SIZE - 4)
DAMAGED_FDT(strings, off_dt_strings, 0x7ffffff0)
DAMAGED_FDT(reserved, off_mem_rsvmap, 0x80000000)
DAMAGED_FDT(struct_size, size_dt_struct, 0xffffffff)
DAMAGED_FDT(version, version, 1)

TEST(check_out_impossible_key)
{
	begin_with_ram();
	EXPECT_EQ(kho_radix_add_key(&kho_out.tree, 1), 0);
	refused(-EUCLEAN, 2);
	refused(-EUCLEAN, 1);
	kho_radix_del_key(&kho_out.tree, 1);
	kho_out.tree.node_valid = NULL;
	kho_radix_destroy_tree(&kho_out.tree);
	folio_put(virt_to_folio(kho_out.fdt));
	kho_out.fdt = NULL;
}

/*
 * At random, against a map of all pages.
 */

static u8 pages[NR_PFNS];
static struct block {
	unsigned long pfn;
	unsigned int order;
} blocks[MAX_BLOCKS];
static unsigned int nr_blocks;

static void random_ram(void)
{
	unsigned long pfn = 0, end;

	memset(pages, 0, sizeof(pages));
	while (pfn < NR_PFNS && image.kho.nr_ram < MAX_RANGES) {
		end = min(pfn + 1 + test_rand_below(NR_PFNS), NR_PFNS);
		if (test_rand_below(3))
			end = NR_PFNS;
		add_ram(pfn, end);
		memset(pages + pfn, 1, end - pfn);
		pfn = end + 1 + test_rand_below(1UL << test_rand_below(12));
	}
	add_ram(HIGH_PFN, 2 * HIGH_PFN);
}

static void random_scratch(void)
{
	unsigned long pfn = test_rand_below(NR_PFNS - 4096), i;
	unsigned long nr = 1 + test_rand_below(4096);

	for (i = pfn; i < pfn + nr; i++) {
		if (!pages[i])
			return;
	}

	memset(pages + pfn, 2, nr);
	shim_memory.scratch_pfn = pfn;
	shim_memory.scratch_end_pfn = pfn + nr;
	scratch[0] = (struct kho_scratch){ PFN_PHYS(pfn), PFN_PHYS(nr) };
	kho_scratch_cnt = 1;
}

/* Returns whether the next kernel would take it. */
static bool random_block(void)
{
	unsigned int order = test_rand_below(4) ? test_rand_below(6) : test_rand_below(17);
	unsigned long pfn = test_rand_below(NR_PFNS >> order) << order, i;
	bool good = true, same = false;

	/* Few of many blocks shall be bad. */
	for (i = pfn; i < pfn + (1UL << order); i++)
		good &= pages[i] == 1;
	if (!good && test_rand_below(16))
		return true;

	for (i = 0; i < nr_blocks; i++)
		same |= blocks[i].pfn == pfn && blocks[i].order == order;
	if (same)
		return true;

	for (i = pfn; i < pfn + (1UL << order); i++)
		pages[i] = 3;
	add(pfn, order);
	blocks[nr_blocks].pfn = pfn;
	blocks[nr_blocks++].order = order;
	return good;
}

TEST(check_out_brute_force)
{
	unsigned long nr_rounds = max(test_nr_ops / 100, 200UL);
	unsigned long nr_accepted = 0, nr_refused = 0, round, nr;
	bool good;

	/* How many are refused depends on the size of pages, and on chance. */
	for (round = 0; round < nr_rounds ||
	     (min(nr_accepted, nr_refused) <= 10 && round < 50 * nr_rounds); round++) {
		begin();
		shim_memory.scratch_end_pfn = 0;
		random_ram();
		if (test_rand_below(2))
			random_scratch();

		good = true;
		nr_blocks = 0;
		for (nr = test_rand_below(MAX_BLOCKS); nr; nr--)
			good &= random_block();

		if (good) {
			accepted();
			nr_accepted++;
		} else {
			refused(-EPROTO, 1);
			nr_refused++;
		}

		while (nr_blocks--)
			del(blocks[nr_blocks].pfn, blocks[nr_blocks].order);
		shim_run_work();
		handover_end();
	}

	EXPECT(nr_accepted > 10);
	EXPECT(nr_refused > 10);
}
