// SPDX-License-Identifier: GPL-2.0-only
/*
 * A persistent set of unsigned long keys.
 *
 * The set is a radix tree whose nodes are single pages that refer to each
 * other by physical address. A later kernel that is given the address of the
 * root can read it as it lies in memory. This file knows nothing of what the
 * keys mean.
 */

#include <linux/atomic.h>
#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/export.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/kho_radix_tree.h>

/**
 * DOC: KHO radix tree
 *
 * Every node is exactly one page. Level 0 is a bitmap of PAGE_SIZE * 8 bits,
 * in the order of set_bit() on unsigned long. Levels 1 and up are tables of
 * PAGE_SIZE / 8 native-endian u64, each the physical address of a node one
 * level down, or 0. With 4 KiB pages 15 bits of the key select a bit of the
 * bitmap and 9 bits select the entry of each table::
 *
 *	level	key bits	one node covers
 *	5	59..51		2^60 keys, the root
 *	4	50..42		2^51
 *	3	41..33		2^42
 *	2	32..24		2^33
 *	1	23..15		2^24
 *	0	14..0		2^15, a bit each
 *
 * Key 0x10000000012345, which is the page at physical address 0x12345000
 * (see "DOC: KHO keys"), thus goes through entries 2, 0, 0, 0 and 2 of the
 * tables to bit 0x2345 of a leaf.
 *
 * The format is shared with other kernels. Tables and bitmaps without any
 * entry or bit set are legal.
 *
 * Adding, deleting and testing keys take no lock. A new node is published
 * with cmpxchg(), a key is one atomic operation on the leaf, and a node once
 * published stays until kho_radix_prune_tree() finds it without keys, or
 * kho_radix_destroy_tree(). Reading a set whose nodes
 * come from another kernel follows whatever addresses are stored in it: check
 * them first, with the node callback of kho_radix_walk_tree().
 */

#define TABLE_ENTRIES	BIT(KHO_RADIX_TABLE_BITS)
#define BITMAP_KEYS	BIT(KHO_RADIX_BITMAP_BITS)
#define ROOT_LEVEL	(KHO_RADIX_LEVELS - 1)
#define MAX_KEY		(~0UL >> (BITS_PER_LONG - KHO_RADIX_KEY_BITS))

struct kho_radix_node {
	union {
		u64 table[TABLE_ENTRIES];
		unsigned long bitmap[BITS_TO_LONGS(BITMAP_KEYS)];
	};
};

static_assert(sizeof(struct kho_radix_node) == PAGE_SIZE);
static_assert(KHO_RADIX_KEY_BITS <= BITS_PER_LONG);

/* Position of the bits of a key that select an entry at @level >= 1. */
static inline unsigned int level_shift(unsigned int level)
{
	return KHO_RADIX_BITMAP_BITS + (level - 1) * KHO_RADIX_TABLE_BITS;
}

static inline unsigned long level_index(unsigned long key, unsigned int level)
{
	return (key >> level_shift(level)) & (TABLE_ENTRIES - 1);
}

/* The first key that the node at @level on the way to @key covers. */
static unsigned long first_key(unsigned long key, unsigned int level)
{
	return key & (~0UL << level_shift(level + 1));
}

/* Inlined, as most trees are trusted: then this costs next to nothing. */
static __always_inline bool entry_valid(const struct kho_radix_tree *tree, u64 entry,
					unsigned long key, unsigned int level)
{
	return !tree->node_valid || tree->node_valid(entry, first_key(key, level), level);
}

/* The node at @level that an entry refers to, or NULL if there is none to follow. */
static __always_inline struct kho_radix_node *
entry_node(const struct kho_radix_tree *tree, u64 entry, unsigned long key,
	   unsigned int level)
{
	if (!entry || !entry_valid(tree, entry, key, level))
		return NULL;

	return phys_to_virt(entry);
}

static struct kho_radix_node *node_alloc(const struct kho_radix_tree *tree,
					 unsigned long key, unsigned int level)
{
	if (tree->alloc_node)
		return tree->alloc_node(first_key(key, level), level);

	return (struct kho_radix_node *)get_zeroed_page(GFP_KERNEL);
}

