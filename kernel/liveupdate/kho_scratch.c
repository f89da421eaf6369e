// SPDX-License-Identifier: GPL-2.0-only
/*
 * Scratch areas: memory that holds nothing worth preserving.
 *
 * The segments of the next kernel's image are placed there, and the next
 * kernel lives there alone until it knows what else is free. Meanwhile the
 * memory is not lost: its pageblocks are MIGRATE_CMA, so that movable pages
 * use it and pages that somebody may want to preserve never do.
 *
 * The areas are found once, by the first kernel of a chain, and handed on
 * unchanged for ever.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/memblock.h>

#include "kho_internal.h"

struct kho_scratch *kho_scratch __ro_after_init;
unsigned int kho_scratch_cnt __ro_after_init;

bool __kho_scratch_overlap(phys_addr_t phys, size_t size)
{
	phys_addr_t end = phys + min_t(phys_addr_t, size, PHYS_ADDR_MAX - phys);
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++) {
		if (phys < kho_scratch[i].addr + kho_scratch[i].size &&
		    end > kho_scratch[i].addr)
			return true;
	}

	return false;
}

/**
 * kho_scratch_overlap - whether a range touches a scratch area
 * @phys: physical address of the range
 * @size: its length in bytes
 *
 * Memory in scratch cannot be preserved. Whoever wants to preserve movable
 * pages migrates them out first, as memfd_pin_folios() does.
 *
 * Context: Any, after kho_memory_init().
 * Return: true when at least one byte lies in scratch.
 */
bool kho_scratch_overlap(phys_addr_t phys, size_t size)
{
	return __kho_scratch_overlap(phys, size);
}
EXPORT_SYMBOL_GPL(kho_scratch_overlap);

/**
 * kho_scratch_check - whether handed-over scratch areas can be used
 * @areas: the array
 * @nr_areas: number of its elements
 *
 * Areas may be empty: mainline has one for each node, whether it needs it or not.
 *
 * Return: 0, or -EINVAL after one line that names the area.
 */
int __init kho_scratch_check(const struct kho_scratch *areas,
			     unsigned int nr_areas)
{
	unsigned int i, j;

	for (i = 0; i < nr_areas; i++) {
		phys_addr_t addr = areas[i].addr, size = areas[i].size;

		if (!size)
			continue;

		if (!PAGE_ALIGNED(addr | size) || addr + size < addr ||
		    !memblock_is_map_memory(addr) ||
		    !memblock_is_region_memory(addr, size)) {
			pr_err("handover refused: scratch area %u (%pa, %pa bytes) is not usable RAM\n",
			       i, &addr, &size);
			return -EINVAL;
		}

		for (j = 0; j < i; j++) {
			if (areas[j].size &&
			    memblock_addrs_overlap(addr, size, areas[j].addr,
						   areas[j].size)) {
				pr_err("handover refused: scratch areas %u and %u overlap at %pa\n",
				       j, i, &addr);
				return -EINVAL;
			}
		}
	}

	return 0;
}

/**
 * kho_scratch_mark - tell memblock about scratch areas
 * @areas: the array
 * @nr_areas: number of its elements
 *
 * Return: 0, or -ENOMEM with no area marked.
 */
int __init kho_scratch_mark(const struct kho_scratch *areas,
			    unsigned int nr_areas)
{
	unsigned int i;
	int err;

	for (i = 0; i < nr_areas; i++) {
		if (!areas[i].size)
			continue;

		err = memblock_mark_kho_scratch(areas[i].addr, areas[i].size);
		if (err) {
			kho_scratch_unmark(areas, i);
			return err;
		}
	}

	return 0;
}

/**
 * kho_scratch_unmark - undo kho_scratch_mark()
 * @areas: the array
 * @nr_areas: number of its elements
 */
void __init kho_scratch_unmark(const struct kho_scratch *areas,
			       unsigned int nr_areas)
{
	/*
	 * If there is no room to split a region, a mark stays. It has no effect but on
	 * where memblock allocates on behalf of others.
	 */
	while (nr_areas--)
		memblock_clear_kho_scratch(areas[nr_areas].addr,
					   areas[nr_areas].size);
}

/**
 * kho_scratch_adopt - go on using the previous kernel's scratch areas
 * @areas: the array, which is copied without empty areas
 * @nr_areas: number of its elements
 *
 * Return: 0, or -ENOMEM.
 */
int __init kho_scratch_adopt(const struct kho_scratch *areas,
			     unsigned int nr_areas)
{
	unsigned int i;

	kho_scratch = memblock_alloc(nr_areas * sizeof(*areas),
				     SMP_CACHE_BYTES);
	if (!kho_scratch)
		return -ENOMEM;

	for (i = 0; i < nr_areas; i++) {
		if (areas[i].size)
			kho_scratch[kho_scratch_cnt++] = areas[i];
	}

	return 0;
}

/**
 * kho_scratch_max_areas - how many areas there can be
 *
 * Return: the number that kho_scratch has room for in the first kernel of a chain.
 */
unsigned int __init kho_scratch_max_areas(void)
{
	return 2 + num_node_state(N_MEMORY);
}

/**
 * kho_scratch_free_areas - give up all scratch areas
 *
 * Context: kho_memory_init().
 */
void __init kho_scratch_free_areas(void)
{
	const struct kho_scratch *area;

	while (kho_scratch_cnt) {
		area = &kho_scratch[--kho_scratch_cnt];
		if (memblock_phys_free(area->addr, area->size))
			pr_warn("scratch area of %llu MiB at %#llx may stay reserved: no memory to free it\n",
				(u64)area->size >> 20, (u64)area->addr);
	}

	memblock_free(kho_scratch, kho_scratch_max_areas() * sizeof(*kho_scratch));
	kho_scratch = NULL;
}

/**
 * kho_scratch_release - give what kho_scratch_reserve() reserved to the kernel
 *
 * The memory becomes free again in memblock, right before memblock passes it
 * to the page allocator. Pageblocks that have got their type already become
 * MIGRATE_CMA here, the others when their time comes: see
 * kho_pageblock_migratetype().
 *
 * Return: 0; or -errno after one line that says which area is not free, and then there
 * is no scratch.
 */
int __init kho_scratch_release(void)
{
	unsigned int i;
	int err;

	for (i = 0; i < kho_scratch_cnt; i++) {
		phys_addr_t addr = kho_scratch[i].addr;
		phys_addr_t size = kho_scratch[i].size;

		err = memblock_mark_kho_scratch(addr, size) ?:
		      memblock_phys_free(addr, size);
		if (err) {
			pr_err("disabled: scratch area of %llu MiB at %pa cannot be freed: %d\n",
			       (u64)size >> 20, &addr, err);
			kho_scratch_free_areas();
			return err;
		}
	}

	for (i = 0; i < kho_scratch_cnt; i++)
		kho_init_scratch_pageblocks(PHYS_PFN(kho_scratch[i].addr),
					    PHYS_PFN(kho_scratch[i].addr +
						     kho_scratch[i].size));
	return 0;
}
