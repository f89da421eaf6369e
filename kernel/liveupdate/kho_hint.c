// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hints: what each CPU remembers of the trees. How they are used is in kho_preserve.c and
 * kho_restore.c.
 */

#include <linux/percpu.h>

#include "kho_hint.h"

DEFINE_PER_CPU(struct kho_out_hint, kho_out_hint);
DEFINE_PER_CPU(struct kho_in_hint, kho_in_hint);

/**
 * kho_out_hint_set - remember a leaf of the outgoing tree
 * @key: a key that the leaf can hold
 * @leaf: the leaf
 * @generation: generation of the tree, which the caller has read before it looked the leaf up
 *
 * Context: Any.
 */
void kho_out_hint_set(unsigned long key, unsigned long *leaf, unsigned int generation)
{
	const struct kho_leaf_hint new = kho_leaf_hint(key, leaf, generation);
	struct kho_out_hint *hint = get_cpu_ptr(&kho_out_hint);

	*kho_out_hint_recent(hint, key) = new;
	kho_out_hint_set_last(hint, &new);
	put_cpu_ptr(&kho_out_hint);
}

/**
 * kho_in_hint_set - remember a leaf of the incoming tree
 * @key: the key of a folio that was found there
 * @leaf: the leaf; NULL if there is none any more
 * @generation: generation of the tree, which the caller has read before it looked the leaf up
 *
 * Context: Any.
 */
void kho_in_hint_set(unsigned long key, unsigned long *leaf, unsigned int generation)
{
	struct kho_in_hint *hint = get_cpu_ptr(&kho_in_hint);

	hint->hint = kho_leaf_hint(key, leaf, generation);
	hint->order = kho_key_order(key);
	put_cpu_ptr(&kho_in_hint);
}
