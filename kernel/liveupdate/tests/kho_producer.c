// SPDX-License-Identifier: GPL-2.0-only
/*
 * A test producer for Kexec HandOver.
 *
 * Preserves memory of every kind, filled with data and checksummed, and in the
 * next kernel restores and verifies it. It uses only the public API, so that
 * the same file can be built into any kernel that has it.
 *
 *	/sys/kernel/debug/kho_producer/control	write one command:
 *		preserve	allocate, fill and preserve a new set of items
 *		unpreserve	take that back, and free the items
 *		restore		restore and verify what the previous kernel left
 *		free		free what was restored
 *	/sys/kernel/debug/kho_producer/report	what the last command did
 *
 * kho_producer.early=1 restores before the other CPUs are up.
 * kho_producer.straddle=ADDRESS adds a run of pages around that address.
 * kho_producer.cut=1 adds a run of pages that is cut as if nodes met in it.
 * kho_producer.guards=0 does not try what has to be refused.
 * kho_producer.seed=NUMBER, which can be written later, repeats the content.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/crc32.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/hash.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/random.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#define SUBTREE		"kho-producer"
#define MAGIC		0x3174736574686f6bULL
#define MAX_ITEMS	64
#define REGION_NAME	"khotest"

enum item_kind {
	ITEM_FOLIO,
	ITEM_PAGES,
	ITEM_VMALLOC,
	ITEM_BLOB,
	ITEM_RESERVE_MEM,
	ITEM_STRADDLE,
	ITEM_CUT,
};

static const char * const kind_name[] = {
	[ITEM_FOLIO] = "folio",
	[ITEM_PAGES] = "pages",
	[ITEM_VMALLOC] = "vmalloc",
	[ITEM_BLOB] = "blob",
	[ITEM_RESERVE_MEM] = "reserve_mem",
	[ITEM_STRADDLE] = "straddle",
	[ITEM_CUT] = "cut",
};

/* Crosses kernels: what has to be known to find and verify an item. */
struct item {
	u32 kind;
	u32 order;
	u64 nr_pages;
	u64 phys;
	struct kho_vmalloc vmalloc;
	u32 seed;
	u32 crc;
};

/* Crosses kernels: the blob of the subtree. */
struct record {
	u64 magic;
	u32 nr_items;
	u32 generation;
	struct item items[MAX_ITEMS];
};

static struct record *outgoing;
static void *out_addr[MAX_ITEMS];

static struct record restored;
static void *in_addr[MAX_ITEMS];
static bool in_ok[MAX_ITEMS];

static const struct record *reported;
static unsigned int guard_errors;
static unsigned int errors;
static DEFINE_MUTEX(lock);

static bool early;
module_param(early, bool, 0444);
MODULE_PARM_DESC(early, "restore before the other CPUs are up");

static unsigned long straddle;
module_param(straddle, ulong, 0444);
MODULE_PARM_DESC(straddle, "physical address to preserve a run of pages around");

static bool cut;
module_param(cut, bool, 0444);
MODULE_PARM_DESC(cut, "preserve a run of pages that is cut as if nodes met in it");

static bool guards = true;
module_param(guards, bool, 0444);
MODULE_PARM_DESC(guards, "try to restore what must be refused");

static unsigned int seed;
module_param(seed, uint, 0644);
MODULE_PARM_DESC(seed, "derive all content from this number, if it is not 0");

static unsigned int run_sizes[] = { 1, 3, 7, 61, 513, 1023 };
static unsigned int vmalloc_sizes[] = { 1, 5, 700, 1536 };
static unsigned int blob_sizes[] = { 1, 10000 };

static u64 next_word(u64 *state)
{
	*state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
	return *state ^ *state >> 29;
}

static void fill(void *addr, size_t size, u32 seed)
{
	u64 *word = addr, state = seed;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++)
		word[i] = next_word(&state);
}

static bool content_ok(const void *addr, size_t size, u32 seed)
{
	const u64 *word = addr;
	u64 state = seed;
	size_t i;

	for (i = 0; i < size / sizeof(*word); i++) {
		if (word[i] != next_word(&state))
			return false;
	}

	return true;
}

static size_t item_size(const struct item *item)
{
	return item->nr_pages << PAGE_SHIFT;
}

