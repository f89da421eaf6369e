// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sizes of the scratch areas, and reserving them in the first kernel of a chain.
 */

/**
 * DOC: KHO scratch sizes
 *
 * The default is what a kernel of this series needs to start. It leaves scratch as soon as
 * the direct map covers all RAM, so there is no room for struct pages, and no area on each
 * node. Let @image be the memory that the running kernel took when it was loaded (init_size
 * of a bzImage) plus its initrd, and @next a quarter more, as the next kernel may be larger::
 *
 *	low    = next + SLACK_LOW
 *	global = next + SLACK_GLOBAL + size of the page tables of the direct map
 *
 * Each of the two areas has room for a whole image. While the running kernel lies in one of
 * them, where it cannot be moved, the next one can be loaded into the other; and when that one
 * boots, the first area is free: KASLR moves the kernel there, and early allocations follow.
 * The slack is for segments other than the kernel and the initrd, for alignment, and for
 * KASLR to have a choice in any case.
 *
 * After the image has been unpacked, low + global - next is left for page tables of the direct
 * map and for what the check of the handover needs. On a machine with some hundred GiB that may
 * be too little, and then the low area grows by what is missing; see size_of_checks().
 *
 * Both areas together never take more than a quarter of the memory that is free.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/cma.h>
#include <linux/ctype.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include <asm/sections.h>

#include "kho_internal.h"

/* Percentages that kho_scratch= accepts. */
#define SCRATCH_SCALE_MAX	10000

/* Where the area that the next kernel needs for 32-bit addresses must end. */
#define SCRATCH_LOW_END		SZ_4G

#define SLACK_LOW		SZ_4M
#define SLACK_GLOBAL		SZ_2M

/**
 * enum scratch_sizing - where the sizes of the areas come from
 * @SIZE_DEFAULT: the needs of a kernel of this series
 * @SIZE_SCALE: a percentage of what booting this kernel took
 * @SIZE_FIXED: the command line
 */
enum scratch_sizing {
	SIZE_DEFAULT,
	SIZE_SCALE,
	SIZE_FIXED,
};

static enum scratch_sizing scratch_sizing __initdata;
static unsigned int scratch_scale __initdata;
static phys_addr_t scratch_size_low __initdata;
static phys_addr_t scratch_size_global __initdata;
static phys_addr_t scratch_size_pernode __initdata;

/**
 * struct scratch_param - a parameter that sets the sizes
 * @name: its name
 * @valid: whether it was there, with a valid value
 */
struct scratch_param {
	const char *name;
	bool valid;
};

/* Mainline has renamed the parameter: accept both. */
static struct scratch_param scratch_param __initdata = { "kho_scratch" };
static struct scratch_param bootmem_param __initdata = { "kho_bootmem" };

/* The last valid one, which counts, and its value. */
static struct scratch_param *last_param __initdata;
static char *last_value __initdata;

/* Memory that the boot of this kernel took: until it could leave scratch, and in all. */
static phys_addr_t used_early __ro_after_init;
static phys_addr_t used_in_all __ro_after_init;

/* The same without the image, until all memory was there. */
static phys_addr_t used_late __ro_after_init;

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
	scratch_sizing = SIZE_SCALE;
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

	scratch_sizing = SIZE_FIXED;
	scratch_size_low = size[0];
	scratch_size_global = size[1];
	scratch_size_pernode = size[2];
	return true;
}

/* LOWMEM,GLOBAL,PERNODE or N% */
static int __init parse_param(struct scratch_param *param, char *p)
{
	if (!p || !*p || !(strchr(p, '%') ? parse_scale(p) : parse_sizes(p))) {
		pr_err("%s=%s ignored: expected LOWMEM,GLOBAL,PERNODE sizes or 1%% to %d%%\n",
		       param->name, p ?: "", SCRATCH_SCALE_MAX);
		return 0;
	}

	param->valid = true;
	last_param = param;
	last_value = p;
	return 0;
}

static int __init kho_scratch_param(char *p)
{
	return parse_param(&scratch_param, p);
}
early_param("kho_scratch", kho_scratch_param);

static int __init kho_bootmem_param(char *p)
{
	return parse_param(&bootmem_param, p);
}
early_param("kho_bootmem", kho_bootmem_param);

/**
 * kho_arch_kernel_size - tell how much memory the running kernel took when it was loaded
 *
 * An architecture whose kernels have to be unpacked provides its own.
 *
 * Context: kho_memory_init().
 * Return: bytes.
 */
phys_addr_t __init __weak kho_arch_kernel_size(void)
{
	return _end - _text;
}

