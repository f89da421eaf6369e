// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/debug/kho: what was handed over, and what will be.
 *
 *	scratch			the scratch areas
 *	out/fdt			root FDT for the next kernel, readable by dtc
 *	out/sub_fdts/NAME	the blobs registered with kho_add_subtree()
 *	out/preserved		the preserved blocks: address, order, pages
 *	out/preserved_pages	how many pages they are
 *	out/ranges		the same as ranges, from what
 *				CONFIG_KEXEC_HANDOVER_DEBUG keeps beside the tree
 *	out/tree_nodes		how many pages the tree itself takes
 *	out/scratch_phys	addresses of the scratch areas, as in mainline
 *	out/scratch_len		and their sizes
 *	out/bootmem_phys	the same two by the names that mainline has given
 *	out/bootmem_len		them since
 *	in/			the same from the previous kernel, as far as it is
 *				unclaimed, and in addition
 *	in/restored_pages	pages that were claimed since
 *	in/unclaimed_pages	pages that nobody has claimed yet
 *	in/late_init_ns		how long it took to initialize their struct pages
 *	in/late_init_threads	and how many threads did that at the same time
 *
 * What shows memory of the kernel (fdt, sub_fdts) or physical addresses (fdt, preserved,
 * ranges, scratch) is refused where /proc/kcore is: under lockdown=confidentiality.
 * debugfs alone would show it to root, as the files can only be read. Numbers of pages
 * tell nothing that has to be kept.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/debugfs.h>
#include <linux/io.h>
#include <linux/kho_mm.h>
#include <linux/libfdt.h>
#include <linux/list.h>
#include <linux/security.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "kho_internal.h"

/* A blob file that can be removed by name. */
struct blob_file {
	struct list_head list;
	struct debugfs_blob_wrapper blob;
	struct dentry *dentry;
	char name[];
};

static int blob_open(struct inode *inode, struct file *file)
{
	return security_locked_down(LOCKDOWN_KCORE) ?: simple_open(inode, file);
}

static ssize_t blob_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	const struct debugfs_blob_wrapper *blob = file->private_data;

	return simple_read_from_buffer(buf, count, ppos, blob->data, blob->size);
}

/* Unlike debugfs_create_blob(), these respect lockdown. */
static const struct file_operations blob_fops = {
	.owner = THIS_MODULE,
	.open = blob_open,
	.read = blob_read,
	.llseek = default_llseek,
};

static struct dentry *out_sub_fdts;
static LIST_HEAD(out_blobs);

/* Protects the two above. Removing a file waits for its readers. */
static DEFINE_MUTEX(blobs_lock);

static struct blob_file *add_blob(struct dentry *dir, const char *name,
				  void *data, size_t size)
{
	struct blob_file *file;

	file = kzalloc(struct_size(file, name, strlen(name) + 1), GFP_KERNEL);
	if (!file)
		return NULL;

	strscpy(file->name, name, strlen(name) + 1);
	file->blob.data = data;
	file->blob.size = size;
	file->dentry = debugfs_create_file(name, 0400, dir, &file->blob, &blob_fops);
	return file;
}

static void add_out_blob(const char *name, void *blob, size_t size)
{
	struct blob_file *file;

	file = add_blob(out_sub_fdts, name, blob, size);
	if (file)
		list_add(&file->list, &out_blobs);
}

/**
 * kho_debugfs_add_subtree - show a blob of the outgoing handover
 * @name: its name
 * @blob: its data
 * @size: its length in bytes
 *
 * Before debugfs is there this does nothing.
 */
void kho_debugfs_add_subtree(const char *name, void *blob, size_t size)
{
	guard(mutex)(&blobs_lock);

	if (out_sub_fdts)
		add_out_blob(name, blob, size);
}

/**
 * kho_debugfs_remove_subtree - hide what kho_debugfs_add_subtree() showed
 * @blob: its data
 */
void kho_debugfs_remove_subtree(const void *blob)
{
	struct blob_file *file, *next;

	guard(mutex)(&blobs_lock);

	list_for_each_entry_safe(file, next, &out_blobs, list) {
		if (file->blob.data != blob)
			continue;

		list_del(&file->list);
		debugfs_remove(file->dentry);
		kfree(file);
	}
}

