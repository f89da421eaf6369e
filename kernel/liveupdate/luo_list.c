// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists of sessions and of their files, as debugfs and sysfs show them. Nothing here
 * changes a session or a file.
 */

#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/string_helpers.h>

#include "luo_internal.h"

static unsigned long nr_retrieved(const struct luo_session *session)
{
	return atomic_long_read(&session->files.nr_retrieved);
}

static void show_name(struct seq_file *m, const struct luo_session *session)
{
	seq_puts(m, "name ");
	luo_session_show_name(m, session);
}

/**
 * luo_sessions_show_outgoing - list the sessions for the next kernel
 * @m: the file that is read
 *
 * Context: Process context; may sleep. The caller holds no lock of a session.
 */
void luo_sessions_show_outgoing(struct seq_file *m)
{
	struct luo_sessions *outgoing = luo_sessions_of(false);
	const struct luo_session *session;

	guard(mutex)(&outgoing->lock);

	list_for_each_entry(session, &outgoing->list, list) {
		seq_printf(m, "files %lu ", READ_ONCE(session->files.nr));
		show_name(m, session);
	}
}

static const char *state(const struct luo_session *session)
{
	int damaged = READ_ONCE(session->damaged);

	/* For want of memory its files are not known yet. */
	if (damaged && damaged != -ENOMEM)
		return "damaged";

	return READ_ONCE(session->claimed) ? "claimed" : "unclaimed";
}

/**
 * luo_sessions_show_incoming - list the sessions of the previous kernel
 * @m: the file that is read
 *
 * Context: Process context; may sleep. The caller holds no lock of a session.
 */
void luo_sessions_show_incoming(struct seq_file *m)
{
	struct luo_sessions *incoming = luo_sessions_of(true);
	const struct luo_session *session;

	guard(mutex)(&incoming->lock);

	list_for_each_entry(session, &incoming->list, list) {
		seq_printf(m, "files %lu retrieved %lu %s ",
			   READ_ONCE(session->files.nr), nr_retrieved(session),
			   state(session));
		show_name(m, session);
	}
}

/**
 * luo_sessions_nr_unclaimed - count the incoming sessions that no process has open
 *
 * Context: Any. Sessions may be retrieved and closed at any time.
 * Return: the number, damaged sessions and those not read yet included.
 */
unsigned long luo_sessions_nr_unclaimed(void)
{
	const struct luo_sessions *incoming = luo_sessions_of(true);

	return READ_ONCE(incoming->nr_unclaimed) + READ_ONCE(incoming->nr_unread);
}

/**
 * luo_sessions_nr - count the sessions of one side
 * @is_incoming: those of the previous kernel, not those for the next one
 *
 * Context: Any. Sessions may come and go at any time.
 * Return: the number.
 */
unsigned long luo_sessions_nr(bool is_incoming)
{
	const struct luo_sessions *sessions = luo_sessions_of(is_incoming);

	/* Those that could not be read yet for want of memory are there, too. */
	return READ_ONCE(sessions->nr) + READ_ONCE(sessions->nr_unread);
}

static struct luo_session *first_from(struct luo_sessions *sessions, u64 id)
{
	struct luo_session *session;

	lockdep_assert_held(&sessions->lock);

	list_for_each_entry(session, &sessions->list, list) {
		if (session->id >= id) {
			kref_get(&session->kref);
			return session;
		}
	}

	return NULL;
}

/**
 * luo_session_get_from - find the first session from a position of the list on
 * @is_incoming: in the list of the previous kernel, not in that for the next one
 * @id: position, as in luo_session.id
 *
 * Context: Process context; may sleep. The caller holds no lock of a session.
 * Return: the session, for luo_session_put(); NULL if there are no more.
 */
struct luo_session *luo_session_get_from(bool is_incoming, u64 id)
{
	struct luo_sessions *sessions = luo_sessions_of(is_incoming);

	guard(mutex)(&sessions->lock);

	return first_from(sessions, id);
}

/**
 * luo_session_get_next - find the session that comes next in the list
 * @session: a session that the caller has a reference to, in the list or not
 *
 * Context: Process context; may sleep. The caller holds no lock of a session.
 * Return: the next session, for luo_session_put(); NULL if there are no more.
 */
struct luo_session *luo_session_get_next(struct luo_session *session)
{
	struct luo_sessions *sessions = luo_sessions_of(session->incoming);
	struct luo_session *next;

	guard(mutex)(&sessions->lock);

	/* The session has left the list since the caller found it. */
	if (list_empty(&session->list))
		return first_from(sessions, session->id + 1);

	if (list_is_last(&session->list, &sessions->list))
		return NULL;

	next = list_next_entry(session, list);
	kref_get(&next->kref);
	return next;
}

/**
 * luo_session_show - describe a session in one line
 * @m: the file that is read
 * @session: the session
 * @busy: the lock of the session could not be taken, and its files will not be listed
 *
 * Context: Any. Unless @busy, the caller holds luo_session.lock for reading or writing.
 */