static void node_free(const struct kho_radix_tree *tree, struct kho_radix_node *node)
{
	if (tree->free_node)
		tree->free_node(node);
	else
		free_page((unsigned long)node);
}

/*
 * Whether eight entries, as a rule a cache line, are 0. Others may change them at the
 * same time: who finds that they are not reads them again.
 */
static __no_kcsan bool line_empty(const u64 *entry)
{
	return !(entry[0] | entry[1] | entry[2] | entry[3] | entry[4] | entry[5] |
		 entry[6] | entry[7]);
}

/*
 * The first entry from *@i on that is not 0, and its position; 0 when there is none.
 * Most tables are all but empty, and are looked at line by line.
 */
static u64 next_entry(const struct kho_radix_node *node, unsigned long *i)
{
	unsigned long pos = *i;
	u64 entry;

	while (pos < TABLE_ENTRIES) {
		if (pos % 8 == 0 && line_empty(&node->table[pos])) {
			pos += 8;
			continue;
		}

		entry = READ_ONCE(node->table[pos]);
		if (entry) {
			*i = pos;
			return entry;
		}
		pos++;
	}

	return 0;
}

/* The leaf that @key belongs to, or NULL when there is none. */
static struct kho_radix_node *find_leaf(const struct kho_radix_tree *tree,
					unsigned long key)
{
	struct kho_radix_node *node = READ_ONCE(tree->root);
	unsigned int level;

	if (key > MAX_KEY)
		return NULL;

	for (level = ROOT_LEVEL; node && level > 0; level--)
		node = entry_node(tree, READ_ONCE(node->table[level_index(key, level)]),
				  key, level - 1);

	return node;
}

/* The node at @level that *@entry refers to; one is added if *@entry is 0. */
static struct kho_radix_node *get_or_add_node(const struct kho_radix_tree *tree,
					      u64 *entry, unsigned long key,
					      unsigned int level)
{
	struct kho_radix_node *node;
	u64 other = READ_ONCE(*entry);

	if (other)
		return entry_node(tree, other, key, level);

	node = node_alloc(tree, key, level);
	if (!node)
		return NULL;

	/* Fully ordered: who sees the address sees a zeroed page. */
	other = cmpxchg64(entry, 0, virt_to_phys(node));
	if (!other)
		return node;

	/* Another caller has added a node in the meantime. */
	node_free(tree, node);
	return entry_node(tree, other, key, level);
}

/**
 * kho_radix_init_tree - set up the handle of a tree
 * @tree: the handle
 * @root: the root of a tree that already exists, or NULL to begin an empty one
 *
 * Context: May sleep when @root is NULL.
 * Return: 0, or -ENOMEM.
 */
int kho_radix_init_tree(struct kho_radix_tree *tree,
			struct kho_radix_node *root)
{
	tree->alloc_node = NULL;
	tree->free_node = NULL;
	tree->node_valid = NULL;
	tree->generation = 0;
	tree->root = root ?: node_alloc(tree, 0, ROOT_LEVEL);

	return tree->root ? 0 : -ENOMEM;
}
EXPORT_SYMBOL_GPL(kho_radix_init_tree);

static void free_subtree(const struct kho_radix_tree *tree, struct kho_radix_node *node,
			 unsigned int level)
{
	unsigned long i;
	u64 entry;

	for (i = 0; level && (entry = next_entry(node, &i)); i++)
		free_subtree(tree, phys_to_virt(entry), level - 1);

	node_free(tree, node);
}

/**
 * kho_radix_destroy_tree - free all nodes
 * @tree: a tree that nobody else uses any more; may be empty or not set up
 *
 * The nodes must belong to this kernel's page allocator.
 *
 * Context: Any that can free pages; it is linear in the number of nodes.
 */
void kho_radix_destroy_tree(struct kho_radix_tree *tree)
{
	if (!tree->root)
		return;

	tree->generation += 2;
	free_subtree(tree, tree->root, ROOT_LEVEL);
	tree->root = NULL;
}
EXPORT_SYMBOL_GPL(kho_radix_destroy_tree);

