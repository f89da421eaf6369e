// SPDX-License-Identifier: GPL-2.0-only
/*
 * Would the next kernel take over what this one is about to hand over?
 */

/**
 * DOC: KHO check before the reboot
 *
 * The next kernel refuses a handover that is not in order as a whole, so a mistake of one
 * driver would lose the memory of all others. kho_check_out() therefore applies the same
 * rules while the reboot can still be refused: when an image is loaded, at the beginning of
 * the reboot, and once more after all files have been frozen. It reads the tree and the
 * root FDT as the next kernel does, as data that anything may have written to.
 *
 * It is linear in the number of nodes, not of blocks. For each leaf it finds the blocks
 * that the leaf must not have, as a bitmap: those that are not in the RAM that the image
 * tells the next kernel of, those in scratch, and those that a preserved block of a higher
 * order contains. That bitmap is empty for most leaves, and compared with the leaf
 * otherwise. An order-12 leaf, for example, covers 512 GiB, and one order-18 block of 1 GiB
 * in it rules out 64 of its bits. If a leaf has only a few blocks, each of them is looked at
 * instead: a large run has leaves of many orders, and one or two blocks in each.
 *
 * Blocks are preserved and unpreserved while the check runs. Nodes stay, because the check
 * holds kho_out.nodes_lock for reading. Two blocks that overlap may never have been
 * preserved at the same time, so before they are reported, both have to be seen preserved,
 * one after the other, several times. A blob may be registered before it is preserved, and
 * is looked at again for a while.
 *
 * A mistake that can be undone makes the check fail with -EPROTO: unpreserve the block,
 * register the blob properly, or load an image that knows of all RAM. -EINVAL would have
 * kexec-tools fall back to kexec_load(), which hands nothing over. Damage is -EUCLEAN, and
 * final; see kho_give_up().
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/bitmap.h>
#include <linux/delay.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/libfdt.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/range.h>
#include <linux/sched.h>

#include "kho_internal.h"

/* How often two blocks that overlap have to be seen preserved at the same time. */
#define CONFIRM_ROUNDS		32

/* How long, and how often, a blob may be registered but not preserved. */
#define BLOB_WAIT_MS		5
#define BLOB_TRIES		20

/* All of it belongs to the one check that the kexec lock allows at a time. */
static struct {
	const struct kimage *image;
	unsigned long nr_nodes;
	unsigned long max_nodes;
	unsigned long nr_pages;
	/* Orders of which there are blocks. */
	DECLARE_BITMAP(orders, KHO_NR_ORDERS);
	/* The leaf of each order that was used last: key / KHO_LEAF_KEYS, or ~0 */
	unsigned long leaf_nr[KHO_NR_ORDERS];
	const unsigned long *leaf[KHO_NR_ORDERS];
	/* The range of RAM that was used last */
	unsigned int ram;
	/* Blocks that the leaf which is being checked must not have. */
	DECLARE_BITMAP(forbidden, KHO_LEAF_KEYS);
} check;

static int damaged_fdt(const char *why)
{
	if (kho_give_up())
		pr_err("handover given up: root FDT: %s\n", why);

	return -EUCLEAN;
}

/**
 * kho_check_out_fdt - check that the outgoing root FDT is what KHO has made of it
 *
 * If it is not, the outgoing handover is given up, with a line that says so.
 *
 * Context: Any. Caller holds kho_out.lock, or is alone.
 * Return:
 * * 0 - libfdt can read and change it
 * * %-EUCLEAN - the root FDT is damaged, or the handover has been given up before
 */
int kho_check_out_fdt(void)
{
	const void *fdt = kho_out.fdt;
	u64 root, checksum;
	int err;

	if (kho_out_damaged())
		return -EUCLEAN;

	err = fdt_check_header(fdt);
	if (err)
		return damaged_fdt(fdt_strerror(err));

	if (fdt_totalsize(fdt) > PAGE_SIZE)
		return damaged_fdt("larger than a page");

	err = kho_fdt_check_structure(fdt);
	if (err)
		return damaged_fdt(fdt_strerror(err));

	if (!kho_fdt_is_compatible(fdt))
		return damaged_fdt("not compatible with " KHO_FDT_COMPATIBLE);

	if (!kho_fdt_read_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP, &root) ||
	    root != virt_to_phys(kho_out.tree.root))
		return damaged_fdt("no valid " KHO_FDT_MEMORY_MAP_PROP);

	if (!kho_fdt_read_u64(fdt, 0, KHO_FDT_CHECKSUM_PROP, &checksum))
		return damaged_fdt("no valid " KHO_FDT_CHECKSUM_PROP);

	return 0;
}

