// SPDX-License-Identifier: GPL-2.0-only
/*
 * reserve_mem= regions: they are preserved without being asked, and a region
 * that the next kernel's command line asks for again is where it was.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/err.h>
#include <linux/io.h>
#include <linux/kho/abi/memblock.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>

#include "kho_internal.h"

static unsigned long nr_pages_of(phys_addr_t size)
{
	return PHYS_PFN(PAGE_ALIGN(size));
}

/* The previous kernel's list of regions, or NULL. */
static const void *__init incoming_fdt(void)
{
	phys_addr_t phys;
	const void *fdt;
	size_t size;

	if (kho_retrieve_subtree(MEMBLOCK_KHO_SUBTREE, &phys, &size))
		return NULL;

	if (!PAGE_ALIGNED(phys) || size > PAGE_SIZE ||
	    size < sizeof(struct fdt_header) ||
	    !kho_run_preserved(PHYS_PFN(phys), 1))
		goto err;

	fdt = phys_to_virt(phys);
	if (fdt_check_header(fdt) || fdt_totalsize(fdt) > size ||
	    kho_fdt_check_structure(fdt) ||
	    fdt_node_check_compatible(fdt, 0, MEMBLOCK_KHO_COMPATIBLE))
		goto err;

	return fdt;

err:
	pr_warn("%s: list of %zu bytes at %pa not understood\n",
		MEMBLOCK_KHO_SUBTREE, size, &phys);
	return NULL;
}

struct region {
	phys_addr_t start;
	phys_addr_t size;
};

static int __init region_overlaps(const char *name, phys_addr_t start,
				  phys_addr_t size, void *data)
{
	struct region *region = data;

	return memblock_addrs_overlap(start, size, region->start, region->size);
}

/**
 * kho_reserve_mem_revive - find a reserve_mem region of the previous kernel
 * @name: its name
 * @size: its length in bytes
 * @align: what its address must be a multiple of
 *
 * Context: While reserve_mem= is parsed. The memory is held back already.
 * Return: the physical address; 0 when there is no such region, or after one
 * line that says why it cannot be used.
 */
phys_addr_t __init kho_reserve_mem_revive(const char *name, phys_addr_t size,
					  phys_addr_t align)
{
	const void *fdt = incoming_fdt();
	struct region region;
	u64 start, old_size;
	int node;

	if (!fdt)
		return 0;

	node = kho_fdt_find_subnode(fdt, name);
	if (node < 0)
		return 0;

	if (fdt_node_check_compatible(fdt, node, RESERVE_MEM_KHO_COMPATIBLE) ||
	    !kho_fdt_read_u64(fdt, node, RESERVE_MEM_KHO_START_PROP, &start) ||
	    !kho_fdt_read_u64(fdt, node, RESERVE_MEM_KHO_SIZE_PROP, &old_size)) {
		pr_warn("reserve_mem %s: handed-over description is malformed\n",
			name);
		return 0;
	}

	if (old_size != size || !IS_ALIGNED(start, align)) {
		pr_warn("reserve_mem %s: %llu bytes at %#llx were handed over, not %llu aligned to %llu\n",
			name, old_size, start, (u64)size, (u64)align);
		return 0;
	}

	region.start = start;
	region.size = size;
	if (!PAGE_ALIGNED(start) ||
	    !kho_run_preserved(PHYS_PFN(start), nr_pages_of(size)) ||
	    reserve_mem_for_each(region_overlaps, &region)) {
		pr_warn("reserve_mem %s: %llu bytes at %#llx are not preserved, or not for it alone\n",
			name, old_size, start);
		return 0;
	}

	kho_in.nr_revived += nr_pages_of(size);
	pr_info("reserve_mem %s: %llu bytes at %#llx taken over\n", name,
		old_size, start);
	return start;
}

/* Claim the largest block at @pfn. Returns its number of pages, 0 if there is none. */
static unsigned long __init claim_block_at(unsigned long pfn, unsigned long nr_pages)
{
	int order = kho_block_order(pfn, nr_pages);

	guard(rcu)();

	for (; order >= 0; order--) {
		if (kho_radix_del_key(&kho_in.tree, kho_key(PFN_PHYS(pfn), order)))
			return 1UL << order;
	}

	return 0;
}

/*
 * Take the pages of a region that was revived out of the incoming tree: the region stays
 * reserved, and if it were left in the tree, it could be discarded while it is in use. So
 * this must not fail, and takes block by block, which needs no memory.
 */
