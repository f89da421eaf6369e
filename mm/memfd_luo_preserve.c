// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions of the Live Update Orchestrator: what is handed over.
 *
 * A memfd goes on being used after it was preserved. The folios that it has then are
 * pinned, outside of scratch, and put on the list for the next kernel. Folios that
 * are added later are marked in the page cache. They follow when a reboot has begun, right
 * before the file is frozen; those that are added meanwhile, when it is frozen. That
 * costs as much as there are new ones. Holes cost nothing.
 *
 * The list is an array that grows by pages, so that files can be of any size.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho_mm.h>
#include <linux/liveupdate.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>

#include "internal.h"
#include "memfd_luo.h"

/**
 * struct memfd_out - a memfd that is preserved
 * @ser: what the next kernel gets
 * @folios: the list of folios, as it is handed over
 * @last: for kho_vmalloc_append()
 * @pages: the pages of the list, by their &folio.lru
 * @nr: number of folios in the list
 * @nr_pages: number of pages in these
 * @poison_seq: memfd_poison_seq() before the folios were looked at
 */
struct memfd_out {
	struct memfd_luo_ser *ser;
	struct kho_vmalloc folios;
	struct kho_vmalloc_chunk *last;
	struct list_head pages;
	u64 nr;
	unsigned long nr_pages;
	long poison_seq;
};

/* Where the next folio comes in the list. It is there when out->nr is increased. */
static struct memfd_luo_folio_ser *next_entry(struct memfd_out *out)
{
	struct memfd_luo_folio_ser *entries;

	if (out->nr < out->folios.total_pages * FOLIOS_PER_PAGE) {
		entries = folio_address(list_last_entry(&out->pages, struct folio, lru));
		return entries + out->nr % FOLIOS_PER_PAGE;
	}

	entries = kho_vmalloc_append(&out->folios, &out->last);
	if (!IS_ERR(entries))
		list_add_tail(&virt_to_folio(entries)->lru, &out->pages);

	return entries;
}

/* Give the folios up, and the list. */
static void drop_list(struct memfd_out *out)
{
	struct folio *page, *next, *folio;
	struct memfd_luo_folio_ser *entries;
	unsigned int i;

	list_for_each_entry(page, &out->pages, lru) {
		entries = folio_address(page);
		for (i = 0; i < FOLIOS_PER_PAGE && out->nr; i++, out->nr--) {
			folio = pfn_folio(entries[i].pfn);
			kho_unpreserve_folio(folio);
			folio_put(folio);
		}
		cond_resched();
	}

	kho_unpreserve_vmalloc(&out->folios);
	list_for_each_entry_safe(page, next, &out->pages, lru) {
		folio_put(page);
		cond_resched();
	}
}

/* So many folios are looked up at once. */
#define BATCH_SIZE	32

/**
 * struct batch - folios of a file, with a reference each
 * @nr: how many
 * @folios: the folios
 * @swapped: the next one is in swap, at @next
 * @next: where to look for more
 */
struct batch {
	unsigned int nr;
	struct folio *folios[BATCH_SIZE];
	bool swapped;
	pgoff_t next;
};

/* Get the next folios of a file, all or those that were added since it is held. */
static void next_batch(struct address_space *mapping, bool added, struct batch *batch)
{
	XA_STATE(xas, &mapping->i_pages, batch->next);
	struct folio *folio;

	batch->nr = 0;
	batch->swapped = false;

	xas_lock_irq(&xas);
	folio = added ? xas_find_marked(&xas, ULONG_MAX, SHMEM_MARK_ADDED) :
			xas_find(&xas, ULONG_MAX);
	while (folio && batch->nr < BATCH_SIZE) {
		if (!xas_retry(&xas, folio)) {
			if (xa_is_value(folio)) {
				batch->swapped = true;
				batch->next = xas.xa_index;
				break;
			}

			folio_get(folio);
			xas_clear_mark(&xas, SHMEM_MARK_ADDED);
			batch->folios[batch->nr++] = folio;
			batch->next = folio_next_index(folio);
		}
		folio = added ? xas_next_marked(&xas, ULONG_MAX, SHMEM_MARK_ADDED) :
				xas_next_entry(&xas, ULONG_MAX);
	}
	xas_unlock_irq(&xas);
}

