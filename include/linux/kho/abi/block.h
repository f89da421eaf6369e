/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of lists of structures: chains of blocks.
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_BLOCK_H
#define _LINUX_KHO_ABI_BLOCK_H

#include <linux/build_bug.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/**
 * DOC: Chains of blocks
 *
 * A list of structures of one size, the entries, is handed over as a chain of
 * blocks. A block is one page: a struct kho_block, and as many entries as fit
 * behind it. With 4 KiB pages and entries of 80 bytes, which is what a session
 * of the Live Update Orchestrator takes, that is (4096 - 16) / 80 = 51::
 *
 *	offset	0	next	physical address of the next block, or 0
 *		8	count	number of entries in this block, 1 to 51
 *		16	entry 0
 *		96	entry 1
 *		...
 *
 * The order of the entries is that of the blocks, and in a block that of their
 * addresses. The chain is referred to by the physical address of its first block.
 * Each block is preserved as an order-0 folio.
 *
 * A block may have room left, but has at least one entry: Linux 7.3 refuses a block
 * without entries, and panics if it is in the list of sessions. A list without
 * entries is no chain at all, and its address is 0. A reader should nevertheless
 * accept blocks without entries, wherever in the chain: the first kernels of this
 * ABI handed an empty list over as one such block.
 */

/**
 * struct kho_block - one page of a chain of blocks
 * @next: physical address of the next block, 0 in the last one
 * @count: number of entries in this block
 * @entries: the entries; their size is known to who wrote them
 *
 * Crosses kernels.
 */
struct kho_block {
	u64 next;
	u64 count;
	u8 entries[];
};

/* Number of entries of a size that fit into one block. */
#define KHO_BLOCK_ENTRIES(entry_size) \
	((PAGE_SIZE - sizeof(struct kho_block)) / (entry_size))

static_assert(sizeof(struct kho_block) == 16);

#endif /* _LINUX_KHO_ABI_BLOCK_H */
