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

#include <linux/cma.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <asm/sections.h>

#include "kho_internal.h"

/* Percentage of the boot footprint that scratch is sized to by default. */
#define SCRATCH_SCALE		200
#define SCRATCH_SCALE_MAX	10000

/* Where the area that the next kernel needs for 32-bit addresses must end. */
#define SCRATCH_LOW_END		SZ_4G

struct kho_scratch *kho_scratch __ro_after_init;
unsigned int kho_scratch_cnt __ro_after_init;

static unsigned int scratch_scale __initdata = SCRATCH_SCALE;
static phys_addr_t scratch_size_low __initdata;
static phys_addr_t scratch_size_global __initdata;
static phys_addr_t scratch_size_pernode __initdata;

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

static bool __init parse_scale(char *p)
{
	unsigned int scale;
	char *percent = strchr(p, '%');

	if (percent[1])
		return false;

	*percent = '\0';
	if (kstrtouint(p, 10, &scale) || !scale || scale > SCRATCH_SCALE_MAX) {
		*percent = '%';
		return false;
	}

	*percent = '%';
	scratch_scale = scale;
	return true;
}

static bool __init parse_sizes(char *p)
{
	phys_addr_t size[3];
	char *next;
	int i;

	for (i = 0; i < 3; i++) {
		size[i] = memparse(p, &next);
		if (next == p || *next != (i < 2 ? ',' : '\0'))
			return false;
		if (size[i] > SZ_1T)
			return false;
		p = next + 1;
	}

	if (!size[0] && !size[1] && !size[2])
		return false;

	scratch_scale = 0;
	scratch_size_low = size[0];
	scratch_size_global = size[1];
	scratch_size_pernode = size[2];
	return true;
}

/* kho_scratch=LOWMEM,GLOBAL,PERNODE or kho_scratch=N% */
static int __init kho_scratch_param(char *p)
{
	if (!p || !*p || !(strchr(p, '%') ? parse_scale(p) : parse_sizes(p)))
		pr_err("kho_scratch=%s ignored: expected LOWMEM,GLOBAL,PERNODE sizes or 1%% to %d%%\n",
		       p ?: "", SCRATCH_SCALE_MAX);

	return 0;
}
early_param("kho_scratch", kho_scratch_param);

/* What loading this kernel took: the kernel and its initrd. */
static phys_addr_t __init image_footprint(void)
{
	phys_addr_t size = _end - _text;

#ifdef CONFIG_BLK_DEV_INITRD
	size += initrd_end - initrd_start;
#endif
	return size;
}

static phys_addr_t __init scaled(phys_addr_t size)
{
	return div_u64(size * scratch_scale, 100);
}

static void __init size_default(void)
{
	phys_addr_t image = image_footprint();

	if (!scratch_scale)
		return;

	scratch_size_low = scaled(image +
				  memblock_kernel_allocated(0, SCRATCH_LOW_END,
							    NUMA_NO_NODE));
	scratch_size_global = scaled(image);
}

static phys_addr_t __init size_pernode(int nid)
{
	if (!scratch_scale)
		return scratch_size_pernode;

	return scaled(memblock_kernel_allocated(SCRATCH_LOW_END, PHYS_ADDR_MAX,
						nid));
}

/* Reserve one area. 0 when it is not wanted, or the error. */
static int __init reserve_area(const char *what, phys_addr_t size,
			       phys_addr_t end, int nid)
{
	phys_addr_t addr;

	if (!size)
		return 0;

	size = round_up(size, CMA_MIN_ALIGNMENT_BYTES);
	addr = memblock_alloc_range_nid(size, CMA_MIN_ALIGNMENT_BYTES, 0, end,
					nid, true);
	if (!addr && numa_valid_node(nid) && scratch_scale) {
		pr_warn("no room for scratch of %llu MiB on node %d; going on without\n",
			(u64)size >> 20, nid);
		return -ENOMEM;
	}
	if (!addr) {
		pr_err("disabled: no room for %s scratch of %llu MiB (%llu MiB of RAM, %llu MiB reserved so far); see kho_scratch=\n",
		       what, (u64)size >> 20,
		       (u64)memblock_phys_mem_size() >> 20,
		       (u64)memblock_reserved_size() >> 20);
		return -ENOMEM;
	}

	kho_scratch[kho_scratch_cnt].addr = addr;
	kho_scratch[kho_scratch_cnt].size = size;
	kho_scratch_cnt++;
	return 0;
}

static unsigned int __init max_areas(void)
{
	return 2 + num_node_state(N_MEMORY);
}

static void __init free_areas(void)
{
	const struct kho_scratch *area;

	while (kho_scratch_cnt) {
		area = &kho_scratch[--kho_scratch_cnt];
		if (memblock_phys_free(area->addr, area->size))
			pr_warn("scratch area of %llu MiB at %#llx may stay reserved: no memory to free it\n",
				(u64)area->size >> 20, (u64)area->addr);
	}

	memblock_free(kho_scratch, max_areas() * sizeof(*kho_scratch));
	kho_scratch = NULL;
}

/**
 * kho_scratch_reserve - find scratch areas in the first kernel of a chain
 *
 * One area below 4 GiB, one anywhere, one on each node with memory. Unless
 * kho_scratch= gives their sizes they are twice of what booting this kernel
 * took: its image and initrd, and what it allocated for itself. What is
 * allocated on behalf of others (reserve_mem=, hugetlb pages, crashkernel,
 * CMA) does not count.
 *
 * The areas are reserved in memblock until kho_scratch_release().
 *
 * Return: 0, or -ENOMEM after one line that says what was missing.
 */
int __init kho_scratch_reserve(void)
{
	int nid, err;

	kho_scratch = memblock_alloc(max_areas() * sizeof(*kho_scratch),
				     SMP_CACHE_BYTES);
	if (!kho_scratch) {
		pr_err("disabled: no memory for the list of %u scratch areas\n",
		       max_areas());
		return -ENOMEM;
	}

	size_default();

	memblock_payload_begin();
	err = reserve_area("low", scratch_size_low, SCRATCH_LOW_END,
			   NUMA_NO_NODE);
	if (err)
		goto err_free;

	err = reserve_area("global", scratch_size_global,
			   MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE);
	if (err)
		goto err_free;

	/* Only who asks for them insists on areas on all nodes. */
	for_each_node_state(nid, N_MEMORY) {
		err = reserve_area("per-node", size_pernode(nid),
				   MEMBLOCK_ALLOC_ACCESSIBLE, nid);
		if (err && !scratch_scale)
			goto err_free;
	}

	memblock_payload_end();
	return 0;

err_free:
	memblock_payload_end();
	free_areas();
	return err;
}

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
			free_areas();
			return err;
		}
	}

	for (i = 0; i < kho_scratch_cnt; i++)
		kho_init_scratch_pageblocks(PHYS_PFN(kho_scratch[i].addr),
					    PHYS_PFN(kho_scratch[i].addr +
						     kho_scratch[i].size));
	return 0;
}