static int scratch_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++)
		seq_printf(m, "%#llx-%#llx %llu KiB\n",
			   (u64)kho_scratch[i].addr,
			   (u64)kho_scratch[i].addr + kho_scratch[i].size - 1,
			   (u64)kho_scratch[i].size >> 10);

	return 0;
}

static int scratch_open(struct inode *inode, struct file *file)
{
	return security_locked_down(LOCKDOWN_KCORE) ?:
	       single_open(file, scratch_show, NULL);
}

static const struct file_operations scratch_fops = {
	.owner = THIS_MODULE,
	.open = scratch_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static int scratch_phys_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++)
		seq_printf(m, "%#llx\n", (u64)kho_scratch[i].addr);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(scratch_phys);

static int scratch_len_show(struct seq_file *m, void *unused)
{
	unsigned int i;

	for (i = 0; i < kho_scratch_cnt; i++)
		seq_printf(m, "%#llx\n", (u64)kho_scratch[i].size);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(scratch_len);

/*
 * One step of the iteration over blocks for each record, so that seq_file
 * never needs more than a page however many blocks there are.
 */
struct preserved_seq {
	struct kho_range_iter iter;
	unsigned int generation;
	loff_t pos;
	bool more;
	phys_addr_t phys;
	unsigned int order;
};

static void *preserved_step(struct preserved_seq *seq)
{
	seq->more = kho_range_iter_next_block(&seq->iter, &seq->phys,
					      &seq->order);
	return seq->more ? seq : NULL;
}

static void *preserved_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct preserved_seq *seq = m->private;

	++*pos;
	seq->pos = *pos;
	return preserved_step(seq);
}

static void *preserved_start(struct seq_file *m, loff_t *pos)
	__acquires(RCU)
{
	struct kho_radix_tree *tree = file_inode(m->file)->i_private;
	struct preserved_seq *seq = m->private;
	unsigned int generation;

	/* Keeps all nodes, as long as there is a root. */
	rcu_read_lock();
	if (!READ_ONCE(tree->root))
		return NULL;

	/* Before anything is looked up; pairs with begin_generation(). */
	generation = smp_load_acquire(&tree->generation);
	if (*pos && *pos == seq->pos) {
		/* Leaves are gone: look for the block once more. */
		if (seq->more && seq->generation != generation) {
			seq->generation = generation;
			kho_range_iter_seek(&seq->iter, seq->phys);
			preserved_step(seq);
		}
		return seq->more ? seq : NULL;
	}

	/* From the start, or a seek: go through all that comes before. */
	seq->generation = generation;
	kho_range_iter_init(&seq->iter, tree);
	seq->pos = 0;
	while (preserved_step(seq) && seq->pos < *pos)
		seq->pos++;

	return seq->more ? seq : NULL;
}

static void preserved_stop(struct seq_file *m, void *v)
	__releases(RCU)
{
	rcu_read_unlock();
}

static int preserved_show(struct seq_file *m, void *v)
{
	struct preserved_seq *seq = m->private;

	seq_printf(m, "%#llx-%#llx order %u pages %lu\n", (u64)seq->phys,
		   (u64)seq->phys + (PAGE_SIZE << seq->order) - 1, seq->order,
		   1UL << seq->order);
	return 0;
}

static const struct seq_operations preserved_sops = {
	.start = preserved_start,
	.next = preserved_next,
	.stop = preserved_stop,
	.show = preserved_show,
};

static int preserved_open(struct inode *inode, struct file *file)
{
	return security_locked_down(LOCKDOWN_KCORE) ?:
	       seq_open_private(file, &preserved_sops, sizeof(struct preserved_seq));
}

static const struct file_operations preserved_fops = {
	.owner = THIS_MODULE,
	.open = preserved_open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = seq_release_private,
};

