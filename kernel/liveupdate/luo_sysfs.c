// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/liveupdate: the sessions and their files, for production systems. Unlike
 * debugfs, sysfs stays readable under kernel lockdown, and its files are ABI:
 * Documentation/ABI/testing/sysfs-kernel-liveupdate describes each of them.
 *
 * A list has one line for each session, and behind it one for each of its files, by
 * ascending token. There may be a million files, and sessions change while a process
 * reads the list. So a reader remembers its position as luo_session.id and token, which
 * both only grow along the list, and between two read() calls it holds nothing: neither
 * locks nor references.
 *
 * To preserve a large file, or to finish a session, holds luo_session.lock for seconds.
 * A reader does not wait for that lock: if it is taken, the reader lists the session as
 * busy and leaves out its files. Any other file that exists as long as the reading lasts
 * appears once.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <linux/compiler.h>
#include <linux/init.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/liveupdate.h>
#include <linux/printk.h>
#include <linux/rwsem.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "kho_internal.h"
#include "luo_internal.h"

/* In kernfs_node.priv of a list. */
static const bool is_outgoing_list;
static const bool is_incoming_list = true;

/**
 * struct luo_reader - position of a reader in a list of sessions
 * @pos: index of the current line
 * @id: luo_session.id of the current session
 * @token: token of the current file
 * @at_file: the current line is that of a file, or of the files that a busy session has
 *	     from @token on, not that of the session
 * @locked: during a read(): the lock of @session is held for reading; if not, the
 *	    session is busy
 * @session: during a read(): the current session, referenced; NULL at the end of the list
 * @luo_file: during a read(): the current file; NULL at the line of the session
 */
struct luo_reader {
	loff_t pos;
	u64 id;
	u64 token;
	bool at_file;
	bool locked;
	struct luo_session *session;
	struct luo_file *luo_file;
};

static struct luo_reader *reader_of(struct seq_file *m)
{
	struct kernfs_open_file *of = m->private;

	return of->priv;
}

static void unlock_session(struct luo_reader *reader)
{
	if (reader->locked)
		up_read(&reader->session->lock);
	reader->locked = false;
}

static void leave_session(struct luo_reader *reader)
{
	if (!reader->session)
		return;

	unlock_session(reader);
	luo_session_put(reader->session);
	reader->session = NULL;
}

/* Go to the line of a session that is referenced, or to the end of the list if NULL. */
static void enter_session(struct luo_reader *reader, struct luo_session *session)
{
	struct luo_session *finished;

	reader->luo_file = NULL;
	reader->at_file = false;
	while (session) {
		reader->session = session;
		reader->id = session->id;
		reader->locked = down_read_trylock(&session->lock);
		if (!READ_ONCE(session->finished))
			return;

		/* It was finished or closed after it had been found in the list. */
		unlock_session(reader);
		finished = session;
		session = luo_session_get_next(finished);
		luo_session_put(finished);
	}

	reader->session = NULL;
	reader->id = U64_MAX;
}

static void next_session(struct luo_reader *reader)
{
	struct luo_session *session = reader->session;
	struct luo_session *next;

	/* The lock of the list is never taken under that of a session. */
	unlock_session(reader);
	next = luo_session_get_next(session);
	luo_session_put(session);
	enter_session(reader, next);
}

static void next_line(struct luo_reader *reader)
{
	struct luo_file *next = NULL;

	if (!reader->session)
		return;

	if (reader->luo_file)
		next = luo_files_next(reader->luo_file);
	else if (reader->locked)
		next = luo_session_files_from(reader->session, 0);
	if (!next) {
		next_session(reader);
		return;
	}

	reader->luo_file = next;
	reader->token = next->token;
	reader->at_file = true;
}

/* Go to the current line, or to the next one if that is gone. */
static void resume(struct luo_reader *reader, bool is_incoming)
{
	u64 id = reader->id;
	bool at_file = reader->at_file;

	enter_session(reader, luo_session_get_from(is_incoming, id));
	if (!at_file || !reader->session || reader->id != id)
		return;

	reader->at_file = true;
	if (!reader->locked)
		return;

	reader->luo_file = luo_session_files_from(reader->session, reader->token);
	if (reader->luo_file)
		reader->token = reader->luo_file->token;
	else
		next_session(reader);
}