/*
 * The folios from @from on have not been dealt with: begin there again. Also one that
 * is not in the file any more still tells where it was.
 */
static void give_back(struct address_space *mapping, struct batch *batch,
		      unsigned int from)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	unsigned int i;

	xas_lock_irq(&xas);
	for (i = from; i < batch->nr; i++) {
		xas_set(&xas, batch->folios[i]->index);
		if (xas_load(&xas))
			xas_set_mark(&xas, SHMEM_MARK_ADDED);
	}
	xas_unlock_irq(&xas);

	batch->next = batch->folios[from]->index;
	for (i = from; i < batch->nr; i++)
		folio_put(batch->folios[i]);
}

/* What was allocated, but never written to, gets the content that it has. */
static void make_uptodate(struct folio *folio)
{
	if (folio_test_uptodate(folio))
		return;

	folio_zero_range(folio, 0, folio_size(folio));
	flush_dcache_folio(folio);
	folio_mark_uptodate(folio);
}

/*
 * Pin and preserve a folio; the reference is kept for that. -EAGAIN when it is no
 * longer in the file, -EXDEV when it has to be moved to where it can be preserved.
 */
static int preserve_folio(struct memfd_out *out, struct address_space *mapping,
			  struct folio *folio)
{
	struct memfd_luo_folio_ser *entry;
	int err;

	if (folio->mapping != mapping)
		return -EAGAIN;

	/* First: it could not be moved, either. */
	if (unlikely(folio_contain_hwpoisoned_page(folio)))
		return -EHWPOISON;

	if (unlikely(!folio_is_longterm_pinnable(folio)))
		return -EXDEV;

	entry = next_entry(out);
	if (IS_ERR(entry))
		return PTR_ERR(entry);

	err = kho_preserve_folio(folio);
	/* Hotplugged memory. */
	if (unlikely(err == -EINVAL))
		return -EXDEV;
	if (err)
		return err;

	make_uptodate(folio);
	*entry = (struct memfd_luo_folio_ser){
		.pfn = folio_pfn(folio),
		.flags = MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE,
		.index = folio->index,
	};
	out->nr++;
	out->nr_pages += folio_nr_pages(folio);
	return 0;
}

/*
 * Whether a list of a CPU may have a reference to a folio of a batch: there are more than
 * those of the file and its mappings, and that of the batch.
 */
static bool has_lru_cache_reference(struct folio *folio)
{
	return folio_may_be_lru_cached(folio) &&
	       folio_ref_count(folio) != folio_expected_ref_count(folio) + 1;
}

/* Whether a folio lies in scratch or ZONE_MOVABLE, or in hotplugged memory. */
static bool must_move(struct folio *folio)
{
	return !folio_is_longterm_pinnable(folio) ||
	       !kho_preservable(folio_pfn(folio), folio_nr_pages(folio));
}

static struct migration_target_control target_control = {
	.nid = NUMA_NO_NODE,
	.gfp_mask = GFP_USER | __GFP_NOWARN,
	.reason = MR_LONGTERM_PIN,
};

static struct folio *alloc_target(struct folio *src)
{
	struct folio *folio = alloc_migration_target(src, (unsigned long)&target_control);

	if (!folio || likely(!must_move(folio)))
		return folio;

	folio_put(folio);
	return kho_alloc_boot_folio(target_control.gfp_mask, folio_order(src));
}

/* If there is none, because a large folio was split, the new one may have to be moved, too. */
static struct folio *take_target(struct folio *src, unsigned long targets)
{
	struct folio *folio;

	list_for_each_entry(folio, (struct list_head *)targets, lru) {
		if (folio_order(folio) == folio_order(src)) {
			list_del(&folio->lru);
			return folio;
		}
	}

	return alloc_migration_target(src, (unsigned long)&target_control);
}

static void give_target_back(struct folio *folio, unsigned long targets)
{
	list_add(&folio->lru, (struct list_head *)targets);
}

