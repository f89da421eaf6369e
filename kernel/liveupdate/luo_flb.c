// SPDX-License-Identifier: GPL-2.0-only
/*
 * File-lifecycle-bound objects (FLB): what files of one or more handlers share.
 *
 * Such an object is preserved with the first file that relies on it, whatever
 * session that is in, and unpreserved with the last one. The next kernel retrieves
 * it when somebody asks for it, and finishes it with the last of its files.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kho_internal.h"
#include "luo_internal.h"

/* As many as the page has room for that lists them. */
#define MAX_FLBS	((PAGE_SIZE - sizeof(struct luo_flbs_ser)) / \
			 sizeof(struct luo_flb_ser))

/* A handler relies on an object. */
struct luo_flb_link {
	struct list_head list;
	struct liveupdate_flb *flb;
};

/* All that handlers rely on, and how many they are. */
static LIST_HEAD(flbs);
static unsigned int nr_flbs;

/*
 * Protects the list, and nr_handlers of all that are in it. A reboot takes it, so nothing
 * that may hang is done under it.
 */
static DEFINE_MUTEX(flbs_lock);

/* What the next kernel gets; and what the previous one has left, if it did. */
static struct luo_flbs_ser *outgoing;
static struct luo_flbs_ser *incoming;

static struct liveupdate_flb_op_args args_of(struct liveupdate_flb *flb,
					     const struct luo_flb_state *state)
{
	return (struct liveupdate_flb_op_args){
		.flb = flb,
		.data = state->data,
		.obj = state->obj,
	};
}

/* What the previous kernel says of an object; NULL when it has not had it. */
static struct luo_flb_ser *find_incoming(const struct liveupdate_flb *flb)
{
	unsigned int i;

	for (i = 0; incoming && i < incoming->count; i++) {
		if (!strncmp(incoming->flbs[i].name, flb->compatible,
			     LUO_COMPATIBLE_LENGTH))
			return &incoming->flbs[i];
	}

	return NULL;
}

static int preserve(struct liveupdate_flb *flb, struct luo_flb_state *state)
{
	struct liveupdate_flb_op_args args;
	int err;

	if (!try_module_get(flb->ops->owner))
		return -ENODEV;

	state->data = 0;
	args = args_of(flb, state);
	err = flb->ops->preserve(&args);
	if (err) {
		module_put(flb->ops->owner);
		return err;
	}

	state->data = args.data;
	state->obj = args.obj;
	return 0;
}

/*
 * Drop a reason to keep an object, unless it is the last one. An operation may hang that
 * was called for another file; if there is nothing to call, do not wait for it.
 */
static bool drop_unless_last(struct luo_flb_state *state)
{
	long count = atomic_long_read(&state->count);

	do {
		if (count <= 1)
			return false;
	} while (!atomic_long_try_cmpxchg(&state->count, &count, count - 1));

	return true;
}

/* One more reason to preserve an object. */
static int get_outgoing(struct liveupdate_flb *flb)
{
	struct luo_flb_state *state = &flb->outgoing;
	int err = 0;

	/* Its operation may hang that was called for another file. */
	if (mutex_lock_killable(&state->lock))
		return -EINTR;

	if (!atomic_long_read(&state->count))
		err = preserve(flb, state);
	if (!err)
		atomic_long_inc(&state->count);

	mutex_unlock(&state->lock);
	return err;
}

/* True when that was the last reason. */
static bool drop_outgoing(struct liveupdate_flb *flb)
{
	struct luo_flb_state *state = &flb->outgoing;
	struct liveupdate_flb_op_args args;

	if (drop_unless_last(state))
		return false;

	guard(mutex)(&state->lock);

	if (WARN_ON_ONCE(!atomic_long_read(&state->count)) ||
	    !atomic_long_dec_and_test(&state->count))
		return false;

	args = args_of(flb, state);
	flb->ops->unpreserve(&args);
	state->obj = NULL;
	return true;
}

/* The object may be gone with its module, lock and all. */
static void put_outgoing(struct liveupdate_flb *flb)
{
	struct module *owner = flb->ops->owner;

	if (drop_outgoing(flb))
		module_put(owner);
}

/* Nobody asks for the object any more, or it would be in vain. */
static void give_up(struct liveupdate_flb *flb, int err)
{
	pr_err("shared object %s cannot be retrieved: %d\n", flb->compatible, err);
	flb->incoming.status = err;
}

