// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds of hugetlb in sessions of the Live Update Orchestrator.
 *
 * Outgoing. The file goes on being used after it was preserved. A reference is taken to
 * each huge page, which keeps it where it is, and the page is put on a list. Pages that are
 * added later are marked in the page cache, and follow when a reboot has begun and when the
 * file is frozen; see mm/hugetlb_hold.c. What the file has reserved without having it is
 * listed when it is frozen. A huge page is one entry and one key of KHO, whatever its size.
 * How many there are is counted in a table for the next kernel, see mm/hugetlb_arrive.c.
 *
 * Incoming. A huge page that is claimed first becomes one of the pool of its size, on its
 * node: in use, but in no file, and charged to nobody. Then the file gets it, and the
 * process that retrieves the file is charged as if it had called fallocate(). If that
 * fails in the middle the file gives all pages back to a list that is kept for the next
 * attempt. A page that is not wanted any more is freed like any other one in use: into the
 * pool if that is to have so many pages, or else, as surplus, to the page allocator.
 *
 * Reservations are made when all pages are in the file. Huge pages that were free are not
 * handed over: the pool of this kernel has to have them.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/hugetlb.h>
#include <linux/kho_mm.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/magic.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pagemap.h>
#include <linux/reboot.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "internal.h"
#include "memfd_luo.h"

/* Entries of either list in a page. */
#define ENTRIES_PER_PAGE	(PAGE_SIZE / sizeof(struct hugetlb_luo_page_ser))

static_assert(sizeof(struct hugetlb_luo_page_ser) == sizeof(struct hugetlb_luo_run_ser));

static bool hugetlb_can_preserve(struct liveupdate_file_handler *handler,
				 struct file *file)
{
	const struct inode *inode = file_inode(file);

	/* Not what is in a hugetlbfs that is mounted, nor memory of System V. */
	return is_file_hugepages(file) && inode->i_sb->s_magic == HUGETLBFS_MAGIC &&
	       inode->i_sb->s_flags & SB_KERNMOUNT && !(inode->i_flags & S_PRIVATE) &&
	       !strncmp(file->f_path.dentry->d_name.name, MEMFD_PREFIX,
			strlen(MEMFD_PREFIX));
}

static unsigned long hugetlb_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

/* Outgoing. */

/**
 * struct out_list - a list for the next kernel
 * @area: the list, as it is handed over
 * @last: for kho_vmalloc_append()
 * @pages: the pages of the list, by their &folio.lru
 * @nr: number of entries
 */
struct out_list {
	struct kho_vmalloc area;
	struct kho_vmalloc_chunk *last;
	struct list_head pages;
	u64 nr;
};

static void init_list(struct out_list *list)
{
	*list = (struct out_list){};
	INIT_LIST_HEAD(&list->pages);
}

/* Where the next entry comes. It is there when list->nr is increased. */
static void *next_out_entry(struct out_list *list)
{
	struct hugetlb_luo_page_ser *entries;

	if (list->nr < list->area.total_pages * ENTRIES_PER_PAGE) {
		entries = folio_address(list_last_entry(&list->pages, struct folio, lru));
		return entries + list->nr % ENTRIES_PER_PAGE;
	}

	entries = kho_vmalloc_append(&list->area, &list->last);
	if (!IS_ERR(entries))
		list_add_tail(&virt_to_folio(entries)->lru, &list->pages);

	return entries;
}

static void free_list(struct out_list *list)
{
	struct folio *page, *next;

	kho_unpreserve_vmalloc(&list->area);
	list_for_each_entry_safe(page, next, &list->pages, lru) {
		folio_put(page);
		cond_resched();
	}
	init_list(list);
}

/**
 * struct hugetlb_out - a memfd that is preserved
 * @ser: what the next kernel gets
 * @pages: the list of huge pages
 * @runs: the list of what is reserved; only while the file is frozen
 * @poison_seq: memfd_poison_seq() before the pages were looked at
 */
struct hugetlb_out {
	struct hugetlb_luo_ser *ser;
	struct out_list pages;
	struct out_list runs;
	long poison_seq;
};

/* Call a function for each huge page of the list, from the first one, until it is true. */
static bool walk_listed(struct hugetlb_out *out, bool (*fn)(struct folio *folio))
{
	const struct hugetlb_luo_page_ser *entries;
	u64 left = out->pages.nr;
	struct folio *page;
	unsigned int i;

	list_for_each_entry(page, &out->pages.pages, lru) {
		entries = folio_address(page);
		for (i = 0; i < ENTRIES_PER_PAGE && left; i++, left--) {
			if (fn(pfn_folio(entries[i].pfn)))
				return true;
		}
		cond_resched();
	}

	return false;
}

