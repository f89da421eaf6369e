// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/kho: the numbers and ranges of a handover, for production systems. Unlike
 * debugfs, sysfs stays readable under kernel lockdown, and its files are ABI:
 * Documentation/ABI/testing/sysfs-kernel-kho describes each of them.
 *
 * Files with one value are ordinary attributes. A list of ranges or sessions is one file
 * as well, not a directory with a file for each number:
 *
 * - Lists of this kind were in debugfs, which kernel lockdown closes, and with it the only
 *   means of an admin to see what a kexec hands over or loses.
 * - The lines of a list belong together: its reader wants what there is at one time, and
 *   with thousands of small files it would get some of before and some of after a change.
 *   A million files could not be a directory each.
 * - The cgroup and resctrl file systems have such lists, and for the same reasons.
 *
 * Lists can be longer than the one page that an attribute may have, so they are kernfs
 * files with a seq_file iterator. Only root can read them, as they take time and memory,
 * and tell addresses and names.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/init.h>
#include <linux/kernfs.h>
#include <linux/kexec.h>
#include <linux/kho_mm.h>
#include <linux/kobject.h>
#include <linux/minmax.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "../kexec_internal.h"
#include "kho_internal.h"

/* /sys/kernel/kho/incoming. NULL without a handover, or if it could not be created. */
struct kobject *kho_sysfs_in __ro_after_init;

static ssize_t emit_bytes(char *buf, unsigned long nr_pages)
{
	return sysfs_emit(buf, "%llu\n", (u64)nr_pages << PAGE_SHIFT);
}

static ssize_t scratch_bytes_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	u64 bytes = 0;
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++)
		bytes += kho_scratch[i].size;

	return sysfs_emit(buf, "%llu\n", bytes);
}

static struct kobj_attribute scratch_bytes_attr = __ATTR_RO(scratch_bytes);

static ssize_t out_preserved_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	guard(rcu)();

	return emit_bytes(buf, kho_nr_pages(&kho_out.tree));
}

/* Only for root: it looks at the whole tree, which any user could have it do in a loop. */
static struct kobj_attribute out_preserved_attr =
	__ATTR(preserved_bytes, 0400, out_preserved_show, NULL);

static ssize_t image_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	const char *image = "none";

	if (!kexec_trylock())
		return -EBUSY;

	if (kexec_image)
		image = kexec_image->kho.fdt_phys ? "handover" : "plain";
	kexec_unlock();

	return sysfs_emit(buf, "%s\n", image);
}

/* Only for root: while a process reads it, no other one can load an image. */
static struct kobj_attribute image_attr = __ATTR(image, 0400, image_show, NULL);

static ssize_t in_preserved_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return emit_bytes(buf, kho_in.nr_pages);
}

static struct kobj_attribute in_preserved_attr =
	__ATTR(preserved_bytes, 0444, in_preserved_show, NULL);

static ssize_t unclaimed_bytes_show(struct kobject *kobj,
				    struct kobj_attribute *attr, char *buf)
{
	return emit_bytes(buf, atomic_long_read(&kho_in.nr_unclaimed));
}

static struct kobj_attribute unclaimed_bytes_attr = __ATTR_RO(unclaimed_bytes);

static ssize_t blackout_us_show(struct kobject *kobj, struct kobj_attribute *attr,
				char *buf)
{
	s64 us = kho_blackout_us();

	return us < 0 ? us : sysfs_emit(buf, "%lld\n", us);
}

static struct kobj_attribute blackout_us_attr = __ATTR_RO(blackout_us);

static int show_range(struct seq_file *m, phys_addr_t start, phys_addr_t end)
{
	seq_printf(m, "%#llx-%#llx %llu KiB\n", (u64)start, (u64)end - 1,
		   (u64)(end - start) >> 10);
	return 0;
}

static void *scratch_start(struct seq_file *m, loff_t *pos)
{
	return *pos < kho_scratch_cnt ? &kho_scratch[*pos] : NULL;
}