/*
 * Larger than what the page allocator has. In newer kernels they come without a
 * reference.
 */
static struct folio *alloc_gigantic(unsigned int order)
{
	struct page *page = NULL;

#if defined(alloc_contig_frozen_pages)
	page = alloc_contig_frozen_pages(1UL << order, GFP_KERNEL | __GFP_COMP,
					 numa_node_id(), NULL);
	if (page)
		set_page_count(page, 1);
#elif defined(CONFIG_CONTIG_ALLOC)
	page = alloc_contig_pages(1UL << order, GFP_KERNEL | __GFP_COMP,
				  numa_node_id(), NULL);
#endif
	return page ? page_folio(page) : NULL;
}

static void *alloc_folio(struct item *item)
{
	struct folio *folio;

	item->nr_pages = 1UL << item->order;
	if (item->order > MAX_PAGE_ORDER)
		folio = alloc_gigantic(item->order);
	else
		folio = folio_alloc(GFP_KERNEL, item->order);

	return folio ? folio_address(folio) : NULL;
}

/*
 * A run that begins at a multiple of its size, and what a sender would cut it into if two
 * nodes met at one of its pages: 16, 8, 2, 1 before the border, and 1, 4, 32 after it.
 */
#define CUT_PAGES	64
#define CUT_BORDER	27

static int preserve_cut(struct page *page)
{
	int err = kho_preserve_pages(page, CUT_BORDER);

	if (err)
		return err;

	err = kho_preserve_pages(page + CUT_BORDER, CUT_PAGES - CUT_BORDER);
	if (err)
		kho_unpreserve_pages(page, CUT_BORDER);
	return err;
}

static void unpreserve_cut(struct page *page)
{
	kho_unpreserve_pages(page, CUT_BORDER);
	kho_unpreserve_pages(page + CUT_BORDER, CUT_PAGES - CUT_BORDER);
}

/* A run around an address, which may be where two nodes meet. */
#define STRADDLE_PAGES	(2UL << MAX_PAGE_ORDER)

/* Taken early in boot, while it is likely to be free. */
static void *straddle_addr;

static void *take_straddle(void)
{
#ifdef CONFIG_CONTIG_ALLOC
	unsigned long border = PHYS_PFN(straddle);
	unsigned long start = round_down(border, STRADDLE_PAGES);

	/* Each part lies in one zone. */
	if (alloc_contig_range(start, border, 0, GFP_KERNEL))
		return NULL;

	if (!alloc_contig_range(border, start + STRADDLE_PAGES, 0, GFP_KERNEL))
		return pfn_to_kaddr(start);

	free_contig_range(start, border - start);
#endif
	return NULL;
}

static void *alloc_straddle(struct item *item)
{
	void *addr = straddle_addr ?: take_straddle();

	item->nr_pages = STRADDLE_PAGES;
	straddle_addr = NULL;
	return addr;
}

/* Allocate an item, or find it. Its order or nr_pages is set. */
static void *alloc_item(struct item *item)
{
	phys_addr_t start, size;

	switch (item->kind) {
	case ITEM_FOLIO:
		return alloc_folio(item);
	case ITEM_PAGES:
	case ITEM_CUT:
		/* One page more, which must not be taken for a part of the run. */
		return alloc_pages_exact(item_size(item) + PAGE_SIZE, GFP_KERNEL);
	case ITEM_VMALLOC:
		return item->order ? vmalloc_huge(item_size(item), GFP_KERNEL) :
				     vmalloc(item_size(item));
	case ITEM_BLOB:
		/* Allocating and preserving are one here. */
		return kho_alloc_preserve(item_size(item));
	case ITEM_RESERVE_MEM:
		if (!reserve_mem_find_by_name(REGION_NAME, &start, &size))
			return NULL;
		item->nr_pages = PHYS_PFN(size);
		return phys_to_virt(start);
	case ITEM_STRADDLE:
		return alloc_straddle(item);
	}

	return NULL;
}

