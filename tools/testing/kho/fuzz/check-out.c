// SPDX-License-Identifier: GPL-2.0-only
/*
 * The check that the kernel which hands over makes before it does: the real
 * kho_check_out.c, on the same damage that the next kernel sees.
 *
 * What it accepts the next kernel must accept, as far as that depends on what the sender
 * can see: the tree, the root FDT, and the blobs. And it must accept what has not changed.
 */

#include <string.h>
#include <linux/kexec.h>
#include <linux/libfdt.h>
#include <linux/range.h>

#include "fuzz.h"

/* Stands for kho_nodes.c: which pages were nodes before there was any damage. */
static struct {
	unsigned long page;
	unsigned long first_key;
	unsigned int level;
	u8 content[PAGE_SIZE];
} nodes[MAX_NODES];
static unsigned int nr_nodes;
static u16 node_of_page[MEM_PAGES];	/* its number + 1 */

static bool noted, has_checksum, damaged;
static phys_addr_t fdt_phys, array_phys;
static u64 fdt_len, array_len;
static u8 fdt_content[PAGE_SIZE];
static u8 flags[MEM_PAGES];
static struct kho_scratch areas[MAX_AREAS];

static struct range ram[MEM_PAGES / 2];
static struct kimage image = { .kho.ram = ram };

bool kho_out_damaged(void)
{
	return damaged;
}

bool kho_give_up(void)
{
	bool first = !damaged;

	damaged = true;
	return first;
}

static bool node_valid(u64 phys, unsigned long first_key, unsigned int level)
{
	unsigned long page = phys_page(phys);
	unsigned int nr;

	nr = page < MEM_PAGES && PAGE_ALIGNED(phys) ? node_of_page[page] : 0;
	if (!damaged && nr && nodes[nr - 1].first_key == first_key &&
	    nodes[nr - 1].level == level)
		return true;

	kho_give_up();
	return false;
}

void msleep(unsigned int msecs)
{
}

static void note_node(u64 phys, unsigned long first_key, unsigned int level)
{
	const u64 *table = mem_virt(phys_page(phys));
	unsigned int i, shift;

	if (nr_nodes == MAX_NODES) {
		noted = false;
		return;
	}

	nodes[nr_nodes].page = phys_page(phys);
	nodes[nr_nodes].first_key = first_key;
	nodes[nr_nodes].level = level;
	memcpy(nodes[nr_nodes].content, table, PAGE_SIZE);
	node_of_page[phys_page(phys)] = ++nr_nodes;

	shift = KHO_RADIX_BITMAP_BITS + (level - 1) * KHO_RADIX_TABLE_BITS;
	for (i = 0; level && i < BIT(KHO_RADIX_TABLE_BITS); i++) {
		if (table[i])
			note_node(table[i], first_key | (unsigned long)i << shift, level - 1);
	}
}

/* What the sender knows before there is any damage. */
void check_out_note(const struct handover *h)
{
	const void *fdt = mem_virt(phys_page(h->fdt));
	u64 root, checksum;

	while (nr_nodes)
		node_of_page[nodes[--nr_nodes].page] = 0;

	noted = h->scratch_len <= sizeof(areas) &&
		kho_fdt_read_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP, &root);
	if (!noted)
		return;

	has_checksum = kho_fdt_read_u64(fdt, 0, KHO_FDT_CHECKSUM_PROP, &checksum);
	fdt_phys = h->fdt;
	fdt_len = h->fdt_len;
	array_phys = h->scratch;
	array_len = h->scratch_len;
	memcpy(fdt_content, fdt, PAGE_SIZE);
	memcpy(flags, mem_flags, MEM_PAGES);
	memcpy(areas, phys_to_virt(array_phys), array_len);
	note_node(root, 0, KHO_RADIX_LEVELS - 1);
	kho_out.tree.root = mem_virt(phys_page(root));
}

/* What the image says is RAM. What the next kernel uses is none, but for that in scratch. */
static bool is_ram(unsigned long page)
{
	unsigned int i;

	if (mem_is(page, 1, PAGE_RAM | PAGE_NOMAP | PAGE_RESERVED, PAGE_RAM))
		return true;

	for (i = 0; i < array_len / sizeof(*areas); i++) {
		if (page_phys(page) - areas[i].addr < areas[i].size)
			return true;
	}

	return false;
}

static void set_ram(void)
{
	unsigned long page, end;

	image.kho.nr_ram = 0;
	for (page = 0; page < mem_end; page = end) {
		end = page + 1;
		if (!is_ram(page))
			continue;
		while (end < mem_end && is_ram(end))
			end++;
		ram[image.kho.nr_ram++] = (struct range){ page_phys(page), page_phys(end) };
	}
}

static bool unchanged(void)
{
	unsigned int i;

	if (memcmp(fdt_content, mem_virt(phys_page(fdt_phys)), PAGE_SIZE) ||
	    memcmp(flags, mem_flags, MEM_PAGES))
		return false;

	for (i = 0; i < nr_nodes; i++) {
		if (memcmp(nodes[i].content, mem_virt(nodes[i].page), PAGE_SIZE))
			return false;
	}

	return true;
}

/* Problems that have to do with what only the next kernel sees. */
static bool sender_can_see(const char *problem)
{
	return !strstr(problem, "scratch") && !strstr(problem, "checksum") &&
	       strcmp(problem, "the FDT is nowhere") && strcmp(problem, "length of the FDT");
}

/* Check what there is now. The verdict is that on the same memory. */
void check_out_compare(const struct handover *h, const struct verdict *verdict)
{
	int err;

	if (!noted)
		return;

	damaged = false;
	kho_out.fdt = mem_virt(phys_page(fdt_phys));
	kho_out.tree.node_valid = node_valid;
	kho_scratch = areas;
	kho_scratch_cnt = array_len / sizeof(*areas);
	set_ram();
	shim_take_messages();

	err = kho_check_out(&image);

	kho_scratch = NULL;
	kho_scratch_cnt = 0;
	kho_out.fdt = NULL;
	if (err && !shim_take_messages())
		FAIL("the sender does not say why it refuses");
	if (err && has_checksum && unchanged())
		FAIL("the sender refuses with %d what has not changed", err);

	/* If the next kernel is told something else, it sees something else. */
	if (h->fdt != fdt_phys || h->fdt_len != fdt_len || h->scratch != array_phys ||
	    h->scratch_len != array_len ||
	    memcmp(areas, phys_to_virt(array_phys), array_len))
		return;
	if (!err && verdict->problem && sender_can_see(verdict->problem))
		FAIL("the sender accepts, but %s", verdict->problem);
}