static bool unpreserve_page(struct folio *folio)
{
	hugetlb_arrive_count(folio, false);
	kho_unpreserve_folio(folio);
	folio_put(folio);
	return false;
}

static void drop_out(struct hugetlb_out *out)
{
	walk_listed(out, unpreserve_page);
	free_list(&out->pages);
	free_list(&out->runs);
}

/* The next huge page at or behind @index, with a reference: any, or one that was added. */
static struct folio *next_page(struct address_space *mapping, bool added, pgoff_t index)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct folio *folio;

	xas_lock_irq(&xas);
	do {
		folio = added ? xas_find_marked(&xas, ULONG_MAX, HUGETLB_MARK_ADDED) :
				xas_find(&xas, ULONG_MAX);
	} while (xas_retry(&xas, folio));
	if (folio)
		folio_get(folio);
	xas_unlock_irq(&xas);

	return folio;
}

/* It is on the list now, be it marked or not. */
static void clear_mark(struct address_space *mapping, pgoff_t index)
{
	xa_lock_irq(&mapping->i_pages);
	__xa_clear_mark(&mapping->i_pages, index, HUGETLB_MARK_ADDED);
	xa_unlock_irq(&mapping->i_pages);
}

/*
 * Whether a huge page lies in more than one zone. Memblock allocates gigantic pages before
 * ZONE_MOVABLE is cut off the others by kernelcore= or movablecore=, and hugetlb makes all
 * struct pages those of the first zone. The next kernel would have to free them to both.
 */
static bool crosses_zones(struct folio *folio)
{
	return folio_order(folio) > MAX_PAGE_ORDER &&
	       !zone_spans_pfn(folio_zone(folio),
			       folio_pfn(folio) + folio_nr_pages(folio) - 1);
}

/*
 * Preserve a huge page; its reference is kept for that. -EAGAIN when it is no longer in the
 * file, -EXDEV when it has to be moved to where it can be preserved.
 */
static int preserve_page(struct hugetlb_out *out, struct inode *inode, struct folio *folio)
{
	struct address_space *mapping = inode->i_mapping;
	struct hugetlb_luo_page_ser *entry;
	int err;

	/* It was moved. */
	if (folio->mapping != mapping)
		return -EAGAIN;

	/* First: it could not be moved, either. */
	if (unlikely(folio_test_hwpoison(folio)))
		return -EHWPOISON;

	if (unlikely(!folio_is_longterm_pinnable(folio) || crosses_zones(folio)))
		return -EXDEV;

	entry = next_out_entry(&out->pages);
	if (IS_ERR(entry))
		return PTR_ERR(entry);

	err = kho_preserve_folio(folio);
	/* Hotplugged memory. */
	if (unlikely(err == -EINVAL))
		return -EXDEV;
	if (err)
		return err;

	*entry = (struct hugetlb_luo_page_ser){
		.pfn = folio_pfn(folio),
		.index = folio->index >> huge_page_order(hstate_inode(inode)),
	};
	out->pages.nr++;
	hugetlb_arrive_count(folio, true);
	clear_mark(mapping, folio->index);
	return 0;
}

static bool can_preserve_page(struct folio *folio)
{
	return folio_is_longterm_pinnable(folio) && !crosses_zones(folio) &&
	       kho_preservable(folio_pfn(folio), folio_nr_pages(folio));
}

/**
 * struct mover - what move_page() needs
 * @unfit: huge pages that were found when others were looked for, and cannot be preserved
 *	   either; by their &folio.lru
 * @nr_fresh: how many of them are not from the pool
 */
struct mover {
	struct list_head unfit;
	unsigned int nr_fresh;
};

/* The page allocator is not asked again when it has had so many that are unfit. */
#define MAX_FRESH	16

/*
 * Allocate a huge page that one is moved to, on the same node: from the pool or, if the page
 * allocator can have one of that size, from there, to take its place in the pool.
 */
static struct folio *alloc_target(struct folio *src, unsigned long private)
{
	struct mover *mover = (struct mover *)private;
	struct migration_target_control target = {
		.nid = folio_nid(src),
		/* Otherwise the pool gives pages of other nodes. */
		.gfp_mask = GFP_USER | __GFP_THISNODE | __GFP_NOWARN,
		.reason = MR_LONGTERM_PIN,
	};
	struct folio *folio;

