// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preserve most of the memory with Kexec HandOver.
 *
 *	/sys/kernel/debug/kho_bulk/control	write one command:
 *		runs LEAVE NODE STRIDE	all free memory of a node, of all if it is
 *					-1, but LEAVE MiB, in runs as long as can be.
 *					All of each STRIDEth page is filled
 *		fragments LEAVE		half of all free memory: every second page,
 *					as folios. In addition one page of each
 *					2 MiB of RAM that are in use
 *		top MIB			the last MIB MiB of each node's RAM, by
 *					whomever they are used
 *		restore			restore and verify what the previous kernel
 *					left
 *		again			fill and preserve that anew
 *		free			free it
 *	/sys/kernel/debug/kho_bulk/report	what came of it, "name value"
 *
 * kho_bulk.early=1 restores in an initcall, and 2 does so before the other CPUs are up.
 *
 * Nothing of all this is in scratch. It uses only the public API.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/sizes.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

#include "kho_fill.h"

#define SUBTREE		"kho-bulk"
#define MAGIC		0x6b6c7562206f686bULL
#define RECORD_SIZE	SZ_1M
#define MAX_PIECES	((RECORD_SIZE - sizeof(struct record)) / sizeof(struct piece))

/* Crosses kernels: a run of pages in one node, or every second of its pages. */
struct piece {
	u64 pfn;
	u64 nr_pages;
	u32 nid;
	u16 step;
	u16 filled;
};

/* Crosses kernels: the blob of the subtree. */
struct record {
	u64 magic;
	u64 seed;
	u64 stride;
	u64 nr_pages;
	u64 end_pfn;
	u64 nr_pieces;
	struct piece pieces[];
};

static struct record *outgoing, *incoming;
static DEFINE_MUTEX(lock);

/* Of the last command, but for those about the whole machine. */
static struct {
	unsigned long pages;		/* that were preserved or restored */
	unsigned long pieces;
	unsigned long largest;		/* of the pieces, in pages */
	unsigned long in_use;		/* pages that somebody else uses */
	unsigned long missed;		/* 2 MiB in use without a page for us */
	unsigned long tops;		/* last pages of nodes */
	unsigned long not_restored;
	unsigned long damaged;
	unsigned long wrong_node;
	unsigned long not_sane;
	unsigned long node_pages[MAX_NUMNODES];
} result;

/*
 * Pieces
 */

static int add_piece(unsigned long pfn, unsigned long nr_pages, u16 filled)
{
	u32 nid = page_to_nid(pfn_to_page(pfn));
	struct piece *piece = &outgoing->pieces[outgoing->nr_pieces];

	if (outgoing->nr_pieces && piece[-1].pfn + piece[-1].nr_pages == pfn &&
	    piece[-1].nid == nid && piece[-1].filled == filled) {
		piece[-1].nr_pages += nr_pages;
		return 0;
	}

	if (outgoing->nr_pieces == MAX_PIECES)
		return -ENOSPC;

	*piece = (struct piece){
		.pfn = pfn, .nr_pages = nr_pages, .nid = nid, .step = 1,
		.filled = filled,
	};
	outgoing->nr_pieces++;
	return 0;
}

static int compare_pieces(const void *a, const void *b)
{
	const struct piece *left = a, *right = b;

	return left->pfn < right->pfn ? -1 : 1;
}

/* Make as few as possible of them. */
static void merge_pieces(void)
{
	unsigned long i, nr = outgoing->nr_pieces;

	sort(outgoing->pieces, nr, sizeof(struct piece), compare_pieces, NULL);
	outgoing->nr_pieces = 0;
	for (i = 0; i < nr; i++)
		add_piece(outgoing->pieces[i].pfn, outgoing->pieces[i].nr_pages,
			  outgoing->pieces[i].filled);
}

static unsigned long first_page(const struct piece *piece)
{
	return round_up(piece->pfn, piece->step);
}

static void fill_piece(const struct piece *piece)
{
	unsigned long pfn, end_pfn = piece->pfn + piece->nr_pages;

	for (pfn = round_up(first_page(piece), outgoing->stride);
	     piece->filled && pfn < end_pfn;
	     pfn += max(outgoing->stride, piece->step)) {
		kho_fill(pfn, outgoing->seed, KHO_FILL_PAGE);
		cond_resched();
	}
}

static int preserve_piece(const struct piece *piece)
{
	unsigned long pfn, end_pfn = piece->pfn + piece->nr_pages;
	int err;

	if (piece->step == 1) {
		result.pages += piece->nr_pages;
		return kho_preserve_pages(pfn_to_page(piece->pfn), piece->nr_pages);
	}

	for (pfn = first_page(piece); pfn < end_pfn; pfn += piece->step) {
		err = kho_preserve_folio(pfn_folio(pfn));
		if (err)
			return err;
		result.pages++;
		cond_resched();
	}

	return 0;
}