static void free_item(const struct item *item, void *addr, bool ours)
{
	switch (item->kind) {
	case ITEM_FOLIO:
	case ITEM_BLOB:
		folio_put(virt_to_folio(addr));
		break;
	case ITEM_PAGES:
	case ITEM_CUT:
		free_pages_exact(addr, item_size(item) + (ours ? PAGE_SIZE : 0));
		break;
	case ITEM_STRADDLE:
		/* Others might take it. */
		straddle_addr = addr;
		break;
	case ITEM_VMALLOC:
		vfree(addr);
		break;
	}
}

static int preserve_item(struct item *item, void *addr)
{
	item->seed = seed ? hash_32(seed + outgoing->nr_items, 32) : get_random_u32();
	fill(addr, item_size(item), item->seed);
	item->crc = crc32_le(~0, addr, item_size(item));

	if (item->kind != ITEM_VMALLOC)
		item->phys = virt_to_phys(addr);

	switch (item->kind) {
	case ITEM_FOLIO:
		return kho_preserve_folio(virt_to_folio(addr));
	case ITEM_PAGES:
	case ITEM_STRADDLE:
		return kho_preserve_pages(virt_to_page(addr), item->nr_pages);
	case ITEM_CUT:
		return preserve_cut(virt_to_page(addr));
	case ITEM_VMALLOC:
		return kho_preserve_vmalloc(addr, &item->vmalloc);
	}

	return 0;
}

static void unpreserve_item(struct item *item, void *addr)
{
	switch (item->kind) {
	case ITEM_FOLIO:
		kho_unpreserve_folio(virt_to_folio(addr));
		break;
	case ITEM_PAGES:
	case ITEM_STRADDLE:
		kho_unpreserve_pages(virt_to_page(addr), item->nr_pages);
		break;
	case ITEM_CUT:
		unpreserve_cut(virt_to_page(addr));
		break;
	case ITEM_VMALLOC:
		kho_unpreserve_vmalloc(&item->vmalloc);
		break;
	case ITEM_BLOB:
		kho_unpreserve_free(addr);
		return;
	}

	free_item(item, addr, true);
}

/* Add one item to the outgoing record. */
static int add_item(u32 kind, u32 order, u64 nr_pages)
{
	struct item *item = &outgoing->items[outgoing->nr_items];
	void *addr;
	int err;

	if (outgoing->nr_items == MAX_ITEMS)
		return -ENOSPC;

	*item = (struct item){ .kind = kind, .order = order, .nr_pages = nr_pages };

	addr = alloc_item(item);
	err = addr ? PTR_ERR_OR_ZERO(addr) : -ENOMEM;
	if (err) {
		pr_err("allocating %s order %u pages %llu: %d\n",
		       kind_name[kind], item->order, item->nr_pages, err);
		return err;
	}

	err = preserve_item(item, addr);
	if (err) {
		pr_err("preserving %s order %u pages %llu: %d\n",
		       kind_name[kind], item->order, item->nr_pages, err);
		free_item(item, addr, true);
		return err;
	}

	out_addr[outgoing->nr_items++] = addr;
	return 0;
}

static int add_items(void)
{
	unsigned int max_order = MAX_PAGE_ORDER, order, i;
	phys_addr_t start, size;
	int err = 0;

#ifdef CONFIG_CONTIG_ALLOC
	max_order += 2;
#endif
	/* First, while nobody has taken pages from there. */
	if (straddle)
		err = add_item(ITEM_STRADDLE, 0, 0);
	if (!err && cut)
		err = add_item(ITEM_CUT, 0, CUT_PAGES);
	for (order = 0; !err && order <= max_order; order++)
		err = add_item(ITEM_FOLIO, order, 0);
	for (i = 0; !err && i < ARRAY_SIZE(run_sizes); i++)
		err = add_item(ITEM_PAGES, 0, run_sizes[i]);
	for (i = 0; !err && i < ARRAY_SIZE(vmalloc_sizes); i++)
		err = add_item(ITEM_VMALLOC, 0, vmalloc_sizes[i]);
	if (!err)
		err = add_item(ITEM_VMALLOC, 1, 1024);
	for (i = 0; !err && i < ARRAY_SIZE(blob_sizes); i++)
		err = add_item(ITEM_BLOB, 0, PHYS_PFN(PAGE_ALIGN(blob_sizes[i])));

	if (!err && reserve_mem_find_by_name(REGION_NAME, &start, &size))
		err = add_item(ITEM_RESERVE_MEM, 0, 0);

	return err;
}

