// SPDX-License-Identifier: GPL-2.0-only
/*
 * The gate: outgoing sessions change, or a reboot freezes them, but never both.
 *
 * What changes a session passes through the gate, together with others. A reboot
 * closes the gate and waits until nobody is inside, but not for ever: what is inside
 * may wait for memory of a dead FUSE or NFS server. Each passage is on a list, so that
 * a reboot that gives up can tell which process is in its way.
 *
 * Closing a session can neither fail nor wait. If the gate is not open, then the session
 * is left on a list, and released when the gate opens again.
 *
 *	OPEN --luo_gate_close()--> CLOSING --luo_gate_seal()--> CLOSED
 *	     <--luo_gate_open()---
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/cleanup.h>
#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/pid.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/wait.h>

#include "luo_internal.h"

/**
 * enum luo_gate_state - whether outgoing sessions can be changed
 * @GATE_OPEN: they can
 * @GATE_CLOSING: a reboot has begun, and may fail: wait
 * @GATE_CLOSED: there is no way back to this kernel
 */
enum luo_gate_state {
	GATE_OPEN,
	GATE_CLOSING,
	GATE_CLOSED,
};

static enum luo_gate_state gate;
static LIST_HEAD(inside);
static LIST_HEAD(deferred);

/* Protects the three above. Taken last. */
static DEFINE_SPINLOCK(gate_lock);

static DECLARE_WAIT_QUEUE_HEAD(not_closing_waitq);
static DECLARE_WAIT_QUEUE_HEAD(empty_waitq);

#ifdef CONFIG_LOCKDEP
static struct lockdep_map gate_map = STATIC_LOCKDEP_MAP_INIT("luo_gate", &gate_map);
#endif

static void go_inside(struct luo_gate_pass *pass, const char *what, const char *name)
{
	lockdep_assert_held(&gate_lock);

	pass->what = what;
	pass->name = name;
	pass->pid = task_pid_nr(current);
	strscpy(pass->comm, current->comm);
	list_add_tail(&pass->list, &inside);
}

/**
 * luo_gate_enter - begin a change to an outgoing session
 * @pass: stays in place until luo_gate_leave()
 * @what: the operation, for the log
 * @name: name of the session, which stays in place as well
 *
 * Waits while a reboot tries to freeze all sessions.
 *
 * Context: Process context; may sleep.
 * Return:
 * * 0 - the change may begin; it ends with luo_gate_leave()
 * * %-EBUSY - this kernel is at its end
 * * %-EINTR - the caller was killed while it waited
 */
int luo_gate_enter(struct luo_gate_pass *pass, const char *what, const char *name)
{
	enum luo_gate_state state;

	do {
		if (wait_event_killable(not_closing_waitq,
					READ_ONCE(gate) != GATE_CLOSING))
			return -EINTR;

		spin_lock(&gate_lock);
		state = gate;
		if (state == GATE_OPEN)
			go_inside(pass, what, name);
		spin_unlock(&gate_lock);
	} while (state == GATE_CLOSING);

	if (state == GATE_CLOSED)
		return -EBUSY;

	rwsem_acquire_read(&gate_map, 0, 0, _RET_IP_);
	return 0;
}

/**
 * luo_gate_enter_or_defer - begin to release an outgoing session, now or later
 * @pass: as for luo_gate_enter()
 * @what: as for luo_gate_enter()
 * @name: as for luo_gate_enter()
 * @entry: what luo_gate_next_deferred() returns later; NULL if there is nothing to defer
 *
 * Never waits.
 *
 * Return: true if the gate was open, and then luo_gate_leave() has to be called; false
 * if @entry is deferred. It stays so if this kernel is at its end.
 */
bool luo_gate_enter_or_defer(struct luo_gate_pass *pass, const char *what,
			     const char *name, struct list_head *entry)
{
	scoped_guard(spinlock, &gate_lock) {
		if (gate != GATE_OPEN) {
			if (entry)
				list_add_tail(entry, &deferred);
			return false;
		}

		go_inside(pass, what, name);
	}

	rwsem_acquire_read(&gate_map, 0, 1, _RET_IP_);
	return true;
}

/**
 * luo_gate_leave - end a change to an outgoing session
 * @pass: of luo_gate_enter() or luo_gate_enter_or_defer()
 */
void luo_gate_leave(struct luo_gate_pass *pass)
{
	bool empty;

	rwsem_release(&gate_map, _RET_IP_);
	scoped_guard(spinlock, &gate_lock) {
		list_del(&pass->list);
		empty = list_empty(&inside);
	}

	if (empty)
		wake_up(&empty_waitq);
}

/**
 * luo_gate_next_deferred - remove the first entry of luo_gate_enter_or_defer()
 *
 * Context: The caller is inside of the gate, or has closed it.
 * Return: the entry, or NULL if there is none.
 */
struct list_head *luo_gate_next_deferred(void)
{
	struct list_head *entry = NULL;

	spin_lock(&gate_lock);
	if (!list_empty(&deferred)) {
		entry = deferred.next;
		list_del(entry);
	}
	spin_unlock(&gate_lock);

	return entry;
}

static bool is_empty(void)
{
	bool empty;

	spin_lock(&gate_lock);
	empty = list_empty(&inside);
	spin_unlock(&gate_lock);

	return empty;
}

/* Print the passage that began first: it is gone when the lock is dropped. */
static void say_who_is_inside(void)
{
	const struct luo_gate_pass *pass;

	spin_lock(&gate_lock);
	pass = list_first_entry_or_null(&inside, struct luo_gate_pass, list);
	if (pass)
		pr_err("kexec refused: %s of session %*pE by process %d (%s) has not ended within %d s\n",
		       pass->what, (int)strlen(pass->name), pass->name, pass->pid,
		       pass->comm, LUO_REBOOT_SECONDS);
	spin_unlock(&gate_lock);
}

/**
 * luo_gate_close - keep outgoing sessions from being changed
 * @deadline: in jiffies, when to give up
 *
 * Waits until nobody is inside.
 *
 * Context: Process context; may sleep. One caller at a time.
 * Return:
 * * 0 - sessions do not change before luo_gate_open()
 * * %-EINTR - the caller was killed while it waited; the gate is open
 * * %-ETIMEDOUT - somebody is inside for so long, as the log says; the gate is open
 */
int luo_gate_close(unsigned long deadline)
{
	long left;

	scoped_guard(spinlock, &gate_lock)
		gate = GATE_CLOSING;

	left = wait_event_killable_timeout(empty_waitq, is_empty(),
					   max(1L, (long)(deadline - jiffies)));
	rwsem_acquire(&gate_map, 0, 0, _RET_IP_);
	if (left > 0)
		return 0;

	if (!left)
		say_who_is_inside();
	luo_gate_open();
	return left ? -EINTR : -ETIMEDOUT;
}

static void set_state(enum luo_gate_state state)
{
	rwsem_release(&gate_map, _RET_IP_);
	scoped_guard(spinlock, &gate_lock)
		gate = state;

	wake_up_all(&not_closing_waitq);
}

/**
 * luo_gate_open - let outgoing sessions be changed again
 *
 * Sessions that were deferred meanwhile are left to the caller.
 *
 * Context: After luo_gate_close().
 */
void luo_gate_open(void)
{
	set_state(GATE_OPEN);
}

/**
 * luo_gate_seal - keep outgoing sessions as they are for good
 *
 * Context: After luo_gate_close(), when nothing can fail any more.
 */
void luo_gate_seal(void)
{
	set_state(GATE_CLOSED);
}
