// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions of the Live Update Orchestrator: which files are such, and what
 * is made of them in the next kernel. How they get there is in memfd_luo_preserve.c.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho_mm.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pagemap.h>
#include <linux/reboot.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>

#include "internal.h"
#include "memfd_luo.h"

static bool memfd_can_preserve(struct liveupdate_file_handler *handler,
			       struct file *file)
{
	const struct dentry *dentry = file->f_path.dentry;

	/* Not what is in a tmpfs that is mounted, nor what others use shmem for. */
	return shmem_file(file) && file_inode(file)->i_sb->s_flags & SB_NOUSER &&
	       !strncmp(dentry->d_name.name, MEMFD_PREFIX, strlen(MEMFD_PREFIX));
}

static unsigned long memfd_get_id(struct file *file)
{
	return (unsigned long)file_inode(file);
}

/* Before anything else is done with it. */
static bool ser_valid(const struct memfd_luo_ser *ser)
{
	u64 room = (u64)ser->folios.total_pages * FOLIOS_PER_PAGE;

	if (ser->flags || ser->seals & ~MEMFD_SEALS || ser->size > MAX_LFS_FILESIZE ||
	    ser->pos > MAX_LFS_FILESIZE || ser->nr_folios > room)
		return false;

	return !ser->nr_folios == !ser->folios.total_pages;
}

/**
 * struct memfd_in - a memfd of the previous kernel that is being retrieved
 * @ser: describes it; in a folio that belongs to this
 * @list: where to read the list of its folios on
 * @entries: the part of the list that was read last
 * @next: the first entry of that part that has not been dealt with
 * @nr: how many entries of that part have not been
 * @left: how many entries of the whole list have not been
 * @file: the file; NULL if there is none yet
 * @held: folios that were claimed and are not in @file, by their &folio.lru
 *
 * It is kept, in private_data of the operations, if retrieving fails for another reason
 * than damage. All that was claimed by then is in it, so that no folio gets lost.
 */
struct memfd_in {
	const struct memfd_luo_ser *ser;
	struct kho_vmalloc_reader list;
	const struct memfd_luo_folio_ser *entries;
	const struct memfd_luo_folio_ser *next;
	u64 nr;
	u64 left;
	struct file *file;
	struct list_head held;
};

/* Claim a folio of the list, or return NULL. What else the list says is not looked at. */
static struct folio *claim_folio(const struct memfd_luo_folio_ser *entry)
{
	struct folio *folio = kho_restore_folio(PFN_PHYS(entry->pfn));

	return folio ? page_rmappable_folio(&folio->page) : NULL;
}

/* Shmem has large folios only with huge pages, and none without them. */
static bool folio_supported(const struct folio *folio)
{
	return !folio_test_large(folio) ||
	       (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
		folio_order(folio) <= MAX_PAGECACHE_ORDER);
}

/*
 * To poison memory that nobody has claimed sets the flag of the page. A large folio has another
 * one, which says that there are such pages: it is not mapped as a whole then.
 */
static void note_poison(struct folio *folio)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		if (PageHWPoison(folio_page(folio, i)))
			folio_set_has_hwpoisoned(folio);
	}
}

/* Check that a folio can be where the list says, and note where that is. */
static int prepare_folio(struct folio *folio,
			 const struct memfd_luo_folio_ser *entry)
{
	unsigned long nr_pages = 1;
	int err = 0;

	if (folio_test_large(folio)) {
		nr_pages = folio_nr_pages(folio);
		err = folio_supported(folio) ? 0 : -EOPNOTSUPP;
		if (unlikely(memfd_poison_seq()))
			note_poison(folio);
	}

	if (entry->flags & ~(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE) ||
	    entry->index & (nr_pages - 1) ||
	    entry->index > (MAX_LFS_FILESIZE >> PAGE_SHIFT) - nr_pages)
		return -EBADMSG;

	/*
	 * Reclaim drops a clean folio. Whether a folio was written to in memory, only the
	 * page tables of the previous kernel may have known.
	 */
	if (entry->flags & MEMFD_LUO_FOLIO_UPTODATE)
		__folio_mark_uptodate(folio);
	if (entry->flags)
		folio_set_dirty(folio);
	folio->index = entry->index;
	return err;
}

/*
 * What was allocated beyond the end stays so, also when it is swapped out. It is enough
 * to look at some folios: those are the last ones, and if not, nothing that can be seen
 * gets lost.
 */
static void note_end(struct inode *inode, struct folio *folio)
{
	struct shmem_inode_info *info = SHMEM_I(inode);

	if (folio_next_index(folio) > DIV_ROUND_UP(i_size_read(inode), PAGE_SIZE))
		info->fallocend = max(info->fallocend, folio_next_index(folio));
}

/* So many folios at once. */
#define BATCH_SIZE	32

