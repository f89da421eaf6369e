// SPDX-License-Identifier: GPL-2.0-only
/*
 * A storm of allocations, to see that none of what the kernel allocates for
 * itself lies in scratch: it could not be preserved, or the next kernel be
 * loaded over it.
 *
 *	/sys/kernel/debug/kho_storm/control	write anything: allocate memory of
 *						every kind until there is none left,
 *						note what lies in scratch, free it
 *	/sys/kernel/debug/kho_storm/report	for each kind the number of
 *						allocations, and of those in scratch
 *
 * kho_storm.early=1 does that in an early initcall, too, before other CPUs are up and
 * deferred struct pages are initialized.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

static DEFINE_MUTEX(lock);

static bool early;
module_param(early, bool, 0444);
MODULE_PARM_DESC(early, "a storm in an early initcall");

enum storm_from {
	FROM_BUDDY,
	FROM_SLAB,
	FROM_VMALLOC,
	FROM_PERCPU,
};

struct storm_kind {
	const char *name;
	enum storm_from from;
	gfp_t gfp;
	size_t size;
	unsigned long nr;
	unsigned long nr_in_scratch;
	bool failed;
};

#define STORM_GFP	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN)

static struct storm_kind storm_kinds[] = {
	{ "page", FROM_BUDDY, STORM_GFP, PAGE_SIZE },
	{ "atomic", FROM_BUDDY, GFP_ATOMIC | __GFP_NOWARN, PAGE_SIZE },
	{ "user", FROM_BUDDY, STORM_GFP | GFP_USER, PAGE_SIZE },
	{ "reclaimable", FROM_BUDDY, STORM_GFP | __GFP_RECLAIMABLE, PAGE_SIZE },
	{ "account", FROM_BUDDY, STORM_GFP | __GFP_ACCOUNT, PAGE_SIZE },
	{ "dma32", FROM_BUDDY, STORM_GFP | __GFP_DMA32, PAGE_SIZE },
	{ "order_3", FROM_BUDDY, STORM_GFP, PAGE_SIZE << 3 },
	{ "order_9", FROM_BUDDY, STORM_GFP | __GFP_COMP, PAGE_SIZE << 9 },
	{ "order_max", FROM_BUDDY, STORM_GFP, PAGE_SIZE << MAX_PAGE_ORDER },
	{ "kmalloc", FROM_SLAB, STORM_GFP, 96 },
	{ "kmalloc_large", FROM_SLAB, STORM_GFP, 3 * PAGE_SIZE },
	{ "kmalloc_reclaimable", FROM_SLAB, STORM_GFP | __GFP_RECLAIMABLE, 1024 },
	{ "vmalloc", FROM_VMALLOC, STORM_GFP, SZ_256K },
	{ "percpu", FROM_PERCPU, STORM_GFP, PAGE_SIZE },
	/* To show that scratch does serve those that may use it. */
	{ "movable", FROM_BUDDY, STORM_GFP | GFP_HIGHUSER_MOVABLE, PAGE_SIZE },
};

/* Lies in what was allocated, so that it takes nothing from the others. */
struct storm_item {
	struct list_head list;
	struct storm_kind *kind;
	void __percpu *pcpu;
};

static bool storm_item_in_scratch(struct storm_item *item)
{
	void *start = item;
	unsigned long pfn;
	size_t offset;
	void *addr;
	int cpu;

	switch (item->kind->from) {
	case FROM_BUDDY:
	case FROM_SLAB:
		return kho_scratch_overlap(virt_to_phys(start), item->kind->size);
	case FROM_VMALLOC:
		for (offset = 0; offset < item->kind->size; offset += PAGE_SIZE) {
			pfn = vmalloc_to_pfn(start + offset);
			if (kho_scratch_overlap(PFN_PHYS(pfn), PAGE_SIZE))
				return true;
		}
		return false;
	case FROM_PERCPU:
		for_each_possible_cpu(cpu) {
			addr = per_cpu_ptr(item->pcpu, cpu);
			if (kho_scratch_overlap(per_cpu_ptr_to_phys(addr), 1))
				return true;
		}
		return false;
	}

	return false;
}

static struct storm_item *storm_alloc(struct storm_kind *kind)
{
	void __percpu *pcpu = NULL;
	struct storm_item *item = NULL;
	struct page *page;

