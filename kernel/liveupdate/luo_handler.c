// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handlers: who preserves and retrieves files of which kind.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "luo_internal.h"

static LIST_HEAD(handlers);

/* Protects the list, and users of all that are in it. */
static DEFINE_MUTEX(handlers_lock);

static struct liveupdate_file_handler *find_handler(const char *compatible)
{
	struct liveupdate_file_handler *handler;

	list_for_each_entry(handler, &handlers, list) {
		if (!strncmp(handler->compatible, compatible,
			     LUO_COMPATIBLE_LENGTH))
			return handler;
	}

	return NULL;
}

/* Objects can be registered for a handler before it is registered itself. */
static void init_flbs(struct liveupdate_file_handler *handler)
{
	if (!handler->flbs.next)
		INIT_LIST_HEAD(&handler->flbs);
}

static bool handler_valid(const struct liveupdate_file_handler *handler)
{
	const struct liveupdate_file_ops *ops = handler->ops;

	return ops && ops->can_preserve && ops->preserve && ops->unpreserve &&
	       ops->retrieve && ops->finish && (!ops->freeze_begin || ops->unfreeze) &&
	       handler->compatible[0] &&
	       strnlen(handler->compatible, LUO_COMPATIBLE_LENGTH) <
	       LUO_COMPATIBLE_LENGTH;
}

/**
 * liveupdate_register_file_handler - preserve files of one more kind
 * @handler: how; stays the caller's, and in place until it is unregistered
 *
 * Files that were handed over for a handler with this compatible string can be
 * retrieved from now on.
 *
 * Context: Process context, any time; may sleep. Not from an operation of a
 *	    handler.
 * Return: 0; -EOPNOTSUPP when live update is off; -EINVAL when an operation is
 * missing that must be there, or the compatible string is empty or does not
 * end; -EEXIST when there is a handler with the same string.
 */
int liveupdate_register_file_handler(struct liveupdate_file_handler *handler)
{
	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	if (!handler_valid(handler))
		return -EINVAL;

	guard(mutex)(&handlers_lock);

	if (find_handler(handler->compatible))
		return -EEXIST;

	init_flbs(handler);
	handler->users = 0;
	list_add_tail(&handler->list, &handlers);
	return 0;
}
EXPORT_SYMBOL_GPL(liveupdate_register_file_handler);

/**
 * liveupdate_unregister_file_handler - take
 *	liveupdate_register_file_handler() back
 * @handler: a handler that was registered
 *
 * A module that is the owner of its handler is pinned as long as there are
 * files, so that this succeeds when it is unloaded.
 *
 * Context: Process context; may sleep. Not from an operation of a handler.
 * Objects that its files shared stay registered for it.
 *
 * Return: 0; -EBUSY when there are files which rely on it, and then it stays
 * registered; -EOPNOTSUPP when live update is off.
 */
int liveupdate_unregister_file_handler(struct liveupdate_file_handler *handler)
{
	if (!liveupdate_enabled())
		return -EOPNOTSUPP;

	guard(mutex)(&handlers_lock);

	if (handler->users)
		return -EBUSY;

	list_del(&handler->list);
	return 0;
}
EXPORT_SYMBOL_GPL(liveupdate_unregister_file_handler);

static bool pin(struct liveupdate_file_handler *handler)
{
	if (!try_module_get(handler->ops->owner))
		return false;

	handler->users++;
	return true;
}

/**
 * luo_handler_get_for_file - find who preserves a file
 * @file: the file
 *
 * Return: the handler, pinned until luo_handler_put(); or NULL.
 */
struct liveupdate_file_handler *luo_handler_get_for_file(struct file *file)
{
	struct liveupdate_file_handler *handler;

	guard(mutex)(&handlers_lock);

	list_for_each_entry(handler, &handlers, list) {
		if (handler->ops->can_preserve(handler, file))
			return pin(handler) ? handler : NULL;
	}

	return NULL;
}

/**
 * luo_handler_get - find a handler by its name
 * @compatible: its compatible string, which need not have an end
 *
 * Return: the handler, pinned until luo_handler_put(); or NULL.
 */
struct liveupdate_file_handler *luo_handler_get(const char *compatible)
{
	struct liveupdate_file_handler *handler;

	guard(mutex)(&handlers_lock);

	handler = find_handler(compatible);
	return handler && pin(handler) ? handler : NULL;
}

/**
 * luo_handler_size - ask a handler for the size of a file that was handed over
 * @compatible: compatible string of the handler, which need not be NUL-terminated
 * @args: arguments of the operation; the handler is filled in
 *
 * The handler is not pinned: then its module could register no shared objects for it,
 * and not unregister it, because a process reads a list.
 *
 * Context: Process context; may sleep. Calls the operation with handlers_lock held.
 * Return: the size in bytes, or
 * * %-EOPNOTSUPP - there is no such handler, or it does not know sizes
 * * a negative errno of the operation
 */
loff_t luo_handler_size(const char *compatible, struct liveupdate_file_op_args *args)
{
	struct liveupdate_file_handler *handler;

	guard(mutex)(&handlers_lock);

	handler = find_handler(compatible);
	if (!handler || !handler->ops->size)
		return -EOPNOTSUPP;

	args->handler = handler;
	return handler->ops->size(args);
}

/**
 * luo_handler_put - a file does not rely on a handler any more
 * @handler: the handler
 */
void luo_handler_put(struct liveupdate_file_handler *handler)
{
	struct module *owner = handler->ops->owner;

	scoped_guard(mutex, &handlers_lock)
		handler->users--;

	module_put(owner);
}

/**
 * luo_handler_add_flb - files of a handler share one more object
 * @handler: the handler
 * @link: what stands for the object
 * @same: whether two of these stand for the same
 *
 * Who has pinned the handler can read the list: it does not change then.
 *
 * Return: 0; -EBUSY when somebody relies on the handler; -EEXIST when the object is
 * there.
 */
int luo_handler_add_flb(struct liveupdate_file_handler *handler,
			struct list_head *link,
			bool (*same)(const struct list_head *a,
				     const struct list_head *b))
{
	struct list_head *other;

	guard(mutex)(&handlers_lock);

	init_flbs(handler);
	if (handler->users)
		return -EBUSY;

	list_for_each(other, &handler->flbs) {
		if (same(other, link))
			return -EEXIST;
	}

	list_add_tail(link, &handler->flbs);
	return 0;
}

/**
 * luo_handler_del_flb - files of a handler do not share an object any more
 * @handler: the handler
 * @key: what stands for the object
 * @same: whether two of these stand for the same
 *
 * Return: what luo_handler_add_flb() was given; ERR_PTR(-EBUSY) when somebody relies
 * on the handler; ERR_PTR(-ENOENT) when the object is not there.
 */
struct list_head *
luo_handler_del_flb(struct liveupdate_file_handler *handler,
		    const struct list_head *key,
		    bool (*same)(const struct list_head *a,
				 const struct list_head *b))
{
	struct list_head *link;

	guard(mutex)(&handlers_lock);

	init_flbs(handler);
	if (handler->users)
		return ERR_PTR(-EBUSY);

	list_for_each(link, &handler->flbs) {
		if (same(link, key)) {
			list_del(link);
			return link;
		}
	}

	return ERR_PTR(-ENOENT);
}