static void drop_outgoing(void)
{
	if (!outgoing)
		return;

	while (outgoing->nr_items--)
		unpreserve_item(&outgoing->items[outgoing->nr_items],
				out_addr[outgoing->nr_items]);

	kho_unpreserve_free(outgoing);
	if (reported == outgoing)
		reported = NULL;
	outgoing = NULL;
}

static int cmd_preserve(void)
{
	int err;

	if (outgoing)
		return -EEXIST;

	outgoing = kho_alloc_preserve(sizeof(*outgoing));
	if (IS_ERR(outgoing)) {
		err = PTR_ERR(outgoing);
		outgoing = NULL;
		return err;
	}

	outgoing->magic = MAGIC;
	outgoing->generation = restored.generation + 1;

	err = add_items();
	if (!err)
		err = kho_add_subtree(SUBTREE, outgoing, sizeof(*outgoing));
	if (err)
		drop_outgoing();
	else
		reported = outgoing;

	return err;
}

static int cmd_unpreserve(void)
{
	if (!outgoing)
		return -ENOENT;

	kho_remove_subtree(outgoing);
	drop_outgoing();
	return 0;
}

/* Count what restoring must refuse but does not. */
#define expect_refused(what, restore)					\
	do {								\
		if (guards && (restore)) {				\
			pr_err("restoring %s was not refused\n", what);	\
			guard_errors++;					\
		}							\
	} while (0)

static bool page_sane(struct page *page, unsigned int refcount)
{
	unsigned long pfn = page_to_pfn(page);

	/* Nodes may be interleaved, zones of one node are not. */
	return page_ref_count(page) == refcount && !PageReserved(page) &&
	       zone_spans_pfn(page_zone(page), pfn) &&
	       pfn >= node_start_pfn(page_to_nid(page)) &&
	       pfn < node_end_pfn(page_to_nid(page));
}

static void *restore_folio(const struct item *item)
{
	struct folio *folio;
	unsigned long i;

	if (item->order)
		expect_refused("a tail page",
			       kho_restore_folio(item->phys + PAGE_SIZE));

	folio = kho_restore_folio(item->phys);
	if (!folio)
		return NULL;

	expect_refused("a folio twice", kho_restore_folio(item->phys));

	if (folio_order(folio) != item->order || !page_sane(&folio->page, 1)) {
		pr_err("folio of order %u came back with order %u\n",
		       item->order, folio_order(folio));
		return NULL;
	}

	for (i = 1; i < item->nr_pages; i++) {
		struct page *page = folio_page(folio, i);

		if (page_folio(page) != folio ||
		    atomic_read(&page->_refcount) || PageReserved(page)) {
			pr_err("page %lu of a folio is not its tail\n", i);
			return NULL;
		}
	}

	return folio_address(folio);
}

static void *restore_pages(const struct item *item)
{
	struct page *page;
	unsigned long i;

	expect_refused("too many pages",
		       kho_restore_pages(item->phys, item->nr_pages + 1));
	expect_refused("no pages", kho_restore_pages(item->phys, 0));

	page = kho_restore_pages(item->phys, item->nr_pages);
	if (!page)
		return NULL;

	expect_refused("pages twice",
		       kho_restore_pages(item->phys, item->nr_pages));

	for (i = 0; i < item->nr_pages; i++) {
		if (!page_sane(page + i, 1) || PageCompound(page + i)) {
			pr_err("page %lu of a run is not in order\n", i);
			return NULL;
		}
	}

	return page_address(page);
}

static void *restore_vmalloc(const struct item *item)
{
	struct kho_vmalloc wrong = item->vmalloc;
	void *addr;

	wrong.total_pages += 1U << wrong.order;
	expect_refused("a vmalloc area that is too long",
		       kho_restore_vmalloc(&wrong));

	addr = kho_restore_vmalloc(&item->vmalloc);
	if (addr)
		expect_refused("a vmalloc area twice",
			       kho_restore_vmalloc(&item->vmalloc));

	return addr;
}

