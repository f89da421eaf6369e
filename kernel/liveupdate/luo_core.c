// SPDX-License-Identifier: GPL-2.0-only
/*
 * Live Update Orchestrator (LUO): sessions of files that survive a kexec.
 *
 * Here is what holds it together: whether it is on, what is taken over from the
 * previous kernel, and what happens when the machine reboots.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/jiffies.h>
#include <linux/kexec.h>
#include <linux/kexec_handover.h>
#include <linux/kstrtox.h>
#include <linux/liveupdate.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/syscalls.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/writeback.h>

#include "../kexec_internal.h"
#include "kho_internal.h"
#include "luo_internal.h"

/* What was asked for, or true when sessions arrive; when it cannot be had it is cleared. */
static bool luo_enabled __ro_after_init;

/* The command line says which of both. Otherwise it is on when sessions arrive. */
static bool luo_told __initdata;

static int __init liveupdate_param(char *p)
{
	if (!p || kstrtobool(p, &luo_enabled))
		pr_err("liveupdate=%s ignored: expected on or off\n", p ?: "");
	else
		luo_told = true;

	return 0;
}
early_param("liveupdate", liveupdate_param);

/**
 * liveupdate_enabled - whether files can be handed over
 *
 * Context: Any.
 * Return: true with liveupdate=on, or without liveupdate= when the previous kernel has
 * handed sessions over, unless KHO is off.
 */
bool liveupdate_enabled(void)
{
	return luo_enabled && kho_is_enabled();
}
EXPORT_SYMBOL_GPL(liveupdate_enabled);

/**
 * liveupdate_refused - whether the command line says that live update is off
 *
 * Context: After early parameters were parsed.
 * Return: true with liveupdate=off. Without liveupdate= it is what arrives that decides.
 */
bool __init liveupdate_refused(void)
{
	return luo_told && !luo_enabled;
}

/* In the subtree for the next kernel. */
static struct luo_ser *outgoing;

static int check_image(const struct kimage *image)
{
	unsigned long nr = luo_nr_preserved_files();

	if (image->kho.fdt_phys || !nr)
		return 0;

	pr_err("kexec refused: the image carries no handover, and %lu files are preserved; load it with kexec -s\n",
	       nr);
	return -EBUSY;
}

/* Of the reboot that goes on; in jiffies. Protected by the kexec lock. */
static unsigned long deadline;

/**
 * liveupdate_freeze_deadline - until when to wait for a file to be frozen
 *
 * All files share it. A reboot that waits for longer keeps the machine from being powered
 * off, too.
 *
 * Context: From freeze operations of file handlers.
 * Return: a time in jiffies.
 */
unsigned long liveupdate_freeze_deadline(void)
{
	return deadline;
}

/**
 * luo_extend_deadline - do not count time in which nothing was waited for
 * @since: when that began, in jiffies
 */
void luo_extend_deadline(unsigned long since)
{
	deadline += jiffies - since;
}

/*
 * What file systems have not written yet may belong to a block device that is on a file of
 * a session: its content has to be in the file before it is frozen. A file system may also
 * be out of reach, so the reboot does not wait for long, and goes on without. This time is in
 * addition to LUO_REBOOT_SECONDS, which another operation may have used up.
 */
#define SYNC_SECONDS	2

static unsigned int nr_syncs_wanted;
static unsigned int nr_syncs_done;
static DECLARE_WAIT_QUEUE_HEAD(synced_waitq);

static void sync_fn(struct work_struct *work)
{
	unsigned int nr = READ_ONCE(nr_syncs_wanted);

	ksys_sync();
	WRITE_ONCE(nr_syncs_done, nr);
	wake_up_all(&synced_waitq);
}

static DECLARE_WORK(sync_work, sync_fn);

static int sync_before_freeze(void)
{
	unsigned int nr = nr_syncs_wanted + 1;
	unsigned long before = jiffies;
	long left;

	if (!luo_nr_preserved_files())
		return 0;

	WRITE_ONCE(nr_syncs_wanted, nr);
	/*
	 * If it hangs since the last time, then it is tried again after that. Meanwhile, have
	 * what can be reached written at least.
	 */
	wakeup_flusher_threads(WB_REASON_SYNC);
	queue_work(system_unbound_wq, &sync_work);
	left = wait_event_killable_timeout(synced_waitq, READ_ONCE(nr_syncs_done) == nr,
					   SYNC_SECONDS * HZ);
	luo_extend_deadline(before);
	if (left < 0)
		return -EINTR;
	if (!left)
		pr_warn("file systems not written in time: a block device on a preserved file may miss data\n");

	return 0;
}

static int hand_sessions_over(void)
{
	unsigned long before = jiffies;
	int err;

	/* These were closed before anything was frozen, and are not handed over. */
	luo_sessions_release_deferred();
	luo_extend_deadline(before);

	err = check_image(kexec_image) ?: luo_sessions_check_finished() ?:
	      sync_before_freeze() ?: luo_sessions_freeze(&outgoing->sessions_pa);
	if (err)
		return err;

	luo_flbs_write();
	/* Freezing preserves memory, too. */
	err = kho_check_image(kexec_image);
	if (err)
		luo_sessions_unfreeze();

	return err;
}

