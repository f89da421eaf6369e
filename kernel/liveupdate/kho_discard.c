// SPDX-License-Identifier: GPL-2.0-only
/*
 * Give up memory of the previous kernel that nothing claims, such as a reserve_mem= region
 * that is no longer on the command line, or the memory of a driver that is gone.
 *
 *	/sys/kernel/kho/incoming/discard_unclaimed
 *		write 1: free all unclaimed memory
 *	/sys/kernel/kho/incoming/reserve_mem/NAME/unclaimed_bytes
 *		unclaimed memory of one region
 *	/sys/kernel/kho/incoming/reserve_mem/NAME/discard_unclaimed
 *		write 1: free the memory of this region
 *
 * A block is discarded as it is restored: its key is deleted from the incoming tree,
 * which only one caller can do, and then its pages are released. So a driver that
 * restores memory at the same time either gets it or finds nothing.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/capability.h>
#include <linux/cleanup.h>
#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/kho_mm.h>
#include <linux/kobject.h>
#include <linux/kstrtox.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "kho_internal.h"

/* Blocks that are looked up at once. */
#define BATCH_SIZE	64

/* So many pages are freed at once. */
#define CHUNK_PAGES	1024UL

/* Serializes discards, so that each message in the log has the pages of one of them. */
static DEFINE_MUTEX(discard_lock);

/**
 * struct region - a reserve_mem= region that the previous kernel had
 * @kobj: its directory; the name is that of the region
 * @list: in regions
 * @pfn: its first page
 * @nr_pages: number of pages
 */
struct region {
	struct kobject kobj;
	struct list_head list;
	unsigned long pfn;
	unsigned long nr_pages;
};

static LIST_HEAD(regions);
static struct kobject *reserve_mem_kobj;

/* Free pages that were claimed. One by one: some may be known to be broken. */
static void free_claimed(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long nr, i;
	struct page *page;

	kho_claimed(nr_pages);
	for (; nr_pages; pfn += nr, nr_pages -= nr) {
		nr = min(nr_pages, CHUNK_PAGES);
		page = pfn_to_page(pfn);
		kho_release_pages(page, nr);
		for (i = 0; i < nr; i++)
			__free_page(page + i);
		cond_resched();
	}
}

/* Returns the number of pages, 0 if the block has been claimed meanwhile. */
static unsigned long discard_block(unsigned long key)
{
	unsigned long nr_pages = 1UL << kho_key_order(key);
	bool claimed;

	scoped_guard(rcu)
		claimed = kho_radix_del_key(&kho_in.tree, key);
	if (!claimed)
		return 0;

	free_claimed(PHYS_PFN(kho_key_phys(key)), nr_pages);
	return nr_pages;
}

/* Look up the next keys from *@key on, and set *@key to where to go on. */
static unsigned int next_keys(unsigned long *key, unsigned long *keys)
{
	struct kho_radix_iter iter;
	unsigned int nr = 0;

	/* The tree is freed when nothing is left in it. */
	guard(rcu)();

	if (!READ_ONCE(kho_in.tree.root))
		return 0;

	kho_radix_iter_init(&iter, &kho_in.tree);
	while (nr < BATCH_SIZE && kho_radix_iter_next(&iter, key, ~0UL))
		keys[nr++] = (*key)++;

	return nr;
}

static unsigned long discard_blocks(void)
{
	unsigned long key = kho_key(0, KHO_MAX_ORDER), nr_pages = 0;
	unsigned long keys[BATCH_SIZE];
	unsigned int nr, i;

	while (!fatal_signal_pending(current) && (nr = next_keys(&key, keys))) {
		for (i = 0; i < nr; i++)
			nr_pages += discard_block(keys[i]);
		cond_resched();
	}

	return nr_pages;
}

/*
 * From then on no driver finds a subtree: its blob may be used by something else. What
 * was not discarded when the caller was killed can be discarded by the next one.
 */
static int discard_all(void)
{
	unsigned long nr_pages;
	int err;

	guard(mutex)(&discard_lock);

	err = luo_check_discard();
	if (err)
		return err;

	WRITE_ONCE(kho_in.discarded, true);
	nr_pages = discard_blocks();
	hugetlb_forget_arriving();
	pr_info("%lu unclaimed pages (%lu MiB) of the previous kernel were discarded\n",
		nr_pages, nr_pages >> (20 - PAGE_SHIFT));
	return fatal_signal_pending(current) ? -EINTR : 0;
}

