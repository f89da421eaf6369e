// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions: named sets of files that are handed over together.
 *
 * An outgoing session lives as long as its struct file, an incoming one until it
 * is finished, whoever has it.
 */

#define pr_fmt(fmt) "luo: " fmt

#include <kunit/static_stub.h>
#include <linux/anon_inodes.h>
#include <linux/cleanup.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/kho_block.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/string_helpers.h>
#include <linux/workqueue.h>

#include "kho_internal.h"
#include "luo_internal.h"
#include "luo_ioctl.h"

static struct luo_sessions outgoing = {
	.lock = __MUTEX_INITIALIZER(outgoing.lock),
	.list = LIST_HEAD_INIT(outgoing.list),
	.names = RB_ROOT,
};

static struct luo_sessions incoming = {
	.lock = __MUTEX_INITIALIZER(incoming.lock),
	.list = LIST_HEAD_INIT(incoming.list),
	.names = RB_ROOT,
	.blocks.blocks = LIST_HEAD_INIT(incoming.blocks.blocks),
};

/**
 * luo_sessions_of - find the list of one side
 * @is_incoming: that of the previous kernel, not that for the next one
 *
 * Context: Any.
 * Return: the list.
 */
struct luo_sessions *luo_sessions_of(bool is_incoming)
{
	return is_incoming ? &incoming : &outgoing;
}

static int name_cmp(struct rb_node *node, const struct rb_node *other)
{
	return strcmp(rb_entry(node, struct luo_session, node)->name,
		      rb_entry(other, struct luo_session, node)->name);
}

static int key_cmp(const void *name, const struct rb_node *node)
{
	return strcmp(name, rb_entry(node, struct luo_session, node)->name);
}

static struct luo_session *find_session(struct luo_sessions *sessions,
					const u8 *name)
{
	struct rb_node *node = rb_find(name, &sessions->names, key_cmp);

	return node ? rb_entry(node, struct luo_session, node) : NULL;
}

static bool name_valid(const u8 *name)
{
	return name[0] && memchr(name, '\0', LUO_SESSION_NAME_LENGTH);
}

/**
 * luo_session_alloc - allocate a session
 * @name: its name, NUL-terminated
 *
 * KUnit tests replace it.
 *
 * Return: the session, in no list; or NULL.
 */
struct luo_session *luo_session_alloc(const u8 *name)
{
	struct luo_session *session;

	KUNIT_STATIC_STUB_REDIRECT(luo_session_alloc, name);

	session = kzalloc(sizeof(*session), LIVEUPDATE_GFP);
	if (!session)
		return NULL;

	strscpy(session->name, name);
	kref_init(&session->kref);
	init_rwsem(&session->lock);
	luo_files_init(&session->files);
	return session;
}

static void free_session(struct kref *kref)
{
	kfree(container_of(kref, struct luo_session, kref));
}

/**
 * luo_session_put - drop a reference to a session
 * @session: the session, which may be freed
 *
 * Context: Any.
 */
void luo_session_put(struct luo_session *session)
{
	kref_put(&session->kref, free_session);
}

/* False when there is one with this name. */
static bool link_session(struct luo_sessions *sessions,
			 struct luo_session *session)
{
	if (rb_find_add(&session->node, &sessions->names, name_cmp))
		return false;

	list_add_tail(&session->list, &sessions->list);
	session->id = ++sessions->last_id;
	WRITE_ONCE(sessions->nr, sessions->nr + 1);
	WRITE_ONCE(sessions->nr_unclaimed, sessions->nr_unclaimed + 1);
	return true;
}

static void unlink_session(struct luo_sessions *sessions,
			   struct luo_session *session)
{
	rb_erase(&session->node, &sessions->names);
	list_del_init(&session->list);
	WRITE_ONCE(sessions->nr, sessions->nr - 1);
	WRITE_ONCE(sessions->nr_unclaimed, sessions->nr_unclaimed - !session->claimed);
}

static void set_claimed(struct luo_session *session, bool claimed)
{
	lockdep_assert_held(&incoming.lock);

	WRITE_ONCE(session->claimed, claimed);
	WRITE_ONCE(incoming.nr_unclaimed, incoming.nr_unclaimed + (claimed ? -1 : 1));
}