	while (mover->nr_fresh < MAX_FRESH && !fatal_signal_pending(current)) {
		folio = alloc_migration_target(src, (unsigned long)&target);
		if (!folio || can_preserve_page(folio))
			return folio;

		/* Freeing it takes it off that list. */
		spin_lock_irq(&hugetlb_lock);
		list_move(&folio->lru, &mover->unfit);
		spin_unlock_irq(&hugetlb_lock);
		mover->nr_fresh += folio_test_hugetlb_temporary(folio);
		cond_resched();
	}

	return NULL;
}

/* Move a huge page to where it can be preserved. Without the reference of the caller. */
static void move_page(struct mover *mover, struct folio *folio)
{
	LIST_HEAD(folios);
	bool isolated;

	isolated = isolate_hugetlb(folio, &folios);
	folio_put(folio);
	if (!isolated)
		return;

	migrate_pages(&folios, alloc_target, NULL, (unsigned long)mover, MIGRATE_SYNC,
		      MR_LONGTERM_PIN, NULL);
	putback_movable_pages(&folios);
}

static void free_unfit(struct mover *mover)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, &mover->unfit, lru) {
		folio_put(folio);
		cond_resched();
	}
}

/* How often to try to move one page, or to find it where it was a moment ago. */
#define MAX_TRIES	10

/*
 * Put huge pages on the list: all that the file has, or those that were added since. The
 * file is held, so that none gets lost.
 */
static int preserve_pages(struct hugetlb_out *out, struct inode *inode, bool added)
{
	struct mover mover = { .unfit = LIST_HEAD_INIT(mover.unfit) };
	unsigned int flags, tries = 0;
	struct folio *folio;
	pgoff_t next = 0;
	int err = 0;

	/* Whatever is allocated can stay there. */
	flags = memalloc_pin_save();
	while (!err && (folio = next_page(inode->i_mapping, added, next))) {
		err = fatal_signal_pending(current) ? -EINTR : folio_lock_killable(folio);
		if (err) {
			folio_put(folio);
			break;
		}

		next = folio->index;
		err = preserve_page(out, inode, folio);
		folio_unlock(folio);
		if (!err) {
			next = folio_next_index(folio);
			tries = 0;
		} else if (err == -EXDEV) {
			move_page(&mover, folio);
			err = ++tries < MAX_TRIES ? 0 : -EBUSY;
		} else {
			folio_put(folio);
			if (err == -EAGAIN)
				err = ++tries < MAX_TRIES ? 0 : -EBUSY;
		}
		cond_resched();
	}
	memalloc_pin_restore(flags);
	free_unfit(&mover);

	return err;
}

static int add_run(struct hugetlb_out *out, long from, long to)
{
	struct hugetlb_luo_run_ser *entry = next_out_entry(&out->runs);

	if (IS_ERR(entry))
		return PTR_ERR(entry);

	*entry = (struct hugetlb_luo_run_ser){ .index = from, .nr = to - from };
	out->runs.nr++;
	return 0;
}

/* Where the pages of a file end that begin at @index, in huge pages. */
static long end_of_pages(struct inode *inode, long index, long to)
{
	unsigned int order = huge_page_order(hstate_inode(inode)), nr = 0;
	XA_STATE(xas, &inode->i_mapping->i_pages, (pgoff_t)index << order);
	struct folio *folio;

	rcu_read_lock();
	xas_for_each(&xas, folio, ((pgoff_t)to << order) - 1) {
		if (xas_retry(&xas, folio))
			continue;
		if (xas.xa_index >> order != index || nr++ == XA_CHECK_SCHED)
			break;
		index++;
	}
	rcu_read_unlock();

	return index;
}

/* Where the next page of a file is, in huge pages. */
static long next_index(struct inode *inode, long index, long to)
{
	unsigned int order = huge_page_order(hstate_inode(inode));
	pgoff_t found = (pgoff_t)index << order;

	if (!xa_find(&inode->i_mapping->i_pages, &found, ((pgoff_t)to << order) - 1,
		     XA_PRESENT))
		return to;

	return found >> order;
}

/* List the parts of a reserved region without pages. The file is frozen. */
static int list_holes(struct hugetlb_out *out, struct inode *inode, long from, long to,
		      unsigned long deadline)
{
	long next;
	int err;

	while (from < to) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;

		next = next_index(inode, from, to);
		err = next > from ? add_run(out, from, next) : 0;
		if (err)
			return err;

		from = next < to ? end_of_pages(inode, next, to) : to;
		cond_resched();
	}

	return 0;
}

