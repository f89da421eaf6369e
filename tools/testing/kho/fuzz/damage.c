// SPDX-License-Identifier: GPL-2.0-only
/*
 * What may become of a handover on its way: each function changes something, as
 * the rest of the input wants it. The result may still be valid.
 */

#include <string.h>
#include <linux/libfdt.h>

#include "fuzz.h"

/* More would only be slow. */
#define MAX_DAMAGES	16

static phys_addr_t any_node(struct input *in)
{
	return handover.nodes[take(in, 1) * handover.nr_nodes >> 8];
}

static phys_addr_t any_key_page(struct input *in)
{
	u64 key = handover.keys[take(in, 1) % handover.nr_keys];
	unsigned int order = 52 - (63 - __builtin_clzll(key));

	return (key ^ 1ULL << (52 - order)) << (PAGE_SHIFT + order);
}

static unsigned long any_page(struct input *in)
{
	return take(in, 2) * mem_end >> 16;
}

/* An address, most of the time a bad one. */
static u64 any_address(struct input *in)
{
	u64 choice = take(in, 1);

	switch (choice >> 4) {
	case 0:
		return any_node(in);
	case 1:
		return any_key_page(in);
	case 2:
		return handover.fdt;
	case 3:
		return page_phys(MEM_SCRATCH + (choice & 15) * 64);
	case 4:
		return page_phys(MEM_IMAGE + (choice & 15) * 20 - 20);
	case 5:
		return page_phys(MEM_FIRMWARE - 2 + (choice & 7));
	case 6:
		return page_phys(MEM_HOLE - 2 + (choice & 15));
	case 7:
		return page_phys(MEM_NOMAP - 2 + (choice & 15));
	case 8:
		return page_phys(mem_end - 8 + (choice & 15));
	case 9:
		return any_node(in) + (choice & 1 ? 1 << (choice >> 1 & 7) : 2048);
	case 10:
		return take(in, 8);
	case 11:
		return page_phys(any_page(in)) ^ 1ULL << (take(in, 1) & 63);
	case 12:
		return page_phys(MEM_SCRATCH2 - 2 + (choice & 15));
	case 13:
		return choice & 15;
	case 14:
		return page_phys(choice & 15);
	default:
		return page_phys(any_page(in));
	}
}

/* The entry of a table, or word of a leaf; one in use when there is one. */
static u64 *any_word(struct input *in)
{
	u64 *node = mem_virt(phys_page(any_node(in)));
	unsigned int i = take(in, 2), n;

	if (i & BIT(15))
		return node + (i & 511);

	for (n = 0; n < 512 && !node[(i + n) & 511]; n++)
		;
	return node + ((i + n) & 511);
}

static void set_entry(struct input *in)
{
	u64 *word = any_word(in);

	*word = any_address(in);
}

static void set_word(struct input *in)
{
	u64 *word = any_word(in);

	*word = take(in, 8);
}

static void flip_bit(struct input *in)
{
	*any_word(in) ^= 1ULL << (take(in, 1) & 63);
}

/* A block that nobody has asked whether it may be there. */
static void add_block(struct input *in)
{
	unsigned int choice = take(in, 1), order = choice & 7;
	u64 phys;

	switch (choice >> 6) {
	case 0:
		order = choice % 52;
		phys = any_address(in);
		break;
	case 1:
		phys = any_node(in);
		break;
	case 2:
		phys = any_key_page(in);
		break;
	default:
		phys = any_address(in);
		break;
	}

	sender_add_key(1ULL << (52 - order) | phys >> (PAGE_SHIFT + order));
}

/* At the upper end of a piece of memory, or across it. */
static void add_block_at_end(struct input *in)
{
	unsigned long choice = take(in, 1);
	unsigned long page = choice & BIT(7) ? mem_end : MEM_HOLE;
	unsigned int order = choice & 7;

	page = round_down(page - (choice & BIT(6) ? 1 : 0), 1UL << order);
	sender_add_key(1ULL << (52 - order) |
		       page_phys(page) >> (PAGE_SHIFT + order));
}

static void add_any_key(struct input *in)
{
	u64 choice = take(in, 1);
	u64 key = choice & BIT(7) ? take(in, 8) : choice & 3;

	if (choice & BIT(6))
		key = (1ULL << 53) + take(in, 2);
	sender_add_key(key & ((1ULL << 60) - 1));
}

/* A few, or too many. */
static void add_empty_leaves(struct input *in)
{
	unsigned int choice = take(in, 1);
	unsigned int nr = choice < 240 ? choice % 8 : 400;
	u64 key = take(in, 4) << 20;

	for (; nr; nr--, key += 1 << 15)
		sender_add_leaf(key & ((1ULL << 60) - 1));
}

static void *fdt(void)
{
	return mem_virt(handover.fdt_page);
}

static void set_fdt_byte(struct input *in)
{
	unsigned int pos = take(in, 2) % PAGE_SIZE;

	((u8 *)fdt())[pos] = take(in, 1);
}

static void set_fdt_token(struct input *in)
{
	u32 *words = fdt();
	u64 choice = take(in, 2);

	/* One that is a token, somewhere. */
	for (; choice >> 4 && choice & BIT(3); choice -= 16) {
		if (fdt32_to_cpu(words[choice >> 4 & 1023]) <= FDT_END)
			break;
	}
	words[choice >> 4 & 1023] = cpu_to_fdt32(take(in, 1) % (FDT_END + 1));
}