static int preserve_pieces(void)
{
	const struct piece *piece = outgoing->pieces;
	const struct piece *end = piece + outgoing->nr_pieces;
	int err;

	for (; piece < end; piece++) {
		fill_piece(piece);
		err = preserve_piece(piece);
		if (err) {
			pr_err("preserving %llu pages at %#llx: %d\n",
			       piece->nr_pages, piece->pfn, err);
			return err;
		}
		result.largest = max(result.largest, piece->nr_pages);
	}

	outgoing->nr_pages = result.pages;
	outgoing->end_pfn = max_pfn;
	result.pieces = outgoing->nr_pieces;
	return 0;
}

static int begin(u64 stride)
{
	int err;

	if (outgoing)
		return -EEXIST;

	outgoing = kho_alloc_preserve(RECORD_SIZE);
	if (IS_ERR(outgoing)) {
		err = PTR_ERR(outgoing);
		outgoing = NULL;
		return err;
	}

	outgoing->magic = MAGIC;
	outgoing->seed = 1;
	outgoing->stride = stride;
	return kho_add_subtree(SUBTREE, outgoing, RECORD_SIZE);
}

/*
 * Free memory
 */

#define BULK_GFP	(GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN | __GFP_THISNODE)

/* What the kernel may allocate for itself. */
static unsigned long nr_free(int nid)
{
	struct zone *zone, *zones = NODE_DATA(nid)->node_zones;
	unsigned long nr = 0;

	for (zone = zones; zone < zones + MAX_NR_ZONES; zone++) {
		if (populated_zone(zone))
			nr += zone_page_state(zone, NR_FREE_PAGES) -
			      zone_page_state(zone, NR_FREE_CMA_PAGES);
	}

	return nr;
}

/* Take free memory of a node, the largest blocks first. Returns how much, or -errno. */
static long take_once(int nid, unsigned long leave)
{
	unsigned int order = MAX_PAGE_ORDER;
	struct page *page;
	long nr = 0;
	int err;

	for (;;) {
		page = NULL;
		if (nr_free(nid) > leave + (1UL << order))
			page = alloc_pages_node(nid, BULK_GFP, order);
		if (!page) {
			if (!order--)
				return nr;
			continue;
		}

		split_page(page, order);
		err = add_piece(page_to_pfn(page), 1UL << order, true);
		if (err)
			return err;
		nr += 1L << order;
		cond_resched();
	}
}

/* Who moves to another CPU meanwhile leaves huge pages in the lists of the first one. */
static int take_node(int nid, unsigned long leave)
{
	long nr;

	do {
		drain_all_pages(NULL);
		nr = take_once(nid, leave);
	} while (nr > 0);

	return nr;
}

static int take(int only_nid, unsigned long leave)
{
	unsigned int nr_nodes = only_nid < 0 ? num_node_state(N_MEMORY) : 1;
	int nid, err;

	for_each_node_state(nid, N_MEMORY) {
		if (only_nid >= 0 && nid != only_nid)
			continue;

		err = take_node(nid, leave / nr_nodes);
		if (err)
			return err;
	}

	merge_pieces();
	return 0;
}

static int cmd_runs(long leave, long nid, long stride)
{
	int err = begin(max(stride, 1L));

	err = err ?: take(nid, (leave << 20) >> PAGE_SHIFT);
	return err ?: preserve_pieces();
}

/*
 * Every second page
 */

static void free_pages_between(const struct piece *piece)
{
	unsigned long pfn, end_pfn = piece->pfn + piece->nr_pages;

	for (pfn = piece->pfn; pfn < end_pfn; pfn++) {
		if (pfn % piece->step)
			__free_page(pfn_to_page(pfn));
	}
}

#define BLOCK_PAGES	PHYS_PFN(SZ_2M)

/* What is below, firmware and the kernel never let go. */
#define FIRST_PFN	PHYS_PFN(SZ_1M)

static void note_blocks(unsigned long *blocks)
{
	const struct piece *piece = outgoing->pieces;
	const struct piece *end = piece + outgoing->nr_pieces;
	unsigned long pfn;

	for (; piece < end; piece++) {
		for (pfn = first_page(piece); pfn < piece->pfn + piece->nr_pages;
		     pfn += piece->step)
			__set_bit(pfn / BLOCK_PAGES, blocks);
	}
}

/*
 * Take a page, even if that means to move what is in it, or one that was reserved
 * during boot: whose that is keeps it until the reboot, and it can become no part of
 * what is handed over. False when it is neither.
 */
static bool take_page(unsigned long pfn, int *err)
{
	if (PageReserved(pfn_to_page(pfn))) {
		result.in_use++;
		*err = add_piece(pfn, 1, false);
		return true;
	}

	if (alloc_contig_range(pfn, pfn + 1, MIGRATE_MOVABLE, GFP_KERNEL | __GFP_NOWARN))
		return false;

	*err = add_piece(pfn, 1, true);
	return true;
}

