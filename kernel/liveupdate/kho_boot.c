// SPDX-License-Identifier: GPL-2.0-only
/*
 * Early boot: take over what the previous kernel left.
 *
 * kho_populate()		The architecture has found a handover. From here on
 *				memblock allocates from scratch only.
 * kho_reserve_preserved()	The direct map covers all RAM. The tree is checked,
 *				what it preserves is reserved, and memblock may use
 *				all other memory.
 * kho_memory_init()		memblock is about to pass free memory to the page
 *				allocator. Without a handover the scratch areas are
 *				found here.
 *
 * What was handed over is input: nothing is built on it before it has been
 * checked, and a handover that fails a check is refused as a whole. The
 * kernel then boots as after a plain kexec.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/cc_platform.h>
#include <linux/crash_dump.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/libfdt.h>
#include <linux/memblock.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "kho_internal.h"

bool kho_enable __ro_after_init =
	IS_ENABLED(CONFIG_KEXEC_HANDOVER_ENABLE_DEFAULT);

struct kho_in kho_in;

/* The scratch areas hold and are known: set once, by kho_memory_init(). */
static bool kho_have_scratch __ro_after_init;

/* The handover between kho_populate() and kho_reserve_preserved(). */
static struct {
	phys_addr_t fdt;
	u64 root;
	u64 boot_memory;
	phys_addr_t scratch;
	struct kho_scratch *areas;
	unsigned int nr_scratch;
	unsigned long nr_nodes;
} incoming __initdata;

static int __init kho_param(char *p)
{
	if (!p || kstrtobool(p, &kho_enable))
		pr_err("kho=%s ignored: expected on or off\n", p ?: "");

	return 0;
}
early_param("kho", kho_param);

/**
 * kho_is_enabled - whether memory can be handed over
 *
 * Context: Any, after kho_memory_init().
 * Return: true when KHO is compiled in, on, and its scratch areas exist.
 */
bool kho_is_enabled(void)
{
	return kho_have_scratch;
}
EXPORT_SYMBOL_GPL(kho_is_enabled);

/**
 * is_kho_boot - whether this kernel took over a valid handover
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: true when it did.
 */
bool is_kho_boot(void)
{
	return kho_in.fdt;
}
EXPORT_SYMBOL_GPL(is_kho_boot);

/**
 * kho_revived_pages - how much handed-over memory stays reserved
 *
 * Context: Any, after reserve_mem= has been parsed.
 * Return: the number of pages in reserve_mem regions that have not been claimed so far.
 * memblock does not know them as reserved.
 */
unsigned long kho_revived_pages(void)
{
	return READ_ONCE(kho_in.nr_revived);
}

/**
 * kho_unclaimed_pages - how much handed-over memory is going to be restored
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: the number of pages that nobody has claimed so far, without reserve_mem regions
 * that stay reserved.
 */
unsigned long kho_unclaimed_pages(void)
{
	return atomic_long_read(&kho_in.nr_unclaimed) - kho_revived_pages();
}

static int __init check_incoming_fdt(phys_addr_t phys, u64 len)
{
	void *fdt;
	int err;

	/* At address 0 it would later count as none. */
	if (!phys || !PAGE_ALIGNED(phys) || len < sizeof(struct fdt_header) ||
	    len > PAGE_SIZE || !memblock_is_map_memory(phys)) {
		pr_err("handover refused: no FDT of %llu bytes at %pa\n",
		       len, &phys);
		return -EINVAL;
	}

	fdt = early_memremap(phys, PAGE_SIZE);
	if (!fdt) {
		pr_err("handover refused: cannot map FDT at %pa\n", &phys);
		return -ENOMEM;
	}

	err = kho_check_fdt(fdt, len, &incoming.root, &incoming.boot_memory);
	early_memunmap(fdt, PAGE_SIZE);
	return err;
}

/*
 * Not asked of memblock: architectures mark other memory, too, to get through the
 * early boot.
 */