/**
 * liveupdate_reboot - freeze all sessions, and tell the next kernel of them
 *
 * To be called when nothing else can fail any more: all is as if files were never
 * frozen when this fails, but nothing undoes it when it has succeeded.
 *
 * An image that carries no handover is refused as long as files are preserved, and any
 * image as long as a session of the previous kernel is not finished: it is not handed on.
 * An image that returns to this kernel needs nothing. Not exported: only the reboot
 * itself has a use for it.
 *
 * Context: kernel_kexec(), with the kexec lock held, while everything runs. Does not wait
 *	    for longer than %LUO_REBOOT_SECONDS, and %SYNC_SECONDS for file systems: to power
 *	    off waits for that. Operations of handlers are not interrupted.
 * Return:
 * * 0 - this kernel is at its end
 * * %-EBUSY - files or sessions would be lost
 * * %-EINTR - the caller was killed
 * * %-EPROTO, %-EUCLEAN - the next kernel would refuse the handover; see kho_check_out()
 * * %-ETIMEDOUT - an operation on a session, or a write to a file, has not come to an end
 * * anything else - a file could not be frozen
 */
int liveupdate_reboot(void)
{
	int err;

	if (!liveupdate_enabled() || kexec_image->preserve_context)
		return 0;

	deadline = jiffies + LUO_REBOOT_SECONDS * HZ;
	err = luo_gate_close(deadline);
	if (!err) {
		err = hand_sessions_over();
		if (err)
			luo_gate_open();
		else
			luo_gate_seal();
	}

	if (err)
		luo_sessions_release_later();
	return err;
}

/* Read what the previous kernel has left: all of it is 0 if that is nothing. */
static void __init read_incoming(struct luo_ser *copy)
{
	const struct luo_ser *ser;
	phys_addr_t phys;
	size_t size;

	memset(copy, 0, sizeof(*copy));
	if (kho_retrieve_subtree(LUO_KHO_SUBTREE, &phys, &size))
		return;

	ser = phys_to_virt(phys);
	if (size < sizeof(*ser) || !PAGE_ALIGNED(phys) ||
	    !kho_run_preserved(PHYS_PFN(phys), 1) ||
	    strncmp(ser->compatible, LUO_KHO_COMPATIBLE,
		    sizeof(ser->compatible))) {
		pr_warn("%s of %zu bytes at %pa not understood: no session can be retrieved\n",
			LUO_KHO_SUBTREE, size, &phys);
		return;
	}

	*copy = *ser;
	kho_restore_free(phys_to_virt(phys));
}

/* What the next kernel finds if no session is made: no list of them at all. */
static int __init hand_over(u64 liveupdate_num)
{
	struct luo_ser *ser = kho_alloc_preserve(sizeof(*ser));
	int err;

	if (IS_ERR(ser))
		return PTR_ERR(ser);

	err = luo_flbs_init(&ser->flbs_pa);
	if (err)
		goto err_ser;

	luo_sessions_init();
	strscpy(ser->compatible, LUO_KHO_COMPATIBLE);
	ser->liveupdate_num = liveupdate_num;
	err = kho_add_subtree(LUO_KHO_SUBTREE, ser, sizeof(*ser));
	if (err)
		goto err_flbs;

	err = luo_device_init();
	if (err)
		goto err_subtree;

	/* This, and the list of objects. */
	kho_out.nr_own_pages += 2;
	outgoing = ser;
	return 0;

err_subtree:
	kho_remove_subtree(ser);
err_flbs:
	luo_flbs_exit();
err_ser:
	kho_unpreserve_free(ser);
	return err;
}

/* Sessions that arrived and that nobody can retrieve. */
static unsigned long nr_lost __initdata;

/* Free all lists. What they refer to stays reserved. */
static void __init forget_incoming(unsigned long nr_sessions)
{
	nr_lost = nr_sessions;
	luo_sessions_forget();
	luo_flbs_forget();
}

static int __init luo_init(void)
{
	struct luo_ser incoming;
	unsigned long nr;
	int err;

	if (!kho_is_enabled()) {
		if (luo_enabled)
			pr_err("disabled: kexec handover is off\n");
		luo_enabled = false;
		return 0;
	}

	read_incoming(&incoming);
	nr = luo_sessions_take_over(incoming.sessions_pa);
	if (nr && !luo_told)
		luo_enabled = true;
	luo_flbs_take_over(incoming.flbs_pa);
	if (!luo_enabled) {
		forget_incoming(nr);
		return 0;
	}

	if (nr)
		pr_info("took over %lu sessions\n", nr);
	err = hand_over(incoming.liveupdate_num + 1);
	if (err) {
		pr_err("disabled: nothing can be handed over: %d\n", err);
		luo_enabled = false;
		forget_incoming(nr);
	}

	return 0;
}

/* Preserving is possible from here on. */
fs_initcall(luo_init);

/* When all others have claimed what is theirs. */
static int __init luo_say_lost(void)
{
	if (nr_lost)
		pr_warn("live update is off: %lu sessions of the previous kernel are lost, up to %lu KiB stay reserved\n",
			nr_lost,
			atomic_long_read(&kho_in.nr_unclaimed) << (PAGE_SHIFT - 10));

	return 0;
}
late_initcall_sync(luo_say_lost);