/*
 * Allocate folios that those of a batch are moved to. kho_alloc_boot_folio() may have to
 * isolate others, and waits as long as too many are isolated, so this comes before those of the
 * batch are. A large folio for which there is no other one is split later.
 */
static int alloc_targets(struct batch *batch, unsigned int from, struct list_head *targets)
{
	struct folio *folio;
	unsigned int i;

	for (i = from; i < batch->nr; i++) {
		if (!must_move(batch->folios[i]))
			continue;

		folio = alloc_target(batch->folios[i]);
		if (folio)
			list_add_tail(&folio->lru, targets);
		else if (!folio_test_large(batch->folios[i]))
			return list_empty(targets) ? -ENOMEM : 0;
	}

	return 0;
}

/* Move what cannot stay where it is, from @from on, and begin there again. */
static int move_out(struct address_space *mapping, struct batch *batch,
		    unsigned int from)
{
	struct folio *folio, *next;
	bool drained = false;
	LIST_HEAD(targets);
	LIST_HEAD(folios);
	unsigned int i;
	int err;

	err = alloc_targets(batch, from, &targets);
	if (err) {
		give_back(mapping, batch, from);
		return err;
	}

	for (i = from; i < batch->nr; i++) {
		folio = batch->folios[i];
		if (!must_move(folio))
			continue;

		/*
		 * A list of a CPU, of folios that are to be added to LRU, activated or
		 * mlocked, has a reference to the folio: it could be isolated, but not
		 * migrated. All CPUs together have few such folios, and to drain the
		 * lists waits for each CPU.
		 */
		if (!drained && has_lru_cache_reference(folio)) {
			lru_add_drain_all();
			drained = true;
		}
		if (!folio_isolate_lru(folio))
			continue;

		list_add_tail(&folio->lru, &folios);
		node_stat_mod_folio(folio, NR_ISOLATED_ANON + folio_is_file_lru(folio),
				    folio_nr_pages(folio));
	}

	give_back(mapping, batch, from);
	err = migrate_pages(&folios, take_target, give_target_back,
			    (unsigned long)&targets, MIGRATE_SYNC,
			    MR_LONGTERM_PIN, NULL);
	putback_movable_pages(&folios);
	list_for_each_entry_safe(folio, next, &targets, lru)
		folio_put(folio);
	return err < 0 ? err : 0;
}

/* A folio that is in swap. While the file is held it does not return there. */
static int bring_in(struct inode *inode, pgoff_t index)
{
	struct folio *folio;
	int err;

	err = shmem_get_folio(inode, index, 0, &folio, SGP_FALLOC);
	if (err)
		return err;

	folio_unlock(folio);
	folio_put(folio);
	return 0;
}

static int preserve_batch(struct memfd_out *out, struct inode *inode,
			  struct batch *batch, bool *stuck)
{
	struct address_space *mapping = inode->i_mapping;
	unsigned int i;
	int err = 0;

	for (i = 0; i < batch->nr && !err; i++) {
		err = folio_lock_killable(batch->folios[i]);
		if (err)
			continue;
		err = preserve_folio(out, mapping, batch->folios[i]);
		folio_unlock(batch->folios[i]);
	}

	if (!err)
		return batch->swapped ? bring_in(inode, batch->next) : 0;

	/* The last one is that which has not been dealt with. */
	*stuck = i == 1;
	if (err == -EXDEV)
		return move_out(mapping, batch, i - 1);

	give_back(mapping, batch, i - 1);
	return err == -EAGAIN ? 0 : err;
}

/* How often to try to move one folio, or to find it where it was a moment ago. */
#define MAX_TRIES	10

/*
 * Put folios on the list: all that the file has, or those that were added since, until it
 * has @max_pages. The file is held, so that none gets lost.
 */