/* What is reserved and not in the file. Mostly that is nothing. */
static int list_reserved(struct hugetlb_out *out, struct inode *inode, unsigned long deadline)
{
	struct hugetlb_reserved part = {};
	int err = 0;

	free_list(&out->runs);
	if (hugetlb_nr_reserved(inode) == out->pages.nr)
		return 0;

	while (!err && hugetlb_next_reserved(inode, &part))
		err = list_holes(out, inode, part.from, part.to, deadline);

	return err;
}

static int hugetlb_luo_preserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct hugetlb_out *out;
	int err;

	if (!memfd_may_preserve(args->file, READ_ONCE(HUGETLBFS_I(inode)->seals)))
		return -EACCES;

	out = kzalloc(sizeof(*out), LIVEUPDATE_GFP);
	if (!out)
		return -ENOMEM;

	init_list(&out->pages);
	init_list(&out->runs);
	out->poison_seq = memfd_poison_seq();
	out->ser = kho_alloc_preserve(sizeof(*out->ser));
	if (IS_ERR(out->ser)) {
		err = PTR_ERR(out->ser);
		goto err_free;
	}

	err = hugetlb_arrive_get();
	if (err)
		goto err_ser;

	err = hugetlb_hold(inode);
	if (err)
		goto err_arrive;

	/* While the file is held, memfd_add_seals() does not seal such mappings. */
	if (memfd_would_lose_mapping(inode, READ_ONCE(HUGETLBFS_I(inode)->seals)))
		err = -EPERM;
	else
		err = preserve_pages(out, inode, false);
	if (err)
		goto err_drop;

	args->private_data = out;
	args->serialized_data = virt_to_phys(out->ser);
	return 0;

err_drop:
	drop_out(out);
	hugetlb_unhold(inode);
err_arrive:
	hugetlb_arrive_put();
err_ser:
	kho_unpreserve_free(out->ser);
err_free:
	kfree(out);
	return err;
}

static void hugetlb_luo_unpreserve(struct liveupdate_file_op_args *args)
{
	struct hugetlb_out *out = args->private_data;

	drop_out(out);
	hugetlb_unhold(file_inode(args->file));
	hugetlb_arrive_put();
	kho_unpreserve_free(out->ser);
	kfree(out);
}

static bool page_poisoned(struct folio *folio)
{
	return folio_test_hwpoison(folio);
}

/*
 * Whether a page of the list has been poisoned since it was preserved. All of them are
 * looked at only if something was poisoned since then, or is being poisoned now or was at
 * that time.
 */
static bool is_poisoned(struct hugetlb_out *out)
{
	long seq = memfd_poison_seq();

	if (seq == out->poison_seq && !(seq % 2))
		return false;

	return walk_listed(out, page_poisoned);
}

static void write_ser(struct hugetlb_out *out, const struct file *file)
{
	struct inode *inode = file_inode(file);

	*out->ser = (struct hugetlb_luo_ser){
		.size = sizeof(*out->ser),
		.seals = HUGETLBFS_I(inode)->seals,
		.order = huge_page_order(hstate_inode(inode)),
		.pos = file->f_pos,
		.length = i_size_read(inode),
		.nr_pages = out->pages.nr,
		.nr_runs = out->runs.nr,
	};
	/* There may be an array without entries, if something could not be preserved. */
	if (out->pages.nr)
		out->ser->pages = out->pages.area;
	if (out->runs.nr)
		out->ser->runs = out->runs.area;
}

static int hugetlb_luo_freeze_prepare(struct liveupdate_file_op_args *args)
{
	return preserve_pages(args->private_data, file_inode(args->file), true);
}

static void hugetlb_luo_freeze_begin(struct liveupdate_file_op_args *args)
{
	hugetlb_freeze_begin(file_inode(args->file));
}

static bool hugetlb_luo_freeze_ready(struct liveupdate_file_op_args *args)
{
	return hugetlb_freeze_ready(file_inode(args->file));
}

static int hugetlb_luo_freeze(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct hugetlb_out *out = args->private_data;
	unsigned long deadline = liveupdate_freeze_deadline();
	int err;

	err = hugetlb_freeze(inode, deadline) ?: preserve_pages(out, inode, true) ?:
	      list_reserved(out, inode, deadline);
	if (err)
		return err;

	if (is_poisoned(out))
		return -EHWPOISON;

	/* As for shmem: mmap() looks at the seals before the mapping counts. */
	if (memfd_would_lose_mapping(inode, READ_ONCE(HUGETLBFS_I(inode)->seals)))
		return -EPERM;

	write_ser(out, args->file);
	return 0;
}