static int discard_region(const struct region *region)
{
	guard(mutex)(&discard_lock);

	if (!kho_claim_run(region->pfn, region->nr_pages))
		return kho_run_preserved(region->pfn, region->nr_pages) ? -ENOMEM : -ENOENT;

	free_claimed(region->pfn, region->nr_pages);
	pr_info("reserve_mem %s: %lu unclaimed pages of the previous kernel were discarded\n",
		kobject_name(&region->kobj), region->nr_pages);
	return 0;
}

/* Returns 0 if a caller that may discard memory has written 1, else -errno. */
static int check_store(const char *buf)
{
	bool value;

	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	return kstrtobool(buf, &value) || !value ? -EINVAL : 0;
}

static ssize_t discard_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	return check_store(buf) ?: discard_all() ?: (ssize_t)count;
}

static struct kobj_attribute discard_attr =
	__ATTR(discard_unclaimed, 0200, NULL, discard_store);

static struct region *to_region(struct kobject *kobj)
{
	return container_of(kobj, struct region, kobj);
}

static ssize_t region_bytes_show(struct kobject *kobj, struct kobj_attribute *attr,
				 char *buf)
{
	struct region *region = to_region(kobj);
	u64 bytes = 0;

	if (kho_run_preserved(region->pfn, region->nr_pages))
		bytes = (u64)region->nr_pages << PAGE_SHIFT;

	return sysfs_emit(buf, "%llu\n", bytes);
}

static struct kobj_attribute region_bytes_attr =
	__ATTR(unclaimed_bytes, 0444, region_bytes_show, NULL);

static ssize_t region_discard_store(struct kobject *kobj, struct kobj_attribute *attr,
				    const char *buf, size_t count)
{
	return check_store(buf) ?: discard_region(to_region(kobj)) ?: (ssize_t)count;
}

static struct kobj_attribute region_discard_attr =
	__ATTR(discard_unclaimed, 0200, NULL, region_discard_store);

static struct attribute *region_attrs[] = {
	&region_bytes_attr.attr,
	&region_discard_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(region);

static void region_release(struct kobject *kobj)
{
	kfree(to_region(kobj));
}

static const struct kobj_type region_ktype = {
	.release = region_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = region_groups,
};

/* Names come from the previous kernel. */
static bool __init name_usable(const char *name)
{
	const struct region *region;
	const char *c;

	for (c = name; *c; c++) {
		if (!isgraph(*c) || *c == '/')
			return false;
	}

	list_for_each_entry(region, &regions, list) {
		if (!strcmp(kobject_name(&region->kobj), name))
			return false;
	}

	return *name && strcmp(name, ".") && strcmp(name, "..");
}

/**
 * kho_discard_add_region - let an unclaimed reserve_mem= region be discarded alone
 * @name: its name
 * @start: physical address of its first byte
 * @size: its length in bytes
 *
 * Does nothing if the region was claimed, or not preserved like this. A region that cannot
 * be listed can still be discarded with all other memory.
 *
 * Context: While booting, after subsys_initcall_sync; may sleep.
 */
void __init kho_discard_add_region(const char *name, phys_addr_t start, u64 size)
{
	unsigned long nr_pages = size >> PAGE_SHIFT;
	struct region *region;

	if (!reserve_mem_kobj || !PAGE_ALIGNED(start) || !PAGE_ALIGNED(size) || !nr_pages ||
	    !name_usable(name) || !kho_run_preserved(PHYS_PFN(start), nr_pages))
		return;

	region = kzalloc(sizeof(*region), GFP_KERNEL);
	if (!region)
		return;

	region->pfn = PHYS_PFN(start);
	region->nr_pages = nr_pages;
	if (kobject_init_and_add(&region->kobj, &region_ktype, reserve_mem_kobj, "%s", name))
		kobject_put(&region->kobj);
	else
		list_add_tail(&region->list, &regions);
}

/* Runs once kho_sysfs_init() has created the directory. */
static int __init kho_discard_init(void)
{
	int err;

	if (!kho_sysfs_in)
		return 0;

	err = sysfs_create_file(kho_sysfs_in, &discard_attr.attr);
	if (!err) {
		reserve_mem_kobj = kobject_create_and_add("reserve_mem", kho_sysfs_in);
		err = reserve_mem_kobj ? 0 : -ENOMEM;
	}
	if (err)
		pr_err("/sys/kernel/kho is not complete: %d\n", err);

	return err;
}
subsys_initcall_sync(kho_discard_init);