static int add_outgoing(struct luo_session *session)
{
	int err;

	guard(mutex)(&outgoing.lock);

	if (find_session(&outgoing, session->name))
		return -EEXIST;

	/* A new block is charged to this caller, although other sessions use it as well. */
	err = kho_block_set_grow(&outgoing.blocks, outgoing.nr + 1);
	if (err)
		return err;

	link_session(&outgoing, session);
	return 0;
}

static void unlink_outgoing(struct luo_session *session)
{
	lockdep_assert_held(&outgoing.lock);

	unlink_session(&outgoing, session);
	kho_block_set_shrink(&outgoing.blocks, outgoing.nr);
}

static void del_outgoing(struct luo_session *session)
{
	guard(mutex)(&outgoing.lock);

	unlink_outgoing(session);
}

/* Find one that is not released yet. From now on its name is free. */
static struct luo_session *unlink_deferred(void)
{
	struct luo_session *session;
	struct list_head *entry;

	guard(mutex)(&outgoing.lock);

	entry = luo_gate_next_deferred();
	if (!entry)
		return NULL;

	session = list_entry(entry, struct luo_session, deferred);
	unlink_outgoing(session);
	return session;
}

/* Give the files up of a session that is in no list any more. */
static void release_unlinked(struct luo_session *session)
{
	/* A reader of the list that is at this session goes on to the next one. */
	scoped_guard(rwsem_write, &session->lock) {
		WRITE_ONCE(session->finished, true);
		luo_files_unpreserve(&session->files);
	}
}

/**
 * luo_sessions_release_deferred - release sessions that could not be when they were closed
 *
 * Context: The caller is inside of the gate, or has closed it.
 */
void luo_sessions_release_deferred(void)
{
	struct luo_session *session;

	while ((session = unlink_deferred())) {
		release_unlinked(session);
		luo_session_put(session);
	}
}

/* If the gate is closed again, the reboot that has closed it does this. */
static void release_fn(struct work_struct *work)
{
	struct luo_gate_pass pass;

	if (!luo_gate_enter_or_defer(&pass, "release", "", NULL))
		return;

	luo_sessions_release_deferred();
	luo_gate_leave(&pass);
}

static DECLARE_WORK(release_work, release_fn);

/**
 * luo_sessions_release_later - the same as soon as possible, but without waiting for it
 *
 * Context: Any, after luo_gate_open().
 */
void luo_sessions_release_later(void)
{
	queue_work(system_unbound_wq, &release_work);
}

/*
 * The last descriptor of the session was closed. That neither changes what the next
 * kernel was told, nor waits for a reboot that may fail.
 */
static void release_outgoing(struct luo_session *session)
{
	struct luo_gate_pass pass;

	if (!luo_gate_enter_or_defer(&pass, "close()", session->name, &session->deferred))
		return;

	del_outgoing(session);
	release_unlinked(session);
	luo_gate_leave(&pass);
	/* Until now the list of the gate has its name. */
	luo_session_put(session);
}

static int finish(struct luo_session *session)
{
	int err;

	if (session->finished)
		return -EINVAL;

	err = luo_files_finish(&session->files);
	if (err)
		return err;

	WRITE_ONCE(session->finished, true);
	guard(mutex)(&incoming.lock);
	unlink_session(&incoming, session);
	return 0;
}

static unsigned long nr_retrieved(const struct luo_session *session)
{
	return atomic_long_read(&session->files.nr_retrieved);
}

static bool finished_by_now(struct luo_session *session)
{
	guard(rwsem_write)(&session->lock);

	if (!session->finished && nr_retrieved(session) == session->files.nr)
		finish(session);

	return session->finished;
}

static void unclaim_session(struct luo_session *session)
{
	guard(mutex)(&incoming.lock);

	set_claimed(session, false);
}

/*
 * Nobody has the session any more. Who forgot to finish it, but has had all of its
 * files, does not need it. Who died before that may have a successor, and from then
 * on the session is not ours to touch.
 */
static void release_incoming(struct luo_session *session)
{
	if (finished_by_now(session)) {
		luo_session_put(session);
		return;
	}

	unclaim_session(session);
}

static int luo_session_release(struct inode *inode, struct file *file)
{
	struct luo_session *session = file->private_data;

	if (session->incoming)
		release_incoming(session);
	else
		release_outgoing(session);

	return 0;
}