static int retrieve(struct liveupdate_flb *flb)
{
	struct luo_flb_state *state = &flb->incoming;
	struct liveupdate_flb_op_args args;
	int err;

	if (state->status)
		return state->status < 0 ? state->status : 0;

	if (!try_module_get(flb->ops->owner))
		return -ENODEV;

	args = args_of(flb, state);
	err = flb->ops->retrieve(&args);
	if (err) {
		if (!flb->ops->retriable || err == -EBADMSG)
			give_up(flb, err);
		module_put(flb->ops->owner);
		return err;
	}

	state->status = 1;
	state->obj = args.obj;
	return 0;
}

/* True when it was finished. */
static bool drop_incoming(struct liveupdate_flb *flb)
{
	struct luo_flb_state *state = &flb->incoming;
	struct liveupdate_flb_op_args args;
	int err;

	if (drop_unless_last(state))
		return false;

	guard(mutex)(&state->lock);

	/* The count is what the previous kernel says: more may come. */
	if (!atomic_long_read(&state->count) || !atomic_long_dec_and_test(&state->count))
		return false;

	err = retrieve(flb);
	if (err) {
		if (!state->status)
			give_up(flb, err);
		return false;
	}

	args = args_of(flb, state);
	flb->ops->finish(&args);
	state->obj = NULL;
	state->status = -ENOENT;
	return true;
}

static void put_incoming(struct liveupdate_flb *flb)
{
	struct module *owner = flb->ops->owner;

	if (drop_incoming(flb))
		module_put(owner);
}

/**
 * liveupdate_flb_get_outgoing - use an object that is preserved
 * @flb: the object
 * @objp: set to what its preserve operation has set
 *
 * It stays preserved until liveupdate_flb_put_outgoing().
 *
 * Context: Process context; may sleep. The object is registered. Also from operations
 *	    of files that rely on it but can_preserve, and not from those of objects.
 * Return: 0; -ENOENT when no file relies on it now; -EOPNOTSUPP when live update
 * is off.
 */
int liveupdate_flb_get_outgoing(struct liveupdate_flb *flb, void **objp)
{
	struct luo_flb_state *state = &flb->outgoing;

	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(mutex)(&state->lock);

	if (!atomic_long_read(&state->count))
		return -ENOENT;

	atomic_long_inc(&state->count);
	*objp = state->obj;
	return 0;
}
EXPORT_SYMBOL_GPL(liveupdate_flb_get_outgoing);

/**
 * liveupdate_flb_put_outgoing - after liveupdate_flb_get_outgoing()
 * @flb: the object
 *
 * Context: As there.
 */
void liveupdate_flb_put_outgoing(struct liveupdate_flb *flb)
{
	put_outgoing(flb);
}
EXPORT_SYMBOL_GPL(liveupdate_flb_put_outgoing);

/**
 * liveupdate_flb_get_incoming - use an object that was handed over
 * @flb: the object
 * @objp: set to what its retrieve operation has set
 *
 * Retrieves it if nobody has. It is not finished before
 * liveupdate_flb_put_incoming().
 *
 * Context: Process context; may sleep. The object is registered. Also from operations
 *	    of files that rely on it but can_preserve, and not from those of objects.
 * Return: 0; -ENOENT when it was not handed over, or is finished; -ENODEV when its
 * module goes away; -EOPNOTSUPP when live update is off; or what its retrieve
 * operation says, every time unless the object is retriable.
 */
int liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **objp)
{
	struct luo_flb_state *state = &flb->incoming;
	int err;

	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(mutex)(&state->lock);

	if (!atomic_long_read(&state->count))
		return -ENOENT;

	err = retrieve(flb);
	if (err)
		return err;

	atomic_long_inc(&state->count);
	*objp = state->obj;
	return 0;
}
EXPORT_SYMBOL_GPL(liveupdate_flb_get_incoming);

/**
 * liveupdate_flb_put_incoming - after liveupdate_flb_get_incoming()
 * @flb: the object
 *
 * Context: As there.
 */
void liveupdate_flb_put_incoming(struct liveupdate_flb *flb)
{
	put_incoming(flb);
}
EXPORT_SYMBOL_GPL(liveupdate_flb_put_incoming);

static bool flb_valid(const struct liveupdate_flb *flb)
{
	const struct liveupdate_flb_ops *ops = flb->ops;

	return ops && ops->preserve && ops->unpreserve && ops->retrieve &&
	       ops->finish && flb->compatible[0] &&
	       strnlen(flb->compatible, LUO_COMPATIBLE_LENGTH) <
	       LUO_COMPATIBLE_LENGTH;
}

static bool name_taken(const struct liveupdate_flb *flb)
{
	const struct liveupdate_flb *other;

	list_for_each_entry(other, &flbs, list) {
		if (other != flb && !strcmp(other->compatible, flb->compatible))
			return true;
	}

	return false;
}