static int preserve_folios(struct memfd_out *out, struct inode *inode, bool added,
			   unsigned long max_pages)
{
	struct batch batch = {};
	unsigned int flags, tries = 0;
	bool stuck;
	int err;

	/* Whatever is allocated can stay there. */
	flags = memalloc_pin_save();
	do {
		if (fatal_signal_pending(current)) {
			err = -EINTR;
			break;
		}

		stuck = false;
		next_batch(inode->i_mapping, added, &batch);
		err = preserve_batch(out, inode, &batch, &stuck);
		tries = stuck ? tries + 1 : 0;
		if (!err && tries == MAX_TRIES)
			err = -EBUSY;
		cond_resched();
	} while (!err && (batch.nr || batch.swapped) && out->nr_pages < max_pages);
	memalloc_pin_restore(flags);

	return err;
}

/**
 * memfd_luo_preserve - preserve a memfd
 * @args: arguments of the operation
 *
 * Context: Process context; may sleep.
 * Return:
 * * 0 - the memfd is held, and its folios are on the list
 * * %-EACCES - the next kernel would give more access than the descriptor has: it is not
 *   open for reading; or not for writing, and the seals allow to write, to change the
 *   size or to add seals
 * * %-EPERM - with F_SEAL_FUTURE_WRITE and without F_SEAL_WRITE: there is a shared mapping
 *   that is or can become writable, and that nobody could make again
 * * %-EHWPOISON - a folio is poisoned
 * * %-EIO - a folio cannot be read from swap
 * * %-EBUSY - a folio must be moved and cannot be
 * * %-EINTR - the caller was killed
 * * %-ENOMEM - there is no memory, or no room in the memory cgroup of the caller
 */
int memfd_luo_preserve(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct memfd_out *out;
	int err;

	if (!memfd_may_preserve(args->file, READ_ONCE(SHMEM_I(inode)->seals)))
		return -EACCES;

	out = kzalloc(sizeof(*out), LIVEUPDATE_GFP);
	if (!out)
		return -ENOMEM;

	INIT_LIST_HEAD(&out->pages);
	out->poison_seq = memfd_poison_seq();
	out->ser = kho_alloc_preserve(sizeof(*out->ser));
	if (IS_ERR(out->ser)) {
		err = PTR_ERR(out->ser);
		goto err_free;
	}

	err = shmem_hold(inode);
	if (err)
		goto err_ser;

	/* While the file is held, memfd_add_seals() does not seal such mappings. */
	if (memfd_would_lose_mapping(inode, READ_ONCE(SHMEM_I(inode)->seals)))
		err = -EPERM;
	else
		err = preserve_folios(out, inode, false, ULONG_MAX);
	if (err)
		goto err_drop;

	args->private_data = out;
	args->serialized_data = virt_to_phys(out->ser);
	return 0;

err_drop:
	drop_list(out);
	shmem_unhold(inode);
err_ser:
	kho_unpreserve_free(out->ser);
err_free:
	kfree(out);
	return err;
}

/**
 * memfd_luo_unpreserve - take memfd_luo_preserve() back
 * @args: as of the operation
 */
void memfd_luo_unpreserve(struct liveupdate_file_op_args *args)
{
	struct memfd_out *out = args->private_data;

	drop_list(out);
	shmem_unhold(file_inode(args->file));
	kho_unpreserve_free(out->ser);
	kfree(out);
}

/*
 * Whether a folio of the list has been poisoned since it was preserved. All of them are
 * looked at only if something was poisoned since then, or is being poisoned now or was
 * at that time.
 */
static bool is_poisoned(const struct memfd_out *out)
{
	const struct memfd_luo_folio_ser *entries;
	long seq = memfd_poison_seq();
	u64 left = out->nr;
	struct folio *page;
	unsigned int i;

	if (seq == out->poison_seq && !(seq % 2))
		return false;

	list_for_each_entry(page, &out->pages, lru) {
		entries = folio_address(page);
		for (i = 0; i < FOLIOS_PER_PAGE && left; i++, left--) {
			if (folio_contain_hwpoisoned_page(pfn_folio(entries[i].pfn)))
				return true;
		}
		cond_resched();
	}

	return false;
}

static void write_ser(const struct memfd_out *out, const struct file *file)
{
	struct inode *inode = file_inode(file);
	struct memfd_luo_ser *ser = out->ser;

	*ser = (struct memfd_luo_ser){
		.pos = file->f_pos,
		.size = i_size_read(inode),
		.seals = SHMEM_I(inode)->seals,
		.nr_folios = out->nr,
	};
	/* When the only folio could not be preserved, and is gone, the list is empty. */
	if (out->nr)
		ser->folios = out->folios;
}