/* The leaf that @key belongs to, or NULL. */
static const unsigned long *leaf_of(unsigned long key)
{
	unsigned int order = kho_key_order(key);

	if (check.leaf_nr[order] != key / KHO_LEAF_KEYS) {
		check.leaf_nr[order] = key / KHO_LEAF_KEYS;
		check.leaf[order] = kho_radix_leaf(&kho_out.tree, key);
	}

	return check.leaf[order];
}

static bool is_preserved(unsigned long key)
{
	const unsigned long *leaf = leaf_of(key);

	return leaf && test_bit(kho_radix_leaf_bit(key), leaf);
}

/* The key of a preserved block of an order above @order that contains @phys, or 0. */
static unsigned long larger_block(phys_addr_t phys, unsigned int order)
{
	unsigned long key;

	for (order++; order < KHO_NR_ORDERS; order++) {
		order = find_next_bit(check.orders, KHO_NR_ORDERS, order);
		if (order == KHO_NR_ORDERS)
			break;

		key = kho_key(phys, order);
		if (is_preserved(key))
			return key;
	}

	return 0;
}

/*
 * Whether two blocks are preserved at the same time: a caller that does nothing wrong
 * unpreserves one before it preserves the other.
 */
static bool both_preserved(unsigned long key, unsigned long other)
{
	unsigned int i;

	for (i = 0; i < CONFIRM_ROUNDS; i++) {
		if (!is_preserved(key))
			return false;
		/* Pairs with test_and_clear_bit() of unpreserving. */
		smp_rmb();
		if (!is_preserved(other))
			return false;
		/* The same. */
		smp_rmb();
		if (!is_preserved(key))
			return false;
		cond_resched();
	}

	return true;
}

/* The first range of RAM that does not end at or below @phys, or NULL. */
static const struct range *ram_from(phys_addr_t phys)
{
	const struct kimage *image = check.image;

	while (check.ram && image->kho.ram[check.ram - 1].end > phys)
		check.ram--;
	while (check.ram < image->kho.nr_ram && image->kho.ram[check.ram].end <= phys)
		check.ram++;

	return check.ram < image->kho.nr_ram ? &image->kho.ram[check.ram] : NULL;
}

/* Ranges of RAM that follow each other without a gap are one. */
static bool in_ram(phys_addr_t first, phys_addr_t last)
{
	const struct range *ram = ram_from(first);

	return ram && ram->start <= first && last < ram->end && first <= last;
}

static bool in_scratch(phys_addr_t first, phys_addr_t last)
{
	return __kho_scratch_overlap(first, last - first + 1);
}

/* A node must be where the next kernel can find it, and nothing else. */
static int check_node(phys_addr_t phys, void *unused)
{
	phys_addr_t last = phys + PAGE_SIZE - 1, block;
	unsigned long key;

	cond_resched();

	if (++check.nr_nodes > check.max_nodes) {
		pr_err("kexec refused: more than %lu tree nodes\n", check.max_nodes);
		return -EPROTO;
	}

	if (!in_ram(phys, last) || in_scratch(phys, last)) {
		pr_err("kexec refused: tree node at %pa is not in memory that the next kernel can preserve\n",
		       &phys);
		return -EPROTO;
	}

	key = is_preserved(kho_key(phys, 0)) ? kho_key(phys, 0) : larger_block(phys, 0);
	if (key) {
		block = kho_key_phys(key);
		pr_err("kexec refused: block of order %u at %pa contains a tree node\n",
		       kho_key_order(key), &block);
		return -EPROTO;
	}

	return 0;
}

static const struct kho_radix_walk_cb node_cb = {
	.node = check_node,
};

