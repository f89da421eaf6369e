/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KHO_BLOCK_H
#define _LINUX_KHO_BLOCK_H

#include <linux/errno.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/kho/abi/block.h>

/**
 * struct kho_block_set - handle of a chain of blocks
 * @blocks: the pages of the blocks, in the order of the chain. Blocks at the end
 *	    that have no entries yet are not in the chain
 * @nr_blocks: number of blocks
 * @entry_size: size of an entry in bytes
 * @block_entries: number of entries that a block has room for
 * @restored: the chain was handed over to this kernel
 *
 * The handle belongs to one kernel. What crosses kernels are the blocks; see
 * "DOC: Chains of blocks". The fields are for the functions below.
 *
 * There is no lock in it. Who changes a set, or moves an iterator that reserves
 * entries, does so alone; any number can read at once.
 */
struct kho_block_set {
	struct list_head blocks;
	unsigned long nr_blocks;
	unsigned int entry_size;
	unsigned int block_entries;
	bool restored;
};

/**
 * struct kho_block_it - a position in a set, between two entries
 * @set: the set
 * @block: the block; NULL before the first one
 * @index: number of entries of @block that come before
 *
 * The fields are for the functions below. An iterator stays valid when the set
 * grows, and when it shrinks by blocks that the iterator has not reached.
 */
struct kho_block_it {
	struct kho_block_set *set;
	struct kho_block *block;
	unsigned int index;
};

#ifdef CONFIG_KEXEC_HANDOVER

void kho_block_set_init(struct kho_block_set *set, size_t entry_size);
int kho_block_set_grow(struct kho_block_set *set, unsigned long count);
void kho_block_set_shrink(struct kho_block_set *set, unsigned long count);
int kho_block_set_restore(struct kho_block_set *set, u64 head_pa);
void kho_block_set_destroy(struct kho_block_set *set);
void kho_block_set_clear(struct kho_block_set *set);
u64 kho_block_set_head_pa(const struct kho_block_set *set);
unsigned long kho_block_set_nr_entries(const struct kho_block_set *set);

void kho_block_it_init(struct kho_block_it *it, struct kho_block_set *set);
void *kho_block_it_reserve_entry(struct kho_block_it *it);
void *kho_block_it_read_entry(struct kho_block_it *it);
void *kho_block_it_prev(struct kho_block_it *it);

#else /* !CONFIG_KEXEC_HANDOVER */

static inline void kho_block_set_init(struct kho_block_set *set,
				      size_t entry_size)
{
}

static inline int kho_block_set_grow(struct kho_block_set *set,
				     unsigned long count)
{
	return -EOPNOTSUPP;
}

static inline void kho_block_set_shrink(struct kho_block_set *set,
					unsigned long count)
{
}

static inline int kho_block_set_restore(struct kho_block_set *set, u64 head_pa)
{
	return -EOPNOTSUPP;
}

static inline void kho_block_set_destroy(struct kho_block_set *set) {}
static inline void kho_block_set_clear(struct kho_block_set *set) {}

static inline u64 kho_block_set_head_pa(const struct kho_block_set *set)
{
	return 0;
}

static inline unsigned long
kho_block_set_nr_entries(const struct kho_block_set *set)
{
	return 0;
}

static inline void kho_block_it_init(struct kho_block_it *it,
				     struct kho_block_set *set)
{
}

static inline void *kho_block_it_reserve_entry(struct kho_block_it *it)
{
	return NULL;
}

static inline void *kho_block_it_read_entry(struct kho_block_it *it)
{
	return NULL;
}

static inline void *kho_block_it_prev(struct kho_block_it *it)
{
	return NULL;
}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_BLOCK_H */