void luo_session_show(struct seq_file *m, const struct luo_session *session, bool busy)
{
	seq_printf(m, "session files %lu ", READ_ONCE(session->files.nr));
	if (session->incoming)
		seq_printf(m, "retrieved %lu ", nr_retrieved(session));
	if (busy || session->incoming)
		seq_printf(m, "state %s ", busy ? "busy" : state(session));
	show_name(m, session);
}

/**
 * luo_session_show_rest - say that more files of a session cannot be listed
 * @m: the file that is read
 * @session: the session, some of whose files were listed before it became busy
 *
 * Context: Any.
 */
void luo_session_show_rest(struct seq_file *m, const struct luo_session *session)
{
	seq_puts(m, "rest state busy ");
	show_name(m, session);
}

/**
 * luo_session_files_from - find the first file of a session from a token on
 * @session: a session
 * @token: smallest token
 *
 * Context: Any. The caller holds luo_session.lock for reading or writing.
 * Return: the file with the smallest token that is not less than @token; NULL if there
 * is none, or if the files of an incoming session are not known.
 */
struct luo_file *luo_session_files_from(const struct luo_session *session, u64 token)
{
	struct luo_file *luo_file, *found = NULL;
	struct rb_node *node;

	/* They may just be read. Pairs with read_files(). */
	if (smp_load_acquire(&session->damaged))
		return NULL;

	node = session->files.tokens.rb_node;

	while (node) {
		luo_file = rb_entry(node, struct luo_file, token_node);
		if (luo_file->token < token) {
			node = node->rb_right;
		} else {
			found = luo_file;
			node = node->rb_left;
		}
	}

	return found;
}

/**
 * luo_files_next - find the file with the next token
 * @luo_file: a file of a session
 *
 * Context: Any. The caller holds luo_session.lock for reading or writing.
 * Return: the file with the next greater token; NULL if there is none.
 */
struct luo_file *luo_files_next(struct luo_file *luo_file)
{
	struct rb_node *node = rb_next(&luo_file->token_node);

	return node ? rb_entry(node, struct luo_file, token_node) : NULL;
}

/* The size of a file that was not retrieved; -errno if it is not known. */
static loff_t size_handed_over(const struct luo_file *luo_file)
{
	struct liveupdate_file_op_args args = {
		.serialized_data = luo_file->serialized_data,
		/* Of a retrieve that has failed; luo_file.lock is held. */
		.private_data = luo_file->private_data,
	};

	return luo_handler_size(luo_file->ser->compatible, &args);
}

/* The size of an open file; -errno if such a file has none. */
static loff_t size_of(const struct file *file)
{
	const struct inode *inode = file_inode(file);

	return S_ISREG(inode->i_mode) ? i_size_read(inode) : -EOPNOTSUPP;
}

static void show_size(struct seq_file *m, loff_t size)
{
	if (size < 0)
		seq_puts(m, " size -");
	else
		seq_printf(m, " size %lld", size);
}

/* A string of the previous kernel: it need not end, and may contain anything. */
static void show_kind(struct seq_file *m, const char *compatible)
{
	seq_puts(m, " kind ");
	seq_escape_mem(m, compatible, strnlen(compatible, LUO_COMPATIBLE_LENGTH),
		       ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND, "\\");
	seq_putc(m, '\n');
}

/*
 * Lock a file of an incoming session. To retrieve the file holds the lock for as long as
 * the handler needs: false if that goes on. All others hold it for a moment.
 */
static bool lock_unless_retrieving(struct luo_file *luo_file)
{
	while (!mutex_trylock(&luo_file->lock)) {
		if (READ_ONCE(luo_file->retrieving))
			return false;
		usleep_range(10, 100);
	}

	return true;
}

static void show_incoming(struct seq_file *m, struct luo_file *luo_file)
{
	const char *what = "retrieving";
	loff_t size = -EBUSY;

	if (lock_unless_retrieving(luo_file)) {
		if (luo_file->retrieve_status > 0) {
			what = "retrieved";
			size = size_of(luo_file->file);
		} else if (luo_file->retrieve_status < 0) {
			what = "failed";
			size = luo_file->retrieve_status;
		} else {
			what = "unclaimed";
			size = size_handed_over(luo_file);
		}
		mutex_unlock(&luo_file->lock);
	}

	show_size(m, size);
	seq_printf(m, " state %s", what);
	show_kind(m, luo_file->ser->compatible);
}

/**
 * luo_file_show - describe a file in one line
 * @m: the file that is read
 * @luo_file: a file of a session
 *
 * Context: Process context; may sleep. The caller holds luo_session.lock for reading or
 *	    writing.
 */
void luo_file_show(struct seq_file *m, struct luo_file *luo_file)
{
	seq_printf(m, "file token %llu", luo_file->token);
	if (luo_file->ser) {
		show_incoming(m, luo_file);
		return;
	}

	show_size(m, size_of(luo_file->file));
	show_kind(m, luo_file->handler->compatible);
}