/* What is added while folios are listed is less each time. */
#define NR_PREPARE_PASSES	3

/**
 * memfd_luo_freeze_prepare - list folios that were added, while the memfd is in use
 * @args: as of the operation
 *
 * Moves those that lie where they cannot be preserved. Does not run after a process that
 * adds folios all the time, as by a long fallocate(): what is left in the end is for
 * memfd_luo_freeze().
 *
 * Return: as of memfd_luo_preserve().
 */
int memfd_luo_freeze_prepare(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct memfd_out *out = args->private_data;
	unsigned long nr_pages;
	unsigned int pass;
	int err = 0;

	for (pass = 0; pass < NR_PREPARE_PASSES && !err; pass++) {
		nr_pages = READ_ONCE(inode->i_mapping->nrpages);
		if (out->nr_pages >= nr_pages)
			break;

		err = preserve_folios(out, inode, true, nr_pages);
	}

	return err;
}

/**
 * memfd_luo_freeze_begin - let nobody begin to write
 * @args: as of the operation
 */
void memfd_luo_freeze_begin(struct liveupdate_file_op_args *args)
{
	shmem_freeze_begin(file_inode(args->file));
}

/*
 * The process that writes can be killed, if it is known which. If the lock was given back
 * in this moment then nothing is said.
 */
static void say_who_writes(const struct inode *inode)
{
#ifndef CONFIG_PREEMPT_RT
	const struct task_struct *task;
	unsigned long owner;

	/* A task that gives the lock back and exits stays in memory for so long. */
	guard(rcu)();

	/* Bits 0 to 2 are flags, of which the first says that readers have it. */
	owner = atomic_long_read(&inode->i_rwsem.owner);
	task = (const struct task_struct *)(owner & ~7UL);
	if (task && !(owner & BIT(0)))
		pr_err("memfd not frozen: process %d (%s) has begun to write to it, and does not come to an end\n",
		       task->pid, task->comm);
#endif
}

/**
 * memfd_luo_freeze_ready - whether nobody writes any more
 * @args: as of the operation
 *
 * Return: true if all writes have ended.
 */
bool memfd_luo_freeze_ready(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);

	if (shmem_freeze_ready(inode))
		return true;

	if (time_after(jiffies, liveupdate_freeze_deadline()))
		say_who_writes(inode);
	return false;
}

/**
 * memfd_luo_freeze - have nothing added any more, and complete the list
 * @args: as of the operation
 *
 * Return:
 * * 0 - the list is what the next kernel gets
 * * %-EHWPOISON - some of the memory has failed since it was preserved
 * * %-EPERM - as of memfd_luo_preserve(): such a mapping was made at the same time as the
 *   seal was added
 * * %-ETIMEDOUT - something has the lock of the inode and does not come to an end
 * * another errno of memfd_luo_preserve()
 */
int memfd_luo_freeze(struct liveupdate_file_op_args *args)
{
	struct inode *inode = file_inode(args->file);
	struct memfd_out *out = args->private_data;
	int err;

	err = shmem_freeze(inode, liveupdate_freeze_deadline());
	if (err)
		return err;

	err = preserve_folios(out, inode, true, ULONG_MAX);
	if (err)
		return err;

	if (is_poisoned(out))
		return -EHWPOISON;

	/*
	 * mmap() looks at the seals before the mapping counts. A mapping that was made
	 * while the seal was added may have counted after that was refused, or too late
	 * for memfd_luo_preserve().
	 */
	if (memfd_would_lose_mapping(inode, READ_ONCE(SHMEM_I(inode)->seals)))
		return -EPERM;

	write_ser(out, args->file);
	return 0;
}

/**
 * memfd_luo_unfreeze - undo memfd_luo_freeze() and memfd_luo_freeze_begin()
 * @args: as of the operation
 */
void memfd_luo_unfreeze(struct liveupdate_file_op_args *args)
{
	shmem_unfreeze(file_inode(args->file));
}
