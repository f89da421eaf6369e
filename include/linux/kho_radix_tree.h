/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KHO_RADIX_TREE_H
#define _LINUX_KHO_RADIX_TREE_H

#include <linux/errno.h>
#include <linux/math.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/* log2 of the number of bits in a leaf, which is a bitmap of one page. */
#define KHO_RADIX_BITMAP_BITS	(PAGE_SHIFT + 3)
/* log2 of the number of entries in a table, which is a page of u64. */
#define KHO_RADIX_TABLE_BITS	(PAGE_SHIFT - 3)
/* Number of levels; level 0 is the leaf. See "DOC: KHO radix tree". */
#define KHO_RADIX_LEVELS						\
	(1 + DIV_ROUND_UP(64 - PAGE_SHIFT + 1 - KHO_RADIX_BITMAP_BITS,	\
			  KHO_RADIX_TABLE_BITS))
/* Number of bits in a key that the tree can hold. */
#define KHO_RADIX_KEY_BITS						\
	(KHO_RADIX_BITMAP_BITS +					\
	 (KHO_RADIX_LEVELS - 1) * KHO_RADIX_TABLE_BITS)

/* The bit that stands for a key in its leaf. */
static inline unsigned long kho_radix_leaf_bit(unsigned long key)
{
	return key & ((1UL << KHO_RADIX_BITMAP_BITS) - 1);
}

struct kho_radix_node;

/**
 * struct kho_radix_tree - handle of a persistent set of unsigned long keys
 * @root: the root table
 * @alloc_node: allocates a zeroed page for the node at @level that covers the keys from
 *		@first_key on, or returns NULL; if it is NULL itself, nodes come from the
 *		page allocator
 * @free_node: frees a page from @alloc_node that no entry refers to; NULL if @alloc_node is
 * @node_valid: whether that node can be at @phys. Called each time before an entry is
 *		followed; an entry that it rejects is not. If it is NULL, all entries are
 *		followed
 * @generation: changes when nodes are taken out of the tree, and is odd meanwhile; see
 *		kho_radix_prune_tree()
 *
 * When nodes are taken out of a tree that is in use, all who use it hold
 * rcu_read_lock(), and who adds keys keeps that from happening at the same time.
 *
 * The handle belongs to one kernel. What crosses kernels are the nodes: the
 * physical address of @root is all that the next kernel needs.
 */
struct kho_radix_tree {
	struct kho_radix_node *root;
	void *(*alloc_node)(unsigned long first_key, unsigned int level);
	void (*free_node)(void *node);
	bool (*node_valid)(u64 phys, unsigned long first_key, unsigned int level);
	unsigned int generation;
};

/**
 * struct kho_radix_walk_cb - what to do during kho_radix_walk_tree()
 * @leaf: called for each key
 * @node: called with the physical address of each node, root included, before
 *        anything in the node is read
 *
 * Either may be NULL. A callback that returns anything but 0 ends the walk.
 */
struct kho_radix_walk_cb {
	int (*leaf)(unsigned long key, void *data);
	int (*node)(phys_addr_t phys, void *data);
};

/**
 * struct kho_radix_iter - position of an ordered iteration over keys
 * @tree: the tree
 * @leaf: leaf that holds the keys from @base on, NULL before the first step
 * @base: first key that @leaf can hold
 */
struct kho_radix_iter {
	const struct kho_radix_tree *tree;
	const struct kho_radix_node *leaf;
	unsigned long base;
};

#ifdef CONFIG_KEXEC_HANDOVER

int kho_radix_init_tree(struct kho_radix_tree *tree,
			struct kho_radix_node *root);
void kho_radix_destroy_tree(struct kho_radix_tree *tree);
int kho_radix_add_key(struct kho_radix_tree *tree, unsigned long key);
int kho_radix_add_new_key(struct kho_radix_tree *tree, unsigned long key,
			  bool *added);
bool kho_radix_del_key(struct kho_radix_tree *tree, unsigned long key);
bool kho_radix_test_key(const struct kho_radix_tree *tree, unsigned long key);
unsigned long *kho_radix_add_leaf(struct kho_radix_tree *tree, unsigned long key);
unsigned long *kho_radix_leaf(const struct kho_radix_tree *tree, unsigned long key);
void kho_radix_prune_tree(struct kho_radix_tree *tree,
			  void (*unlinked)(phys_addr_t phys, void *data), void *data);
int kho_radix_walk_tree(struct kho_radix_tree *tree,
			const struct kho_radix_walk_cb *cb, void *data);

void kho_radix_iter_init(struct kho_radix_iter *iter,
			 const struct kho_radix_tree *tree);
bool kho_radix_iter_next(struct kho_radix_iter *iter, unsigned long *key,
			 unsigned long last);

#else /* !CONFIG_KEXEC_HANDOVER */

static inline int kho_radix_init_tree(struct kho_radix_tree *tree,
				      struct kho_radix_node *root)
{
	return -EOPNOTSUPP;
}

static inline void kho_radix_destroy_tree(struct kho_radix_tree *tree) {}

static inline int kho_radix_add_key(struct kho_radix_tree *tree,
				    unsigned long key)
{
	return -EOPNOTSUPP;
}

static inline int kho_radix_add_new_key(struct kho_radix_tree *tree,
					unsigned long key, bool *added)
{
	return -EOPNOTSUPP;
}

static inline bool kho_radix_del_key(struct kho_radix_tree *tree,
				     unsigned long key)
{
	return false;
}

static inline bool kho_radix_test_key(const struct kho_radix_tree *tree,
				      unsigned long key)
{
	return false;
}

static inline int kho_radix_walk_tree(struct kho_radix_tree *tree,
				      const struct kho_radix_walk_cb *cb,
				      void *data)
{
	return -EOPNOTSUPP;
}

static inline void kho_radix_iter_init(struct kho_radix_iter *iter,
				       const struct kho_radix_tree *tree)
{
}

static inline bool kho_radix_iter_next(struct kho_radix_iter *iter,
				       unsigned long *key, unsigned long last)
{
	return false;
}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KHO_RADIX_TREE_H */