static void hugetlb_luo_unfreeze(struct liveupdate_file_op_args *args)
{
	struct hugetlb_out *out = args->private_data;

	free_list(&out->runs);
	hugetlb_unfreeze(file_inode(args->file));
}

/* Incoming. */

/* Before anything else is done with it. */
static bool array_valid(u64 nr, const struct kho_vmalloc *array)
{
	return nr <= (u64)array->total_pages * ENTRIES_PER_PAGE &&
	       !nr == !array->total_pages;
}

static bool ser_valid(const struct hugetlb_luo_ser *ser)
{
	return ser->size >= HUGETLB_LUO_MIN_SIZE && ser->size <= PAGE_SIZE &&
	       ser->order && ser->order <= PUD_ORDER && !(ser->seals & ~MEMFD_SEALS) &&
	       ser->length <= MAX_LFS_FILESIZE && ser->pos <= MAX_LFS_FILESIZE &&
	       array_valid(ser->nr_pages, &ser->pages) &&
	       array_valid(ser->nr_runs, &ser->runs);
}

/**
 * struct in_list - a list of the previous kernel
 * @reader: where to read it on
 * @entries: the part of it that was read last; NULL if there is none
 * @next: the first entry of that part that has not been dealt with
 * @nr: how many entries of that part have not been
 * @left: how many entries of the whole list have not been
 */
struct in_list {
	struct kho_vmalloc_reader reader;
	const struct hugetlb_luo_page_ser *entries;
	const struct hugetlb_luo_page_ser *next;
	u64 nr;
	u64 left;
};

/**
 * struct hugetlb_in - a memfd of the previous kernel that is being retrieved
 * @ser: describes it; in a folio that belongs to this
 * @h: the size of its pages; NULL if this kernel does not have it
 * @pages: the list of huge pages
 * @runs: the list of what is reserved
 * @run_pages: pages of @runs that were read, by their &page.lru
 * @file: the file; NULL if there is none yet
 * @held: huge pages that were adopted and are not in @file, by their &folio.lru
 *
 * It is kept, in private_data of the operations, if retrieving fails for another reason
 * than damage. All that was claimed by then is in it, so that no page gets lost.
 */
struct hugetlb_in {
	const struct hugetlb_luo_ser *ser;
	struct hstate *h;
	struct in_list pages;
	struct kho_vmalloc_reader runs;
	struct list_head run_pages;
	struct file *file;
	struct list_head held;
};

/* Read the next part of a list. */
static int next_part(struct in_list *list)
{
	void *block;

	kho_vmalloc_free_block(&list->reader, list->entries);
	list->entries = NULL;
	block = kho_vmalloc_read_block(&list->reader);
	if (IS_ERR_OR_NULL(block))
		return block ? PTR_ERR(block) : -EBADMSG;

	list->entries = block;
	list->next = block;
	list->nr = min_t(u64, list->left, ENTRIES_PER_PAGE << list->reader.order);
	return 0;
}

/* Free a page that was claimed, and is in no pool. */
static void free_claimed(struct folio *folio)
{
	kho_release_tails(folio, HUGETLB_ARRIVED_PAGES);
	folio_ref_unfreeze(folio, 1);
	folio_put(folio);
}

/* The entry that is next. */
static void skip_entry(struct hugetlb_in *in)
{
	in->pages.next++;
	in->pages.nr--;
	in->pages.left--;
}

/*
 * Claim the next page of the list, after which its entry has been dealt with. -EBADMSG if it
 * is not what was preserved. -EXDEV if it lies in more than one zone of this kernel, which
 * cannot have it as a huge page: then its entry is still the next one.
 */
static struct folio *claim_page(struct hugetlb_in *in)
{
	const struct hugetlb_luo_page_ser *entry = in->pages.next;
	u64 max_index = MAX_LFS_FILESIZE >> (PAGE_SHIFT + in->ser->order);
	struct folio *folio = ERR_PTR(-EBADMSG);

	if (entry->pfn <= PHYS_PFN(PHYS_ADDR_MAX))
		folio = kho_restore_frozen_folio(PFN_PHYS(entry->pfn), HUGETLB_ARRIVED_PAGES);
	if (folio == ERR_PTR(-EXDEV))
		return folio;

