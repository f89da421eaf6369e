// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files of a session.
 *
 * Outgoing: preserved by their handlers when they are added, frozen when the
 * machine reboots, and only when all are frozen written to blocks that were
 * allocated when they were added. Incoming: read from those blocks, and made anew
 * by their handlers when user space asks for them.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <kunit/static_stub.h>
#include <linux/atomic.h>
#include <linux/cleanup.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kho_block.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/sysctl.h>

#include "luo_internal.h"

/* How many files all outgoing sessions have, with those that are about to be added. */
static atomic_long_t nr_preserved = ATOMIC_LONG_INIT(0);

/*
 * kernel.liveupdate_max_files: how many they may be. A file of a session may be closed,
 * and then no limit of its owner counts it, and the next kernel has to read the list of
 * them all before it starts user space. To lower the limit takes no file out of a session.
 */
static unsigned long max_files = 1000000;

#ifdef CONFIG_SYSCTL
static struct ctl_table luo_file_sysctls[] = {
	{
		.procname = "liveupdate_max_files",
		.data = &max_files,
		.maxlen = sizeof(max_files),
		.mode = 0644,
		.proc_handler = proc_doulongvec_minmax,
	},
};

static int __init luo_file_sysctl_init(void)
{
	if (liveupdate_enabled())
		register_sysctl_init("kernel", luo_file_sysctls);

	return 0;
}
late_initcall(luo_file_sysctl_init);
#endif

static int count_file(void)
{
	if (atomic_long_inc_return(&nr_preserved) <= READ_ONCE(max_files))
		return 0;

	atomic_long_dec(&nr_preserved);
	return -ENOSPC;
}

/**
 * luo_nr_preserved_files - how many files all outgoing sessions have
 *
 * Context: Any. Changes at any time unless the gate is closed.
 * Return: the number.
 */
unsigned long luo_nr_preserved_files(void)
{
	return atomic_long_read(&nr_preserved);
}

/*
 * What is preserved now, whatever session it is in: nothing can be handed over
 * twice.
 */
static struct rb_root preserved_ids = RB_ROOT;
static DEFINE_MUTEX(ids_lock);

static bool id_less(struct rb_node *node, const struct rb_node *other)
{
	const struct luo_file *a = rb_entry(node, struct luo_file, id_node);
	const struct luo_file *b = rb_entry(other, struct luo_file, id_node);

	if (a->handler != b->handler)
		return a->handler < b->handler;

	return a->id < b->id;
}

static int id_cmp(struct rb_node *node, const struct rb_node *other)
{
	const struct luo_file *a = rb_entry(node, struct luo_file, id_node);
	const struct luo_file *b = rb_entry(other, struct luo_file, id_node);

	if (a->handler == b->handler && a->id == b->id)
		return 0;

	return id_less(node, other) ? -1 : 1;
}

static int add_id(struct luo_file *luo_file)
{
	guard(mutex)(&ids_lock);

	return rb_find_add(&luo_file->id_node, &preserved_ids, id_cmp) ? -EBUSY : 0;
}

static void del_id(struct luo_file *luo_file)
{
	guard(mutex)(&ids_lock);

	rb_erase(&luo_file->id_node, &preserved_ids);
}

static int token_cmp(struct rb_node *node, const struct rb_node *other)
{
	u64 a = rb_entry(node, struct luo_file, token_node)->token;
	u64 b = rb_entry(other, struct luo_file, token_node)->token;

	return a < b ? -1 : a > b;
}

static int key_cmp(const void *token, const struct rb_node *node)
{
	u64 a = *(const u64 *)token;
	u64 b = rb_entry(node, struct luo_file, token_node)->token;

	return a < b ? -1 : a > b;
}

static struct luo_file *find_file(const struct luo_files *files, u64 token)
{
	struct rb_node *node = rb_find(&token, &files->tokens, key_cmp);

	return node ? rb_entry(node, struct luo_file, token_node) : NULL;
}

/* Call an operation that returns something. */
static int call(struct luo_file *luo_file,
		int (*op)(struct liveupdate_file_op_args *args))
{
	struct liveupdate_file_op_args args = {
		.handler = luo_file->handler,
		.retrieve_status = luo_file->retrieve_status,
		.file = luo_file->file,
		.serialized_data = luo_file->serialized_data,
		.private_data = luo_file->private_data,
	};
	int err = op(&args);

	/* What a call that fails has set does not count. */
	if (err)
		return err;

	luo_file->file = args.file;
	luo_file->serialized_data = args.serialized_data;
	luo_file->private_data = args.private_data;
	return 0;
}

