// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel that hands over: the tree, the root FDT and the scratch areas, as the
 * fuzzer's input wants them. All of it is valid.
 *
 * The tree is written here as "DOC: KHO radix tree" has it, and not by
 * kho_radix.c: otherwise the two would agree on whatever is wrong there.
 */

#include <string.h>
#include <linux/libfdt.h>

#include "fuzz.h"

/* The tree with 4 KiB pages. */
#define ROOT_LEVEL	5
#define LEAF_BITS	15
#define TABLE_BITS	9

/* Memory that is left, so that a valid handover is never refused for want of it. */
#define MAX_PRESERVED	(mem_end / 4)

/* Where the next node is looked for. */
static unsigned long node_cursor;

static bool is_free(unsigned long page, unsigned long nr_pages)
{
	return mem_is(page, nr_pages, 0xff, PAGE_RAM);
}

static void use(unsigned long page, unsigned long nr_pages, u8 flag)
{
	for (; nr_pages; page++, nr_pages--)
		mem_flags[page] |= flag;
}

/* A page for a node; 0 when there are enough of them, or no memory is left. */
static phys_addr_t add_node(void)
{
	unsigned int tries = 4096;
	phys_addr_t phys;

	if (handover.nr_nodes == MAX_NODES)
		return 0;

	do {
		if (!--tries)
			return 0;
		node_cursor = (node_cursor + 37) % mem_end;
	} while (!node_cursor || !is_free(node_cursor, 1));

	use(node_cursor, 1, PAGE_NODE);
	phys = page_phys(node_cursor);
	handover.nodes[handover.nr_nodes++] = phys;
	return phys;
}

/* The leaf for @key, which is added when there is none. */
u64 *sender_add_leaf(u64 key)
{
	u64 *table = mem_virt(phys_page(handover.nodes[0]));
	unsigned int level, shift;
	unsigned long page;
	u64 *entry;

	for (level = ROOT_LEVEL; level; level--) {
		shift = LEAF_BITS + (level - 1) * TABLE_BITS;
		entry = &table[key >> shift & ((1 << TABLE_BITS) - 1)];
		if (!*entry)
			*entry = add_node();

		/* It may be damaged by now. */
		page = phys_page(*entry);
		if (!*entry || !mem_is(page, 1, PAGE_NODE, PAGE_NODE))
			return NULL;
		table = mem_virt(page);
	}

	return table;
}

void sender_add_key(u64 key)
{
	u64 bit = key & ((1 << LEAF_BITS) - 1);
	u64 *leaf = sender_add_leaf(key);

	if (!leaf || handover.nr_keys == MAX_KEYS)
		return;

	leaf[bit / 64] |= 1ULL << (bit % 64);
	/* Not what damage() comes up with. */
	if (key > 1 && !(key >> 53))
		handover.keys[handover.nr_keys++] = key;
}

static void preserve(unsigned long page, unsigned int order)
{
	unsigned long nr_pages = 1UL << order;
	u64 pfn = PHYS_PFN(page_phys(page));

	if (pfn & (nr_pages - 1) || !is_free(page, nr_pages) ||
	    handover.nr_keys == MAX_KEYS || handover.nr_nodes > MAX_NODES / 2 - 10 ||
	    handover.nr_pages + nr_pages > MAX_PRESERVED)
		return;

	use(page, nr_pages, PAGE_KEY);
	handover.nr_pages += nr_pages;
	sender_add_key(1ULL << (52 - order) | pfn >> order);
}

/* A page anywhere in RAM, or in one of its holes. */
static unsigned long take_page(struct input *in)
{
	return take(in, 2) * mem_end >> 16;
}

static void preserve_block(struct input *in)
{
	unsigned int order = take(in, 1) % 14;

	preserve(round_down(take_page(in), 1UL << order), order);
}

static void preserve_run(struct input *in)
{
	unsigned long page = take_page(in), end = page + take(in, 1);

	for (; page <= end; page++)
		preserve(page, 0);
}

/* Pieces, up to one in each block that could be held and one in each that is not. */
static void preserve_scattered(struct input *in)
{
	unsigned long stride = take(in, 1) + 1;
	unsigned int nr = 4 * take(in, 1);
	unsigned long page;

	for (page = 20; nr && page < mem_end; page += stride, nr--)
		preserve(page, 0);
}