static void *scratch_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return scratch_start(m, pos);
}

static int scratch_show(struct seq_file *m, void *v)
{
	const struct kho_scratch *area = v;

	return show_range(m, area->addr, area->addr + area->size);
}

static const struct kernfs_ops scratch_ops = {
	.seq_start = scratch_start,
	.seq_next = scratch_next,
	.seq_show = scratch_show,
};

/*
 * Blocks that are looked at under one rcu_read_lock(), and so at most in one line. To go
 * to an offset, seq_file has all lines before it shown in one go.
 */
#define MAX_BLOCKS	4096

/**
 * struct ranges - position of a reader in a list of ranges
 * @iter: where it is in the tree
 * @generation: of the tree, when @iter was valid
 * @pos: index of the current range
 * @nr_blocks: blocks that were looked at since rcu_read_lock()
 * @end_reached: there is no current range
 * @start: first byte of the current range
 * @end: the byte after it
 * @more: there is a block behind the current range
 * @phys: address of that block
 * @order: its order
 */
struct ranges {
	struct kho_range_iter iter;
	unsigned int generation;
	loff_t pos;
	unsigned int nr_blocks;
	bool end_reached;
	phys_addr_t start;
	phys_addr_t end;
	bool more;
	phys_addr_t phys;
	unsigned int order;
};

static struct ranges *ranges_of(struct seq_file *m)
{
	struct kernfs_open_file *of = m->private;

	return of->priv;
}

static void next_block(struct ranges *ranges)
{
	ranges->nr_blocks++;
	ranges->more = kho_range_iter_next_block(&ranges->iter, &ranges->phys,
						 &ranges->order);
}

/*
 * Begin to read nodes of the tree. If leaves have been freed since the last time, look
 * for the block behind the current range again. False if the tree is empty by now.
 */
static bool lock_tree(struct ranges *ranges, const struct kho_radix_tree *tree)
	__acquires(RCU)
{
	unsigned int generation;

	/* Keeps all nodes, as long as there is a root. */
	rcu_read_lock();
	ranges->nr_blocks = 0;
	if (!READ_ONCE(tree->root))
		return false;

	/* Read before any node is looked up; pairs with begin_generation(). */
	generation = smp_load_acquire(&tree->generation);
	if (ranges->more && ranges->generation != generation) {
		kho_range_iter_seek(&ranges->iter, ranges->phys);
		next_block(ranges);
	}
	ranges->generation = generation;
	return true;
}

static void next_range(struct ranges *ranges)
	__must_hold(RCU)
{
	if (ranges->more && ranges->nr_blocks >= MAX_BLOCKS) {
		rcu_read_unlock();
		cond_resched();
		if (!lock_tree(ranges, ranges->iter.tree))
			ranges->more = false;
	}

	ranges->end_reached = !ranges->more;
	if (ranges->end_reached)
		return;

	ranges->start = ranges->phys;
	ranges->end = ranges->phys;
	do {
		ranges->end = max(ranges->end, ranges->phys + (PAGE_SIZE << ranges->order));
		next_block(ranges);
	} while (ranges->more && ranges->phys <= ranges->end &&
		 ranges->nr_blocks < MAX_BLOCKS);
}

static void *current_range(struct ranges *ranges)
{
	return ranges->end_reached ? NULL : ranges;
}

static void *ranges_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct ranges *ranges = ranges_of(m);

	++*pos;
	ranges->pos = *pos;
	next_range(ranges);
	return current_range(ranges);
}