struct prune {
	const struct kho_radix_tree *tree;
	void (*unlinked)(phys_addr_t phys, void *data);
	void *data;
};

/* Take nodes without keys out of what is below @node. Returns whether all are. */
static bool prune_node(struct kho_radix_node *node, unsigned int level,
		       unsigned long base, const struct prune *prune)
{
	struct kho_radix_node *child;
	unsigned long key, i;
	bool empty = true;
	u64 entry;

	if (!level)
		return bitmap_empty(node->bitmap, BITMAP_KEYS);

	for (i = 0; (entry = next_entry(node, &i)); i++) {
		key = base | (i << level_shift(level));
		child = entry_node(prune->tree, entry, key, level - 1);
		if (child && prune_node(child, level - 1, key, prune)) {
			WRITE_ONCE(node->table[i], 0);
			prune->unlinked(entry, prune->data);
		} else {
			empty = false;
		}
	}

	return empty;
}

/**
 * kho_radix_prune_tree - take nodes without keys out of a tree
 * @tree: the tree; its root stays
 * @unlinked: called with the physical address of each node that is not part of the
 *	      tree any more
 * @data: passed to @unlinked
 *
 * Others may test, delete and walk at the same time under rcu_read_lock(), so who
 * frees the nodes waits for a grace period. Nobody adds keys meanwhile.
 *
 * Who remembers leaves beyond that compares @tree->generation. The caller makes it odd,
 * upon which nobody remembers any, and waits for a grace period, so that no key is
 * added to a leaf that somebody has remembered. After the call he makes it even.
 *
 * Context: Any, as far as @unlinked allows.
 */
void kho_radix_prune_tree(struct kho_radix_tree *tree,
			  void (*unlinked)(phys_addr_t phys, void *data), void *data)
{
	const struct prune prune = { tree, unlinked, data };

	if (tree->root)
		prune_node(tree->root, ROOT_LEVEL, 0, &prune);
}

/**
 * kho_radix_add_leaf - find the leaf of a key, or add it
 * @tree: the tree
 * @key: the key
 *
 * Whoever sets bits in the leaf by himself does so with atomic operations.
 *
 * Context: May sleep. Safe beside other callers that add, delete or test.
 * Return: a bitmap in which @key is bit kho_radix_leaf_bit(@key), and that stays
 * until kho_radix_prune_tree() or kho_radix_destroy_tree(); NULL if there is no
 * memory, if @tree->node_valid() rejects an entry on the way, or if @key has more than
 * KHO_RADIX_KEY_BITS bits.
 */
unsigned long *kho_radix_add_leaf(struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_node *node = tree->root;
	unsigned int level;

	if (key > MAX_KEY)
		return NULL;

	for (level = ROOT_LEVEL; level > 0; level--) {
		node = get_or_add_node(tree, &node->table[level_index(key, level)],
				       key, level - 1);
		if (!node)
			return NULL;
	}

	return node->bitmap;
}

/**
 * kho_radix_add_new_key - add a key and tell whether it was new
 * @tree: the tree
 * @key: the key
 * @added: set to false when the key was in the set before, else to true;
 *         unchanged on failure
 *
 * Context: May sleep. Safe beside other callers that add, delete or test.
 * Return: 0; -ERANGE when @key has more than KHO_RADIX_KEY_BITS bits; -ENOMEM.
 */
int kho_radix_add_new_key(struct kho_radix_tree *tree, unsigned long key,
			  bool *added)
{
	unsigned long *leaf;

	if (key > MAX_KEY)
		return -ERANGE;

	leaf = kho_radix_add_leaf(tree, key);
	if (!leaf)
		return -ENOMEM;

	*added = !test_and_set_bit(kho_radix_leaf_bit(key), leaf);
	return 0;
}
EXPORT_SYMBOL_GPL(kho_radix_add_new_key);

/**
 * kho_radix_add_key - add a key
 * @tree: the tree
 * @key: the key; adding one that is in the set already is fine
 *
 * Context: May sleep. Safe beside other callers that add, delete or test.
 * Return: 0; -ERANGE when @key has more than KHO_RADIX_KEY_BITS bits; -ENOMEM.
 */