static void *current_line(struct luo_reader *reader)
{
	return reader->session ? reader : NULL;
}

static void *sessions_start(struct seq_file *m, loff_t *pos)
{
	struct kernfs_open_file *of = m->private;
	const bool *is_incoming = of->kn->priv;
	struct luo_reader *reader = reader_of(m);

	if (*pos && *pos == reader->pos) {
		resume(reader, *is_incoming);
		return current_line(reader);
	}

	/* From the start, or after a seek: skip the lines before *pos. */
	reader->id = 0;
	reader->at_file = false;
	resume(reader, *is_incoming);
	for (reader->pos = 0; reader->pos < *pos && reader->session; reader->pos++)
		next_line(reader);

	return current_line(reader);
}

static void *sessions_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct luo_reader *reader = reader_of(m);

	++*pos;
	reader->pos = *pos;
	next_line(reader);
	return current_line(reader);
}

static void sessions_stop(struct seq_file *m, void *v)
{
	leave_session(reader_of(m));
}

static int sessions_show(struct seq_file *m, void *v)
{
	const struct luo_reader *reader = v;

	if (reader->luo_file)
		luo_file_show(m, reader->luo_file);
	else if (reader->at_file)
		luo_session_show_rest(m, reader->session);
	else
		luo_session_show(m, reader->session, !reader->locked);

	return 0;
}

static int sessions_open(struct kernfs_open_file *of)
{
	struct luo_reader *reader = kzalloc(sizeof(*reader), GFP_KERNEL);

	of->priv = reader;
	return reader ? 0 : -ENOMEM;
}

static void sessions_release(struct kernfs_open_file *of)
{
	kfree(of->priv);
}

static const struct kernfs_ops sessions_ops = {
	.open = sessions_open,
	.release = sessions_release,
	.seq_start = sessions_start,
	.seq_next = sessions_next,
	.seq_stop = sessions_stop,
	.seq_show = sessions_show,
};

static ssize_t out_sessions_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", luo_sessions_nr(false));
}

static struct kobj_attribute out_sessions_attr =
	__ATTR(nr_sessions, 0444, out_sessions_show, NULL);

static ssize_t nr_files_show(struct kobject *kobj,
			     struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", luo_nr_preserved_files());
}

static struct kobj_attribute nr_files_attr = __ATTR_RO(nr_files);

static ssize_t in_sessions_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", luo_sessions_nr(true));
}

static struct kobj_attribute in_sessions_attr =
	__ATTR(nr_sessions, 0444, in_sessions_show, NULL);

static ssize_t nr_unclaimed_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", luo_sessions_nr_unclaimed());
}

static struct kobj_attribute nr_unclaimed_attr = __ATTR_RO(nr_unclaimed);

static int __init create_side(struct kobject *root, const char *name, const bool *is_incoming,
			      const struct kobj_attribute *nr_sessions,
			      const struct kobj_attribute *other)
{
	struct kobject *dir = kobject_create_and_add(name, root);
	int err;

	if (!dir)
		return -ENOMEM;

	err = sysfs_create_file(dir, &nr_sessions->attr) ?:
	      sysfs_create_file(dir, &other->attr) ?:
	      kho_sysfs_list(dir, "sessions", &sessions_ops, (void *)is_incoming);
	if (err)
		kobject_put(dir);

	return err;
}

static int __init luo_sysfs_init(void)
{
	struct kobject *root;
	int err = -ENOMEM;

	if (!liveupdate_enabled())
		return 0;

	root = kobject_create_and_add("liveupdate", kernel_kobj);
	if (root)
		err = create_side(root, "outgoing", &is_outgoing_list, &out_sessions_attr,
				  &nr_files_attr) ?:
		      create_side(root, "incoming", &is_incoming_list, &in_sessions_attr,
				  &nr_unclaimed_attr);
	if (err)
		pr_err("/sys/kernel/liveupdate is not complete: %d\n", err);

	return err;
}
late_initcall(luo_sysfs_init);