/* Give the file folios. Those that it does not get are held. */
static int insert_folios(struct memfd_in *in, struct folio **folios, unsigned int nr)
{
	struct inode *inode = file_inode(in->file);
	unsigned int inserted = 0;
	int err;

	note_end(inode, folios[nr - 1]);
	err = shmem_insert_folios(inode, folios, nr, &inserted);
	/* They come before those that are held already, whose indices are larger. */
	while (nr > inserted)
		list_add(&folios[--nr]->lru, &in->held);

	/* Another folio of the list is there. */
	return err == -EEXIST ? -EBADMSG : err;
}

/* Read the next part of the list. */
static int next_part(struct memfd_in *in)
{
	void *block;

	kho_vmalloc_free_block(&in->list, in->entries);
	in->entries = NULL;
	block = kho_vmalloc_read_block(&in->list);
	if (IS_ERR_OR_NULL(block))
		return block ? PTR_ERR(block) : -EBADMSG;

	in->entries = block;
	in->next = block;
	in->nr = min_t(u64, in->left, FOLIOS_PER_PAGE << in->list.order);
	return 0;
}

/* The next entry of the part that was read. From now on it has been dealt with. */
static const struct memfd_luo_folio_ser *next_entry(struct memfd_in *in)
{
	in->nr--;
	in->left--;
	return in->next++;
}

/* Claim the next folios of the list, and give them to the file. */
static int insert_listed(struct memfd_in *in)
{
	unsigned int nr = 0, max_nr = min_t(u64, in->nr, BATCH_SIZE);
	const struct memfd_luo_folio_ser *entry;
	struct folio *folios[BATCH_SIZE];
	int err = 0;

	while (nr < max_nr && !err) {
		entry = next_entry(in);
		folios[nr] = claim_folio(entry);
		err = folios[nr] ? prepare_folio(folios[nr], entry) : -EBADMSG;
		nr += !!folios[nr];
	}

	if (!err)
		return insert_folios(in, folios, nr);

	while (nr)
		list_add(&folios[--nr]->lru, &in->held);
	return err;
}

/* Give the file folios that an earlier call has claimed. */
static int insert_held(struct memfd_in *in)
{
	struct folio *folios[BATCH_SIZE], *folio;
	unsigned int nr = 0;
	LIST_HEAD(batch);

	list_for_each_entry(folio, &in->held, lru) {
		if (nr == BATCH_SIZE)
			break;
		if (!folio_supported(folio))
			return -EOPNOTSUPP;
		folios[nr++] = folio;
	}

	list_cut_before(&batch, &in->held, &folio->lru);
	return insert_folios(in, folios, nr);
}

/* Give the file all its folios. */
static int fill(struct memfd_in *in)
{
	int err = 0;

	while (!err && (in->left || !list_empty(&in->held))) {
		/* It may take long, and can be done another time. */
		if (fatal_signal_pending(current))
			return -EINTR;

		if (!list_empty(&in->held))
			err = insert_held(in);
		else if (!in->nr)
			err = next_part(in);
		else
			err = insert_listed(in);
		cond_resched();
	}

	return err;
}

/*
 * Open the inode of a file that could not be emptied when it could not be filled. The file
 * has the credentials of the process for which that has failed, and LSMs may have labeled
 * it for that process.
 */
static struct file *reopen(struct file *old)
{
	struct file *file = alloc_file_clone(old, O_RDWR, old->f_op);

	if (!IS_ERR(file)) {
		memfd_set_owner(file_inode(file));
		fput(old);
	}

	return file;
}

static int make_file(struct memfd_in *in)
{
	struct file *file;

	if (in->file)
		file = reopen(in->file);
	else
		file = shmem_file_setup(MEMFD_PREFIX "luo", 0, VM_NORESERVE);
	if (IS_ERR(file))
		return PTR_ERR(file);

	memfd_luo_init_file(file, in->ser->pos, in->ser->size);
	in->file = file;
	return 0;
}

/* Claim what describes the memfd, or return NULL after one line. */
static const struct memfd_luo_ser *claim_ser(u64 phys)
{
	struct folio *folio = kho_restore_folio(phys);
	const struct memfd_luo_ser *ser;

	if (!folio)
		return NULL;

	ser = folio_address(folio);
	if (ser_valid(ser))
		return ser;

	pr_err("memfd at %#llx is damaged: its memory stays reserved\n", phys);
	folio_put(folio);
	return NULL;
}

/* Allocates nothing, so that a file can always be given up. */
static int begin(struct memfd_in *in, u64 phys)
{
	const struct memfd_luo_ser *ser = claim_ser(phys);

	if (!ser)
		return -EBADMSG;

	*in = (struct memfd_in){ .ser = ser, .left = ser->nr_folios };
	INIT_LIST_HEAD(&in->held);
	if (!in->left || !kho_vmalloc_read_begin(&in->list, &ser->folios))
		return 0;

	pr_err("list of folios of a memfd cannot be read: memory of %llu folios stays reserved\n",
	       ser->nr_folios);
	folio_put(virt_to_folio(ser));
	return -EBADMSG;
}

