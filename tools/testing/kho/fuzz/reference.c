// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is a handover in order? Page by page and bit by bit, from the description of
 * the format in include/linux/kho/abi/kexec_handover.h, kho_radix.c and
 * kho_internal.h: none of their code is used.
 *
 * It knows nothing of limits that the kernel sets itself; see judge.c for them.
 */

#include <string.h>
#include <linux/crc32.h>

#include "fuzz.h"

#define ROOT_LEVEL	5
#define LEAF_BITS	15
#define TABLE_BITS	9
#define MAX_ORDER	51

static const struct handover *ho;
static struct verdict *v;

/* What the scratch array, and thus this kernel, uses by itself. */
static unsigned long array_page, array_end;

static void refuse(const char *problem)
{
	if (!v->problem)
		v->problem = problem;
}

/* Plain memory that this kernel does not use: the only place for what is kept. */
static bool may_keep(unsigned long page)
{
	return mem_is(page, 1, PAGE_RAM | PAGE_NOMAP | PAGE_RESERVED, PAGE_RAM) &&
	       !(v->keep[page] & PAGE_SCRATCH) &&
	       !(page >= array_page && page < array_end);
}

static void check_fdt(void)
{
	unsigned long page = phys_page(ho->fdt);

	if (!ho->fdt || ho->fdt & (PAGE_SIZE - 1) ||
	    !mem_is(page, 1, PAGE_RAM | PAGE_NOMAP, PAGE_RAM))
		return refuse("the FDT is nowhere");

	if (ho->fdt_len < 40 || ho->fdt_len > PAGE_SIZE)
		return refuse("length of the FDT");

	refuse(ref_parse(mem_virt(page), ho->fdt_len, &v->fdt));
}

static void check_area(u64 addr, u64 size)
{
	unsigned long page = phys_page(addr), nr_pages = PHYS_PFN(size);

	if ((addr | size) & (PAGE_SIZE - 1) || addr + size < addr ||
	    !mem_is(page, nr_pages, PAGE_RAM | PAGE_NOMAP, PAGE_RAM))
		return refuse("a scratch area is not in RAM");

	for (; nr_pages; page++, nr_pages--) {
		if (v->keep[page] & PAGE_SCRATCH)
			return refuse("scratch areas overlap");
		v->keep[page] |= PAGE_SCRATCH;
	}
}

static void check_scratch(void)
{
	unsigned long page = phys_page(ho->scratch);
	unsigned long offset = ho->scratch & (PAGE_SIZE - 1);
	const u64 *areas;
	unsigned long i, nr_pages;

	if (!ho->scratch_len || ho->scratch_len > 65536 || ho->scratch_len % 16)
		return refuse("length of the scratch array");

	nr_pages = PFN_UP(offset + ho->scratch_len);
	if (offset % 8 || !mem_is(page, nr_pages, PAGE_RAM | PAGE_NOMAP | PAGE_RESERVED,
				  PAGE_RAM))
		return refuse("the scratch array is nowhere");

	areas = (u64 *)((char *)mem_virt(page) + offset);
	for (i = 0; i < ho->scratch_len / 16 && !v->problem; i++) {
		if (areas[2 * i + 1])
			check_area(areas[2 * i], areas[2 * i + 1]);
	}

	if (!(v->keep[page] & PAGE_SCRATCH))
		refuse("the scratch array is not in scratch");

	array_page = page;
	array_end = page + nr_pages;
}

static void check_key(u64 key)
{
	unsigned int order = 52 - (63 - __builtin_clzll(key | 1));
	u64 pfn, i;

	if (key < 2 || key >> 53)
		return refuse("an impossible key");

	pfn = (key & ~(1ULL << (52 - order))) << order;
	for (i = 0; i < 1ULL << order; i++) {
		unsigned long page = phys_page((pfn + i) << PAGE_SHIFT);

		if (page == MEM_PAGES || !may_keep(page))
			return refuse("a block is not in memory that can be kept");
		if (v->keep[page] & PAGE_KEY)
			return refuse("a page is preserved twice");
		if (v->keep[page] & PAGE_NODE)
			return refuse("a node is preserved");
		v->keep[page] |= PAGE_KEY;
	}

	v->nr_keys++;
	v->nr_pages += 1UL << order;
}

static void check_leaf(const u64 *leaf, u64 prefix)
{
	unsigned int i, bit;

	for (i = 0; i < PAGE_SIZE / 8 && !v->problem; i++) {
		for (bit = 0; leaf[i] >> bit && !v->problem; bit++) {
			if (leaf[i] >> bit & 1)
				check_key(prefix << LEAF_BITS | (64 * i + bit));
			if (bit == 63)
				break;
		}
	}
}

