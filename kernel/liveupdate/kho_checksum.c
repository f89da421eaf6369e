// SPDX-License-Identifier: GPL-2.0-only
/*
 * A checksum over the root FDT and the tree: a bit that has flipped in one of
 * them may leave something plausible, and then the wrong pages are preserved.
 *
 * CRC32C over the FDT, with zeros for the value of the checksum, and over what each
 * node of the tree has, in the order of kho_radix_walk_tree(). Most nodes are all but
 * empty, so lines of zeros only count as such. See "DOC: KHO ABI".
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/bitmap.h>
#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/libfdt.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "kho_internal.h"

/**
 * kho_checksum_begin - checksum of the root FDT
 * @fdt: the FDT, with a valid structure
 *
 * Return: what to pass to kho_checksum_node() next.
 */
u32 kho_checksum_begin(const void *fdt)
{
	size_t size = fdt_totalsize(fdt), pos;
	const void *value;
	u64 zero = 0;

	value = fdt_getprop(fdt, 0, KHO_FDT_CHECKSUM_PROP, NULL);
	pos = value - fdt;

	return __crc32c_le(__crc32c_le(__crc32c_le(~0, fdt, pos),
				       (const u8 *)&zero, sizeof(zero)),
			   value + sizeof(zero), size - pos - sizeof(zero));
}

#define LINE_SIZE	KHO_CHECKSUM_LINE_SIZE
#define NR_LINES	(PAGE_SIZE / LINE_SIZE)

static bool line_empty(const u64 *line)
{
	static_assert(LINE_SIZE == 8 * sizeof(*line));

	return !(line[0] | line[1] | line[2] | line[3] | line[4] | line[5] | line[6] |
		 line[7]);
}

/**
 * kho_checksum_node - go on with a node of the tree
 * @crc: the checksum so far
 * @phys: physical address of the node, in the direct map
 *
 * Return: the checksum up to this node.
 */
u32 kho_checksum_node(u32 crc, phys_addr_t phys)
{
	DECLARE_BITMAP(lines, NR_LINES);
	const void *node = phys_to_virt(phys);
	unsigned long i;

	bitmap_zero(lines, NR_LINES);
	for (i = 0; i < NR_LINES; i++) {
		if (!line_empty(node + i * LINE_SIZE))
			__set_bit(i, lines);
	}

	crc = __crc32c_le(crc, (const u8 *)lines, NR_LINES / BITS_PER_BYTE);
	for_each_set_bit(i, lines, NR_LINES)
		crc = __crc32c_le(crc, node + i * LINE_SIZE, LINE_SIZE);

	return crc;
}

/**
 * kho_checksum_end - value of the property
 * @crc: the checksum over all
 *
 * Return: what is stored in the root FDT.
 */
u64 kho_checksum_end(u32 crc)
{
	return KHO_FDT_CHECKSUM_VALID | (u32)~crc;
}

static int add_node(phys_addr_t phys, void *crc)
{
	*(u32 *)crc = kho_checksum_node(*(u32 *)crc, phys);
	return 0;
}

static const struct kho_radix_walk_cb checksum_cb = {
	.node = add_node,
};

/**
 * kho_checksum_seal - put the checksum into the outgoing FDT
 *
 * If the FDT or the tree has been damaged since it was checked, this makes sure that no
 * kernel takes the handover.
 *
 * Context: Nothing changes the FDT or the tree any more.
 */
void kho_checksum_seal(void)
{
	u64 value;
	u32 crc;

	if (kho_check_out_fdt())
		goto err_damaged;

	crc = kho_checksum_begin(kho_out.fdt);
	if (kho_radix_walk_tree(&kho_out.tree, &checksum_cb, &crc))
		goto err_damaged;

	value = kho_checksum_end(crc);
	fdt_setprop_inplace(kho_out.fdt, 0, KHO_FDT_CHECKSUM_PROP, &value,
			    sizeof(value));
	return;

err_damaged:
	memset(kho_out.fdt, 0, sizeof(struct fdt_header));
}