static int counter_get(void *data, u64 *value)
{
	*value = atomic_long_read(data);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(counter_fops, counter_get, NULL, "%llu\n");

static int preserved_get(void *data, u64 *value)
{
	guard(rcu)();

	*value = kho_nr_pages(&kho_out.tree);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(preserved_pages_fops, preserved_get, NULL, "%llu\n");

static int count_node(phys_addr_t phys, void *nr)
{
	++*(u64 *)nr;
	return 0;
}

static const struct kho_radix_walk_cb count_cb = {
	.node = count_node,
};

static int nodes_get(void *data, u64 *value)
{
	guard(rcu)();

	*value = 0;
	return kho_radix_walk_tree(&kho_out.tree, &count_cb, value);
}
DEFINE_DEBUGFS_ATTRIBUTE(nodes_fops, nodes_get, NULL, "%llu\n");

static int restored_get(void *data, u64 *value)
{
	*value = kho_in.nr_pages - atomic_long_read(&kho_in.nr_unclaimed);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(restored_fops, restored_get, NULL, "%llu\n");

static bool subtree_blob(const void *fdt, int node, u64 *phys, u64 *size)
{
	return kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_DATA_PROP, phys) &&
	       kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, size);
}

static void __init create_out(struct dentry *root)
{
	struct dentry *dir = debugfs_create_dir("out", root);
	u64 phys, size;
	int node;

	add_blob(dir, "fdt", kho_out.fdt, PAGE_SIZE);
	debugfs_create_file("preserved", 0400, dir, &kho_out.tree,
			    &preserved_fops);
	debugfs_create_file_unsafe("preserved_pages", 0400, dir, NULL,
				   &preserved_pages_fops);
	debugfs_create_file_unsafe("tree_nodes", 0400, dir, NULL, &nodes_fops);
	kho_debug_create_files(dir);

	/* Mainline has these, first by the one name, then by the other. */
	debugfs_create_file("scratch_phys", 0400, dir, NULL, &scratch_phys_fops);
	debugfs_create_file("scratch_len", 0400, dir, NULL, &scratch_len_fops);
	debugfs_create_file("bootmem_phys", 0400, dir, NULL, &scratch_phys_fops);
	debugfs_create_file("bootmem_len", 0400, dir, NULL, &scratch_len_fops);

	/* Those that were registered before debugfs was there. */
	guard(mutex)(&blobs_lock);
	guard(mutex)(&kho_out.lock);
	out_sub_fdts = debugfs_create_dir("sub_fdts", dir);
	fdt_for_each_subnode(node, kho_out.fdt, 0) {
		if (subtree_blob(kho_out.fdt, node, &phys, &size))
			add_out_blob(fdt_get_name(kho_out.fdt, node, NULL),
				     phys_to_virt(phys), size);
	}
}

/* Larger than what kho_alloc_preserve() can allocate no blob should be. */
#define MAX_BLOB_COPY	(PAGE_SIZE << MAX_PAGE_ORDER)

/*
 * Blobs are copied: their producers free them when they have read them. Only
 * those whose pages are preserved can be read at all.
 */
static void __init create_in(struct dentry *root)
{
	struct dentry *dir = debugfs_create_dir("in", root);
	struct dentry *sub_fdts = debugfs_create_dir("sub_fdts", dir);
	u64 phys, size;
	void *copy;
	int node;

	add_blob(dir, "fdt", (void *)kho_in.fdt, PAGE_SIZE);
	debugfs_create_file("preserved", 0400, dir, &kho_in.tree,
			    &preserved_fops);
	debugfs_create_ulong("preserved_pages", 0400, dir, &kho_in.nr_pages);
	debugfs_create_file_unsafe("restored_pages", 0400, dir, NULL,
				   &restored_fops);
	debugfs_create_file_unsafe("unclaimed_pages", 0400, dir,
				   &kho_in.nr_unclaimed, &counter_fops);
	debugfs_create_u64("late_init_ns", 0400, dir, &kho_late.ns);
	debugfs_create_atomic_t("late_init_threads", 0400, dir, &kho_late.threads);

	fdt_for_each_subnode(node, kho_in.fdt, 0) {
		if (!subtree_blob(kho_in.fdt, node, &phys, &size) ||
		    size > MAX_BLOB_COPY ||
		    !kho_range_covered(&kho_in.tree, phys, size))
			continue;

		copy = kvmemdup(phys_to_virt(phys), size, GFP_KERNEL);
		if (copy)
			add_blob(sub_fdts, fdt_get_name(kho_in.fdt, node, NULL),
				 copy, size);
	}
}

static int __init kho_debugfs_init(void)
{
	struct dentry *root;

	if (!kho_is_enabled() || kho_out_not_ready())
		return 0;

	root = debugfs_create_dir("kho", NULL);
	debugfs_create_file("scratch", 0400, root, NULL, &scratch_fops);
	create_out(root);
	if (is_kho_boot())
		create_in(root);

	return 0;
}

/* After kho_out_init() and before anybody restores his blob. */
postcore_initcall(kho_debugfs_init);