/* What an operation is given that only looks, or undoes something. */
static struct liveupdate_file_op_args last_args(const struct luo_file *luo_file)
{
	return (struct liveupdate_file_op_args){
		.handler = luo_file->handler,
		.retrieve_status = luo_file->retrieve_status,
		.file = luo_file->file,
		.serialized_data = luo_file->serialized_data,
		.private_data = luo_file->private_data,
	};
}

/**
 * luo_files_init - begin without files
 * @files: the files of a new session
 */
void luo_files_init(struct luo_files *files)
{
	*files = (struct luo_files){ .tokens = RB_ROOT };
	INIT_LIST_HEAD(&files->list);
	kho_block_set_init(&files->blocks, sizeof(struct luo_file_ser));
}

/**
 * luo_file_alloc - allocate a file of a session
 *
 * KUnit tests replace it.
 *
 * Return: the file, all zero but for its lock; or NULL.
 */
struct luo_file *luo_file_alloc(void)
{
	struct luo_file *luo_file;

	KUNIT_STATIC_STUB_REDIRECT(luo_file_alloc);

	luo_file = kzalloc(sizeof(*luo_file), LIVEUPDATE_GFP);
	if (luo_file)
		mutex_init(&luo_file->lock);

	return luo_file;
}

static void link_file(struct luo_files *files, struct luo_file *luo_file)
{
	list_add_tail(&luo_file->list, &files->list);
	/* Lists read it without the lock of the session. */
	WRITE_ONCE(files->nr, files->nr + 1);
}

static int preserve(struct luo_file *luo_file, struct file *file)
{
	const struct liveupdate_file_ops *ops;
	int err;

	luo_file->handler = luo_handler_get_for_file(file);
	if (!luo_file->handler)
		return -ENOENT;

	ops = luo_file->handler->ops;
	luo_file->file = file;
	luo_file->id = ops->get_id ? ops->get_id(file) : (unsigned long)file;
	err = add_id(luo_file);
	if (err)
		goto err_put;

	err = luo_flbs_preserve(luo_file->handler);
	if (err)
		goto err_id;

	err = call(luo_file, ops->preserve);
	if (err)
		goto err_flbs;

	return 0;

err_flbs:
	luo_flbs_unpreserve(luo_file->handler);
err_id:
	del_id(luo_file);
err_put:
	luo_handler_put(luo_file->handler);
	return err;
}

static int add_file(struct luo_files *files, struct file *file, u64 token)
{
	struct luo_file *luo_file;
	int err;

	err = count_file();
	if (err)
		return err;

	luo_file = luo_file_alloc();
	if (!luo_file) {
		err = -ENOMEM;
		goto err_count;
	}

	luo_file->token = token;

	err = kho_block_set_grow(&files->blocks, files->nr + 1);
	if (err)
		goto err_free;

	err = preserve(luo_file, file);
	if (err)
		goto err_shrink;

	rb_find_add(&luo_file->token_node, &files->tokens, token_cmp);
	link_file(files, luo_file);
	return 0;

err_shrink:
	kho_block_set_shrink(&files->blocks, files->nr);
err_free:
	kfree(luo_file);
err_count:
	atomic_long_dec(&nr_preserved);
	return err;
}

/**
 * luo_files_add - preserve a file
 * @files: of an outgoing session
 * @fd: descriptor of the file
 * @token: its token
 *
 * Context: Process context; may sleep. Caller holds the gate for reading and
 *	    luo_session.lock for writing.
 * Return: as of LIVEUPDATE_SESSION_PRESERVE_FD. On failure nothing has changed.
 */
int luo_files_add(struct luo_files *files, int fd, u64 token)
{
	struct file *file;
	int err;

	if (find_file(files, token))
		return -EEXIST;

	file = fget(fd);
	if (!file)
		return -EBADF;

	err = add_file(files, file, token);
	if (err)
		fput(file);

	return err;
}

static void unpreserve(struct luo_file *luo_file)
{
	struct liveupdate_file_op_args args = last_args(luo_file);

	args.handler->ops->unpreserve(&args);
	luo_flbs_unpreserve(args.handler);
	del_id(luo_file);
	luo_handler_put(luo_file->handler);
	fput(luo_file->file);
	atomic_long_dec(&nr_preserved);
	list_del(&luo_file->list);
	kfree(luo_file);
}