/* Why the block @key, which was found in the tree, cannot be handed over; or 0. */
static int check_block(unsigned long key)
{
	unsigned int order = kho_key_order(key);
	phys_addr_t phys = kho_key_phys(key), larger_phys;
	phys_addr_t last = phys + (PAGE_SIZE << order) - 1;
	const char *problem = NULL;
	unsigned long larger;

	if (!in_ram(phys, last))
		problem = "is not in RAM of the next kernel";
	else if (in_scratch(phys, last))
		problem = "is in scratch";

	if (problem && is_preserved(key)) {
		pr_err("kexec refused: block of order %u at %pa %s\n", order, &phys,
		       problem);
		return -EPROTO;
	}

	larger = larger_block(phys, order);
	if (!larger || !both_preserved(key, larger))
		return 0;

	larger_phys = kho_key_phys(larger);
	pr_err("kexec refused: block of order %u at %pa overlaps another, of order %u at %pa\n",
	       order, &phys, kho_key_order(larger), &larger_phys);
	return -EPROTO;
}

/* Rule the blocks of order @order out that have a page from @first to @last. */
static void forbid(phys_addr_t start, unsigned int order, phys_addr_t first,
		   phys_addr_t last)
{
	unsigned long bit = (first - start) >> (PAGE_SHIFT + order);
	unsigned long end = (last - start) >> (PAGE_SHIFT + order);

	bitmap_set(check.forbidden, bit, end - bit + 1);
}

/* The same for what is not RAM from @start to @last. Returns whether there is any. */
static bool forbid_other_than_ram(phys_addr_t start, phys_addr_t last, unsigned int order)
{
	const struct kimage *image = check.image;
	phys_addr_t pos = start;
	bool any = false;
	unsigned int i;

	ram_from(start);
	for (i = check.ram; i < image->kho.nr_ram; i++) {
		const struct range *ram = &image->kho.ram[i];

		if (ram->start > last)
			break;
		if (ram->start > pos) {
			forbid(start, order, pos, ram->start - 1);
			any = true;
		}
		if (ram->end > last)
			return any;
		pos = ram->end;
	}

	forbid(start, order, pos, last);
	return true;
}

static bool forbid_scratch(phys_addr_t start, phys_addr_t last, unsigned int order)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++) {
		phys_addr_t first = kho_scratch[i].addr;
		phys_addr_t end = first + kho_scratch[i].size - 1;

		if (!kho_scratch[i].size || end < start || first > last)
			continue;
		forbid(start, order, max(first, start), min(end, last));
		any = true;
	}

	return any;
}

/* The same for blocks that are contained in those of order @larger. */
static bool forbid_contained(phys_addr_t start, unsigned int order, unsigned int larger)
{
	unsigned long key = kho_key(start, larger), bit = kho_radix_leaf_bit(key);
	unsigned int shift = larger - order;
	const unsigned long *leaf = leaf_of(key);
	unsigned long end, pos;
	bool any = false;

	if (!leaf)
		return false;

	/* One block, or a part of one, for all of the leaf. */
	if (shift >= KHO_RADIX_BITMAP_BITS) {
		any = test_bit(bit, leaf);
		if (any)
			bitmap_fill(check.forbidden, KHO_LEAF_KEYS);
		return any;
	}

	end = bit + (KHO_LEAF_KEYS >> shift);
	for (pos = bit; (pos = find_next_bit(leaf, end, pos)) < end; pos++) {
		bitmap_set(check.forbidden, (pos - bit) << shift, 1UL << shift);
		any = true;
	}

	return any;
}

/* Check the blocks of a leaf by ruling out which ones there must not be. */
static int check_all_blocks(const unsigned long *leaf, unsigned long base)
{
	unsigned int order = kho_key_order(base), larger;
	phys_addr_t start = kho_key_phys(base);
	phys_addr_t last = start + (PAGE_SIZE << order) * KHO_LEAF_KEYS - 1;
	unsigned long bit;
	bool any;
	int err;

	check.nr_pages += (unsigned long)bitmap_weight(leaf, KHO_LEAF_KEYS) << order;
	any = forbid_other_than_ram(start, last, order);
	any |= forbid_scratch(start, last, order);
	larger = order + 1;
	for_each_set_bit_from(larger, check.orders, KHO_NR_ORDERS)
		any |= forbid_contained(start, order, larger);
	if (!any)
		return 0;

	for (bit = 0;
	     (bit = find_next_and_bit(leaf, check.forbidden, KHO_LEAF_KEYS, bit)) < KHO_LEAF_KEYS;
	     bit++) {
		err = check_block(base + bit);
		if (err)
			return err;
	}

	bitmap_zero(check.forbidden, KHO_LEAF_KEYS);
	return 0;
}

