// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/liveupdate: the sessions and their files, for production systems. Unlike
 * debugfs, sysfs stays readable under kernel lockdown, and its files are ABI:
 * Documentation/ABI/testing/sysfs-kernel-liveupdate describes each of them.
 *
 * A list has one line for each session, and behind it one for each of its files, by
 * ascending token. There may be a million files, and sessions change while somebody
 * reads. So a reader remembers where it is as luo_session.id and token, which both only
 * grow along the list, and between two read() calls it holds nothing: neither locks nor
 * references. A file that is there during all of the reading appears once.
 */

#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/kernfs.h>
#include <linux/kobject.h>
#include <linux/liveupdate.h>
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
 * @at_file: the current line is that of a file, not that of the session
 * @session: during a read(): the current session, referenced, with its lock held for
 *	     reading; NULL at the end of the list
 * @luo_file: during a read(): the current file; NULL at the line of the session
 */
struct luo_reader {
	loff_t pos;
	u64 id;
	u64 token;
	bool at_file;
	struct luo_session *session;
	struct luo_file *luo_file;
};

static struct luo_reader *reader_of(struct seq_file *m)
{
	struct kernfs_open_file *of = m->private;

	return of->priv;
}

static void leave_session(struct luo_reader *reader)
{
	if (!reader->session)
		return;

	up_read(&reader->session->lock);
	luo_session_put(reader->session);
	reader->session = NULL;
}

/* Go to the line of a session that is referenced, or to the end of the list if NULL. */
static int enter_session(struct luo_reader *reader, struct luo_session *session)
{
	reader->luo_file = NULL;
	reader->at_file = false;
	if (!session) {
		reader->id = U64_MAX;
		return 0;
	}

	reader->id = session->id;
	if (down_read_killable(&session->lock)) {
		luo_session_put(session);
		return -EINTR;
	}

	reader->session = session;
	return 0;
}

static int next_session(struct luo_reader *reader)
{
	struct luo_session *session = reader->session;
	struct luo_session *next;

	/* The lock of the list is never taken under that of a session. */
	up_read(&session->lock);
	reader->session = NULL;
	next = luo_session_get_next(session);
	luo_session_put(session);
	return enter_session(reader, next);
}

static int next_line(struct luo_reader *reader)
{
	struct luo_file *next;

	if (!reader->session)
		return 0;

	next = reader->luo_file ? luo_files_next(reader->luo_file) :
				  luo_files_from(&reader->session->files, 0);
	if (!next)
		return next_session(reader);

	reader->luo_file = next;
	reader->token = next->token;
	reader->at_file = true;
	return 0;
}

/* Go to the current line, or to the next one if that is gone. */
static int resume(struct luo_reader *reader, bool is_incoming)
{
	u64 id = reader->id;
	bool at_file = reader->at_file;
	int err;

	err = enter_session(reader, luo_session_get_from(is_incoming, id));
	if (err || !at_file || !reader->session || reader->id != id)
		return err;

	reader->luo_file = luo_files_from(&reader->session->files, reader->token);
	if (!reader->luo_file)
		return next_session(reader);

	reader->token = reader->luo_file->token;
	reader->at_file = true;
	return 0;
}

static void *current_line(struct luo_reader *reader, int err)
{
	if (err)
		return ERR_PTR(err);

	return reader->session ? reader : NULL;
}

static void *sessions_start(struct seq_file *m, loff_t *pos)
{
	struct kernfs_open_file *of = m->private;
	const bool *is_incoming = of->kn->priv;
	struct luo_reader *reader = reader_of(m);
	int err;

	if (*pos && *pos == reader->pos)
		return current_line(reader, resume(reader, *is_incoming));

	/* From the start, or after a seek: skip the lines before *pos. */
	reader->id = 0;
	reader->at_file = false;
	err = resume(reader, *is_incoming);
	for (reader->pos = 0; !err && reader->pos < *pos && reader->session; reader->pos++)
		err = next_line(reader);

	return current_line(reader, err);
}

static void *sessions_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct luo_reader *reader = reader_of(m);

	++*pos;
	reader->pos = *pos;
	return current_line(reader, next_line(reader));
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
	else
		luo_session_show(m, reader->session);

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

	if (!dir)
		return -ENOMEM;

	return sysfs_create_file(dir, &nr_sessions->attr) ?:
	       sysfs_create_file(dir, &other->attr) ?:
	       kho_sysfs_list(dir, "sessions", &sessions_ops, (void *)is_incoming);
}

static int __init luo_sysfs_init(void)
{
	struct kobject *root;

	if (!liveupdate_enabled())
		return 0;

	root = kobject_create_and_add("liveupdate", kernel_kobj);
	if (!root)
		return -ENOMEM;

	return create_side(root, "outgoing", &is_outgoing_list, &out_sessions_attr,
			   &nr_files_attr) ?:
	       create_side(root, "incoming", &is_incoming_list, &in_sessions_attr,
			   &nr_unclaimed_attr);
}
late_initcall(luo_sysfs_init);