/* Take a page of each block of a range that has none in @blocks. */
static int take_one_each(unsigned long pfn, unsigned long nr_pages, void *blocks)
{
	unsigned long end_pfn = pfn + nr_pages, stop_pfn;
	int err = 0;

	for (pfn = max(pfn, FIRST_PFN); !err && pfn < end_pfn; pfn = stop_pfn) {
		stop_pfn = min(round_up(pfn + 1, BLOCK_PAGES), end_pfn);
		if (kho_scratch_overlap(PFN_PHYS(pfn), PFN_PHYS(stop_pfn - pfn)) ||
		    test_bit(pfn / BLOCK_PAGES, blocks))
			continue;

		while (pfn < stop_pfn && !take_page(pfn, &err))
			pfn++;
		result.missed += pfn == stop_pfn;
	}

	return err;
}

static int cmd_fragments(long leave, long unused, long unused2)
{
	unsigned long *blocks;
	unsigned long i;
	int err;

	blocks = bitmap_zalloc(max_pfn / BLOCK_PAGES + 1, GFP_KERNEL);
	if (!blocks)
		return -ENOMEM;

	err = begin(1);
	err = err ?: take(NUMA_NO_NODE, (leave << 20) >> PAGE_SHIFT);
	for (i = 0; !err && i < outgoing->nr_pieces; i++) {
		outgoing->pieces[i].step = 2;
		free_pages_between(&outgoing->pieces[i]);
		cond_resched();
	}
	if (!err) {
		note_blocks(blocks);
		err = walk_system_ram_range(0, max_pfn, blocks, take_one_each);
	}

	bitmap_free(blocks);
	return err ?: preserve_pieces();
}

/*
 * The end of RAM
 */

static int take_top(int nid, unsigned long nr_pages)
{
	unsigned long end_pfn = node_end_pfn(nid), pfn = end_pfn - nr_pages;
	bool taken = false;
	int err = 0;

	for (; !err && pfn < end_pfn; pfn++) {
		taken = !kho_scratch_overlap(PFN_PHYS(pfn), PAGE_SIZE) &&
			take_page(pfn, &err);
		cond_resched();
	}

	result.tops += taken;
	return err;
}

static int cmd_top(long mib, long unused, long unused2)
{
	int err = begin(1), nid;

	for_each_node_state(nid, N_MEMORY) {
		if (!err)
			err = take_top(nid, (mib << 20) >> PAGE_SHIFT);
	}

	return err ?: preserve_pieces();
}

/*
 * The next kernel
 */

static void check_page(const struct piece *piece, unsigned long pfn)
{
	struct page *page = pfn_to_page(pfn);

	result.node_pages[page_to_nid(page)]++;
	result.wrong_node += page_to_nid(page) != piece->nid;
	result.not_sane += page_ref_count(page) != 1 || PageReserved(page) ||
			   PageCompound(page) || page->mapping ||
			   !zone_spans_pfn(page_zone(page), pfn);
	if (piece->filled && !(pfn % incoming->stride))
		result.damaged += !kho_filled(pfn, incoming->seed, KHO_FILL_PAGE);
}

static void restore_piece(const struct piece *piece)
{
	unsigned long pfn, end_pfn = piece->pfn + piece->nr_pages;

	if (piece->step == 1 &&
	    !kho_restore_pages(PFN_PHYS(piece->pfn), piece->nr_pages)) {
		result.not_restored += piece->nr_pages;
		return;
	}

	for (pfn = first_page(piece); pfn < end_pfn; pfn += piece->step) {
		if (piece->step > 1 && !kho_restore_folio(PFN_PHYS(pfn))) {
			result.not_restored++;
			continue;
		}

		check_page(piece, pfn);
		result.pages++;
		if (!(pfn % 1024))
			cond_resched();
	}
}

static int cmd_restore(long unused, long unused2, long unused3)
{
	phys_addr_t phys;
	unsigned long i;
	size_t size;
	int err;

	if (incoming)
		return -EEXIST;

	err = kho_retrieve_subtree(SUBTREE, &phys, &size);
	if (err)
		return err;
	if (size != RECORD_SIZE || !kho_restore_folio(phys))
		return -EINVAL;

	incoming = phys_to_virt(phys);
	if (incoming->magic != MAGIC || incoming->nr_pieces > MAX_PIECES)
		return -EINVAL;

	for (i = 0; i < incoming->nr_pieces; i++)
		restore_piece(&incoming->pieces[i]);

	result.pieces = incoming->nr_pieces;
	result.not_restored += incoming->nr_pages - result.pages;
	return 0;
}