	skip_entry(in);
	if (IS_ERR(folio))
		return ERR_PTR(-EBADMSG);

	if (folio_order(folio) != in->ser->order || entry->index >= max_index) {
		free_claimed(folio);
		return ERR_PTR(-EBADMSG);
	}

	folio->index = entry->index << in->ser->order;
	return folio;
}

/* Free the next page of the list, if it lies in more than one zone. */
static int free_crossing(struct hugetlb_in *in)
{
	unsigned long i, nr_pages = 1UL << in->ser->order;
	struct page *page;

	page = kho_restore_pages(PFN_PHYS(in->pages.next->pfn), nr_pages);
	skip_entry(in);
	if (!page)
		return -EBADMSG;

	if (in->h)
		hugetlb_uncount_arriving(in->h, page_to_nid(page));
	for (i = 0; i < nr_pages; i++) {
		__free_page(page + i);
		if (!(i % MAX_ORDER_NR_PAGES))
			cond_resched();
	}

	return 0;
}

/*
 * So many at once. Freeing struct pages waits for an RCU grace period, which takes as long as
 * to free those of thousands of pages.
 */
#define BATCH_SIZE	4096
#define BATCH_BYTES	(64ULL * SZ_1G)

/*
 * Claim the next pages of the list, and add them to the pool. Those that were claimed are in
 * the pool also if there is an error. If they are not @wanted, then it is not worth while to
 * free their struct pages, and it goes on though the process is killed.
 */
static int adopt_listed(struct hugetlb_in *in, bool wanted)
{
	unsigned int max_nr = min(BATCH_SIZE, BATCH_BYTES >> huge_page_shift(in->h)), nr = 0;
	struct folio *folio;
	LIST_HEAD(batch);
	int err = 0;

	while (in->pages.left && nr < max_nr && !(wanted && fatal_signal_pending(current))) {
		if (!in->pages.nr)
			err = next_part(&in->pages);
		if (err)
			break;

		folio = claim_page(in);
		if (IS_ERR(folio)) {
			err = PTR_ERR(folio);
			break;
		}

		list_add_tail(&folio->lru, &batch);
		nr++;
		cond_resched();
	}

	if (nr)
		hugetlb_adopt_folios(in->h, &batch, wanted);
	list_splice_tail(&batch, &in->held);
	return err;
}

/* Give the file what is in the pool for it. */
static int insert_held(struct hugetlb_in *in)
{
	struct folio *folio, *next;
	int err;

	list_for_each_entry_safe(folio, next, &in->held, lru) {
		if (fatal_signal_pending(current))
			return -EINTR;

		err = hugetlb_insert_folio(file_inode(in->file), folio);
		/* Another page of the list is there. */
		if (err)
			return err == -EEXIST ? -EBADMSG : err;
		cond_resched();
	}

	return 0;
}

/* Give the file all its pages. */
static int fill(struct hugetlb_in *in)
{
	int err = insert_held(in);

	while (!err && in->pages.left) {
		/* It may take long, and can be done another time. */
		if (fatal_signal_pending(current))
			return -EINTR;

		err = adopt_listed(in, true) ?: insert_held(in);
	}

	return err;
}

/* All of the list is read before it is used, and kept: it may be needed again. */
static int read_runs(struct hugetlb_in *in)
{
	struct hugetlb_luo_run_ser *block;

	while (in->runs.left) {
		block = kho_vmalloc_read_block(&in->runs);
		if (IS_ERR_OR_NULL(block))
			return block ? PTR_ERR(block) : -EBADMSG;

		list_add_tail(&virt_to_page(block)->lru, &in->run_pages);
		cond_resched();
	}

	return 0;
}

static int reserve_run(struct hugetlb_in *in, const struct hugetlb_luo_run_ser *run)
{
	u64 max_index = MAX_LFS_FILESIZE >> (PAGE_SHIFT + in->ser->order);

	if (!run->nr || run->index > max_index || run->nr > max_index - run->index)
		return -EBADMSG;

	return hugetlb_reserve_pages(file_inode(in->file), run->index,
				     run->index + run->nr, NULL, 0) ? 0 : -ENOMEM;
}