/* To look at each of so many blocks takes less than to go through a bitmap. */
#define FEW_BLOCKS	8

/* Check the blocks of the leaf that @iter has found, with @first as the first of them. */
static int check_leaf(const struct kho_radix_iter *iter, unsigned long first)
{
	unsigned long base = iter->base, key = first, keys[FEW_BLOCKS];
	struct kho_radix_iter rest = *iter;
	unsigned int nr = 0, i;
	int err;

	do {
		if (nr == FEW_BLOCKS)
			return check_all_blocks((const unsigned long *)iter->leaf, base);
		keys[nr++] = key++;
	} while (kho_radix_iter_next(&rest, &key, base + KHO_LEAF_KEYS - 1));

	for (i = 0; i < nr; i++) {
		check.nr_pages += 1UL << kho_key_order(keys[i]);
		err = check_block(keys[i]);
		if (err)
			return err;
	}

	return 0;
}

static int impossible_key(unsigned long key)
{
	if (kho_give_up())
		pr_err("handover given up: impossible key %#lx\n", key);

	return -EUCLEAN;
}

/* Set the orders of which there are blocks, and look for keys that are none of a block. */
static int find_orders(void)
{
	struct kho_radix_iter iter;
	unsigned long key, last;
	unsigned int order;

	bitmap_zero(check.orders, KHO_NR_ORDERS);
	for (order = 0; order < KHO_NR_ORDERS; order++) {
		check.leaf_nr[order] = ~0UL;
		key = kho_key(0, order);
		last = 2 * key - 1;
		kho_radix_iter_init(&iter, &kho_out.tree);
		if (kho_radix_iter_next(&iter, &key, last))
			__set_bit(order, check.orders);
	}

	key = 0;
	kho_radix_iter_init(&iter, &kho_out.tree);
	if (kho_radix_iter_next(&iter, &key, kho_key(0, KHO_MAX_ORDER) - 1))
		return impossible_key(key);

	key = 2 * kho_key(0, 0);
	kho_radix_iter_init(&iter, &kho_out.tree);
	if (kho_radix_iter_next(&iter, &key, ~0UL))
		return impossible_key(key);

	return 0;
}

static int check_blocks(void)
{
	unsigned long key = kho_key(0, KHO_MAX_ORDER);
	struct kho_radix_iter iter;
	int err;

	bitmap_zero(check.forbidden, KHO_LEAF_KEYS);
	kho_radix_iter_init(&iter, &kho_out.tree);
	while (kho_radix_iter_next(&iter, &key, 2 * kho_key(0, 0) - 1)) {
		cond_resched();

		/* Only the first leaf has blocks of several orders, of a PiB and more. */
		if (!iter.base) {
			err = check_block(key);
			key++;
		} else {
			err = check_leaf(&iter, key);
			key = iter.base + KHO_LEAF_KEYS;
		}
		if (err)
			return err;
	}

	return kho_out_damaged() ? -EUCLEAN : 0;
}

/* As the next kernel does: no blocks in its RAM can need more. */
static unsigned long max_nodes(const struct kimage *image)
{
	unsigned long nr_pages = 0;

	if (image->kho.nr_ram)
		nr_pages = PHYS_PFN(image->kho.ram[image->kho.nr_ram - 1].end);

	return 4 * (nr_pages / KHO_LEAF_KEYS) + KHO_NR_ORDERS * KHO_RADIX_LEVELS;
}

static int check_tree(void)
{
	guard(rwsem_read)(&kho_out.nodes_lock);

	check.nr_nodes = 0;
	check.nr_pages = 0;
	check.max_nodes = max_nodes(check.image);

	return find_orders() ?:
	       kho_radix_walk_tree(&kho_out.tree, &node_cb, NULL) ?:
	       check_blocks();
}

