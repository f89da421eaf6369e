// SPDX-License-Identifier: GPL-2.0-only
/*
 * Give a handover to the kernel, and see what it makes of it.
 */

#include <string.h>
#include <linux/bitmap.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

#include "fuzz.h"

/* What the kernel wants to have free outside of scratch, and the most in it. */
#define MIN_FREE_PAGES		PHYS_PFN(SZ_16M)
#define MIN_SCRATCH_PAGES	PHYS_PFN(SZ_2M)

/*
 * Addresses that the kernel may follow for a node, for a key, for a page that may be
 * one of a blob (which may be preserved in a block of any order), and in any case.
 */
#define LOOKUPS_PER_NODE	300
#define LOOKUPS_PER_PAGE	800
#define LOOKUPS_ALWAYS		30000

struct handover handover;

static const struct verdict *v;

/* What memblock says about pages, a byte each: cheap to write and to compare. */
struct map {
	u8 reserved[MEM_PAGES];
	u8 scratch[MEM_PAGES];
	u8 held[MEM_PAGES];
};

static struct map before, now, wanted;

/* Memory of each of the pages that the handover consists of. */
static u8 content[MAX_NODES + 1][PAGE_SIZE];

static void note_content(void)
{
	unsigned int i;

	for (i = 0; i < handover.nr_nodes; i++)
		memcpy(content[i], mem_virt(phys_page(handover.nodes[i])), PAGE_SIZE);
	memcpy(content[i], mem_virt(handover.fdt_page), PAGE_SIZE);
}

static void expect_page(const u8 *noted, unsigned long page)
{
	/* In what is taken for scratch, the kernel may have written. */
	if (v->keep[page] & PAGE_SCRATCH)
		return;

	if (memcmp(noted, mem_virt(page), PAGE_SIZE))
		FAIL("page %#lx has been changed", page);
}

static void expect_content(void)
{
	unsigned int i;

	for (i = 0; i < handover.nr_nodes; i++)
		expect_page(content[i], phys_page(handover.nodes[i]));
	expect_page(content[i], handover.fdt_page);
}

static void mark(u8 *map, phys_addr_t base, phys_addr_t size)
{
	unsigned long page = phys_page(base), end = phys_page(base + size - 1) + 1;

	EXPECT(page < MEM_PAGES && end <= MEM_PAGES);
	memset(map + page, true, end - page);
}

static void read_memblock(struct map *map)
{
	struct memblock_region *region;

	memset(map, false, sizeof(*map));
	for_each_mem_region(region) {
		if (memblock_is_kho_scratch(region))
			mark(map->scratch, region->base, region->size);
		if (memblock_is_kho_held(region))
			mark(map->held, region->base, region->size);
	}
	for_each_reserved_mem_region(region)
		mark(map->reserved, region->base, region->size);
}

static unsigned long count_free(void)
{
	unsigned long page, nr = 0;

	for (page = 0; page < mem_end; page++)
		nr += mem_is(page, 1, PAGE_RAM | PAGE_NOMAP | PAGE_RESERVED, PAGE_RAM) &&
		      !v->keep[page];

	return nr;
}

/* Pages in the longest run of free scratch. */
static unsigned long longest_scratch(void)
{
	unsigned long page, nr = 0, longest = 0;

	for (page = 0; page < mem_end; page++) {
		nr = v->keep[page] & PAGE_SCRATCH &&
		     !(mem_flags[page] & PAGE_RESERVED) ? nr + 1 : 0;
		longest = max(longest, nr);
	}

	return longest;
}

/* More nodes than any keys in this memory need: leaves, and tables above them. */
static unsigned long enough_nodes(void)
{
	unsigned long nr_pages = PHYS_PFN(page_phys(mem_end)), order, nr = 0;

	for (order = 0; order < 52; order++)
		nr += (nr_pages >> order) / 32768 + 5;

	return nr;
}

/* May the kernel refuse what is in order? */
static bool may_refuse(void)
{
	const char *message = shim_last_message;

	/* It keeps blocks together, and cannot split some at the ends of regions. */
	if (strstr(message, "it would leave"))
		return count_free() < MIN_FREE_PAGES + 16 * MAX_ORDER_NR_PAGES;

	if (strstr(message, "no memory") || strstr(message, "cannot mark"))
		return longest_scratch() < MIN_SCRATCH_PAGES;

	if (strstr(message, "tree nodes"))
		return v->nr_nodes > enough_nodes();

	return false;
}

