// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handlers: who preserves and retrieves files of which kind.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/cleanup.h>
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

static bool handler_valid(const struct liveupdate_file_handler *handler)
{
	const struct liveupdate_file_ops *ops = handler->ops;

	return ops && ops->can_preserve && ops->preserve && ops->unpreserve &&
	       ops->retrieve && ops->finish && handler->compatible[0] &&
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