static phys_addr_t __init initrd_size(void)
{
	return IS_ENABLED(CONFIG_BLK_DEV_INITRD) ? initrd_end - initrd_start : 0;
}

static phys_addr_t __init image_footprint(void)
{
	return kho_arch_kernel_size() + initrd_size();
}

/* What memblock has allocated for the kernel itself. */
static phys_addr_t __init allocated_so_far(void)
{
	struct memblock_region *region;
	phys_addr_t total = 0;

	for_each_reserved_mem_region(region) {
		if (region->flags & MEMBLOCK_RSRV_KERN)
			total += region->size;
	}

	return total;
}

/**
 * kho_scratch_note_early_use - note what the boot took until it could leave scratch
 *
 * Context: kho_reserve_preserved().
 */
void __init kho_scratch_note_early_use(void)
{
	used_early = allocated_so_far();
}

/**
 * kho_scratch_note_use - note what the boot took before there were free pages
 *
 * Context: kho_memory_init().
 */
void __init kho_scratch_note_use(void)
{
	/* The initrd was not known before. */
	used_early += image_footprint();
	used_late = allocated_so_far();
	used_in_all = image_footprint() + used_late;
}

/**
 * kho_note_late_use - note what the boot took before all memory was there
 * @nr_pages: pages that the page allocator has handed out
 *
 * Context: page_alloc_init_late().
 */
void __init kho_note_late_use(unsigned long nr_pages)
{
	/* What has been restored by now is no memory that booting takes. */
	unsigned long restored = kho_in.nr_pages - atomic_long_read(&kho_in.nr_unclaimed);

	used_late += PFN_PHYS(nr_pages - min(nr_pages, restored));
}

/**
 * kho_boot_memory - tell how much memory the next kernel should have outside of scratch
 *
 * Until all memory is there, it needs struct pages, memory for each CPU and so on, as this
 * kernel did. A quarter more is for a next kernel that is larger.
 *
 * Context: Any, after page_alloc_init_late().
 * Return: bytes.
 */
phys_addr_t kho_boot_memory(void)
{
	return used_late + used_late / 4;
}

/* Whether two releases begin with the same version and patch level, as in 6.12. */
static bool same_series(const char *a, const char *b)
{
	size_t len = strcspn(a, ".");

	if (a[len])
		len += 1 + strspn(a + len + 1, "0123456789");

	return !strncmp(a, b, len) && !isdigit(b[len]);
}

/**
 * kho_scratch_check_successor - warn if the next kernel may not start in scratch
 * @release: its release, as of uname -r
 *
 * A kernel of this series leaves scratch before it needs much memory. Mainline stays there
 * until it has allocated its struct pages. Nothing in an image tells one from the other, so go
 * by the release: mainline before 6.16 does not know KHO.
 *
 * Context: kexec_file_load() of an image that hands over.
 */
void kho_scratch_check_successor(const char *release)
{
	bool ours = same_series(init_utsname()->release, release);
	phys_addr_t used = ours ? used_early : used_in_all, size = 0;
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++)
		size += kho_scratch[i].size;

	if (size >= used)
		return;

	if (ours)
		pr_warn("scratch has %llu MiB, and the boot of this kernel used %llu MiB of it: %.64s may not start; see kho_scratch=\n",
			(u64)size >> 20, (u64)used >> 20, release);
	else
		pr_warn("scratch has %llu MiB, and the boot of this kernel used %llu MiB: %.64s may not start; see kho_scratch=\n",
			(u64)size >> 20, (u64)used >> 20, release);
}

/*
 * Page tables of the direct map, which the next kernel allocates before it leaves scratch:
 * 8 bytes for 2 MiB, which is 4 MiB for 1 TiB, if it does not have to map pages of 4 KiB,
 * where it is 2 GiB.
 */
static phys_addr_t size_of_tables(const struct kho_scratch_needs *needs)
{
	return needs->small_pages ? needs->ram / PTRS_PER_PTE : needs->ram >> 18;
}

/*
 * Memory that the next kernel allocates to check and reserve a handover:
 *
 * - a page for each 128 MiB that contain a node of the tree, up to 32 MiB for 1 TiB;
 * - bits and a number for each block of 4 MiB, and memblock's arrays;
 * - lists of ranges that are reserved in pieces: up to 2048 blocks of 512 ranges with 16 and
 *   24 bytes each, see kho_hold.c.
 */
