/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the handlers of memfds in live update, those of shmem and of hugetlb.
 */
#ifndef _MM_MEMFD_LUO_H
#define _MM_MEMFD_LUO_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kho/abi/memfd.h>
#include <linux/kho_mm.h>
#include <linux/mm.h>
#include <linux/mnt_idmapping.h>
#include <linux/pid_namespace.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <uapi/linux/memfd.h>

#include "internal.h"

struct liveupdate_file_op_args;

/* The name of a memfd begins with this, whoever has made it. */
#define MEMFD_PREFIX	"memfd:"

#define MEMFD_SEALS	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | \
			 F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | F_SEAL_EXEC)

/* With these seals, and one against writing, write access to a memfd gives nothing. */
#define SEALS_WITHOUT_WRITE	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

/*
 * The next kernel opens the file for reading and writing: the ABI has no room for an
 * access mode. So the descriptor must have both, or the seals must forbid all that
 * write access allows: to write, to change the size, and to add seals.
 */
static inline bool memfd_may_preserve(const struct file *file, unsigned int seals)
{
	if (!(file->f_mode & FMODE_READ))
		return false;

	if (file->f_mode & FMODE_WRITE)
		return true;

	return (seals & SEALS_WITHOUT_WRITE) == SEALS_WITHOUT_WRITE &&
	       seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

/*
 * F_SEAL_FUTURE_WRITE spares writable mappings that exist when it is added. They end
 * with this kernel, and the next one lets nobody map the file writable again, so that
 * their owner would lose the ability to write. If there are no such mappings, none can
 * come any more, and nothing is lost.
 */
static inline bool memfd_would_lose_mapping(struct inode *inode, unsigned int seals)
{
	return (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) == F_SEAL_FUTURE_WRITE &&
	       mapping_writably_mapped(inode->i_mapping);
}

/*
 * A number that changes whenever memory of the system is poisoned, and is odd meanwhile.
 * Folios that are looked at afterwards show all that was poisoned before.
 */
static inline long memfd_poison_seq(void)
{
#ifdef CONFIG_MEMORY_FAILURE
	return atomic_long_read_acquire(&memory_failure_seq);
#else
	return 0;
#endif
}

/*
 * The file is not executable. With vm.memfd_noexec it stays so, as one of a
 * memfd_create() that does not ask for MFD_EXEC would: the sysctl is that of the pid
 * namespace of the process that retrieves the file.
 */
static inline bool memfd_must_stay_noexec(void)
{
	return pidns_memfd_noexec_scope(task_active_pid_ns(current)) > 0;
}

/* The owner is whoever retrieves the file: none was handed over. */
static inline void memfd_set_owner(struct inode *inode)
{
	inode_fsuid_set(inode, &nop_mnt_idmap);
	inode_fsgid_set(inode, &nop_mnt_idmap);
}

/* What memfd_create() makes of a file, and what was handed over. */
static inline void memfd_luo_init_file(struct file *file, loff_t pos, loff_t size)
{
	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	file->f_flags |= O_LARGEFILE;
	file->f_pos = pos;
	/* It was not handed over: nobody shall gain by that. The owner can change it. */
	file_inode(file)->i_mode &= ~0177;
	i_size_write(file_inode(file), size);
}

/* Set the seals of a file that nobody else knows, in @file_seals. */
static inline int memfd_luo_set_seals(struct inode *inode, unsigned int *file_seals,
				      unsigned int seals)
{
	int err;

	if (memfd_must_stay_noexec())
		seals |= F_SEAL_EXEC;

	if (seals & F_SEAL_WRITE) {
		err = mapping_deny_writable(inode->i_mapping);
		if (err)
			return err;
	}

	*file_seals = seals;
	return 0;
}

/*
 * Copy what describes a memfd that nobody has claimed. The page is read as if it could go
 * away: two memfds of a damaged handover may share it, and then a retrieve of the other one
 * frees it.
 */
static inline bool memfd_luo_copy_ser(u64 phys, void *ser, size_t size)
{
	return PAGE_ALIGNED(phys) && kho_run_preserved(PHYS_PFN(phys), 1) &&
	       !copy_from_kernel_nofault(ser, phys_to_virt(phys), size);
}

/* Entries in a page of the list of folios. */
#define FOLIOS_PER_PAGE	(PAGE_SIZE / sizeof(struct memfd_luo_folio_ser))

/* memfd_luo_preserve.c */
int memfd_luo_preserve(struct liveupdate_file_op_args *args);
void memfd_luo_unpreserve(struct liveupdate_file_op_args *args);
int memfd_luo_freeze_prepare(struct liveupdate_file_op_args *args);
void memfd_luo_freeze_begin(struct liveupdate_file_op_args *args);
bool memfd_luo_freeze_ready(struct liveupdate_file_op_args *args);
int memfd_luo_freeze(struct liveupdate_file_op_args *args);
void memfd_luo_unfreeze(struct liveupdate_file_op_args *args);

#endif /* _MM_MEMFD_LUO_H */