static void expect_refused(void)
{
	if (shim_take_messages() != 1)
		FAIL("it was not one line that said why");
	if (!v->problem && !may_refuse())
		FAIL("refused, but in order");
	EXPECT(!kho_in.fdt && !kho_in.tree.root && !kho_in.nr_pages);
	EXPECT(!atomic_long_read(&kho_in.nr_unclaimed));
	EXPECT(!is_kho_boot());
	EXPECT(!kho_scratch && !kho_scratch_cnt);
	EXPECT(!kho_held_blocks && !kho_exact_blocks);
	mem_expect_unchanged();
}

static void expect_scratch(void)
{
	const struct kho_scratch *areas = mem_virt(phys_page(handover.scratch));
	unsigned int i, nr = 0;

	areas = (void *)areas + (handover.scratch & (PAGE_SIZE - 1));
	for (i = 0; i < handover.scratch_len / sizeof(*areas); i++) {
		if (!areas[i].size)
			continue;
		EXPECT(nr < kho_scratch_cnt);
		EXPECT(kho_scratch[nr].addr == areas[i].addr);
		EXPECT(kho_scratch[nr].size == areas[i].size);
		nr++;
	}
	EXPECT(nr == kho_scratch_cnt);
}

/* The range walk finds the keys' pages, in order, and no others. */
static void expect_ranges(void)
{
	static struct kho_range_iter iter;
	phys_addr_t start, end, last = 0;
	unsigned long nr_pages = 0, page;
	bool first = true;

	kho_range_iter_init(&iter, &kho_in.tree);
	while (kho_range_iter_next(&iter, &start, &end)) {
		if (!first && start <= last)
			FAIL("range at %#llx is not behind the last",
			     (unsigned long long)start);
		EXPECT(end > start);
		for (page = phys_page(start); page < phys_page(end - 1) + 1; page++)
			EXPECT(v->keep[page] & PAGE_KEY);
		nr_pages += PHYS_PFN(end - start);
		last = end;
		first = false;
	}

	EXPECT(nr_pages == v->nr_pages);
	EXPECT(kho_nr_pages(&kho_in.tree) == v->nr_pages);
	EXPECT(kho_in.nr_pages == v->nr_pages);
	EXPECT(atomic_long_read(&kho_in.nr_unclaimed) == v->nr_pages);
}

static void expect_same(const char *what, const u8 *is, const u8 *want)
{
	unsigned long page = 0;

	if (!memcmp(is, want, MEM_PAGES))
		return;

	while (is[page] == want[page])
		page++;
	FAIL("page %#lx is %s%s", page, is[page] ? "" : "not ", what);
}

static bool keeps(unsigned long page)
{
	return v->keep[page] & (PAGE_KEY | PAGE_NODE);
}

/* Opening a block goes by what these two say about it. */
static void expect_read(unsigned long block, unsigned long page)
{
	DECLARE_BITMAP(pages, MAX_ORDER_NR_PAGES);
	unsigned long i;

	kho_hold_read_preserved(block * MAX_ORDER_NR_PAGES, pages);
	for (i = 0; i < MAX_ORDER_NR_PAGES; i++) {
		if (!(v->keep[page + i] & PAGE_KEY) != !test_bit(i, pages))
			FAIL("page %#lx is%s preserved", page + i,
			     v->keep[page + i] & PAGE_KEY ? "" : " not");
	}

	kho_hold_add_nodes(block * MAX_ORDER_NR_PAGES, pages);
	for (i = 0; i < MAX_ORDER_NR_PAGES; i++) {
		if (keeps(page + i) != test_bit(i, pages))
			FAIL("page %#lx is%s kept", page + i,
			     keeps(page + i) ? "" : " not");
	}
}

/*
 * A block is held when it keeps something, and holds nothing that must not be held.
 * Otherwise what it keeps is reserved. Sets what is wanted of memblock.
 */
static unsigned long expect_block(unsigned long block, unsigned long page)
{
	bool held = test_bit(block, kho_held_blocks);
	bool exact = test_bit(block, kho_exact_blocks);
	unsigned long i, nr_kept = 0;

	for (i = page; i < page + MAX_ORDER_NR_PAGES; i++) {
		if (keeps(i)) {
			nr_kept++;
			wanted.reserved[i] |= !held;
		}
		if (!held || !(mem_flags[i] & PAGE_RAM))
			continue;
		wanted.held[i] = true;
		EXPECT(!(mem_flags[i] & (PAGE_NOMAP | PAGE_RESERVED)));
		EXPECT(!(v->keep[i] & PAGE_SCRATCH));
	}

	EXPECT(!(held && exact));
	EXPECT(!nr_kept || held || exact);
	if (held || exact)
		expect_read(block, page);
	return nr_kept;
}