static int cmd_again(long unused, long unused2, long unused3)
{
	unsigned long i;
	int err;

	if (!incoming || outgoing)
		return -EINVAL;

	swap(incoming, outgoing);
	outgoing->seed++;
	/* By now all of it is ours. */
	for (i = 0; i < outgoing->nr_pieces; i++)
		outgoing->pieces[i].filled = true;

	err = kho_preserve_folio(virt_to_folio(outgoing));
	err = err ?: kho_add_subtree(SUBTREE, outgoing, RECORD_SIZE);
	return err ?: preserve_pieces();
}

static int cmd_free(long unused, long unused2, long unused3)
{
	const struct piece *piece;
	unsigned long pfn, i;

	if (!incoming)
		return -ENOENT;

	for (i = 0; i < incoming->nr_pieces; i++) {
		piece = &incoming->pieces[i];
		for (pfn = first_page(piece); pfn < piece->pfn + piece->nr_pages;
		     pfn += piece->step) {
			__free_page(pfn_to_page(pfn));
			result.pages++;
			if (!(pfn % 1024))
				cond_resched();
		}
	}

	folio_put(virt_to_folio(incoming));
	incoming = NULL;
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(long arg, long arg2, long arg3);
} commands[] = {
	{ "runs", cmd_runs },
	{ "fragments", cmd_fragments },
	{ "top", cmd_top },
	{ "restore", cmd_restore },
	{ "again", cmd_again },
	{ "free", cmd_free },
};

static ssize_t control_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	long arg[3] = { 0, NUMA_NO_NODE, 1 };
	char line[48] = {}, name[16];
	unsigned int i;
	int err;

	if (count >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, count))
		return -EFAULT;
	if (sscanf(line, "%15s %ld %ld %ld", name, arg, arg + 1, arg + 2) < 1)
		return -EINVAL;

	guard(mutex)(&lock);
	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (strcmp(name, commands[i].name))
			continue;

		memset(&result, 0, sizeof(result));
		err = commands[i].fn(arg[0], arg[1], arg[2]);
		return err ?: count;
	}

	return -EINVAL;
}

static const struct file_operations control_fops = {
	.open = simple_open,
	.write = control_write,
};

static int count_outside(unsigned long pfn, unsigned long nr_pages, void *count)
{
	unsigned long end_pfn = pfn + nr_pages, stop_pfn;

	/* Scratch consists of whole blocks. */
	for (; pfn < end_pfn; pfn = stop_pfn) {
		stop_pfn = min(round_up(pfn + 1, BLOCK_PAGES), end_pfn);
		if (!kho_scratch_overlap(PFN_PHYS(pfn), PAGE_SIZE))
			*(unsigned long *)count += stop_pfn - pfn;
	}

	return 0;
}

/* RAM that is not scratch. */
static unsigned long outside_pages(void)
{
	unsigned long count = 0;

	walk_system_ram_range(0, max_pfn, &count, count_outside);
	return count;
}

static int report_show(struct seq_file *m, void *unused)
{
	int nid;

	guard(mutex)(&lock);
	seq_printf(m, "outside_pages %lu\n", outside_pages());
	seq_printf(m, "max_pfn %lu\n", max_pfn);
	seq_printf(m, "previous_max_pfn %llu\n", incoming ? incoming->end_pfn : 0);
	seq_printf(m, "pages %lu\n", result.pages);
	seq_printf(m, "pieces %lu\n", result.pieces);
	seq_printf(m, "largest %lu\n", result.largest);
	seq_printf(m, "in_use %lu\n", result.in_use);
	seq_printf(m, "missed %lu\n", result.missed);
	seq_printf(m, "tops %lu\n", result.tops);
	seq_printf(m, "not_restored %lu\n", result.not_restored);
	seq_printf(m, "damaged %lu\n", result.damaged);
	seq_printf(m, "wrong_node %lu\n", result.wrong_node);
	seq_printf(m, "not_sane %lu\n", result.not_sane);
	for_each_node_state(nid, N_MEMORY)
		seq_printf(m, "node%d_pages %lu\n", nid, result.node_pages[nid]);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init bulk_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_bulk", NULL);

	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);
	return 0;
}
device_initcall(bulk_init);

static unsigned int early;
module_param(early, uint, 0444);
MODULE_PARM_DESC(early, "restore in an initcall (1), or before the other CPUs are up (2)");

/* Before others use the amount of memory. */
static int __init bulk_restore_early(void)
{
	guard(mutex)(&lock);
	if (early == 1)
		cmd_restore(0, 0, 0);
	return 0;
}
subsys_initcall(bulk_restore_early);

/* Before all memory is there. */
static int __init bulk_restore_before_smp(void)
{
	guard(mutex)(&lock);
	if (early == 2)
		cmd_restore(0, 0, 0);
	return 0;
}
early_initcall(bulk_restore_before_smp);