int kho_radix_add_key(struct kho_radix_tree *tree, unsigned long key)
{
	bool added;

	return kho_radix_add_new_key(tree, key, &added);
}
EXPORT_SYMBOL_GPL(kho_radix_add_key);

/**
 * kho_radix_del_key - delete a key
 * @tree: the tree
 * @key: the key
 *
 * Of several callers that delete the same key just one is told true.
 *
 * Context: Any. Safe beside other callers that add, delete or test.
 * Return: whether @key was in the set.
 */
bool kho_radix_del_key(struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_node *leaf = find_leaf(tree, key);

	return leaf && test_and_clear_bit(kho_radix_leaf_bit(key), leaf->bitmap);
}
EXPORT_SYMBOL_GPL(kho_radix_del_key);

/**
 * kho_radix_test_key - look a key up
 * @tree: the tree
 * @key: the key
 *
 * Context: Any. Safe beside other callers that add, delete or test.
 * Return: whether @key is in the set.
 */
bool kho_radix_test_key(const struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_node *leaf = find_leaf(tree, key);

	return leaf && test_bit(kho_radix_leaf_bit(key), leaf->bitmap);
}
EXPORT_SYMBOL_GPL(kho_radix_test_key);

/**
 * kho_radix_leaf - find the leaf of a key
 * @tree: the tree
 * @key: the key
 *
 * For who reads or deletes many neighbouring keys: that of @key itself is bit
 * kho_radix_leaf_bit(@key).
 *
 * Context: Any. Keys may be added and deleted meanwhile.
 * Return: a bitmap of 2^KHO_RADIX_BITMAP_BITS bits, NULL when there is none.
 */
unsigned long *kho_radix_leaf(const struct kho_radix_tree *tree, unsigned long key)
{
	struct kho_radix_node *leaf = find_leaf(tree, key);

	return leaf ? leaf->bitmap : NULL;
}

static int walk_leaf(struct kho_radix_node *leaf, unsigned long base,
		     const struct kho_radix_walk_cb *cb, void *data)
{
	unsigned long bit;
	int err;

	if (!cb->leaf)
		return 0;

	for_each_set_bit(bit, leaf->bitmap, BITMAP_KEYS) {
		err = cb->leaf(base + bit, data);
		if (err)
			return err;
	}

	return 0;
}

/* Depth is bounded by KHO_RADIX_LEVELS, whatever the tables say. */
static int walk_node(const struct kho_radix_tree *tree, u64 phys, unsigned int level,
		     unsigned long base, const struct kho_radix_walk_cb *cb, void *data)
{
	struct kho_radix_node *node = phys_to_virt(phys);
	unsigned long key, i;
	u64 entry;
	int err;

	if (cb->node) {
		err = cb->node(phys, data);
		if (err)
			return err;
	}

	if (!level)
		return walk_leaf(node, base, cb, data);

	for (i = 0; (entry = next_entry(node, &i)); i++) {
		key = base | (i << level_shift(level));
		if (!entry_valid(tree, entry, key, level - 1))
			return -EUCLEAN;

		err = walk_node(tree, entry, level - 1, key, cb, data);
		if (err)
			return err;
	}

	return 0;
}

/**
 * kho_radix_walk_tree - visit all nodes and keys
 * @tree: the tree
 * @cb: what to call for nodes and for keys
 * @data: passed to the callbacks
 *
 * Keys come in ascending order, and each node comes before what is in it. A
 * key that is added or deleted meanwhile may be visited or not. The callbacks
 * may free the nodes that they have been told of earlier only after the walk.
 *
 * Context: Any, as far as the callbacks allow.
 * Return:
 * * 0 - all nodes and keys have been visited
 * * %-EUCLEAN - @tree->node_valid() has rejected an entry
 * * anything else - a callback returned it to end the walk
 */
int kho_radix_walk_tree(struct kho_radix_tree *tree,
			const struct kho_radix_walk_cb *cb, void *data)
{
	if (!tree->root)
		return 0;

	return walk_node(tree, virt_to_phys(tree->root), ROOT_LEVEL, 0, cb, data);
}
EXPORT_SYMBOL_GPL(kho_radix_walk_tree);