/* Reserve what was reserved. */
static int reserve(struct hugetlb_in *in)
{
	const struct hugetlb_luo_run_ser *runs;
	u64 left = in->ser->nr_runs;
	struct page *page;
	unsigned int i;
	int err;

	err = read_runs(in);
	if (err)
		return err;

	list_for_each_entry(page, &in->run_pages, lru) {
		runs = page_address(page);
		for (i = 0; i < ENTRIES_PER_PAGE && left; i++, left--) {
			err = fatal_signal_pending(current) ? -EINTR :
							      reserve_run(in, runs + i);
			if (err)
				return err;
			cond_resched();
		}
	}

	return 0;
}

static int make_file(struct hugetlb_in *in)
{
	struct file *file;

	in->h = size_to_hstate(PAGE_SIZE << in->ser->order);
	if (!in->h || in->ser->incompat)
		return -EOPNOTSUPP;

	file = hugetlb_file_setup(MEMFD_PREFIX "luo", 0, VM_NORESERVE,
				  HUGETLB_ANONHUGE_INODE, huge_page_shift(in->h));
	/* There is no mount for pages of this size. */
	if (file == ERR_PTR(-ENOENT))
		return -EOPNOTSUPP;
	if (IS_ERR(file))
		return PTR_ERR(file);

	memfd_luo_init_file(file, in->ser->pos, in->ser->length);
	in->file = file;
	return 0;
}

/* Claim what describes the memfd, or return NULL after one line. */
static const struct hugetlb_luo_ser *claim_ser(u64 phys)
{
	struct folio *folio = kho_restore_folio(phys);
	const struct hugetlb_luo_ser *ser;

	if (!folio)
		return NULL;

	ser = folio_address(folio);
	if (ser_valid(ser))
		return ser;

	pr_err("hugetlb memfd at %#llx is damaged: its memory stays reserved\n", phys);
	folio_put(folio);
	return NULL;
}

/* Allocates nothing, so that a file can always be given up. */
static int begin(struct hugetlb_in *in, u64 phys)
{
	const struct hugetlb_luo_ser *ser = claim_ser(phys);

	if (!ser)
		return -EBADMSG;

	*in = (struct hugetlb_in){
		.ser = ser,
		.h = size_to_hstate(PAGE_SIZE << ser->order),
		.pages.left = ser->nr_pages,
	};
	INIT_LIST_HEAD(&in->run_pages);
	INIT_LIST_HEAD(&in->held);

	if ((!ser->nr_pages || !kho_vmalloc_read_begin(&in->pages.reader, &ser->pages)) &&
	    (!ser->nr_runs || !kho_vmalloc_read_begin(&in->runs, &ser->runs)) &&
	    !in->runs.order)
		return 0;

	pr_err("lists of a hugetlb memfd cannot be read: memory of %llu huge pages stays reserved\n",
	       ser->nr_pages);
	folio_put(virt_to_folio(ser));
	return -EBADMSG;
}

/* Free the lists, of which nothing is needed any more. */
static void end(struct hugetlb_in *in)
{
	struct page *page, *next;

	kho_vmalloc_free_block(&in->pages.reader, in->pages.entries);
	kho_vmalloc_read_end(&in->pages.reader);

	list_for_each_entry_safe(page, next, &in->run_pages, lru)
		kho_vmalloc_free_block(&in->runs, page_address(page));
	kho_vmalloc_read_end(&in->runs);
	folio_put(virt_to_folio(in->ser));
}

static void free_held(struct hugetlb_in *in)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, &in->held, lru) {
		hugetlb_free_adopted_folio(folio);
		cond_resched();
	}
}

/* This kernel has no pool for pages of this size. */
static int free_listed(struct hugetlb_in *in)
{
	struct folio *folio;
	int err;

	if (!in->pages.nr) {
		err = next_part(&in->pages);
		if (err)
			return err;
	}

	folio = claim_page(in);
	if (IS_ERR(folio))
		return PTR_ERR(folio);

	free_claimed(folio);
	return 0;
}

/* Free all. A list that is damaged is believed as long as its pages are there. */
static void drop(struct hugetlb_in *in)
{
	int err = 0;

	if (in->file)
		fput(in->file);

	free_held(in);
	while (!err && in->pages.left) {
		err = in->h ? adopt_listed(in, false) : free_listed(in);
		if (err == -EXDEV)
			err = free_crossing(in);
		free_held(in);
		cond_resched();
	}

	end(in);
}

/*
 * Take the pages out of the file again, and give back what it has reserved: nobody has got
 * the file, so nobody shall be charged for it. All pages stay claimed, and in the pool.
 */