static void *restore_item(const struct item *item)
{
	phys_addr_t start, size;

	switch (item->kind) {
	case ITEM_FOLIO:
		return restore_folio(item);
	case ITEM_PAGES:
	case ITEM_STRADDLE:
	case ITEM_CUT:
		return restore_pages(item);
	case ITEM_VMALLOC:
		return restore_vmalloc(item);
	case ITEM_BLOB: {
		struct folio *folio = kho_restore_folio(item->phys);

		return folio ? folio_address(folio) : NULL;
	}
	case ITEM_RESERVE_MEM:
		if (!reserve_mem_find_by_name(REGION_NAME, &start, &size) ||
		    start != item->phys || PHYS_PFN(size) != item->nr_pages)
			return NULL;
		return phys_to_virt(start);
	}

	return NULL;
}

static int cmd_restore(void)
{
	struct record *record;
	phys_addr_t phys;
	size_t size;
	unsigned int i;
	int err;

	if (restored.nr_items)
		return -EEXIST;

	err = kho_retrieve_subtree(SUBTREE, &phys, &size);
	if (err)
		return err;

	record = phys_to_virt(phys);
	if (size != sizeof(*record) || record->magic != MAGIC ||
	    record->nr_items > MAX_ITEMS)
		return -EINVAL;

	/* A second restore must not find the record either. */
	restored = *record;
	kho_restore_free(record);

	for (i = 0; i < restored.nr_items; i++) {
		const struct item *item = &restored.items[i];

		in_addr[i] = restore_item(item);
		in_ok[i] = in_addr[i] &&
			   content_ok(in_addr[i], item_size(item), item->seed) &&
			   crc32_le(~0, in_addr[i], item_size(item)) == item->crc;
		if (!in_ok[i])
			errors++;
	}

	reported = &restored;
	return 0;
}

static int cmd_free(void)
{
	if (!restored.nr_items)
		return -ENOENT;

	while (restored.nr_items) {
		restored.nr_items--;
		if (in_addr[restored.nr_items])
			free_item(&restored.items[restored.nr_items],
				  in_addr[restored.nr_items], false);
	}

	reported = NULL;
	return 0;
}

static const struct {
	const char *name;
	int (*fn)(void);
} commands[] = {
	{ "preserve", cmd_preserve },
	{ "unpreserve", cmd_unpreserve },
	{ "restore", cmd_restore },
	{ "free", cmd_free },
};

static ssize_t control_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	char cmd[16] = {};
	unsigned int i;
	int err;

	if (count >= sizeof(cmd))
		return -EINVAL;
	if (copy_from_user(cmd, buf, count))
		return -EFAULT;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (!sysfs_streq(cmd, commands[i].name))
			continue;

		mutex_lock(&lock);
		err = commands[i].fn();
		mutex_unlock(&lock);
		return err ?: count;
	}

	return -EINVAL;
}

static const struct file_operations control_fops = {
	.open = simple_open,
	.write = control_write,
};

static int report_show(struct seq_file *m, void *unused)
{
	unsigned long nr_pages = 0;
	unsigned int i, nr;

	mutex_lock(&lock);

	nr = reported ? reported->nr_items : 0;
	for (i = 0; i < nr; i++) {
		const struct item *item = &reported->items[i];

		nr_pages += item->nr_pages;
		seq_printf(m, "%s order %u pages %llu phys %#llx crc %#010x %s\n",
			   kind_name[item->kind], item->order, item->nr_pages,
			   item->phys, item->crc,
			   reported == outgoing ? "preserved" :
			   in_ok[i] ? "ok" : "FAILED");
	}

	seq_printf(m, "total items %u pages %lu generation %u errors %u guards %u\n",
		   nr, nr_pages, reported ? reported->generation : 0, errors,
		   guard_errors);

	mutex_unlock(&lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init producer_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_producer", NULL);

	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);
	return 0;
}
device_initcall(producer_init);

static int __init producer_restore_early(void)
{
	int err;

	if (!early)
		return 0;

	err = cmd_restore();
	if (err)
		pr_info("nothing restored early: %d\n", err);
	return 0;
}
early_initcall(producer_restore_early);

static int __init producer_take_early(void)
{
	/* Fails as long as it is preserved: then it is taken when needed. */
	if (straddle)
		straddle_addr = take_straddle();
	return 0;
}
core_initcall(producer_take_early);