/**
 * kho_radix_iter_init - begin an ordered iteration
 * @iter: the iteration
 * @tree: the tree; its nodes must stay while @iter is in use
 *
 * Context: Any.
 */
void kho_radix_iter_init(struct kho_radix_iter *iter,
			 const struct kho_radix_tree *tree)
{
	iter->tree = tree;
	iter->leaf = NULL;
	iter->base = 0;
}
EXPORT_SYMBOL_GPL(kho_radix_iter_init);

/*
 * Find the first leaf that can hold keys from *@key to @last. On success *@key is
 * raised to the leaf's first key when the leaf lies beyond it.
 */
static struct kho_radix_node *next_leaf(const struct kho_radix_tree *tree,
					unsigned long *key, unsigned long last)
{
	struct kho_radix_node *path[KHO_RADIX_LEVELS];
	unsigned int level = ROOT_LEVEL;
	unsigned long pos = *key;
	unsigned long i;
	u64 entry;

	path[ROOT_LEVEL] = READ_ONCE(tree->root);
	if (!path[ROOT_LEVEL] || pos > MAX_KEY)
		return NULL;

	while (level > 0) {
		i = level_index(pos, level);
		entry = next_entry(path[level], &i);
		if (!entry) {
			/* Nothing left here: on with the next entry above. */
			pos = ((pos >> level_shift(level + 1)) + 1) <<
			      level_shift(level + 1);
			if (pos > last)
				return NULL;
			do {
				if (++level > ROOT_LEVEL)
					return NULL;
			} while (!level_index(pos, level));
			continue;
		}

		if (i != level_index(pos, level)) {
			pos &= ~0UL << level_shift(level + 1);
			pos |= i << level_shift(level);
			if (pos > last)
				return NULL;
		}
		level--;
		path[level] = entry_node(tree, entry, pos, level);
		if (!path[level])
			return NULL;
	}

	*key = pos;
	return path[0];
}

/* The first bit from @bit on that is set in a leaf, or BITMAP_KEYS. */
static unsigned long next_bit(const struct kho_radix_node *leaf, unsigned long bit)
{
	/* Much of a leaf may be empty: as with tables, that takes a second look. */
	unsigned long end = round_up(bit + 1, 8 * BITS_PER_TYPE(u64));
	unsigned long i;

	bit = find_next_bit(leaf->bitmap, end, bit);
	if (bit < end)
		return bit;

	i = end / BITS_PER_TYPE(u64);
	if (!next_entry(leaf, &i))
		return BITMAP_KEYS;

	return find_next_bit(leaf->bitmap, BITMAP_KEYS, i * BITS_PER_TYPE(u64));
}

/**
 * kho_radix_iter_next - next key of an ordered iteration
 * @iter: the iteration
 * @key: in: where to look from; out: the key that was found
 * @last: keys beyond this one are not of interest
 *
 * Finds the first key >= *@key and <= @last. To go on, pass *@key + 1. A run
 * over all keys reads each node once, however many keys there are.
 *
 * Context: Any. Keys that are added or deleted meanwhile may be seen or not.
 * Return: true if a key was found; otherwise false, and *@key is unchanged. An entry
 * that @iter->tree->node_valid() rejects ends the iteration.
 */
bool kho_radix_iter_next(struct kho_radix_iter *iter, unsigned long *key,
			 unsigned long last)
{
	unsigned long pos = *key;
	unsigned long bit;

	while (pos <= last) {
		if (!iter->leaf || pos < iter->base ||
		    pos - iter->base >= BITMAP_KEYS) {
			iter->leaf = next_leaf(iter->tree, &pos, last);
			if (!iter->leaf)
				return false;
			iter->base = pos & ~(BITMAP_KEYS - 1);
		}

		bit = next_bit(iter->leaf, kho_radix_leaf_bit(pos));
		if (bit < BITMAP_KEYS) {
			if (iter->base + bit > last)
				return false;
			*key = iter->base + bit;
			return true;
		}

		pos = iter->base + BITMAP_KEYS;
	}

	return false;
}
EXPORT_SYMBOL_GPL(kho_radix_iter_next);
