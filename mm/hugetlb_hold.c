// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hold and freeze hugetlb files, for live update.
 *
 * A file that is handed to the next kernel goes on being used until the kexec. It is held
 * from the moment on that its pages are listed: nothing is taken away from it, and pages
 * that are added are marked in the page cache, so that finding them costs as much as there
 * are. In the end it is frozen, so that the list can be completed.
 *
 * hugetlb has no write(). Pages are added by page faults, fallocate(), userfaultfd and
 * drivers that pin the file; all do so under one of the fault mutexes. Once the file is
 * known to be frozen to whoever takes one, and each mutex was free once, no page is added
 * any more. A process that needs one waits: either the reboot fails and it goes on, or this
 * kernel ends and nobody has seen the access succeed. It waits without the lock of its mm.
 */

#define pr_fmt(fmt) "hugetlb: " fmt

#include <linux/delay.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/wait.h>

static DECLARE_WAIT_QUEUE_HEAD(unfreeze_waitq);

/* The machine reboots: what is frozen stays so. */
static bool frozen_for_good;

/* For a kernel thread to wait. Unless something hangs a file is not frozen for so long. */
#define FROZEN_TIMEOUT	(10 * HZ)

static void change_held(struct inode *inode, unsigned int clear, unsigned int set)
{
	struct hugetlbfs_inode_info *info = HUGETLBFS_I(inode);

	/* Pages are added, and marked, under this lock. */
	xa_lock_irq(&inode->i_mapping->i_pages);
	WRITE_ONCE(info->held, (info->held & ~clear) | set);
	xa_unlock_irq(&inode->i_mapping->i_pages);
}

/**
 * hugetlb_mark_added - mark a page that was added to a file, if the file is held
 * @inode: of the file
 * @index: of the page, in units of PAGE_SIZE
 *
 * Context: Process context, after the page was stored in the page cache.
 */
void hugetlb_mark_added(struct inode *inode, pgoff_t index)
{
	struct xarray *pages = &inode->i_mapping->i_pages;

	if (likely(!hugetlb_is_held(inode)))
		return;

	xa_lock_irq(pages);
	if (hugetlb_is_held(inode))
		__xa_set_mark(pages, index, HUGETLB_MARK_ADDED);
	xa_unlock_irq(pages);
}

/**
 * hugetlb_hold - keep what a file has
 * @inode: of a hugetlb memfd
 *
 * Until hugetlb_unhold() nothing is taken away from the file, and all pages that are added
 * are marked with %HUGETLB_MARK_ADDED. To shrink the file or to punch holes fails with
 * -EBUSY. A page to which the caller has a reference does not move, either.
 *
 * Context: Process context; may sleep. Not if it is held already.
 * Return: 0, or -EINTR when the caller was killed while waiting for the lock of the inode.
 */
int hugetlb_hold(struct inode *inode)
{
	if (down_write_killable(&inode->i_rwsem))
		return -EINTR;

	change_held(inode, 0, HUGETLB_HELD);
	inode_unlock(inode);
	return 0;
}

/* Nobody sets the mark any more. */
static void clear_added(struct address_space *mapping)
{
	XA_STATE(xas, &mapping->i_pages, 0);
	unsigned int nr = 0;
	void *entry;

	xas_lock_irq(&xas);
	xas_for_each_marked(&xas, entry, ULONG_MAX, HUGETLB_MARK_ADDED) {
		xas_clear_mark(&xas, HUGETLB_MARK_ADDED);
		if (++nr % XA_CHECK_SCHED)
			continue;

		xas_pause(&xas);
		xas_unlock_irq(&xas);
		cond_resched();
		xas_lock_irq(&xas);
	}
	xas_unlock_irq(&xas);
}

/**
 * hugetlb_unhold - undo hugetlb_hold()
 * @inode: of a file that is held and not frozen
 *
 * Context: Process context; may sleep.
 */
void hugetlb_unhold(struct inode *inode)
{
	change_held(inode, HUGETLB_HELD, 0);
	clear_added(inode->i_mapping);
}

/**
 * hugetlb_freeze_begin - let no fallocate() begin on a held file
 * @inode: of a file that is held
 *
 * One that has begun gives way at its next page. Page faults still add pages.
 *
 * Context: Any.
 */