static int preserve_fd(struct file *file, union luo_ioctl_arg *arg)
{
	struct luo_session *session = file->private_data;
	struct luo_gate_pass pass;
	int err;

	if (session->incoming)
		return -EINVAL;

	/* A session that was closed while a reboot had closed the gate may have the file. */
	flush_work(&release_work);
	err = luo_gate_enter(&pass, "PRESERVE_FD", session->name);
	if (err)
		return err;

	/* Another thread may be in the middle of preserving a file, and hang. */
	err = down_write_killable(&session->lock);
	if (!err) {
		err = luo_files_add(&session->files, arg->preserve_fd.fd,
				    arg->preserve_fd.token);
		up_write(&session->lock);
	}

	luo_gate_leave(&pass);
	return err;
}

static struct file *retrieve_fd(struct file *file, union luo_ioctl_arg *arg)
{
	struct luo_session *session = file->private_data;

	if (!session->incoming)
		return ERR_PTR(-EINVAL);

	guard(rwsem_read)(&session->lock);

	if (session->finished)
		return ERR_PTR(-EINVAL);

	return luo_files_retrieve(&session->files, arg->retrieve_fd.token);
}

static int finish_session(struct file *file, union luo_ioctl_arg *arg)
{
	struct luo_session *session = file->private_data;

	if (!session->incoming || arg->finish.reserved)
		return -EINVAL;

	guard(rwsem_write)(&session->lock);

	return finish(session);
}

static int get_name(struct file *file, union luo_ioctl_arg *arg)
{
	struct luo_session *session = file->private_data;

	if (arg->get_name.reserved)
		return -EINVAL;

	strscpy_pad(arg->get_name.name, session->name);
	return 0;
}

static const struct luo_ioctl session_ioctls[] = {
	{
		.cmd = LIVEUPDATE_SESSION_PRESERVE_FD,
		.size = sizeof(struct liveupdate_session_preserve_fd),
		.min_size = offsetofend(struct liveupdate_session_preserve_fd, token),
		.run = preserve_fd,
	}, {
		.cmd = LIVEUPDATE_SESSION_RETRIEVE_FD,
		.size = sizeof(struct liveupdate_session_retrieve_fd),
		.min_size = offsetofend(struct liveupdate_session_retrieve_fd, token),
		.open = retrieve_fd,
	}, {
		.cmd = LIVEUPDATE_SESSION_FINISH,
		.size = sizeof(struct liveupdate_session_finish),
		.min_size = offsetofend(struct liveupdate_session_finish, reserved),
		.run = finish_session,
	}, {
		.cmd = LIVEUPDATE_SESSION_GET_NAME,
		.size = sizeof(struct liveupdate_session_get_name),
		.min_size = offsetofend(struct liveupdate_session_get_name, name),
		.run = get_name,
		.writes = true,
	},
};

static long luo_session_ioctl(struct file *file, unsigned int cmd,
			      unsigned long arg)
{
	return luo_do_ioctl(file, cmd, arg, session_ioctls,
			    ARRAY_SIZE(session_ioctls));
}

/**
 * luo_session_show_name - end a line with the name of a session
 * @m: the file that is read
 * @session: the session
 *
 * A name can be anything; see that it stays in its line, and that no other one looks
 * the same.
 *
 * Context: Any.
 */
void luo_session_show_name(struct seq_file *m, const struct luo_session *session)
{
	seq_escape_str(m, session->name, ESCAPE_OCTAL | ESCAPE_NAP | ESCAPE_APPEND, "\\");
	seq_putc(m, '\n');
}

/* The name of the file is too short for that of a session, and says not which side. */
static void luo_session_show_fdinfo(struct seq_file *m, struct file *file)
{
	const struct luo_session *session = file->private_data;

	seq_printf(m, "luo-session-%s:\t", session->incoming ? "incoming" : "outgoing");
	luo_session_show_name(m, session);
}