/* A producer, with a blob in pages of all kinds. */
static void add_subtree(struct input *in)
{
	void *fdt = mem_virt(handover.fdt_page);
	unsigned long page = round_up(take_page(in), 8);
	u64 choice = take(in, 1), phys, size;
	char name[] = "blob-x";
	int node;

	/* Address 0 would not count as one. */
	if (!page || !is_free(page, 8) || handover.nr_pages + 8 > MAX_PRESERVED)
		return;

	phys = page_phys(page) + (choice & 7) * 100;
	size = PFN_PHYS(8) - (choice & 7) * 100 - (choice >> 3);
	if (choice & BIT(7)) {
		preserve(page, 3);
	} else {
		preserve(page, 1);
		preserve(page + 2, 0);
		preserve(page + 3, 0);
		preserve(page + 4, 2);
	}
	if (!mem_is(page, 8, PAGE_KEY, PAGE_KEY))
		return;

	name[5] = 'a' + (choice >> 3) % 26;
	node = fdt_add_subnode(fdt, 0, name);
	if (node < 0)
		return;

	if (fdt_setprop(fdt, node, "preserved-data", &phys, 8) ||
	    fdt_setprop(fdt, node, "blob-size", &size, 8))
		fdt_del_node(fdt, node);
}

/* Legal, wherever it is. */
static void add_empty_leaf(struct input *in)
{
	u64 key = take(in, 5) << 20;

	if (handover.nr_nodes < MAX_NODES / 2 - 10)
		sender_add_leaf(key & ((1ULL << 60) - 1));
}

static void init_scratch(struct input *in)
{
	u64 choice = take(in, 2);
	struct kho_scratch areas[MAX_AREAS] = {
		{ page_phys(MEM_SCRATCH), PFN_PHYS(1024 + (choice & 0x3ff)) },
	};
	unsigned int nr_areas = 1;
	unsigned long page = MEM_SCRATCH + 16 * (choice >> 10 & 3);

	/* One that shares its blocks with others, and an empty one. */
	if (choice & BIT(15))
		areas[nr_areas++] = (struct kho_scratch){
			page_phys(MEM_SCRATCH2), PFN_PHYS(1 + (choice & 0x1ff)),
		};
	if (choice & BIT(14))
		nr_areas++;
	if (choice & BIT(13))
		areas[nr_areas++] = (struct kho_scratch){
			page_phys(MEM_SCRATCH2 + 1000), PFN_PHYS(64),
		};

	handover.scratch = page_phys(page);
	handover.scratch_len = nr_areas * sizeof(*areas);
	memcpy(mem_virt(page), areas, handover.scratch_len);

	while (nr_areas--)
		use(phys_page(areas[nr_areas].addr ?: page_phys(MEM_SCRATCH)),
		    PHYS_PFN(areas[nr_areas].size), PAGE_SCRATCH);
}

static void init_fdt(struct input *in, bool checksum)
{
	u64 root = handover.nodes[0], none = 0;
	unsigned long page = take_page(in);
	void *fdt;

	while (!page || !is_free(page, 1))
		page = (page + 1) % mem_end;

	handover.fdt_page = page;
	handover.fdt = page_phys(page);
	handover.fdt_len = PAGE_SIZE;

	fdt = mem_virt(page);
	EXPECT(!fdt_create_empty_tree(fdt, PAGE_SIZE));
	EXPECT(!fdt_setprop_string(fdt, 0, "compatible", "kho-v4"));
	EXPECT(!fdt_setprop(fdt, 0, "preserved-memory-map", &root, sizeof(root)));
	if (checksum)
		EXPECT(!fdt_setprop(fdt, 0, "crc32c", &none, sizeof(none)));
}

/* Write the checksum, over whatever there is. */
void sender_seal(void)
{
	static struct verdict verdict;
	u64 checksum;

	ref_check(&handover, &verdict);
	if (!verdict.fdt.checksum_pos)
		return;

	checksum = ref_checksum(&verdict);
	memcpy((char *)mem_virt(handover.fdt_page) + verdict.fdt.checksum_pos,
	       &checksum, sizeof(checksum));
}

void sender_build(struct input *in)
{
	static void (* const preserve_fns[])(struct input *) = {
		preserve_block, preserve_run, preserve_scattered, add_subtree,
		add_empty_leaf,
	};
	unsigned int choice = take(in, 1), nr = choice % 32;

	memset(&handover, 0, sizeof(handover));
	node_cursor = take(in, 1) * 64;
	init_scratch(in);
	add_node();
	init_fdt(in, choice & BIT(7));
	preserve(handover.fdt_page, 0);

	for (; nr; nr--)
		preserve_fns[take(in, 1) % ARRAY_SIZE(preserve_fns)](in);

	if (choice & BIT(6))
		sender_seal();
}
