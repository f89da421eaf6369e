// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is what was handed over in order?
 *
 * It is input: no address is followed and no memory believed to be preserved
 * before it has been checked. One line names the first thing that is wrong.
 * Nothing is changed, but for the notes that kho_hold.c takes.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/io.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/printk.h>

#include "kho_internal.h"

static struct kho_range_iter range_iter __initdata;

/* Regions that end before the block that is being checked. */
static unsigned long nr_memory_behind __initdata, nr_reserved_behind __initdata;

static int __init check_subtree(const void *fdt, int node)
{
	u64 phys, size;

	if (kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_DATA_PROP, &phys) &&
	    kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, &size) &&
	    phys && phys + size > phys && memblock_is_region_memory(phys, size))
		return 0;

	pr_err("handover refused: root FDT: subtree %s is malformed\n",
	       fdt_get_name(fdt, node, NULL));
	return -EINVAL;
}

/**
 * kho_check_fdt - check the root FDT
 * @fdt: one page, mapped
 * @size: the length that it was handed over with, at most a page
 * @root: set to the physical address of the root of the tree
 * @boot_memory: set to the bytes that the previous kernel says that a boot takes, or 0
 *
 * Return: 0, or -EINVAL after one line that says what is wrong.
 */
int __init kho_check_fdt(const void *fdt, u64 size, u64 *root, u64 *boot_memory)
{
	u64 checksum;
	int err, node;

	err = fdt_check_header(fdt);
	if (err) {
		pr_err("handover refused: root FDT: %s\n", fdt_strerror(err));
		return -EINVAL;
	}

	if (fdt_totalsize(fdt) > size) {
		pr_err("handover refused: root FDT of %u bytes in %llu\n",
		       fdt_totalsize(fdt), size);
		return -EINVAL;
	}

	err = kho_fdt_check_structure(fdt);
	if (err) {
		pr_err("handover refused: root FDT: %s\n", fdt_strerror(err));
		return -EINVAL;
	}

	if (!kho_fdt_is_compatible(fdt)) {
		pr_err("handover refused: root FDT is not compatible with %s\n",
		       KHO_FDT_COMPATIBLE);
		return -EINVAL;
	}

	if (!kho_fdt_read_u64(fdt, 0, KHO_FDT_MEMORY_MAP_PROP, root)) {
		pr_err("handover refused: root FDT has no valid %s\n",
		       KHO_FDT_MEMORY_MAP_PROP);
		return -EINVAL;
	}

	if (fdt_getprop(fdt, 0, KHO_FDT_CHECKSUM_PROP, NULL) &&
	    !kho_fdt_read_u64(fdt, 0, KHO_FDT_CHECKSUM_PROP, &checksum)) {
		pr_err("handover refused: root FDT has no valid %s\n",
		       KHO_FDT_CHECKSUM_PROP);
		return -EINVAL;
	}

	if (!kho_fdt_read_u64(fdt, 0, KHO_FDT_BOOT_MEMORY_PROP, boot_memory))
		*boot_memory = 0;

	fdt_for_each_subnode(node, fdt, 0) {
		err = check_subtree(fdt, node);
		if (err)
			return err;
	}

	return 0;
}

struct walk {
	unsigned long nr_nodes;
	unsigned long max_nodes;
	u64 checksum;		/* as handed over, 0 when there is none */
	u32 crc;
};

/*
 * More nodes than keys of all orders for all RAM can need: they were memory that
 * nobody gets back. Leaves of order 0 are half of all, and tables few.
 */
static unsigned long __init max_nodes(void)
{
	unsigned long nr_pages = PHYS_PFN(memblock_end_of_DRAM());

	return 4 * (nr_pages / KHO_LEAF_KEYS) + KHO_NR_ORDERS * KHO_RADIX_LEVELS;
}

/* May a node be at @phys? Each is found once: the tree is one. */
static int __init check_node(phys_addr_t phys, void *data)
{
	struct walk *walk = data;
	int err;

	if (!PAGE_ALIGNED(phys) || !memblock_is_map_memory(phys) ||
	    memblock_is_kho_scratch_memory(phys) ||
	    memblock_is_region_reserved(phys, PAGE_SIZE)) {
		pr_err("handover refused: no tree node can be at %pa\n", &phys);
		return -EINVAL;
	}

	err = kho_hold_node(phys);
	if (err == -EEXIST) {
		pr_err("handover refused: tree node at %pa is found twice\n",
		       &phys);
		return -EINVAL;
	}
	if (err) {
		pr_err("handover refused: no memory to check tree nodes\n");
		return err;
	}

	if (++walk->nr_nodes > walk->max_nodes) {
		pr_err("handover refused: more than %lu tree nodes\n",
		       walk->max_nodes);
		return -EINVAL;
	}

	if (walk->checksum)
		walk->crc = kho_checksum_node(walk->crc, phys);
	return 0;
}

static const struct kho_radix_walk_cb check_cb __initconst = {
	.node = check_node,
};