static const struct file_operations luo_session_fops = {
	.owner = THIS_MODULE,
	.show_fdinfo = luo_session_show_fdinfo,
	.release = luo_session_release,
	.unlocked_ioctl = luo_session_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

#define FILE_PREFIX	"[luo_session] "

/* What /proc can show, less what it puts before it, with a NUL. */
#define FILE_NAME_SIZE	(64 - (sizeof("anon_inode:") - 1))

static struct file *session_file(struct luo_session *session)
{
	char name[FILE_NAME_SIZE];

	snprintf(name, sizeof(name), FILE_PREFIX "%.*s",
		 (int)(sizeof(name) - sizeof(FILE_PREFIX)), session->name);
	return anon_inode_getfile(name, &luo_session_fops, session, O_RDWR);
}

static struct file *create(const u8 *name)
{
	struct luo_session *session = luo_session_alloc(name);
	struct file *file;
	int err;

	if (!session)
		return ERR_PTR(-ENOMEM);

	err = add_outgoing(session);
	if (err)
		goto err_free;

	/* From here on the session goes with its file. */
	file = session_file(session);
	if (!IS_ERR(file))
		return file;

	err = PTR_ERR(file);
	del_outgoing(session);
err_free:
	luo_session_put(session);
	return ERR_PTR(err);
}

/**
 * luo_session_create - begin an outgoing session
 * @name: its name, LUO_SESSION_NAME_LENGTH bytes from user space
 *
 * Context: Process context; may sleep.
 * Return: the file that stands for it; or an ERR_PTR() as of
 * LIVEUPDATE_IOCTL_CREATE_SESSION.
 */
struct file *luo_session_create(const u8 *name)
{
	struct luo_gate_pass pass;
	struct file *file;
	int err;

	if (!name_valid(name))
		return ERR_PTR(-EINVAL);

	/* Wait for the release of closed sessions that is under way. */
	flush_work(&release_work);
	err = luo_gate_enter(&pass, "CREATE_SESSION", name);
	if (err)
		return ERR_PTR(err);

	/* One that was closed does not keep its name. */
	luo_sessions_release_deferred();
	file = create(name);
	luo_gate_leave(&pass);
	return file;
}

/* Where to read on in the list of sessions that the previous kernel has written. */
static struct kho_block_it unread = { .set = &incoming.blocks };

/* Print one line for a session that cannot be retrieved, or not yet. */
static void say_not_read(const u8 *name, int err)
{
	int len = strnlen(name, LUO_SESSION_NAME_LENGTH);

	if (err == -ENOMEM)
		pr_warn("session %*pE not read for want of memory: retrieving it tries again\n",
			len, name);
	else if (err)
		pr_warn("session %*pE cannot be retrieved: its list of files is damaged\n",
			len, name);
}

static void read_files(struct luo_session *session)
{
	int err = luo_files_read(&session->files);

	/* Pairs with luo_session_files_from(): a reader that sees 0 sees the files. */
	smp_store_release(&session->damaged, err);
	say_not_read(session->name, err);
}

/* False if there is no memory for the session. Its files are read if @with_files. */
static bool take_over(const struct luo_session_ser *ser, bool with_files)
{
	struct luo_session *session;
	int err;

	if (!name_valid(ser->name)) {
		pr_warn("session without a valid name ignored: its memory stays reserved\n");
		return true;
	}

	session = luo_session_alloc(ser->name);
	if (!session) {
		say_not_read(ser->name, -ENOMEM);
		return false;
	}

	session->incoming = true;
	/* Until its files are known, no reader looks at them. */
	session->damaged = -ENOMEM;
	if (!link_session(&incoming, session)) {
		pr_warn("second session %*pE ignored: its memory stays reserved\n",
			(int)strlen(session->name), session->name);
		luo_session_put(session);
		return true;
	}

	err = luo_files_take_over(&session->files, ser);
	if (err) {
		WRITE_ONCE(session->damaged, err);
		say_not_read(session->name, err);
	} else if (with_files || !ser->count) {
		read_files(session);
	}

	return true;
}

/*
 * Read the list of sessions on, as long as there is memory. 0 or -ENOMEM. Their files, of
 * which there may be very many, are read with them while booting. Later, others may wait
 * for the lock, so the files are left to luo_session_retrieve().
 */
static int read_sessions(bool with_files)
{
	const struct luo_session_ser *ser;

	lockdep_assert_held(&incoming.lock);

	while ((ser = kho_block_it_read_entry(&unread))) {
		if (!take_over(ser, with_files)) {
			kho_block_it_prev(&unread);
			return -ENOMEM;
		}
		WRITE_ONCE(incoming.nr_unread, incoming.nr_unread - 1);
	}

	kho_block_set_destroy(&incoming.blocks);
	kho_block_it_init(&unread, &incoming.blocks);
	return 0;
}

/**
 * luo_sessions_take_over - learn which sessions were handed over
 * @sessions_pa: where the previous kernel says they are; 0 if there are none
 *
 * What is damaged is left out, and said. A session that there is no memory for is read
 * when user space asks for it.
 *
 * Context: Process context; may sleep. When nobody retrieves sessions yet, but for
 *	    KUnit tests.
 * Return: how many sessions there are now.
 */
unsigned long luo_sessions_take_over(u64 sessions_pa)
{
	guard(mutex)(&incoming.lock);

	/* KUnit tests come after the list that was handed over. */
	if (!read_sessions(true)) {
		kho_block_set_init(&incoming.blocks, sizeof(struct luo_session_ser));
		if (kho_block_set_restore(&incoming.blocks, sessions_pa))
			pr_warn("list of sessions at %#llx is damaged: no session can be retrieved\n",
				sessions_pa);
		WRITE_ONCE(incoming.nr_unread, kho_block_set_nr_entries(&incoming.blocks));
		read_sessions(true);
	}

	return incoming.nr + incoming.nr_unread;
}

/* Find a session that can be retrieved, and keep others from doing so. */
static struct luo_session *claim_session(const u8 *name)
{
	struct luo_session *session;
	int err = 0;

	guard(mutex)(&incoming.lock);

	session = find_session(&incoming, name);
	if (!session) {
		err = read_sessions(false);
		session = find_session(&incoming, name);
	}
	if (!session)
		return ERR_PTR(err ?: -ENOENT);
	if (session->claimed)
		return ERR_PTR(-EINVAL);
	if (session->damaged && session->damaged != -ENOMEM)
		return ERR_PTR(session->damaged);

	set_claimed(session, true);
	return session;
}

/**
 * luo_session_retrieve - get an incoming session
 * @name: its name, LUO_SESSION_NAME_LENGTH bytes from user space
 *
 * Context: Process context; may sleep.
 * Return: the file that stands for it; or an ERR_PTR() as of
 * LIVEUPDATE_IOCTL_RETRIEVE_SESSION.
 */
struct file *luo_session_retrieve(const u8 *name)
{
	struct luo_session *session;
	struct file *file;

	if (!name_valid(name))
		return ERR_PTR(-EINVAL);

	session = claim_session(name);
	if (IS_ERR(session))
		return ERR_CAST(session);

	/* Nobody else changes or frees it from here on. It may take long. */
	if (session->damaged == -ENOMEM)
		read_files(session);

	file = session->damaged ? ERR_PTR(session->damaged) : session_file(session);
	if (IS_ERR(file))
		unclaim_session(session);

	return file;
}

/* One that is damaged has nothing that can be retrieved. */
static bool has_unretrieved(const struct luo_session *session)
{
	/* Its files may just be read. Pairs with read_files(). */
	int damaged = smp_load_acquire(&session->damaged);

	if (damaged)
		return damaged == -ENOMEM;

	return nr_retrieved(session) != READ_ONCE(session->files.nr);
}

/* More would fill the log. */
#define MAX_NAMED	16UL

/**
 * luo_sessions_check_finished - whether a reboot would lose an incoming session
 *
 * One that cannot be retrieved is lost already, as was said when it arrived. One of which
 * all files were retrieved has nothing left to lose.
 *
 * Context: Process context; may sleep.
 * Return: 0; or -EBUSY when there is another one that is not finished, after a line for
 * each of them that says what to do.
 */
int luo_sessions_check_finished(void)
{
	const struct luo_session *session;
	unsigned long nr = 0, nr_named;

	guard(mutex)(&incoming.lock);

	/* Those that there is still no memory for count, but have no name. */
	read_sessions(false);
	list_for_each_entry(session, &incoming.list, list) {
		if (!has_unretrieved(session) || ++nr > MAX_NAMED)
			continue;
		pr_err("kexec refused: session %*pE of the previous kernel is not finished: finish it, or give it up with luoctl drop\n",
		       (int)strlen(session->name), session->name);
	}

	nr_named = min(nr, MAX_NAMED);
	nr += incoming.nr_unread;
	if (nr > nr_named)
		pr_err("kexec refused: nor are %lu more sessions\n", nr - nr_named);
	return nr ? -EBUSY : 0;
}

/**
 * luo_check_discard - check that no session needs unclaimed memory
 *
 * Context: Process context; may sleep.
 * Return:
 * * 0 - the memory can be discarded
 * * %-EBUSY - sessions of the previous kernel are not finished. One line names the first
 *   of them. A damaged session, which cannot be finished, does not count.
 */
int luo_check_discard(void)
{
	const struct luo_session *session;
	unsigned long nr = 0, nr_named = 0;
	char names[8 * LUO_SESSION_NAME_LENGTH];
	unsigned int len = 0;

	guard(mutex)(&incoming.lock);

	/* Sessions that there is still no memory for count, but have no name. */
	read_sessions(false);
	list_for_each_entry(session, &incoming.list, list) {
		int damaged = READ_ONCE(session->damaged);

		if (damaged && damaged != -ENOMEM)
			continue;

		/* Half of it is room for one more name, in which all is escaped. */
		if (len < sizeof(names) / 2) {
			len += scnprintf(names + len, sizeof(names) - len, "%s%*pE",
					 nr ? ", " : "", (int)strlen(session->name),
					 session->name);
			nr_named++;
		}
		nr++;
	}

	nr += incoming.nr_unread;
	if (!nr)
		return 0;

	pr_err("unclaimed memory not discarded, as sessions of the previous kernel are not finished: %.*s and %lu more\n",
	       (int)len, names, nr - nr_named);
	return -EBUSY;
}

/* What was added to files may take long to list, but nothing waits for a process there. */
static int prepare(void)
{
	unsigned long before = jiffies;
	struct luo_session *session;
	int err;

	list_for_each_entry(session, &outgoing.list, list) {
		err = luo_files_freeze_prepare(&session->files);
		if (err)
			return err;
	}

	/* These were closed meanwhile. Nothing is frozen yet. */
	luo_sessions_release_deferred();

	luo_extend_deadline(before);
	return 0;
}

/*
 * In three steps over all sessions. A write to one file may come from memory of another:
 * no file is frozen before nobody writes to any of them.
 */
static int freeze(void)
{
	struct luo_session *session;
	int err;

	list_for_each_entry(session, &outgoing.list, list)
		luo_files_freeze_begin(&session->files);

	list_for_each_entry(session, &outgoing.list, list) {
		err = luo_files_wait_ready(&session->files, liveupdate_freeze_deadline());
		if (err)
			return err;
	}

	list_for_each_entry(session, &outgoing.list, list) {
		err = luo_files_freeze(&session->files);
		if (err)
			return err;
	}

	return 0;
}

/**
 * luo_sessions_unfreeze - undo luo_sessions_freeze()
 *
 * Context: The gate is closed.
 */
void luo_sessions_unfreeze(void)
{
	struct luo_session *session;

	list_for_each_entry_reverse(session, &outgoing.list, list)
		luo_files_unfreeze(&session->files);
}

static void write_sessions(void)
{
	struct luo_session_ser *entry;
	struct luo_session *session;
	struct kho_block_it it;

	kho_block_set_clear(&outgoing.blocks);
	kho_block_it_init(&it, &outgoing.blocks);
	list_for_each_entry(session, &outgoing.list, list) {
		entry = kho_block_it_reserve_entry(&it);
		strscpy(entry->name, session->name);
		luo_files_write(&session->files, entry);
	}
}

/**
 * luo_sessions_freeze - have all outgoing sessions ready for the next kernel
 * @sessions_pa: set to where the next kernel will find them; 0 if there are none
 *
 * First all files are frozen, which may fail, and then all is written down, which
 * cannot.
 *
 * Context: The gate is closed.
 * Return: 0, or the -errno of the first file that cannot be frozen; then no file is.
 */
int luo_sessions_freeze(u64 *sessions_pa)
{
	unsigned int flags;
	int err = prepare();

	if (err)
		return err;

	/* To reclaim memory could wait for a block device that is on a frozen file. */
	flags = memalloc_noio_save();
	err = freeze();
	memalloc_noio_restore(flags);
	if (err) {
		luo_sessions_unfreeze();
		return err;
	}

	write_sessions();
	*sessions_pa = kho_block_set_head_pa(&outgoing.blocks);
	return 0;
}

/**
 * luo_sessions_init - begin without outgoing sessions
 */
void __init luo_sessions_init(void)
{
	kho_block_set_init(&outgoing.blocks, sizeof(struct luo_session_ser));
}

/**
 * luo_sessions_forget - give up all that luo_sessions_take_over() has learnt
 *
 * The memory of files stays reserved.
 *
 * Context: While booting, when nobody can retrieve sessions.
 */
void __init luo_sessions_forget(void)
{
	struct luo_session *session, *next;

	guard(mutex)(&incoming.lock);

	list_for_each_entry_safe(session, next, &incoming.list, list) {
		unlink_session(&incoming, session);
		luo_files_forget(&session->files);
		luo_session_put(session);
	}

	kho_block_set_destroy(&incoming.blocks);
	kho_block_it_init(&unread, &incoming.blocks);
	incoming.nr_unread = 0;
}