/* The first handler relies on it. */
static int add_flb(struct liveupdate_flb *flb)
{
	struct luo_flb_ser *ser = find_incoming(flb);

	if (name_taken(flb))
		return -EEXIST;
	if (nr_flbs == MAX_FLBS)
		return -ENOSPC;

	mutex_init(&flb->outgoing.lock);
	mutex_init(&flb->incoming.lock);
	atomic_long_set(&flb->outgoing.count, 0);
	atomic_long_set(&flb->nr_files, 0);
	atomic_long_set(&flb->incoming.count, ser ? min_t(u64, ser->count, LONG_MAX) : 0);
	flb->incoming.data = ser ? ser->data : 0;
	flb->incoming.obj = NULL;
	flb->incoming.status = 0;
	list_add_tail(&flb->list, &flbs);
	nr_flbs++;
	return 0;
}

/* The last handler does not rely on it any more; one that is loaded later may. */
static void put_flb(struct liveupdate_flb *flb)
{
	struct luo_flb_ser *ser = find_incoming(flb);

	if (--flb->nr_handlers)
		return;

	if (ser)
		ser->count = flb->incoming.status ? 0 : atomic_long_read(&flb->incoming.count);
	atomic_long_set(&flb->incoming.count, 0);
	list_del(&flb->list);
	nr_flbs--;
}

/**
 * liveupdate_register_flb - have files of a handler rely on an object
 * @handler: a handler, best before it is registered: then there are no files. Its
 *	     @flbs is 0 before that
 * @flb: the object; stays the caller's, and in place until it is unregistered.
 *	 All but @ops and @compatible is 0 before it is registered for the first
 *	 handler
 *
 * When the object belongs to another module than the handler, then the handler's must
 * depend on it.
 *
 * Context: Process context, before there are files of this handler; may sleep. Not
 *	    from operations of handlers or objects.
 * Return: 0; -EOPNOTSUPP when live update is off; -EINVAL when an operation is
 * missing, or the compatible string is empty or does not end; -EEXIST when the
 * handler relies on it already, or there is another object with the same string;
 * -EBUSY when there are files of this handler; -ENOSPC when there are too many
 * objects; -ENOMEM.
 */
int liveupdate_register_flb(struct liveupdate_file_handler *handler,
			    struct liveupdate_flb *flb)
{
	struct luo_flb_link *link;
	int err = 0;

	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	if (!flb_valid(flb))
		return -EINVAL;

	link = kzalloc(sizeof(*link), GFP_KERNEL);
	if (!link)
		return -ENOMEM;

	link->flb = flb;
	guard(mutex)(&flbs_lock);

	if (!flb->nr_handlers)
		err = add_flb(flb);
	if (err)
		goto err_free;

	flb->nr_handlers++;
	err = luo_handler_add_flb(handler, &link->list, luo_flb_same);
	if (err)
		goto err_put;

	return 0;

err_put:
	put_flb(flb);
err_free:
	kfree(link);
	return err;
}
EXPORT_SYMBOL_GPL(liveupdate_register_flb);

/**
 * luo_flb_same - whether two links are of the same object
 * @a: list of one link
 * @b: list of another link
 *
 * Return: true when they are.
 */
bool luo_flb_same(const struct list_head *a, const struct list_head *b)
{
	return list_entry(a, struct luo_flb_link, list)->flb ==
	       list_entry(b, struct luo_flb_link, list)->flb;
}

/**
 * liveupdate_unregister_flb - undo liveupdate_register_flb()
 * @handler: the handler
 * @flb: the object
 *
 * Context: Process context; may sleep. Not from operations of handlers or objects.
 * Return:
 * * 0 - files of @handler do not rely on @flb any more
 * * %-EBUSY - there are files of @handler; or no other handler relies on @flb, and it is
 *   in use, or was retrieved and is not finished; nothing has changed
 * * %-ENOENT - @handler does not rely on @flb
 * * %-EOPNOTSUPP - live update is off
 */
int liveupdate_unregister_flb(struct liveupdate_file_handler *handler,
			      struct liveupdate_flb *flb)
{
	struct luo_flb_link key = { .flb = flb };
	struct list_head *found;

	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	/* Without a handler there are no locks. */
	if (!READ_ONCE(flb->nr_handlers))
		return -ENOENT;

	/* Before that of the list, which a reboot needs: an operation may hang. */
	guard(mutex)(&flb->incoming.lock);
	guard(mutex)(&flb->outgoing.lock);
	guard(mutex)(&flbs_lock);