/* Keys that are none of a block, below and above all others. */
static int __init check_other_keys(void)
{
	unsigned long key = 0;
	struct kho_radix_iter iter;

	kho_radix_iter_init(&iter, &kho_in.tree);
	if (kho_radix_iter_next(&iter, &key, kho_key(0, KHO_MAX_ORDER) - 1))
		goto err;

	key = 2 * kho_key(0, 0);
	if (kho_radix_iter_next(&iter, &key, ~0UL))
		goto err;

	return 0;

err:
	pr_err("handover refused: impossible key %#lx\n", key);
	return -EINVAL;
}

/*
 * Why the block [@start, @end) cannot be preserved, or NULL. As blocks come in
 * order of their addresses, all regions are looked at once.
 */
static const char *__init block_problem(phys_addr_t start, phys_addr_t end)
{
	struct memblock_type *memory = &memblock.memory;
	struct memblock_type *reserved = &memblock.reserved;
	struct memblock_region *region;
	phys_addr_t pos = start;
	unsigned long i;

	for (; nr_memory_behind < memory->cnt; nr_memory_behind++) {
		region = &memory->regions[nr_memory_behind];
		if (region->base + region->size > start)
			break;
	}

	for (i = nr_memory_behind; pos < end; i++) {
		region = &memory->regions[i];
		if (i == memory->cnt || region->base > pos ||
		    memblock_is_nomap(region))
			return "is not in RAM";
		if (memblock_is_kho_scratch(region))
			return "is in scratch";
		pos = region->base + region->size;
	}

	for (; nr_reserved_behind < reserved->cnt; nr_reserved_behind++) {
		region = &reserved->regions[nr_reserved_behind];
		if (region->base + region->size > start) {
			if (region->base < end)
				return "is in use by this kernel or firmware";
			break;
		}
	}

	if (kho_hold_has_node(PHYS_PFN(start), PHYS_PFN(end - start)))
		return "contains a tree node";

	return NULL;
}

/* Check what the keys stand for, in order of addresses; count the pages. */
static int __init check_blocks(void)
{
	phys_addr_t start, end, prev_end = 0;
	unsigned int order;
	const char *problem;

	nr_memory_behind = 0;
	nr_reserved_behind = 0;

	kho_range_iter_init(&range_iter, &kho_in.tree);
	while (kho_range_iter_next_block(&range_iter, &start, &order)) {
		end = start + (PAGE_SIZE << order);

		if (end <= start)
			problem = "is not in RAM";
		else if (start < prev_end)
			problem = "overlaps another";
		else
			problem = block_problem(start, end);

		if (problem) {
			pr_err("handover refused: block of order %u at %pa %s\n",
			       order, &start, problem);
			return -EINVAL;
		}

		kho_hold_preserved(start, order);
		kho_in.nr_pages += 1UL << order;
		prev_end = end;
	}

	return 0;
}

/* The blob of a subtree that is not preserved may be anything by now. */
static int __init check_preserved(const void *fdt, phys_addr_t fdt_phys)
{
	u64 phys, size;
	int node;

	if (!kho_radix_test_key(&kho_in.tree, kho_key(fdt_phys, 0))) {
		pr_err("handover refused: root FDT at %pa is not preserved\n",
		       &fdt_phys);
		return -EINVAL;
	}

	fdt_for_each_subnode(node, fdt, 0) {
		kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_DATA_PROP, &phys);
		kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, &size);
		if (kho_range_covered(&kho_in.tree, phys, size))
			continue;

		pr_err("handover refused: root FDT: subtree %s is not preserved\n",
		       fdt_get_name(fdt, node, NULL));
		return -EINVAL;
	}

	return 0;
}

/* What has passed all other checks may still not be what was handed over. */
static int __init check_checksum(const struct walk *walk)
{
	u64 checksum = kho_checksum_end(walk->crc);

	if (!walk->checksum || walk->checksum == checksum)
		return 0;

	pr_err("handover refused: checksum is %#llx, not %#llx\n", checksum,
	       walk->checksum);
	return -EINVAL;
}

/**
 * kho_check_tree - check the incoming tree, and note what has to be held
 * @fdt_phys: physical address of the root FDT, which must be preserved and has
 *	      been checked
 * @nr_nodes: set to the number of nodes
 *
 * Linear in the number of nodes, keys and memory regions. Sets kho_in.nr_pages.
 *
 * Context: After kho_hold_init(); kho_in.tree has been set up.
 * Return: 0, or -errno after one line that says what is wrong.
 */
int __init kho_check_tree(phys_addr_t fdt_phys, unsigned long *nr_nodes)
{
	const void *fdt = phys_to_virt(fdt_phys);
	struct walk walk = { .max_nodes = max_nodes() };
	int err;

	if (kho_fdt_read_u64(fdt, 0, KHO_FDT_CHECKSUM_PROP, &walk.checksum) &&
	    walk.checksum)
		walk.crc = kho_checksum_begin(fdt);

	err = kho_radix_walk_tree(&kho_in.tree, &check_cb, &walk) ?:
	      check_other_keys() ?:
	      check_blocks() ?:
	      check_preserved(fdt, fdt_phys) ?:
	      check_checksum(&walk);
	*nr_nodes = walk.nr_nodes;
	return err;
}