static phys_addr_t size_of_checks(const struct kho_scratch_needs *needs)
{
	return (needs->ram >> 15) + (needs->ram >> 20) + (needs->ram >> 21) +
	       min_t(phys_addr_t, needs->ram >> 12, 40 * SZ_1M);
}

/* What the alignment of a kernel may cost beyond that of an area. */
static phys_addr_t size_of_gap(void)
{
#ifdef CONFIG_PHYSICAL_ALIGN
	if (CONFIG_PHYSICAL_ALIGN > CMA_MIN_ALIGNMENT_BYTES)
		return CONFIG_PHYSICAL_ALIGN - CMA_MIN_ALIGNMENT_BYTES;
#endif
	return 0;
}

/**
 * kho_scratch_default_sizes - sizes of scratch areas unless the command line has some
 * @needs: what they depend on
 * @low: set to the size of the area below 4 GiB
 * @global: set to the size of the other one, which may be 0
 */
void kho_scratch_default_sizes(const struct kho_scratch_needs *needs,
			       phys_addr_t *low, phys_addr_t *global)
{
	phys_addr_t image = needs->kernel + needs->initrd, next = image + image / 4;
	phys_addr_t tables = size_of_tables(needs), left, quarter;
	phys_addr_t wanted = tables + size_of_checks(needs) + SLACK_LOW;

	*low = next + SLACK_LOW + size_of_gap();
	/* The direct map is made from the top, so its tables come from the upper area. */
	*global = next + SLACK_GLOBAL + size_of_gap() + tables;

	left = *low + *global - next;
	if (left < wanted)
		*low += wanted - left;

	*low = round_up(*low, CMA_MIN_ALIGNMENT_BYTES);
	*global = round_up(*global, CMA_MIN_ALIGNMENT_BYTES);

	quarter = round_down(needs->free / 4, CMA_MIN_ALIGNMENT_BYTES);
	*low = min(*low, quarter);
	*global = min(*global, quarter - *low);
	/* What is too small for a kernel is of little use. */
	if (*global < needs->kernel)
		*global = 0;
}

static void __init size_default(void)
{
	struct kho_scratch_needs needs = {
		.kernel = kho_arch_kernel_size(),
		.initrd = initrd_size(),
		.ram = memblock_phys_mem_size(),
		.free = memblock_phys_mem_size() - memblock_reserved_size(),
		.small_pages = debug_pagealloc_enabled(),
	};

	kho_scratch_default_sizes(&needs, &scratch_size_low, &scratch_size_global);
}

static phys_addr_t __init scaled(phys_addr_t size)
{
	return div_u64(size * scratch_scale, 100);
}

static void __init size_scaled(void)
{
	phys_addr_t image = image_footprint();

	scratch_size_low = scaled(image +
				  memblock_kernel_allocated(0, SCRATCH_LOW_END,
							    NUMA_NO_NODE));
	scratch_size_global = scaled(image);
}

static phys_addr_t __init size_pernode(int nid)
{
	if (scratch_sizing != SIZE_SCALE)
		return scratch_size_pernode;

	return scaled(memblock_kernel_allocated(SCRATCH_LOW_END, PHYS_ADDR_MAX,
						nid));
}

static bool __init add_area(phys_addr_t size, phys_addr_t end, int nid)
{
	phys_addr_t addr = memblock_alloc_range_nid(size, CMA_MIN_ALIGNMENT_BYTES,
						    0, end, nid, true);

	if (!addr)
		return false;

	kho_scratch[kho_scratch_cnt].addr = addr;
	kho_scratch[kho_scratch_cnt].size = size;
	kho_scratch_cnt++;
	return true;
}

/* The same below @end if there is room, and elsewhere if not. */
static bool __init add_area_below(const char *what, phys_addr_t size, phys_addr_t end)
{
	if (add_area(size, end, NUMA_NO_NODE))
		return true;

	if (end == MEMBLOCK_ALLOC_ACCESSIBLE ||
	    !add_area(size, MEMBLOCK_ALLOC_ACCESSIBLE, NUMA_NO_NODE))
		return false;

	pr_info("no room for %s scratch of %llu MiB below 4 GiB: it is at %pa\n",
		what, (u64)size >> 20, &kho_scratch[kho_scratch_cnt - 1].addr);
	return true;
}

static void __init report_no_room(const char *what, phys_addr_t size)
{
	pr_err("disabled: no room for %s scratch of %llu MiB (%llu MiB of RAM, %llu MiB reserved so far); see kho_scratch=\n",
	       what, (u64)size >> 20, (u64)memblock_phys_mem_size() >> 20,
	       (u64)memblock_reserved_size() >> 20);
}