/* All that is left of the input, as a difference, or as it is. */
static void set_fdt_bytes(struct input *in)
{
	unsigned int pos = take(in, 1) * 4;
	bool differ = take(in, 1) & 1;
	u8 *bytes = fdt();

	for (; in->size && pos < PAGE_SIZE; pos++)
		bytes[pos] = (differ ? bytes[pos] : 0) ^ take(in, 1);
}

/* A node of the FDT: the root, or one of the subtrees. */
static int any_fdt_node(struct input *in)
{
	unsigned int nr = take(in, 1) % 8;
	int node = 0, next;

	for (next = fdt_first_subnode(fdt(), 0); nr && next >= 0; nr--) {
		node = next;
		next = fdt_next_subnode(fdt(), node);
	}

	return node;
}

static void set_property(struct input *in)
{
	static const char * const names[] = {
		"compatible", "preserved-memory-map", "crc32c", "preserved-data",
		"blob-size", "other",
	};
	static const unsigned int sizes[] = { 8, 8, 8, 8, 0, 4, 7, 16 };
	const char *name = names[take(in, 1) % ARRAY_SIZE(names)];
	u64 values[2] = { any_address(in), take(in, 2) };
	unsigned int size = sizes[take(in, 1) & 7];
	int node;

	/* libfdt wants something valid to work on. */
	if (handover.damaged && fdt_check_header(fdt()))
		return;
	if (fdt_totalsize(fdt()) > PAGE_SIZE)
		return;

	node = any_fdt_node(in);
	if (values[1] & 1)
		fdt_setprop(fdt(), node, name, values, size);
	else if (values[1] & 2)
		fdt_delprop(fdt(), node, name);
	else
		fdt_setprop(fdt(), node, name, values + 1, size == 16 ? 8 : size);
}

static void move_fdt(struct input *in)
{
	u64 phys = any_address(in);
	unsigned long page = phys_page(phys);

	if (page < MEM_PAGES) {
		memmove(mem_virt(page), fdt(), PAGE_SIZE);
		handover.fdt_page = page;
	}
	handover.fdt = phys;
}

static void set_argument(struct input *in)
{
	u64 choice = take(in, 1);

	switch (choice & 3) {
	case 0:
		handover.fdt = any_address(in);
		break;
	case 1:
		handover.fdt_len = choice & 4 ? take(in, 8) :
				   take(in, 2) % (PAGE_SIZE + 16);
		break;
	case 2:
		handover.scratch = any_address(in);
		break;
	default:
		handover.scratch_len = choice & 4 ? take(in, 8) : take(in, 2);
		break;
	}
}

static void set_area(struct input *in)
{
	unsigned long page = phys_page(handover.scratch);
	u64 choice = take(in, 1);
	u64 *word;

	if (!mem_is(page, 1, PAGE_RAM, PAGE_RAM))
		return;

	word = (u64 *)mem_virt(page) + (choice & 7);
	if (choice & BIT(3))
		*word = any_address(in);
	else
		*word += (take(in, 2) - 32768) << (choice & BIT(7) ? 0 : PAGE_SHIFT);
	if (choice & BIT(6))
		handover.scratch_len += 16;
}

/* One more, which may overlap others. */
static void add_area(struct input *in)
{
	unsigned long page = phys_page(handover.scratch);
	unsigned int nr = handover.scratch_len / 16;
	u64 choice = take(in, 2);
	u64 *areas;

	if (!mem_is(page, 1, PAGE_SCRATCH, PAGE_SCRATCH) || nr >= MAX_AREAS)
		return;

	areas = mem_virt(page);
	areas[2 * nr] = choice & 1 ? areas[0] + PFN_PHYS(choice >> 1 & 0xfff) :
				     any_address(in);
	areas[2 * nr + 1] = PFN_PHYS(1 + (choice >> 13));
	handover.scratch_len += 16;
}

/* Too little scratch for what the kernel wants to note there. */
static void shrink_scratch(struct input *in)
{
	unsigned long page = phys_page(handover.scratch);
	u64 *areas;

	if (!mem_is(page, 1, PAGE_SCRATCH, PAGE_SCRATCH))
		return;

	areas = mem_virt(page);
	areas[1] = PFN_PHYS(page - MEM_SCRATCH + 1 + take(in, 1) % 64);
	handover.scratch_len = 16;
}

/* Memory that the new kernel turns out to use: a page, or all but little. */
static void use_memory(struct input *in)
{
	unsigned long page = phys_page(any_address(in)), end;
	unsigned int nr = take(in, 1) % 64;

	if (mem_is(page, 1, PAGE_RAM | PAGE_SCRATCH, PAGE_RAM))
		mem_reserve(page, 1);

	for (page = 0; nr && page < mem_end; page = end + 1) {
		for (end = page; mem_is(end, 1, 0xff, PAGE_RAM); )
			end++;
		if (end - page < 64)
			continue;
		mem_reserve(page, end - page);
		nr--;
	}
}

static void seal(void)
{
	if (phys_page(handover.fdt) == handover.fdt_page)
		sender_seal();
}

void damage(struct input *in)
{
	static void (* const fns[])(struct input *) = {
		set_entry, set_entry, set_word, flip_bit, add_block, add_block,
		add_block_at_end, add_any_key, add_empty_leaves, set_fdt_byte,
		set_fdt_token, set_fdt_bytes, set_property, move_fdt, set_argument,
		set_area, add_area, shrink_scratch, use_memory,
	};

	unsigned int nr = MAX_DAMAGES;
	u64 choice = 0;

	for (; nr && in->size; nr--) {
		choice = take(in, 1);
		fns[choice % ARRAY_SIZE(fns)](in);
		handover.damaged = true;
	}

	/* So that it is not the checksum that finds it. */
	if (choice & BIT(7))
		seal();
}