/* What is reserved and held is what is kept, and nothing else. */
static void expect_reserved(void)
{
	unsigned long page, block, i, nr_kept = 0;

	read_memblock(&now);
	memset(&wanted, 0, sizeof(wanted));
	memcpy(wanted.reserved, before.reserved, MEM_PAGES);

	for (page = 0; page < mem_end; page += MAX_ORDER_NR_PAGES) {
		block = PHYS_PFN(page_phys(page)) / MAX_ORDER_NR_PAGES;
		nr_kept += expect_block(block, page);
	}
	EXPECT(nr_kept == v->nr_pages + v->nr_nodes);

	/* What the kernel has allocated for itself is in scratch. */
	for (i = 0; i < kho_scratch_cnt; i++) {
		page = phys_page(kho_scratch[i].addr);
		block = PHYS_PFN(kho_scratch[i].size);
		memset(wanted.scratch + page, true, block);
		for (; block; page++, block--)
			wanted.reserved[page] |= now.reserved[page];
	}

	expect_same("reserved", now.reserved, wanted.reserved);
	expect_same("scratch", now.scratch, wanted.scratch);
	expect_same("held", now.held, wanted.held);
	EXPECT(!fuzz_memblock_restricted());
}

/* What is allocated from now on is none of it. */
static void expect_allocations(void)
{
	unsigned long i, page, nr_pages;
	phys_addr_t phys;

	for (i = 0; i < 24; i++) {
		nr_pages = 1 + i * i * 8;
		phys = memblock_phys_alloc(PFN_PHYS(nr_pages), PAGE_SIZE);
		if (!phys)
			break;
		for (page = phys_page(phys); nr_pages; page++, nr_pages--)
			EXPECT(mem_is(page, 1, PAGE_RAM | PAGE_NOMAP | PAGE_RESERVED,
				      PAGE_RAM) &&
			       !(v->keep[page] & (PAGE_KEY | PAGE_NODE)));
	}
}

static void expect_subtrees(void)
{
	const struct ref_subtree *subtree, *other;
	phys_addr_t phys;
	size_t size;

	for (subtree = v->fdt.subtrees;
	     subtree < v->fdt.subtrees + v->fdt.nr_subtrees; subtree++) {
		for (other = v->fdt.subtrees; strcmp(other->name, subtree->name); )
			other++;
		EXPECT(!kho_retrieve_subtree(subtree->name, &phys, &size));
		EXPECT(phys == other->phys && size == other->size);
	}
}

static void expect_accepted(void)
{
	if (v->problem)
		FAIL("accepted, but %s", v->problem);
	EXPECT(shim_take_messages() == 1);
	EXPECT(phys_page(virt_to_phys(kho_in.fdt)) == phys_page(handover.fdt));
	EXPECT(virt_to_phys(kho_in.tree.root) == v->fdt.root);

	expect_scratch();
	expect_ranges();
	expect_reserved();
	expect_subtrees();
	expect_allocations();
	EXPECT(!shim_take_messages());

	/* For the next handover. */
	kho_hold_drop();
}

static void expect_linear(void)
{
	unsigned long blob_pages = 0, i;

	for (i = 0; i < v->fdt.nr_subtrees; i++)
		blob_pages += min(PHYS_PFN(v->fdt.subtrees[i].size), MEM_PAGES);

	if (mem_nr_lookups > LOOKUPS_ALWAYS +
	    LOOKUPS_PER_NODE * max_t(unsigned long, handover.nr_nodes, v->nr_nodes) +
	    LOOKUPS_PER_PAGE * (v->nr_keys + blob_pages))
		FAIL("followed %lu addresses", mem_nr_lookups);
}

bool judge(const struct verdict *verdict)
{
	bool accepted;

	v = verdict;
	fuzz_reset_boot();
	shim_last_message = NULL;
	shim_take_messages();
	mem_note();
	read_memblock(&before);
	note_content();

	mem_nr_lookups = 0;
	take_over();
	mem_expect_unmapped();
	expect_linear();

	accepted = is_kho_boot();
	expect_content();
	if (accepted)
		expect_accepted();
	else
		expect_refused();

	return accepted;
}