/*
 * Reserve an area for which the command line has no size: the largest that can be had, up to
 * @size, and large enough for a kernel.
 */
static bool __init add_largest_area(const char *what, phys_addr_t size, phys_addr_t end)
{
	phys_addr_t least = round_up(kho_arch_kernel_size(), CMA_MIN_ALIGNMENT_BYTES);
	phys_addr_t try = round_up(size, CMA_MIN_ALIGNMENT_BYTES);

	while (try >= least) {
		if (add_area_below(what, try, end)) {
			if (try < size)
				pr_warn("no room for %s scratch of %llu MiB: it has %llu MiB\n",
					what, (u64)size >> 20, (u64)try >> 20);
			return true;
		}

		try = min(try - CMA_MIN_ALIGNMENT_BYTES,
			  round_down(try - try / 8, CMA_MIN_ALIGNMENT_BYTES));
	}

	return false;
}

static int __init reserve_flexible(void)
{
	int nid;

	if (!add_largest_area("low", scratch_size_low, SCRATCH_LOW_END)) {
		report_no_room("low", max(scratch_size_low, kho_arch_kernel_size()));
		return -ENOMEM;
	}

	if (scratch_size_global &&
	    !add_largest_area("global", scratch_size_global, MEMBLOCK_ALLOC_ACCESSIBLE))
		pr_warn("no room for global scratch of %llu MiB; going on without\n",
			(u64)scratch_size_global >> 20);

	for_each_node_state(nid, N_MEMORY) {
		phys_addr_t size = round_up(size_pernode(nid), CMA_MIN_ALIGNMENT_BYTES);

		if (size && !add_area(size, MEMBLOCK_ALLOC_ACCESSIBLE, nid))
			pr_warn("no room for scratch of %llu MiB on node %d; going on without\n",
				(u64)size >> 20, nid);
	}

	return 0;
}

/* Reserve one area of exactly the size on the command line. */
static int __init reserve_exact(const char *what, phys_addr_t size, phys_addr_t end, int nid)
{
	size = round_up(size, CMA_MIN_ALIGNMENT_BYTES);
	if (!size ||
	    (numa_valid_node(nid) ? add_area(size, end, nid) : add_area_below(what, size, end)))
		return 0;

	report_no_room(what, size);
	return -ENOMEM;
}

static int __init reserve_fixed(void)
{
	int nid, err;

	err = reserve_exact("low", scratch_size_low, SCRATCH_LOW_END, NUMA_NO_NODE);
	if (err)
		return err;

	err = reserve_exact("global", scratch_size_global, MEMBLOCK_ALLOC_ACCESSIBLE,
			    NUMA_NO_NODE);
	if (err)
		return err;

	for_each_node_state(nid, N_MEMORY) {
		err = reserve_exact("per-node", scratch_size_pernode,
				    MEMBLOCK_ALLOC_ACCESSIBLE, nid);
		if (err)
			return err;
	}

	return 0;
}

/**
 * kho_scratch_reserve - find scratch areas in the first kernel of a chain
 *
 * By default one area below 4 GiB and one anywhere, of the sizes that a kernel of this
 * series needs; see "KHO scratch sizes" in this file. kho_scratch= or kho_bootmem= may ask
 * for other sizes, and for one area on each node with memory.
 *
 * If an area of the wanted size cannot be had, it lies elsewhere, or is smaller. Sizes that
 * the command line gives in bytes are never changed. Nor is a quarter of the memory exceeded
 * by default.
 *
 * The areas are reserved in memblock until kho_scratch_release().
 *
 * Return: 0, or -ENOMEM after one line that says what was missing.
 */
int __init kho_scratch_reserve(void)
{
	int err;

	kho_scratch = memblock_alloc(kho_scratch_max_areas() * sizeof(*kho_scratch),
				     SMP_CACHE_BYTES);
	if (!kho_scratch) {
		pr_err("disabled: no memory for the list of %u scratch areas\n",
		       kho_scratch_max_areas());
		return -ENOMEM;
	}

	if (scratch_param.valid && bootmem_param.valid)
		pr_info("kho_scratch= and kho_bootmem= are both given: %s=%s counts, which is the last valid one\n",
			last_param->name, last_value);

	if (scratch_sizing == SIZE_DEFAULT)
		size_default();
	else if (scratch_sizing == SIZE_SCALE)
		size_scaled();

	memblock_payload_begin();
	err = scratch_sizing == SIZE_FIXED ? reserve_fixed() : reserve_flexible();
	memblock_payload_end();
	if (err)
		kho_scratch_free_areas();

	return err;
}