	if (flb->nr_handlers == 1 &&
	    (flb->incoming.status > 0 || atomic_long_read(&flb->outgoing.count)))
		return -EBUSY;

	found = luo_handler_del_flb(handler, &key.list, luo_flb_same);
	if (IS_ERR(found))
		return PTR_ERR(found);

	kfree(list_entry(found, struct luo_flb_link, list));
	put_flb(flb);
	return 0;
}
EXPORT_SYMBOL_GPL(liveupdate_unregister_flb);

static void put_file(struct liveupdate_flb *flb)
{
	atomic_long_dec(&flb->nr_files);
	put_outgoing(flb);
}

/**
 * luo_flbs_preserve - before a file is preserved
 * @handler: its handler, which is pinned
 *
 * Return: 0, or the -errno of an object that cannot be preserved.
 */
int luo_flbs_preserve(struct liveupdate_file_handler *handler)
{
	struct luo_flb_link *link;
	int err;

	list_for_each_entry(link, &handler->flbs, list) {
		err = get_outgoing(link->flb);
		if (err)
			goto err_put;
		atomic_long_inc(&link->flb->nr_files);
	}

	return 0;

err_put:
	list_for_each_entry_continue_reverse(link, &handler->flbs, list)
		put_file(link->flb);
	return err;
}

/**
 * luo_flbs_unpreserve - after a file was unpreserved
 * @handler: its handler, which is still pinned
 */
void luo_flbs_unpreserve(struct liveupdate_file_handler *handler)
{
	struct luo_flb_link *link;

	list_for_each_entry_reverse(link, &handler->flbs, list)
		put_file(link->flb);
}

/**
 * luo_flbs_finish - after an incoming file was finished
 * @handler: its handler, which is still pinned
 */
void luo_flbs_finish(struct liveupdate_file_handler *handler)
{
	struct luo_flb_link *link;

	list_for_each_entry_reverse(link, &handler->flbs, list)
		put_incoming(link->flb);
}

/**
 * luo_flbs_write - tell the next kernel of the objects
 *
 * Context: The gate is closed, and all files are frozen.
 */
void luo_flbs_write(void)
{
	struct liveupdate_flb *flb;
	struct luo_flb_ser *ser = outgoing->flbs;

	guard(mutex)(&flbs_lock);

	list_for_each_entry(flb, &flbs, list) {
		if (!atomic_long_read(&flb->nr_files))
			continue;

		strscpy_pad(ser->name, flb->compatible);
		ser->data = flb->outgoing.data;
		ser->count = atomic_long_read(&flb->nr_files);
		ser++;
	}
	outgoing->count = ser - outgoing->flbs;
}

/**
 * luo_flbs_init - make an empty list for the next kernel
 * @flbs_pa: set to where it is
 *
 * Return: 0, or -ENOMEM.
 */
int __init luo_flbs_init(u64 *flbs_pa)
{
	outgoing = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(outgoing))
		return PTR_ERR(outgoing);

	outgoing->pgcnt = 1;
	*flbs_pa = virt_to_phys(outgoing);
	return 0;
}

/**
 * luo_flbs_exit - take luo_flbs_init() back
 */
void __init luo_flbs_exit(void)
{
	kho_unpreserve_free(outgoing);
}

/**
 * luo_flbs_forget - free the list that luo_flbs_take_over() has learnt
 *
 * The memory of the objects stays reserved.
 *
 * Context: While booting, if live update is off: no handler can be registered.
 */
void __init luo_flbs_forget(void)
{
	if (!incoming)
		return;

	folio_put(virt_to_folio(incoming));
	incoming = NULL;
}

/* Handlers that rely on one of these may come at any time. */
static void __init keep_incoming(struct luo_flbs_ser *list)
{
	if (list->count)
		incoming = list;
	else
		folio_put(virt_to_folio(list));
}

/**
 * luo_flbs_take_over - learn which objects were handed over
 * @flbs_pa: where the previous kernel says they are, or 0
 *
 * Context: When no handler is registered yet.
 */
void __init luo_flbs_take_over(u64 flbs_pa)
{
	struct luo_flbs_ser *list;

	if (!flbs_pa)
		return;

	if (kho_block_preserved(flbs_pa)) {
		list = phys_to_virt(flbs_pa);
		if (list->pgcnt == 1 && list->count <= MAX_FLBS &&
		    kho_restore_folio(flbs_pa)) {
			keep_incoming(list);
			return;
		}
	}

	pr_warn("list of shared objects at %#llx is damaged: none can be retrieved\n",
		flbs_pa);
}