static bool __init in_one_area(const struct kho_scratch *areas, unsigned int nr_areas,
			       phys_addr_t phys, u64 len)
{
	unsigned int i;

	for (i = 0; i < nr_areas; i++) {
		if (phys >= areas[i].addr &&
		    phys - areas[i].addr < areas[i].size &&
		    len <= areas[i].size - (phys - areas[i].addr))
			return true;
	}

	return false;
}

/*
 * The array is a segment of the image, and kexec copies segments with SME off, so that it
 * must not be read as if it were encrypted. In a guest all is encrypted, the copy included.
 * The root FDT is no segment but memory of the previous kernel, and encrypted in either case.
 */
static void *__init map_scratch_array(phys_addr_t phys, u64 len)
{
#ifdef CONFIG_ARCH_USE_MEMREMAP_PROT
	if (cc_platform_has(CC_ATTR_HOST_MEM_ENCRYPT))
		return early_memremap_prot(phys, len,
					   pgprot_val(pgprot_decrypted(PAGE_KERNEL)));
#endif
	return early_memremap(phys, len);
}

static void __init unmap_scratch_array(void)
{
	early_memunmap(incoming.areas, incoming.nr_scratch * sizeof(*incoming.areas));
	incoming.areas = NULL;
}

/*
 * Check the scratch areas, and have memblock allocate from nowhere else. Their array stays
 * mapped until kho_reserve_preserved().
 */
static int __init enter_scratch(phys_addr_t phys, u64 len)
{
	struct kho_scratch *areas;
	unsigned int nr_areas;
	int err;

	if (!len || len > KHO_SCRATCH_LEN_MAX || len % sizeof(*areas) ||
	    !IS_ALIGNED(phys, sizeof(u64)) ||
	    !memblock_is_map_memory(phys) ||
	    !memblock_is_region_memory(phys, len) ||
	    memblock_is_region_reserved(phys, len)) {
		pr_err("handover refused: no scratch array of %llu bytes at %pa\n",
		       len, &phys);
		return -EINVAL;
	}

	nr_areas = len / sizeof(*areas);
	areas = map_scratch_array(phys, len);
	if (!areas) {
		pr_err("handover refused: cannot map scratch array at %pa\n",
		       &phys);
		return -ENOMEM;
	}

	err = kho_scratch_check(areas, nr_areas);
	if (err)
		goto out;

	/* Until kho_scratch_adopt() has its own copy; to mark areas may allocate. */
	err = memblock_reserve(phys, len);
	if (err) {
		pr_err("handover refused: cannot reserve the scratch array\n");
		goto out;
	}

	err = kho_scratch_mark(areas, nr_areas);
	if (err) {
		pr_err("handover refused: cannot mark %u scratch areas\n",
		       nr_areas);
		goto err_free;
	}

	if (!in_one_area(areas, nr_areas, phys, len) ||
	    memblock_is_kho_scratch_memory(incoming.fdt)) {
		pr_err("handover refused: scratch array at %pa and FDT at %pa are on the wrong side\n",
		       &phys, &incoming.fdt);
		err = -EINVAL;
		goto err_unmark;
	}

	memblock_set_kho_scratch_only();
	incoming.scratch = phys;
	incoming.areas = areas;
	incoming.nr_scratch = nr_areas;
	return 0;

err_unmark:
	kho_scratch_unmark(areas, nr_areas);
err_free:
	memblock_phys_free(phys, len);
out:
	early_memunmap(areas, len);
	return err;
}

/**
 * kho_populate - note a handover, and retreat to scratch
 * @fdt_phys: physical address of the root FDT
 * @fdt_len: its length in bytes
 * @scratch_phys: physical address of the array of struct kho_scratch
 * @scratch_len: its length in bytes
 *
 * Called by the architecture when memblock knows all RAM but nothing has been
 * allocated from it, with what the previous kernel passed. The arguments and
 * what they point to are not trusted: a handover that is not in order is
 * refused with one line.
 *
 * Context: Early boot; only early_memremap() works.
 */