static void suspend(struct hugetlb_in *in)
{
	LIST_HEAD(removed);

	if (!in->file)
		return;

	hugetlb_remove_folios(file_inode(in->file), &removed);
	/* Keep the order of their indices. */
	list_splice(&removed, &in->held);
	fput(in->file);
	in->file = NULL;
}

static int retrieve(struct hugetlb_in *in)
{
	struct inode *inode;
	int err;

	err = make_file(in) ?: fill(in) ?: reserve(in);
	if (err)
		return err;

	inode = file_inode(in->file);
	err = memfd_luo_set_seals(inode, &HUGETLBFS_I(inode)->seals, in->ser->seals);
	if (err)
		return err;

	hugetlb_settle_folios(inode);
	return 0;
}

static int hugetlb_luo_retrieve(struct liveupdate_file_op_args *args)
{
	struct hugetlb_in *in = args->private_data;
	int err;

	if (!in) {
		in = kmalloc(sizeof(*in), LIVEUPDATE_GFP);
		if (!in)
			return -ENOMEM;

		err = begin(in, args->serialized_data);
		if (err) {
			kfree(in);
			return err;
		}
		args->private_data = in;
	}

	err = retrieve(in);
	if (err && err != -EBADMSG) {
		suspend(in);
		return err;
	}

	if (err) {
		pr_err("hugetlb memfd not retrieved: its list of %llu pages is damaged before entry %llu\n",
		       in->ser->nr_pages, in->ser->nr_pages - in->pages.left);
		drop(in);
	} else {
		args->file = in->file;
		end(in);
	}

	kfree(in);
	args->private_data = NULL;
	return err;
}

static void hugetlb_luo_finish(struct liveupdate_file_op_args *args)
{
	struct hugetlb_in on_stack, *in = args->private_data ?: &on_stack;

	/* A file that was retrieved is not ours, and nothing is left of a damaged one. */
	if (args->retrieve_status)
		return;

	if (args->private_data || !begin(in, args->serialized_data))
		drop(in);
	kfree(args->private_data);
}

static loff_t hugetlb_luo_size(struct liveupdate_file_op_args *args)
{
	const struct hugetlb_in *in = args->private_data;
	struct hugetlb_luo_ser ser;

	/* A retrieve that has failed has claimed what describes the memfd. */
	if (in)
		return in->ser->length;

	if (!memfd_luo_copy_ser(args->serialized_data, &ser, sizeof(ser)) || !ser_valid(&ser))
		return -EBADMSG;

	return ser.length;
}

static const struct liveupdate_file_ops hugetlb_ops = {
	.can_preserve = hugetlb_can_preserve,
	.preserve = hugetlb_luo_preserve,
	.unpreserve = hugetlb_luo_unpreserve,
	.freeze = hugetlb_luo_freeze,
	.unfreeze = hugetlb_luo_unfreeze,
	.retrieve = hugetlb_luo_retrieve,
	.finish = hugetlb_luo_finish,
	.size = hugetlb_luo_size,
	.get_id = hugetlb_get_id,
	.owner = THIS_MODULE,
	.retriable = true,
	.freeze_prepare = hugetlb_luo_freeze_prepare,
	.freeze_begin = hugetlb_luo_freeze_begin,
	.freeze_ready = hugetlb_luo_freeze_ready,
};

static struct liveupdate_file_handler hugetlb_handler = {
	.ops = &hugetlb_ops,
	.compatible = HUGETLB_LUO_COMPATIBLE,
};

static int hugetlb_luo_reboot(struct notifier_block *nb, unsigned long event, void *unused)
{
	hugetlb_freeze_for_good();
	return NOTIFY_DONE;
}

/* Before any other notifier, which may wait for a thread that accesses a memfd. */
static struct notifier_block hugetlb_reboot_nb = {
	.notifier_call = hugetlb_luo_reboot,
	.priority = INT_MAX,
};

static int __init hugetlb_luo_init(void)
{
	int err;

	if (!hugepages_supported())
		return 0;

	err = liveupdate_register_file_handler(&hugetlb_handler);
	if (err != -EOPNOTSUPP)
		return err;

	/* Live update is off, so nobody can retrieve anything. */
	hugetlb_forget_arriving();
	return 0;
}
late_initcall(hugetlb_luo_init);

/* Of notifiers with the same priority, the first one is called first. */
static int __init hugetlb_luo_init_reboot(void)
{
	return register_reboot_notifier(&hugetlb_reboot_nb);
}
core_initcall(hugetlb_luo_init_reboot);