/* Free the list, of which nothing is needed any more. */
static void end(struct memfd_in *in)
{
	kho_vmalloc_free_block(&in->list, in->entries);
	kho_vmalloc_read_end(&in->list);
	folio_put(virt_to_folio(in->ser));
}

/* Free all. A list that is damaged is believed as long as its folios are there. */
static void drop(struct memfd_in *in)
{
	struct folio *folio, *next;

	if (in->file)
		fput(in->file);

	list_for_each_entry_safe(folio, next, &in->held, lru) {
		folio_put(folio);
		cond_resched();
	}

	while (in->left) {
		if (!in->nr) {
			if (next_part(in))
				break;
			continue;
		}

		folio = claim_folio(next_entry(in));
		if (!folio)
			break;
		folio_put(folio);
		cond_resched();
	}

	end(in);
}

/*
 * Take the folios out of the file again: a file that nobody has got must not be charged
 * to a cgroup which it has filled, or count for overcommit. All folios stay claimed.
 */
static void suspend(struct memfd_in *in)
{
	struct inode *inode;
	LIST_HEAD(removed);

	if (!in->file)
		return;

	inode = file_inode(in->file);
	shmem_remove_folios(inode, &removed);
	/* Keep the order of their indices; see note_end(). */
	list_splice(&removed, &in->held);
	if (!mapping_empty(inode->i_mapping))
		return;

	fput(in->file);
	in->file = NULL;
}

static int set_seals(struct memfd_in *in)
{
	struct inode *inode = file_inode(in->file);

	return memfd_luo_set_seals(inode, &SHMEM_I(inode)->seals, in->ser->seals);
}

static int memfd_retrieve(struct liveupdate_file_op_args *args)
{
	struct memfd_in *in = args->private_data;
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

	err = make_file(in) ?: fill(in) ?: set_seals(in);
	if (err && err != -EBADMSG) {
		suspend(in);
		return err;
	}

	if (err) {
		pr_err("memfd not retrieved: its list of %llu folios is damaged before entry %llu\n",
		       in->ser->nr_folios, in->ser->nr_folios - in->left);
		drop(in);
	} else {
		args->file = in->file;
		end(in);
	}

	kfree(in);
	args->private_data = NULL;
	return err;
}

static void memfd_finish(struct liveupdate_file_op_args *args)
{
	struct memfd_in on_stack, *in = args->private_data ?: &on_stack;

	/* A file that was retrieved is not ours, and nothing is left of a damaged one. */
	if (args->retrieve_status)
		return;

	if (args->private_data || !begin(in, args->serialized_data))
		drop(in);
	kfree(args->private_data);
}

static loff_t memfd_size(struct liveupdate_file_op_args *args)
{
	const struct memfd_in *in = args->private_data;
	struct memfd_luo_ser ser;

	/* A retrieve that has failed has claimed what describes the memfd. */
	if (in)
		return in->ser->size;

	if (!memfd_luo_copy_ser(args->serialized_data, &ser, sizeof(ser)) || !ser_valid(&ser))
		return -EBADMSG;

	return ser.size;
}

static const struct liveupdate_file_ops memfd_ops = {
	.can_preserve = memfd_can_preserve,
	.preserve = memfd_luo_preserve,
	.unpreserve = memfd_luo_unpreserve,
	.freeze = memfd_luo_freeze,
	.unfreeze = memfd_luo_unfreeze,
	.retrieve = memfd_retrieve,
	.finish = memfd_finish,
	.size = memfd_size,
	.get_id = memfd_get_id,
	.owner = THIS_MODULE,
	.retriable = true,
	.freeze_prepare = memfd_luo_freeze_prepare,
	.freeze_begin = memfd_luo_freeze_begin,
	.freeze_ready = memfd_luo_freeze_ready,
};

static struct liveupdate_file_handler memfd_handler = {
	.ops = &memfd_ops,
	.compatible = MEMFD_LUO_COMPATIBLE,
};

static int memfd_luo_reboot(struct notifier_block *nb, unsigned long event, void *unused)
{
	shmem_freeze_for_good();
	return NOTIFY_DONE;
}

/* Before any other notifier, which may wait for a block device that is on a memfd. */
static struct notifier_block memfd_reboot_nb = {
	.notifier_call = memfd_luo_reboot,
	.priority = INT_MAX,
};

static int __init memfd_luo_init(void)
{
	int err = liveupdate_register_file_handler(&memfd_handler);

	/* Live update is off. */
	return err == -EOPNOTSUPP ? 0 : err;
}
late_initcall(memfd_luo_init);

/* Before md does, which has the same priority: of those, the first one is called first. */
static int __init memfd_luo_init_reboot(void)
{
	return register_reboot_notifier(&memfd_reboot_nb);
}
core_initcall(memfd_luo_init_reboot);