void __init kho_populate(phys_addr_t fdt_phys, u64 fdt_len,
			 phys_addr_t scratch_phys, u64 scratch_len)
{
	if (is_kdump_kernel())
		return;

	if (!kho_enable) {
		pr_warn("handover ignored: KHO is off in this kernel\n");
		return;
	}

	if (check_incoming_fdt(fdt_phys, fdt_len))
		return;

	incoming.fdt = fdt_phys;
	if (enter_scratch(scratch_phys, scratch_len))
		incoming.fdt = 0;
}

static int __init check_and_reserve(void)
{
	int err;

	err = kho_scratch_adopt(incoming.areas, incoming.nr_scratch);
	if (err) {
		pr_err("handover refused: no memory for %u scratch areas\n",
		       incoming.nr_scratch);
		return err;
	}

	/* Of the root only the address is known, and phys_to_virt() wants RAM. */
	if (!memblock_is_map_memory(incoming.root)) {
		pr_err("handover refused: tree root at %#llx is not in RAM\n",
		       incoming.root);
		return -EINVAL;
	}

	kho_radix_init_tree(&kho_in.tree, phys_to_virt(incoming.root));

	err = kho_hold_init();
	if (err) {
		pr_err("handover refused: no memory to check it\n");
		return err;
	}

	err = kho_check_tree(incoming.fdt, &incoming.nr_nodes);
	if (err)
		goto err_drop;

	err = kho_hold_commit(incoming.boot_memory);
	if (err)
		goto err_drop;

	return 0;

err_drop:
	kho_hold_drop();
	return err;
}

/**
 * kho_reserve_preserved - reserve what was handed over
 *
 * Called by the architecture as soon as the direct map covers all RAM, before
 * anything that needs much memory. Checks the whole handover and keeps memblock
 * away from all that it preserves, and from the tree itself. After that memblock
 * may allocate from all other memory again.
 *
 * A handover that fails a check is refused with one line and leaves no trace:
 * its scratch areas are ordinary memory and kho_memory_init() finds new ones.
 *
 * Context: Early boot, also if there is no handover.
 */
void __init kho_reserve_preserved(void)
{
	kho_scratch_note_early_use();
	if (!incoming.fdt)
		return;

	if (check_and_reserve()) {
		memblock_free(kho_scratch,
			      incoming.nr_scratch * sizeof(*kho_scratch));
		kho_scratch = NULL;
		kho_scratch_cnt = 0;
		kho_in.tree.root = NULL;
		kho_in.nr_pages = 0;
		kho_scratch_unmark(incoming.areas, incoming.nr_scratch);
	} else {
		kho_in.fdt = phys_to_virt(incoming.fdt);
		atomic_long_set(&kho_in.nr_unclaimed, kho_in.nr_pages);
		pr_info("took over %lu pages (%lu MiB) in %lu tree nodes, %u scratch areas\n",
			kho_in.nr_pages, kho_in.nr_pages >> (20 - PAGE_SHIFT),
			incoming.nr_nodes, kho_scratch_cnt);
	}

	unmap_scratch_array();
	memblock_phys_free(incoming.scratch,
			   incoming.nr_scratch * sizeof(struct kho_scratch));
	memblock_clear_kho_scratch_only();
}

/**
 * kho_memory_init - settle the scratch areas
 *
 * Called right before memblock passes its free memory to the page allocator.
 * In the first kernel of a chain this finds scratch areas; if there is no
 * room for them, KHO is off.
 *
 * Context: mm_core_init(), single-threaded.
 */
void __init kho_memory_init(void)
{
	if (!kho_enable || is_kdump_kernel())
		return;

	kho_scratch_note_use();
	if (!is_kho_boot()) {
		if (kho_scratch_reserve() || kho_scratch_release())
			return;
	} else {
		kho_init_pages_exact();
	}

	kho_have_scratch = true;
}