static int __init claim_region(const char *name, phys_addr_t start,
			       phys_addr_t size, void *unused)
{
	unsigned long pfn = PHYS_PFN(start), nr_pages = nr_pages_of(size), nr;

	if (!kho_run_preserved(pfn, nr_pages))
		return 0;

	for (; nr_pages; pfn += nr, nr_pages -= nr) {
		nr = claim_block_at(pfn, nr_pages);
		if (WARN_ON_ONCE(!nr))
			break;
		kho_clear_unclaimed(pfn_to_page(pfn), nr);
		kho_claimed_reserved(nr);
	}

	return 0;
}

/*
 * Preserve one region, and list it in the FDT. Returns 0 in any case: one region that
 * cannot be handed over is no reason not to hand the others over.
 */
static int __init preserve_region(const char *name, phys_addr_t start,
				  phys_addr_t size, void *fdt)
{
	unsigned long nr_pages = nr_pages_of(size);
	struct page *page = pfn_to_page(PHYS_PFN(start));
	u64 abi_start = start, abi_size = size;
	int node, err;

	err = kho_preserve_pages(page, nr_pages);
	if (err)
		goto err;

	node = fdt_add_subnode(fdt, 0, name);
	if (node < 0) {
		err = kho_fdt_errno(node);
		goto err_unpreserve;
	}

	err = fdt_setprop_string(fdt, node, "compatible",
				 RESERVE_MEM_KHO_COMPATIBLE) ?:
	      fdt_setprop(fdt, node, RESERVE_MEM_KHO_START_PROP, &abi_start,
			  sizeof(abi_start)) ?:
	      fdt_setprop(fdt, node, RESERVE_MEM_KHO_SIZE_PROP, &abi_size,
			  sizeof(abi_size));
	if (!err)
		return 0;

	/* A node that stays is refused by the next kernel: its pages are not preserved. */
	err = kho_fdt_errno(err);
	fdt_del_node(fdt, node);
err_unpreserve:
	kho_unpreserve_pages(page, nr_pages);
err:
	pr_err("reserve_mem %s will not be handed over: %d\n", name, err);
	return 0;
}

static int __init count_region(const char *name, phys_addr_t start,
			       phys_addr_t size, void *nr)
{
	++*(unsigned int *)nr;
	return 0;
}

/* Let root discard the regions that the command line does not ask for any more. */
static void __init list_unclaimed(const void *old_fdt)
{
	u64 start, size;
	int node;

	fdt_for_each_subnode(node, old_fdt, 0) {
		if (!fdt_node_check_compatible(old_fdt, node, RESERVE_MEM_KHO_COMPATIBLE) &&
		    kho_fdt_read_u64(old_fdt, node, RESERVE_MEM_KHO_START_PROP, &start) &&
		    kho_fdt_read_u64(old_fdt, node, RESERVE_MEM_KHO_SIZE_PROP, &size))
			kho_discard_add_region(fdt_get_name(old_fdt, node, NULL), start, size);
	}
}

static int __init preserve_regions(void)
{
	unsigned int nr = 0;
	void *fdt;
	int err;

	reserve_mem_for_each(count_region, &nr);
	if (!nr || !kho_is_enabled())
		return 0;

	fdt = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(fdt)) {
		err = PTR_ERR(fdt);
		goto err;
	}

	err = fdt_create_empty_tree(fdt, PAGE_SIZE) ?:
	      fdt_setprop_string(fdt, 0, "compatible", MEMBLOCK_KHO_COMPATIBLE);
	if (err) {
		err = kho_fdt_errno(err);
		goto err_free;
	}

	reserve_mem_for_each(preserve_region, fdt);

	err = kho_add_subtree(MEMBLOCK_KHO_SUBTREE, fdt, PAGE_SIZE);
	if (!err)
		return 0;

err_free:
	kho_unpreserve_free(fdt);
err:
	pr_err("no reserve_mem region will be handed over: %d\n", err);
	return 0;
}

/* Has to be early enough for users of the regions, late enough for KHO. */
static int __init preserve_reserve_mem(void)
{
	const void *old_fdt = incoming_fdt();

	if (is_kho_boot())
		reserve_mem_for_each(claim_region, NULL);
	WRITE_ONCE(kho_in.nr_revived, 0);
	if (old_fdt) {
		list_unclaimed(old_fdt);
		kho_restore_free((void *)old_fdt);
	}

	return preserve_regions();
}
fs_initcall(preserve_reserve_mem);