/**
 * luo_files_unpreserve - give all files of an outgoing session up
 * @files: the files
 *
 * The last one first, as some may depend on others.
 *
 * Context: Process context; may sleep. Caller holds the gate for reading and
 *	    luo_session.lock for writing. The session is in no list.
 */
void luo_files_unpreserve(struct luo_files *files)
{
	struct luo_file *luo_file, *next;

	list_for_each_entry_safe_reverse(luo_file, next, &files->list, list)
		unpreserve(luo_file);

	kho_block_set_destroy(&files->blocks);
	luo_files_init(files);
}

static void say_not_frozen(const struct luo_files *files, const struct luo_file *luo_file,
			   int err)
{
	const struct luo_session *session = container_of(files, struct luo_session, files);

	pr_err("file with token %llu of %s in session %*pE cannot be frozen: %d\n",
	       luo_file->token, luo_file->handler->compatible,
	       (int)strlen(session->name), session->name, err);
}

/**
 * luo_files_freeze_prepare - do as much of freezing as possible while files are in use
 * @files: the files of an outgoing session
 *
 * Context: The gate is closed.
 * Return: 0, or the -errno of the first file that cannot be prepared.
 */
int luo_files_freeze_prepare(struct luo_files *files)
{
	const struct liveupdate_file_ops *ops;
	struct luo_file *luo_file;
	int err;

	list_for_each_entry(luo_file, &files->list, list) {
		ops = luo_file->handler->ops;
		err = ops->freeze_prepare ? call(luo_file, ops->freeze_prepare) : 0;
		if (err) {
			say_not_frozen(files, luo_file, err);
			return err;
		}
	}

	return 0;
}

/**
 * luo_files_freeze_begin - let nobody begin to change files
 * @files: the files of an outgoing session
 *
 * Does not wait. luo_files_unfreeze() undoes this, too.
 *
 * Context: The gate is closed.
 */
void luo_files_freeze_begin(struct luo_files *files)
{
	struct liveupdate_file_op_args args;
	struct luo_file *luo_file;

	list_for_each_entry(luo_file, &files->list, list) {
		luo_file->unfrozen_data = luo_file->serialized_data;
		if (!luo_file->handler->ops->freeze_begin)
			continue;

		args = last_args(luo_file);
		args.handler->ops->freeze_begin(&args);
		luo_file->freezing = true;
	}
}

static int wait_ready(struct luo_file *luo_file, unsigned long deadline)
{
	struct liveupdate_file_op_args args = last_args(luo_file);
	bool expired;

	if (!args.handler->ops->freeze_ready)
		return 0;

	for (;;) {
		/* It is asked once more after that, and can say what it waits for. */
		expired = time_after(jiffies, deadline);
		if (args.handler->ops->freeze_ready(&args))
			return 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		if (expired)
			return -ETIMEDOUT;
		fsleep(1000);
	}
}

/**
 * luo_files_wait_ready - wait until all changes to files have ended that have begun
 * @files: the files of an outgoing session
 * @deadline: in jiffies, when to give up
 *
 * Context: The gate is closed, after luo_files_freeze_begin() for all sessions.
 * Return:
 * * 0 - nothing changes the files any more
 * * %-EINTR - the caller was killed
 * * %-ETIMEDOUT - a change has not ended in time, as the log says
 */
int luo_files_wait_ready(struct luo_files *files, unsigned long deadline)
{
	struct luo_file *luo_file;
	int err;

	list_for_each_entry(luo_file, &files->list, list) {
		err = wait_ready(luo_file, deadline);
		if (err) {
			say_not_frozen(files, luo_file, err);
			return err;
		}
	}

	return 0;
}

/**
 * luo_files_freeze - freeze all files of an outgoing session
 * @files: the files
 *
 * Context: The gate is closed, after luo_files_wait_ready() for all sessions.
 * Return: 0, or the -errno of the first file that cannot be frozen. luo_files_unfreeze()
 * is still to be called then.
 */
int luo_files_freeze(struct luo_files *files)
{
	const struct liveupdate_file_ops *ops;
	struct luo_file *luo_file;
	int err;

	list_for_each_entry(luo_file, &files->list, list) {
		ops = luo_file->handler->ops;
		err = ops->freeze ? call(luo_file, ops->freeze) : 0;
		if (err) {
			say_not_frozen(files, luo_file, err);
			return err;
		}

		luo_file->freezing = true;
	}

	return 0;
}

static void unfreeze(struct luo_file *luo_file)
{
	struct liveupdate_file_op_args args = last_args(luo_file);

	if (args.handler->ops->unfreeze)
		args.handler->ops->unfreeze(&args);
	luo_file->serialized_data = luo_file->unfrozen_data;
	luo_file->freezing = false;
}