static void *ranges_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	struct kernfs_open_file *of = m->private;
	struct kho_radix_tree *tree = of->kn->priv;
	struct ranges *ranges = ranges_of(m);

	/* From the start, or after a seek: there is no block to look for again. */
	if (!*pos || *pos != ranges->pos)
		ranges->more = false;
	if (!lock_tree(ranges, tree))
		return NULL;

	if (*pos && *pos == ranges->pos)
		return current_range(ranges);

	/* Skip the ranges before *pos. */
	kho_range_iter_init(&ranges->iter, tree);
	next_block(ranges);
	next_range(ranges);
	for (ranges->pos = 0; ranges->pos < *pos && current_range(ranges); ranges->pos++)
		next_range(ranges);

	return current_range(ranges);
}

static void ranges_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static int ranges_show(struct seq_file *m, void *v)
{
	const struct ranges *ranges = v;

	return show_range(m, ranges->start, ranges->end);
}

static int ranges_open(struct kernfs_open_file *of)
{
	struct ranges *ranges = kvzalloc(sizeof(*ranges), GFP_KERNEL);

	of->priv = ranges;
	return ranges ? 0 : -ENOMEM;
}

static void ranges_release(struct kernfs_open_file *of)
{
	kvfree(of->priv);
}

static const struct kernfs_ops ranges_ops = {
	.open = ranges_open,
	.release = ranges_release,
	.seq_start = ranges_start,
	.seq_next = ranges_next,
	.seq_stop = ranges_stop,
	.seq_show = ranges_show,
};

/**
 * kho_sysfs_list - create a file in sysfs that can be longer than a page
 * @dir: the directory
 * @name: name of the file, which only root can read
 * @ops: how it is read
 * @priv: for @ops, in kernfs_node.priv
 *
 * Context: Initcalls.
 * Return:
 * * 0 - the file exists, and is never removed
 * * %-ENOMEM - no memory
 * * %-EEXIST - @dir has a file of that name
 */
int __init kho_sysfs_list(struct kobject *dir, const char *name,
			  const struct kernfs_ops *ops, void *priv)
{
	return PTR_ERR_OR_ZERO(__kernfs_create_file(dir->sd, name, 0400, GLOBAL_ROOT_UID,
						    GLOBAL_ROOT_GID, 0, ops, priv, NULL,
						    NULL));
}

static int __init create_out(struct kobject *root)
{
	struct kobject *dir = kobject_create_and_add("outgoing", root);
	int err;

	if (!dir)
		return -ENOMEM;

	err = sysfs_create_file(dir, &out_preserved_attr.attr) ?:
	      sysfs_create_file(dir, &image_attr.attr) ?:
	      kho_sysfs_list(dir, "ranges", &ranges_ops, &kho_out.tree);
	if (err)
		kobject_put(dir);

	return err;
}

static int __init create_in(struct kobject *root)
{
	struct kobject *dir = kobject_create_and_add("incoming", root);
	int err;

	if (!dir)
		return -ENOMEM;

	err = sysfs_create_file(dir, &in_preserved_attr.attr) ?:
	      sysfs_create_file(dir, &unclaimed_bytes_attr.attr) ?:
	      (kho_timing_has_blackout() ?
	       sysfs_create_file(dir, &blackout_us_attr.attr) : 0) ?:
	      kho_sysfs_list(dir, "ranges", &ranges_ops, &kho_in.tree);
	if (err)
		kobject_put(dir);
	else
		kho_sysfs_in = dir;

	return err;
}

static int __init create_files(struct kobject *root)
{
	return sysfs_create_file(root, &scratch_bytes_attr.attr) ?:
	       kho_sysfs_list(root, "scratch", &scratch_ops, NULL) ?:
	       create_out(root) ?:
	       (is_kho_boot() ? create_in(root) : 0);
}

static int __init kho_sysfs_init(void)
{
	struct kobject *root;
	int err = -ENOMEM;

	if (!kho_is_enabled() || kho_out_not_ready())
		return 0;

	root = kobject_create_and_add("kho", kernel_kobj);
	if (root)
		err = create_files(root);
	if (err)
		pr_err("/sys/kernel/kho is not complete: %d\n", err);

	return err;
}
subsys_initcall(kho_sysfs_init);