/* A bit for each line of 64 bytes with anything in it, and those lines. */
static void add_to_checksum(const u8 *node)
{
	const u8 zero[64] = {};
	u64 lines = 0;
	int i;

	for (i = 0; i < 64; i++)
		lines |= (u64)!!memcmp(node + 64 * i, zero, 64) << i;

	v->crc = __crc32c_le(v->crc, (const u8 *)&lines, sizeof(lines));
	for (i = 0; i < 64; i++) {
		if (lines >> i & 1)
			v->crc = __crc32c_le(v->crc, node + 64 * i, 64);
	}
}

static void check_node(u64 phys, unsigned int level, u64 prefix, bool keys)
{
	unsigned long page = phys_page(phys);
	const u64 *table;
	unsigned int i;

	if (!keys) {
		if (phys & (PAGE_SIZE - 1) || page == MEM_PAGES || !may_keep(page))
			return refuse("no node can be there");
		if (v->keep[page] & PAGE_NODE)
			return refuse("a node is found twice");
		v->keep[page] |= PAGE_NODE;
		v->nr_nodes++;
		if (v->fdt.checksum_pos)
			add_to_checksum(mem_virt(page));
	}

	table = mem_virt(page);
	if (!level) {
		if (keys)
			check_leaf(table, prefix);
		return;
	}

	/* What is below the entry has this above its own bits of the key. */
	for (i = 0; i < 1 << TABLE_BITS && !v->problem; i++) {
		if (table[i])
			check_node(table[i], level - 1, prefix << TABLE_BITS | i, keys);
	}
}

static bool is_preserved(u64 phys, u64 size)
{
	unsigned long page = phys_page(phys), last = phys_page(phys + size - 1);

	if (!phys || !size || phys + size < phys || page == MEM_PAGES ||
	    last == MEM_PAGES)
		return false;

	for (; page <= last; page++) {
		if (!(v->keep[page] & PAGE_KEY))
			return false;
	}

	return true;
}

/* The page of the FDT is a key of its own, and not in a larger block. */
static bool fdt_has_key(void)
{
	u64 key = 1ULL << 52 | PHYS_PFN(ho->fdt);
	u64 phys = v->fdt.root;
	unsigned int level;

	for (level = ROOT_LEVEL; level && phys; level--)
		phys = ((u64 *)mem_virt(phys_page(phys)))[key >>
			(LEAF_BITS + (level - 1) * TABLE_BITS) &
			((1 << TABLE_BITS) - 1)];

	key &= (1 << LEAF_BITS) - 1;
	return phys && ((u64 *)mem_virt(phys_page(phys)))[key / 64] >> (key % 64) & 1;
}

static void begin_checksum(void)
{
	const u8 *fdt = mem_virt(phys_page(ho->fdt));
	const u8 zero[8] = {};
	unsigned int pos = v->fdt.checksum_pos;

	v->crc = __crc32c_le(~0, fdt, pos);
	v->crc = __crc32c_le(v->crc, zero, sizeof(zero));
	v->crc = __crc32c_le(v->crc, fdt + pos + 8, v->fdt.totalsize - pos - 8);
}

/**
 * ref_checksum - value of the checksum
 * @verdict: what ref_check() thinks; nodes that are not in order do not count
 *
 * Return: what should be in the FDT.
 */
u64 ref_checksum(const struct verdict *verdict)
{
	return 1ULL << 32 | (u32)~verdict->crc;
}

/**
 * ref_check - check a handover
 * @handover: where it is
 * @verdict: what there is to say
 */
void ref_check(const struct handover *handover, struct verdict *verdict)
{
	unsigned int i;

	ho = handover;
	v = verdict;
	memset(v, 0, sizeof(*v));
	array_page = 0;
	array_end = 0;

	check_fdt();
	if (!v->problem)
		check_scratch();
	if (v->problem)
		return;

	if (v->fdt.checksum_pos)
		begin_checksum();
	check_node(v->fdt.root, ROOT_LEVEL, 0, false);
	if (!v->problem)
		check_node(v->fdt.root, ROOT_LEVEL, 0, true);
	if (v->problem)
		return;

	if (!fdt_has_key())
		refuse("the FDT is not preserved");
	for (i = 0; i < v->fdt.nr_subtrees; i++) {
		if (!is_preserved(v->fdt.subtrees[i].phys, v->fdt.subtrees[i].size))
			refuse("a blob is not preserved");
	}

	if (v->fdt.checksum && v->fdt.checksum != ref_checksum(v))
		refuse("checksum");
}