/**
 * luo_files_unfreeze - undo luo_files_freeze() and luo_files_freeze_begin()
 * @files: the files
 *
 * The last one first. Files for which neither was called are left alone.
 *
 * Context: The gate is closed.
 */
void luo_files_unfreeze(struct luo_files *files)
{
	struct luo_file *luo_file;

	list_for_each_entry_reverse(luo_file, &files->list, list) {
		if (luo_file->freezing)
			unfreeze(luo_file);
	}
}

/**
 * luo_files_write - tell the next kernel of the files
 * @files: files of an outgoing session, all of which are frozen
 * @ser: where to say where they are
 *
 * Cannot fail: there is room for all.
 *
 * Context: The gate is closed.
 */
void luo_files_write(struct luo_files *files, struct luo_session_ser *ser)
{
	struct luo_file *luo_file;
	struct luo_file_ser *entry;
	struct kho_block_it it;

	kho_block_set_clear(&files->blocks);
	kho_block_it_init(&it, &files->blocks);
	list_for_each_entry(luo_file, &files->list, list) {
		entry = kho_block_it_reserve_entry(&it);
		strscpy(entry->compatible, luo_file->handler->compatible);
		entry->data = luo_file->serialized_data;
		entry->token = luo_file->token;
	}

	ser->files_pa = kho_block_set_head_pa(&files->blocks);
	ser->count = files->nr;
}

static void free_list(struct luo_files *files)
{
	struct luo_file *luo_file, *next;

	list_for_each_entry_safe(luo_file, next, &files->list, list) {
		list_del(&luo_file->list);
		kfree(luo_file);
	}

	files->tokens = RB_ROOT;
	WRITE_ONCE(files->nr, 0);
}

/**
 * luo_files_forget - drop the list of the files of an incoming session
 * @files: the files
 *
 * Their memory stays reserved, unless they were finished.
 *
 * Context: luo_session.lock is held alone, or nobody knows the session.
 */
void luo_files_forget(struct luo_files *files)
{
	free_list(files);
	kho_block_set_destroy(&files->blocks);
	luo_files_init(files);
}

/**
 * luo_files_take_over - take the list of the files of an incoming session over
 * @files: what luo_files_init() was called for
 * @ser: where the previous kernel says they are
 *
 * Allocates nothing. luo_files_read() has to follow.
 *
 * Context: Process context; may sleep.
 * Return: 0; or
 *
 * * %-EBADMSG - the list is damaged. There are no files, and the memory of those that
 *   were handed over stays reserved.
 */
int luo_files_take_over(struct luo_files *files, const struct luo_session_ser *ser)
{
	if (kho_block_set_restore(&files->blocks, ser->files_pa))
		return -EBADMSG;

	if (kho_block_set_nr_entries(&files->blocks) == ser->count)
		return 0;

	luo_files_forget(files);
	return -EBADMSG;
}

/**
 * luo_files_read - learn which files were handed over
 * @files: what luo_files_take_over() has succeeded for
 *
 * Whether there is a handler for a file, and whether that can make sense of what
 * was handed over, shows when the file is retrieved.
 *
 * Context: Process context; may sleep. Nobody else uses @files.
 * Return: 0; or
 *
 * * %-EBADMSG - two files have the same token. There are no files, and the memory of
 *   those that were handed over stays reserved.
 * * %-ENOMEM - there are no files, and this can be called again.
 */
int luo_files_read(struct luo_files *files)
{
	const struct luo_file_ser *entry;
	struct luo_file *luo_file;
	struct kho_block_it it;

	kho_block_it_init(&it, &files->blocks);
	while ((entry = kho_block_it_read_entry(&it))) {
		luo_file = luo_file_alloc();
		if (!luo_file) {
			free_list(files);
			return -ENOMEM;
		}

		luo_file->ser = entry;
		luo_file->token = entry->token;
		luo_file->serialized_data = entry->data;
		link_file(files, luo_file);
		if (rb_find_add(&luo_file->token_node, &files->tokens, token_cmp)) {
			luo_files_forget(files);
			return -EBADMSG;
		}
		cond_resched();
	}

	return 0;
}

/* Whether nothing is lost by an error, so that the handler can be asked again. */
static bool can_retry(const struct liveupdate_file_handler *handler, int err)
{
	return handler->ops->retriable && err != -EBADMSG;
}

