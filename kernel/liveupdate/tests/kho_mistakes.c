// SPDX-License-Identifier: GPL-2.0-only
/*
 * A driver that makes mistakes which the next kernel would not forgive, and the check that
 * has to find them.
 *
 *	/sys/kernel/debug/kho_mistakes	write one mistake, or "undo":
 *		blob		register a blob that is not preserved
 *		overlap		preserve a page inside of a preserved folio
 *		scratch		preserve a page in scratch
 *		ram		preserve a page that is not RAM
 *		node		preserve a node of the tree
 *		check		measure what kho_check_out() takes
 *	read it: the segments of the loaded image, as "START END in place" or "... copied",
 *	and "check ERRNO CYCLES"
 *
 * All but the first add a key to the tree, as the public API refuses to make these
 * mistakes, or does so with CONFIG_KEXEC_HANDOVER_DEBUG.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kho_mm.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/timex.h>
#include <linux/uaccess.h>

#include "../../kexec_internal.h"
#include "../kho_internal.h"

#define SUBTREE		"kho-mistake"
#define FOLIO_ORDER	4

static DEFINE_MUTEX(lock);
static struct folio *folio;
static void *blob;
static unsigned long key;
static cycles_t check_cycles;
static int check_err;

static int add_key(phys_addr_t phys)
{
	int err;

	guard(rwsem_read)(&kho_out.nodes_lock);

	key = kho_key(phys, 0);
	err = kho_radix_add_key(&kho_out.tree, key);
	if (err)
		key = 0;

	return err;
}

static int cmd_blob(void)
{
	int err;

	blob = (void *)get_zeroed_page(GFP_KERNEL);
	if (!blob)
		return -ENOMEM;

	err = kho_add_subtree(SUBTREE, blob, PAGE_SIZE);
	if (err) {
		free_page((unsigned long)blob);
		blob = NULL;
	}

	return err;
}

static int cmd_overlap(void)
{
	int err;

	folio = kho_alloc_folio(FOLIO_ORDER, GFP_KERNEL);
	if (!folio)
		return -ENOMEM;

	err = kho_preserve_folio(folio) ?:
	      add_key(PFN_PHYS(folio_pfn(folio) + 3));
	if (!err)
		pr_info("page %#llx of a folio at %#llx\n",
			(u64)PFN_PHYS(folio_pfn(folio) + 3),
			(u64)PFN_PHYS(folio_pfn(folio)));

	return err;
}

static int cmd_scratch(void)
{
	return add_key(kho_scratch[0].addr);
}

static int cmd_ram(void)
{
	return add_key(PFN_PHYS(max_pfn) + SZ_1G);
}

static int cmd_node(void)
{
	return add_key(virt_to_phys(kho_out.tree.root));
}

static int cmd_check(void)
{
	cycles_t start;

	if (!kexec_trylock())
		return -EBUSY;

	if (kexec_image) {
		start = get_cycles();
		check_err = kho_check_image(kexec_image);
		check_cycles = get_cycles() - start;
	}

	kexec_unlock();
	return 0;
}

static int cmd_undo(void)
{
	if (key)
		kho_radix_del_key(&kho_out.tree, key);
	key = 0;

	if (folio) {
		kho_unpreserve_folio(folio);
		folio_put(folio);
		folio = NULL;
	}

	if (blob) {
		kho_remove_subtree(blob);
		free_page((unsigned long)blob);
		blob = NULL;
	}

	return 0;
}

static const struct {
	const char *name;
	int (*fn)(void);
} commands[] = {
	{ "blob", cmd_blob },
	{ "overlap", cmd_overlap },
	{ "scratch", cmd_scratch },
	{ "ram", cmd_ram },
	{ "node", cmd_node },
	{ "check", cmd_check },
	{ "undo", cmd_undo },
};

static ssize_t mistakes_write(struct file *file, const char __user *buf, size_t count,
			      loff_t *ppos)
{
	char cmd[16] = {};
	unsigned int i;
	int err;

	if (count >= sizeof(cmd))
		return -EINVAL;
	if (copy_from_user(cmd, buf, count))
		return -EFAULT;

	guard(mutex)(&lock);

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!sysfs_streq(cmd, commands[i].name))
			continue;

		err = commands[i].fn();
		return err ?: count;
	}

	return -EINVAL;
}

static int mistakes_show(struct seq_file *m, void *unused)
{
	const struct kexec_segment *segment;
	unsigned long i;

	if (!kexec_trylock())
		return -EBUSY;

	for (i = 0; kexec_image && i < kexec_image->nr_segments; i++) {
		segment = &kexec_image->segment[i];
		seq_printf(m, "%#lx %#lx %s\n", segment->mem, segment->mem + segment->memsz,
			   kho_image_in_place(kexec_image, segment) ? "in place" : "copied");
	}

	kexec_unlock();

	if (check_cycles)
		seq_printf(m, "check %d %llu\n", check_err, (u64)check_cycles);
	return 0;
}

static int mistakes_open(struct inode *inode, struct file *file)
{
	return single_open(file, mistakes_show, NULL);
}

static const struct file_operations mistakes_fops = {
	.open = mistakes_open,
	.read = seq_read,
	.write = mistakes_write,
	.llseek = seq_lseek,
	.release = single_release,
};

static int __init mistakes_init(void)
{
	debugfs_create_file("kho_mistakes", 0600, NULL, NULL, &mistakes_fops);
	return 0;
}
device_initcall(mistakes_init);