static int check_scratch(void)
{
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++) {
		phys_addr_t addr = kho_scratch[i].addr, size = kho_scratch[i].size;

		if (!size || in_ram(addr, addr + size - 1))
			continue;

		pr_err("kexec refused: scratch area %u at %pa is not in RAM of the next kernel\n",
		       i, &addr);
		return -EPROTO;
	}

	return 0;
}

/*
 * The next kernel has to boot in memory that is neither preserved nor scratch. Most often there
 * is plenty: what this one uses. In scattered pieces even that may be too few, as the next
 * kernel uses a limited number of pieces, but the large part of it is not scattered.
 */
static int check_room(void)
{
	const struct kimage *image = check.image;
	u64 used = PFN_PHYS((u64)check.nr_pages + check.nr_nodes), ram = 0, needed;
	unsigned int i;

	for (i = 0; i < image->kho.nr_ram; i++)
		ram += image->kho.ram[i].end - image->kho.ram[i].start;
	for (i = 0; i < kho_scratch_cnt; i++)
		used += kho_scratch[i].size;

	needed = kho_boot_memory();
	if (ram >= used && ram - used >= needed)
		return 0;

	pr_err("kexec refused: it would leave %llu KiB outside of scratch, and the next kernel needs %llu KiB to boot\n",
	       ram < used ? 0 : (ram - used) >> 10, needed >> 10);
	return -EPROTO;
}

/* Returns the first subtree that is not in order, 0 if all are, or -EUCLEAN. */
static int bad_subtree(const char **problem)
{
	phys_addr_t fdt_phys = virt_to_phys(kho_out.fdt);
	const void *fdt = kho_out.fdt;
	u64 phys, size;
	int err, node;

	guard(rwsem_read)(&kho_out.nodes_lock);

	err = kho_check_out_fdt();
	if (err)
		return err;

	if (!kho_radix_test_key(&kho_out.tree, kho_key(fdt_phys, 0)))
		return kho_out_damaged() ? -EUCLEAN : damaged_fdt("not preserved");

	fdt_for_each_subnode(node, fdt, 0) {
		if (!kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_DATA_PROP, &phys) ||
		    !kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, &size) ||
		    !phys || phys + size <= phys) {
			*problem = "malformed";
			return node;
		}

		if (!kho_range_covered(&kho_out.tree, phys, size)) {
			if (kho_out_damaged())
				return -EUCLEAN;
			*problem = "not preserved";
			return node;
		}
	}

	return 0;
}

static int check_subtrees(void)
{
	const char *problem = NULL;
	unsigned int tries;
	int node;

	for (tries = BLOB_TRIES; ; tries--) {
		scoped_guard(mutex, &kho_out.lock) {
			node = bad_subtree(&problem);
			if (node <= 0)
				return node;

			if (!tries) {
				pr_err("kexec refused: root FDT: subtree %s is %s\n",
				       fdt_get_name(kho_out.fdt, node, NULL), problem);
				return -EPROTO;
			}
		}
		msleep(BLOB_WAIT_MS);
	}
}

/**
 * kho_check_out - check whether the next kernel would take the handover over
 * @image: the image that carries it
 *
 * If it would not, one line names what is wrong. See "DOC: KHO check before the reboot".
 *
 * Context: Process context, with the kexec lock held. May sleep.
 * Return:
 * * 0 - it would
 * * %-EPROTO - something that is preserved or registered, or that @image tells the next
 *   kernel, has to be corrected first
 * * %-EUCLEAN - the tree or the root FDT is damaged: only a reboot without a handover helps
 */
int kho_check_out(const struct kimage *image)
{
	int err;

	check.image = image;
	check.ram = 0;
	err = kho_out_damaged() ? -EUCLEAN : 0;
	err = err ?: check_subtrees() ?: check_scratch() ?: check_tree() ?: check_room();
	if (err == -EUCLEAN)
		pr_err("kexec refused: the record of preserved memory is damaged; reboot without a handover, see kho.handover=\n");

	return err;
}