void hugetlb_freeze_begin(struct inode *inode)
{
	change_held(inode, 0, HUGETLB_FREEZING);
}

/**
 * hugetlb_freeze_ready - whether hugetlb_freeze() need not wait for the lock of the inode
 * @inode: of a file, after hugetlb_freeze_begin()
 *
 * Context: Process context. Does not sleep.
 * Return: true if all has ended that was going on at hugetlb_freeze_begin(); false if it
 * has not, or something has the lock of the inode for the moment.
 */
bool hugetlb_freeze_ready(struct inode *inode)
{
	if (!inode_trylock(inode))
		return false;

	inode_unlock(inode);
	return true;
}

/**
 * hugetlb_freeze - keep a held file as it is
 * @inode: of a file, after hugetlb_freeze_begin()
 * @deadline: in jiffies, when to give up
 *
 * No page is added from now on, and neither size nor seals change. A process that accesses
 * a hole of the file in memory waits for hugetlb_unfreeze(); pages that are there can be
 * written to. A kernel thread that does so waits until it is known that the file stays
 * frozen, and fails. Anything else that adds a page fails with -EAGAIN, and what changes
 * size or seals with -EBUSY.
 *
 * Context: Process context; may sleep. On failure hugetlb_unfreeze() is to be called.
 * Return:
 * * 0 - the file is frozen
 * * %-ETIMEDOUT - something has the lock of the inode, or adds a page, and does not come to
 *   an end
 * * %-EINTR - the caller was killed while it waited for that
 */
int hugetlb_freeze(struct inode *inode, unsigned long deadline)
{
	while (!inode_trylock(inode)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		fsleep(1000);
	}

	change_held(inode, 0, HUGETLB_FROZEN);
	inode_unlock(inode);
	return hugetlb_wait_for_faults(deadline);
}

/**
 * hugetlb_unfreeze - undo hugetlb_freeze() and hugetlb_freeze_begin()
 * @inode: of a file; it is still held
 */
void hugetlb_unfreeze(struct inode *inode)
{
	change_held(inode, HUGETLB_FREEZING | HUGETLB_FROZEN, 0);
	wake_up_all(&unfreeze_waitq);
}

/**
 * hugetlb_freeze_for_good - say that no frozen file will be unfrozen
 *
 * Kernel threads that wait for that fail: reboot notifiers and drivers that are shut down
 * may wait for them.
 *
 * Context: Process context, in the reboot.
 */
void hugetlb_freeze_for_good(void)
{
	WRITE_ONCE(frozen_for_good, true);
	wake_up_all(&unfreeze_waitq);
}

/* Of those that the reboot may have to wait for, none is a thread of user space. */
static bool serves_kernel(void)
{
	return current->flags & (PF_KTHREAD | PF_USER_WORKER);
}

static void wait_unfrozen(struct inode *inode)
{
	if (!serves_kernel()) {
		wait_event_killable(unfreeze_waitq, !hugetlb_is_freezing(inode));
		return;
	}

	wait_event_killable_timeout(unfreeze_waitq,
				    !hugetlb_is_freezing(inode) ||
				    READ_ONCE(frozen_for_good), FROZEN_TIMEOUT);
}

/**
 * hugetlb_frozen_fault - have a page fault in a hole of a frozen file wait
 * @vmf: the fault
 * @inode: of the file
 *
 * The lock of the mm, or of the vma, is never held while waiting: its owner could not be
 * looked at in /proc. As with userfaultfd, a caller that cannot do without the lock gets an
 * error.
 *
 * Context: Process context; may sleep. No other lock of hugetlb is held.
 * Return: %VM_FAULT_RETRY; or %VM_FAULT_SIGBUS if the caller cannot wait, or is a kernel
 * thread that has waited.
 */
vm_fault_t hugetlb_frozen_fault(struct vm_fault *vmf, struct inode *inode)
{
	struct file *file;

	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return VM_FAULT_RETRY;

	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;

	if (serves_kernel() && vmf->flags & FAULT_FLAG_TRIED) {
		pr_warn_ratelimited("kernel thread %s fails to access frozen inode %lu\n",
				    current->comm, inode->i_ino);
		return VM_FAULT_SIGBUS;
	}

	file = get_file(vmf->vma->vm_file);
	release_fault_lock(vmf);
	wait_unfrozen(inode);
	fput(file);
	return VM_FAULT_RETRY;
}
