/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Hints: which leaves of the outgoing and of the incoming tree a CPU has used last.
 */
#ifndef _KHO_HINT_H
#define _KHO_HINT_H

#include <linux/compiler.h>
#include <linux/mm.h>
#include <linux/percpu.h>
#include <linux/types.h>

#include "kho_internal.h"

/**
 * struct kho_leaf_hint - the leaf of a tree that a CPU has used last
 * @nr: the first key it can hold / KHO_LEAF_KEYS
 * @leaf: NULL when there is none
 * @generation: of the tree, when the leaf was in it
 *
 * What is preserved or restored one after the other most often lies side by side:
 * the hint saves the descent. Read and used with preemption disabled, which keeps
 * leaves from being freed.
 */
struct kho_leaf_hint {
	unsigned long nr;
	unsigned long *leaf;
	unsigned int generation;
};

/*
 * A new hint. @generation was read before @leaf was looked up. While nodes are taken
 * out it is odd, and there are no hints.
 */
static inline struct kho_leaf_hint kho_leaf_hint(unsigned long key, unsigned long *leaf,
						 unsigned int generation)
{
	return (struct kho_leaf_hint){
		.nr = key / KHO_LEAF_KEYS,
		.leaf = generation % 2 ? NULL : leaf,
		.generation = generation,
	};
}

/* The leaf of @key, or NULL when the hint is about another one. */
static __always_inline unsigned long *
kho_hinted_leaf(const struct kho_leaf_hint *hint, const struct kho_radix_tree *tree,
		unsigned long key)
{
	if (unlikely(hint->nr != key / KHO_LEAF_KEYS ||
		     hint->generation != READ_ONCE(tree->generation)))
		return NULL;

	return hint->leaf;
}

/*
 * The blocks of a run have different orders, each of which has a leaf of its own. What is
 * preserved in turns, such as folios and pages that list them, lies in different leaves of
 * one order.
 */
#define KHO_NR_RECENT_ORDERS	(MAX_PAGE_ORDER + 1)
#define KHO_NR_RECENT_LEAVES	4

/**
 * struct kho_out_hint - leaves of the outgoing tree that a CPU has used
 * @hint: the leaf that was used last
 * @preservable: all blocks that this leaf can hold may be preserved, as far as somebody
 *		 has looked
 * @looked: somebody has
 * @recent: leaves that were used before, by the order of their blocks
 */
struct kho_out_hint {
	struct kho_leaf_hint hint;
	bool preservable;
	bool looked;
	struct kho_leaf_hint recent[KHO_NR_RECENT_ORDERS][KHO_NR_RECENT_LEAVES];
};

DECLARE_PER_CPU(struct kho_out_hint, kho_out_hint);

/* Where the leaf of @key is if it was used lately. Large orders share their places. */
static inline struct kho_leaf_hint *kho_out_hint_recent(struct kho_out_hint *hint,
							unsigned long key)
{
	unsigned int order = min_t(unsigned int, kho_key_order(key), KHO_NR_RECENT_ORDERS - 1);

	return &hint->recent[order][key / KHO_LEAF_KEYS % KHO_NR_RECENT_LEAVES];
}

static inline void kho_out_hint_set_last(struct kho_out_hint *hint,
					 const struct kho_leaf_hint *last)
{
	hint->hint = *last;
	hint->preservable = false;
	hint->looked = false;
}

/* The leaf of @key, or NULL when no hint is about it. Then that is the last one. */
static inline unsigned long *kho_out_hint_recall(struct kho_out_hint *hint, unsigned long key)
{
	unsigned long *leaf = kho_hinted_leaf(&hint->hint, &kho_out.tree, key);
	const struct kho_leaf_hint *recent;

	if (leaf)
		return leaf;

	recent = kho_out_hint_recent(hint, key);
	leaf = kho_hinted_leaf(recent, &kho_out.tree, key);
	if (leaf)
		kho_out_hint_set_last(hint, recent);

	return leaf;
}

/**
 * struct kho_in_hint - the leaf of the incoming tree that a CPU has used last
 * @hint: the leaf
 * @order: order of the folio that was found there
 */
struct kho_in_hint {
	struct kho_leaf_hint hint;
	unsigned int order;
};

DECLARE_PER_CPU(struct kho_in_hint, kho_in_hint);

void kho_out_hint_set(unsigned long key, unsigned long *leaf, unsigned int generation);
void kho_in_hint_set(unsigned long key, unsigned long *leaf, unsigned int generation);

#endif /* _KHO_HINT_H */