	switch (kind->from) {
	case FROM_BUDDY:
		page = alloc_pages(kind->gfp, get_order(kind->size));
		item = page ? page_address(page) : NULL;
		break;
	case FROM_SLAB:
		item = kmalloc(kind->size, kind->gfp);
		break;
	case FROM_VMALLOC:
		item = __vmalloc(kind->size, kind->gfp);
		break;
	case FROM_PERCPU:
		pcpu = __alloc_percpu_gfp(kind->size, PAGE_SIZE, kind->gfp);
		item = pcpu ? per_cpu_ptr(pcpu, cpumask_first(cpu_possible_mask)) : NULL;
		break;
	}

	if (item) {
		item->kind = kind;
		item->pcpu = pcpu;
	}
	return item;
}

static void storm_free(struct storm_item *item)
{
	switch (item->kind->from) {
	case FROM_BUDDY:
		free_pages((unsigned long)item, get_order(item->kind->size));
		break;
	case FROM_SLAB:
		kfree(item);
		break;
	case FROM_VMALLOC:
		vfree(item);
		break;
	case FROM_PERCPU:
		free_percpu(item->pcpu);
		break;
	}
}

/*
 * What is left to others: who runs the test shall survive it, and so shall the
 * threads of the kernel, which get nothing below the watermark. Early in boot there
 * are next to none, and no watermark; and it is less than the largest piece, see
 * storm_may_go_on().
 */
static unsigned long storm_margin(void)
{
	unsigned long nr = PHYS_PFN(system_state < SYSTEM_RUNNING ? SZ_2M : SZ_4M);
	struct zone *zone;

	for_each_populated_zone(zone)
		nr += min_wmark_pages(zone);

	return nr;
}

/* With what CPUs have yet to add: it may be more than the margin. */
static unsigned long storm_count(enum zone_stat_item what)
{
	unsigned long nr = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		nr += zone_page_state_snapshot(zone, what);

	return nr;
}

static bool storm_may_go_on(const struct storm_kind *kind)
{
	unsigned long nr_free = storm_count(NR_FREE_PAGES);

	if (!(kind->gfp & __GFP_MOVABLE))
		nr_free -= min(nr_free, storm_count(NR_FREE_CMA_PAGES));

	/*
	 * Early in boot most memory is not initialized, and more of it comes when there
	 * is none that would do. So ask for what is larger than all that there is:
	 * either more comes, or what there is stays. The latter once, it takes long.
	 */
	if (system_state < SYSTEM_RUNNING && kind->from == FROM_BUDDY &&
	    nr_free < PHYS_PFN(kind->size) && !kind->failed)
		return true;

	return nr_free > storm_margin() + PHYS_PFN(kind->size);
}

static bool storm_one(struct storm_kind *kind, struct list_head *items)
{
	struct storm_item *item;

	if (!storm_may_go_on(kind))
		return false;

	item = storm_alloc(kind);
	kind->failed = !item;
	if (!item)
		return false;

	kind->nr++;
	kind->nr_in_scratch += storm_item_in_scratch(item);
	list_add(&item->list, items);
	return true;
}

static void storm(void)
{
	struct storm_item *item, *next;
	LIST_HEAD(items);
	bool more;
	int i;

	for (i = 0; i < ARRAY_SIZE(storm_kinds); i++) {
		storm_kinds[i].nr = 0;
		storm_kinds[i].nr_in_scratch = 0;
		storm_kinds[i].failed = false;
	}

	do {
		more = false;
		for (i = 0; i < ARRAY_SIZE(storm_kinds); i++)
			more |= storm_one(&storm_kinds[i], &items);
		cond_resched();
	} while (more);

	list_for_each_entry_safe(item, next, &items, list)
		storm_free(item);
}

static ssize_t control_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	mutex_lock(&lock);
	storm();
	mutex_unlock(&lock);

	return count;
}

static const struct file_operations control_fops = {
	.open = simple_open,
	.write = control_write,
};

static int report_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	mutex_lock(&lock);
	for (i = 0; i < ARRAY_SIZE(storm_kinds); i++)
		seq_printf(m, "%s %lu in scratch %lu\n", storm_kinds[i].name,
			   storm_kinds[i].nr, storm_kinds[i].nr_in_scratch);
	mutex_unlock(&lock);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init storm_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_storm", NULL);

	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);
	return 0;
}
device_initcall(storm_init);

static int __init storm_early(void)
{
	if (early)
		storm();
	return 0;
}
early_initcall(storm_early);
