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
#include <linux/liveupdate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <uapi/linux/memfd.h>

#include "internal.h"
#include "memfd_luo.h"

/* The name of a memfd begins with this, whoever has made it. */
#define MEMFD_PREFIX	"memfd:"

#define MEMFD_SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | \
			 F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

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

/* A folio of the list, or NULL. Whatever the list says of it is not looked at yet. */
static struct folio *claim_folio(const struct memfd_luo_folio_ser *entry)
{
	struct folio *folio = kho_restore_folio(PFN_PHYS(entry->pfn));

	return folio ? page_rmappable_folio(&folio->page) : NULL;
}

/* See that a folio can be where the list says, and put it there. */
static int prepare_folio(struct folio *folio,
			 const struct memfd_luo_folio_ser *entry)
{
	unsigned long nr_pages = 1;

	if (folio_test_large(folio)) {
		/* Shmem has such folios only with huge pages, and without none. */
		if (folio_order(folio) > MAX_PAGECACHE_ORDER ||
		    !IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
			return -EOPNOTSUPP;
		nr_pages = folio_nr_pages(folio);
	}

	if (entry->flags & ~(MEMFD_LUO_FOLIO_DIRTY | MEMFD_LUO_FOLIO_UPTODATE) ||
	    entry->index & (nr_pages - 1) ||
	    entry->index > (MAX_LFS_FILESIZE >> PAGE_SHIFT) - nr_pages)
		return -EBADMSG;

	/*
	 * What is clean gets lost when memory is short, and whether it was written to in
	 * memory only the page tables of the previous kernel may have known.
	 */
	if (entry->flags & MEMFD_LUO_FOLIO_UPTODATE)
		__folio_mark_uptodate(folio);
	if (entry->flags)
		folio_set_dirty(folio);
	folio->index = entry->index;
	return 0;
}

/* Free folios of the list, as long as they are there. */
static void discard(const struct memfd_luo_folio_ser *entries, u64 nr)
{
	struct folio *folio;
	u64 i;

	for (i = 0; i < nr; i++) {
		folio = claim_folio(&entries[i]);
		if (!folio)
			return;
		folio_put(folio);
		cond_resched();
	}
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

/*
 * Give the file the next folios of the list. Sets *@nr to how many entries have been
 * dealt with, which includes the one that makes it fail.
 */
static int fill_batch(struct inode *inode, const struct memfd_luo_folio_ser *entries,
		      u64 *nr)
{
	struct folio *folios[BATCH_SIZE];
	unsigned int claimed = 0, inserted = 0;
	int err = 0;

	*nr = min(*nr, BATCH_SIZE);
	while (claimed < *nr && !err) {
		folios[claimed] = claim_folio(&entries[claimed]);
		if (!folios[claimed]) {
			err = -EBADMSG;
			*nr = claimed + 1;
			goto out;
		}
		err = prepare_folio(folios[claimed], &entries[claimed]);
		claimed++;
	}

	if (err) {
		*nr = claimed;
		goto out;
	}

	/* Those that are inserted are no longer ours. */
	note_end(inode, folios[claimed - 1]);
	err = shmem_insert_folios(inode, folios, claimed, &inserted);
out:
	while (claimed > inserted)
		folio_put(folios[--claimed]);

	return err;
}

static int fill(struct inode *inode, const struct memfd_luo_folio_ser *entries, u64 nr)
{
	u64 done, batch;
	int err;

	for (done = 0; done < nr; done += batch) {
		batch = nr - done;
		err = fill_batch(inode, entries + done, &batch);
		if (err)
			goto err_discard;
		cond_resched();
	}

	return 0;

err_discard:
	pr_err("memfd not retrieved: folio %llu to %llu of %llu: %d\n", done,
	       done + batch - 1, nr, err);
	discard(entries + done + batch, nr - done - batch);
	return err;
}

/*
 * Claim the list of folios. NULL when there are none. An ERR_PTR() when it cannot be
 * read, and then nobody knows where they are.
 */
static const struct memfd_luo_folio_ser *claim_list(const struct memfd_luo_ser *ser)
{
	const struct memfd_luo_folio_ser *entries;

	if (!ser->nr_folios)
		return NULL;

	entries = kho_restore_vmalloc(&ser->folios);
	if (entries)
		return entries;

	pr_err("list of folios of a memfd cannot be read: memory of %llu folios stays reserved\n",
	       ser->nr_folios);
	return ERR_PTR(-EBADMSG);
}

/*
 * The file is not executable. With vm.memfd_noexec it stays so, as one of a
 * memfd_create() that does not ask for MFD_EXEC would: the sysctl is that of the pid
 * namespace of the process that retrieves the file.
 */
static bool must_stay_noexec(void)
{
	return pidns_memfd_noexec_scope(task_active_pid_ns(current)) > 0;
}

static int set_seals(struct inode *inode, unsigned int seals)
{
	int err;

	if (must_stay_noexec())
		seals |= F_SEAL_EXEC;

	if (seals & F_SEAL_WRITE) {
		err = mapping_deny_writable(inode->i_mapping);
		if (err)
			return err;
	}

	SHMEM_I(inode)->seals = seals;
	return 0;
}

/* Takes the folios, also when it fails. */
static struct file *make_file(const struct memfd_luo_ser *ser,
			      const struct memfd_luo_folio_ser *entries)
{
	struct file *file = shmem_file_setup(MEMFD_PREFIX "luo", 0, VM_NORESERVE);
	struct inode *inode;
	int err;

	if (IS_ERR(file)) {
		discard(entries, ser->nr_folios);
		return file;
	}

	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	file->f_flags |= O_LARGEFILE;
	inode = file_inode(file);

	/* It was not handed over: nobody shall gain by that. The owner can change it. */
	inode->i_mode &= ~0177;
	i_size_write(inode, ser->size);
	err = fill(inode, entries, ser->nr_folios) ?: set_seals(inode, ser->seals);
	if (err) {
		fput(file);
		return ERR_PTR(err);
	}

	file->f_pos = ser->pos;
	return file;
}

/* Claim what describes the memfd. The folio of it is returned. */
static const struct memfd_luo_ser *claim_ser(u64 phys, struct folio **folio)
{
	const struct memfd_luo_ser *ser;

	*folio = kho_restore_folio(phys);
	if (!*folio)
		return NULL;

	ser = folio_address(*folio);
	if (ser_valid(ser))
		return ser;

	pr_err("memfd at %#llx is damaged: its memory stays reserved\n", phys);
	folio_put(*folio);
	return NULL;
}

static int memfd_retrieve(struct liveupdate_file_op_args *args)
{
	const struct memfd_luo_folio_ser *entries;
	const struct memfd_luo_ser *ser;
	struct folio *folio;
	struct file *file;

	ser = claim_ser(args->serialized_data, &folio);
	if (!ser)
		return -EBADMSG;

	entries = claim_list(ser);
	if (IS_ERR(entries)) {
		file = ERR_CAST(entries);
	} else {
		file = make_file(ser, entries);
		vfree(entries);
	}
	folio_put(folio);
	if (IS_ERR(file))
		return PTR_ERR(file);

	args->file = file;
	return 0;
}

static void memfd_finish(struct liveupdate_file_op_args *args)
{
	const struct memfd_luo_folio_ser *entries;
	const struct memfd_luo_ser *ser;
	struct folio *folio;

	/* What was retrieved, or has failed to be, is gone. */
	if (args->retrieve_status)
		return;

	ser = claim_ser(args->serialized_data, &folio);
	if (!ser)
		return;

	entries = claim_list(ser);
	if (!IS_ERR(entries)) {
		discard(entries, ser->nr_folios);
		vfree(entries);
	}
	folio_put(folio);
}

/*
 * The page is copied as if it could go away: two memfds of a damaged handover may share
 * it, and then a retrieve of the other one frees it.
 */
static loff_t memfd_size(struct liveupdate_file_op_args *args)
{
	u64 phys = args->serialized_data;
	struct memfd_luo_ser ser;

	if (!PAGE_ALIGNED(phys) || !kho_run_preserved(PHYS_PFN(phys), 1) ||
	    copy_from_kernel_nofault(&ser, phys_to_virt(phys), sizeof(ser)) ||
	    !ser_valid(&ser))
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
};

static struct liveupdate_file_handler memfd_handler = {
	.ops = &memfd_ops,
	.compatible = MEMFD_LUO_COMPATIBLE,
};

static int __init memfd_luo_init(void)
{
	int err = liveupdate_register_file_handler(&memfd_handler);

	/* Live update is off. */
	return err == -EOPNOTSUPP ? 0 : err;
}
late_initcall(memfd_luo_init);