/* Have the handler make the file. */
static int call_retrieve(struct luo_file *luo_file)
{
	struct liveupdate_file_op_args args = last_args(luo_file);
	int err = args.handler->ops->retrieve(&args);

	if (err) {
		luo_file->suspended = can_retry(args.handler, err);
		luo_file->private_data = luo_file->suspended ? args.private_data : NULL;
		luo_file->retrieve_status = luo_file->suspended ? 0 : err;
		return err;
	}

	luo_file->suspended = false;
	luo_file->private_data = args.private_data;
	if (WARN_ONCE(IS_ERR_OR_NULL(args.file), "luo: %s has retrieved no file\n",
		      args.handler->compatible)) {
		luo_file->retrieve_status = -EIO;
		return -EIO;
	}

	luo_file->file = args.file;
	luo_file->retrieve_status = 1;
	return 0;
}

static int retrieve(struct luo_file *luo_file)
{
	if (luo_file->retrieve_status < 0)
		return luo_file->retrieve_status;

	if (!luo_file->handler)
		luo_file->handler = luo_handler_get(luo_file->ser->compatible);
	if (!luo_file->handler)
		return -EOPNOTSUPP;

	return call_retrieve(luo_file);
}

/**
 * luo_files_retrieve - make a file anew, or find that which was made
 * @files: files of an incoming session
 * @token: of the file
 *
 * Context: luo_session.lock is held, and may be shared.
 * Return: the file, with a reference for the caller; or an ERR_PTR() as of
 * LIVEUPDATE_SESSION_RETRIEVE_FD.
 */
struct file *luo_files_retrieve(struct luo_files *files, u64 token)
{
	struct luo_file *luo_file = find_file(files, token);
	int err;

	if (!luo_file)
		return ERR_PTR(-ENOENT);

	guard(mutex)(&luo_file->lock);

	if (luo_file->retrieve_status != 1) {
		/* Readers of lists do not wait for the lock then. */
		WRITE_ONCE(luo_file->retrieving, true);
		err = retrieve(luo_file);
		WRITE_ONCE(luo_file->retrieving, false);
		if (err)
			return ERR_PTR(err);
		atomic_long_inc(&files->nr_retrieved);
	}

	return get_file(luo_file->file);
}

/* The handlers that are there by now. */
static bool can_finish(struct luo_file *luo_file)
{
	struct liveupdate_file_op_args args;

	if (!luo_file->handler)
		luo_file->handler = luo_handler_get(luo_file->ser->compatible);
	if (!luo_file->handler || !luo_file->handler->ops->can_finish)
		return true;

	args = last_args(luo_file);
	return args.handler->ops->can_finish(&args);
}

/* False when there is no handler, and so nobody who could free anything. */
static bool finish(struct luo_file *luo_file)
{
	struct liveupdate_file_op_args args = last_args(luo_file);

	if (!args.handler)
		return false;

	args.handler->ops->finish(&args);
	luo_flbs_finish(args.handler);
	luo_handler_put(args.handler);
	if (luo_file->file)
		fput(luo_file->file);

	return true;
}

/* A file relies on its handler from the first attempt to retrieve it on. */
static void put_unused_handlers(struct luo_files *files)
{
	struct luo_file *luo_file;

	list_for_each_entry(luo_file, &files->list, list) {
		if (luo_file->handler && !luo_file->retrieve_status &&
		    !luo_file->suspended) {
			luo_handler_put(luo_file->handler);
			luo_file->handler = NULL;
		}
	}
}

/**
 * luo_files_finish - let go of the files of an incoming session
 * @files: the files
 *
 * Context: luo_session.lock is held alone.
 * Return: 0, and then there are no files any more; -EBUSY when one is not ready
 * for this.
 */
int luo_files_finish(struct luo_files *files)
{
	struct luo_file *luo_file, *lost = NULL;
	unsigned long nr_lost = 0;

	list_for_each_entry(luo_file, &files->list, list) {
		if (!can_finish(luo_file)) {
			put_unused_handlers(files);
			return -EBUSY;
		}
	}

	list_for_each_entry_reverse(luo_file, &files->list, list) {
		if (!finish(luo_file)) {
			lost = luo_file;
			nr_lost++;
		}
	}

	if (lost)
		pr_warn("%lu files given up without a handler, as for %*pE: their memory stays reserved\n",
			nr_lost, (int)strnlen(lost->ser->compatible,
					      LUO_COMPATIBLE_LENGTH),
			lost->ser->compatible);

	luo_files_forget(files);
	return 0;
}
