/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal definitions shared by the source files of the Live Update Orchestrator.
 */
#ifndef _LUO_INTERNAL_H
#define _LUO_INTERNAL_H

#include <linux/atomic.h>
#include <linux/kho_block.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/liveupdate.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>
#include <linux/rwsem.h>
#include <linux/sched.h>

/**
 * DOC: Locks of LUO
 *
 * From the outermost to the innermost:
 *
 * 1. The gate, luo_gate_enter(). What changes an outgoing session is inside of it,
 *    together with others. liveupdate_reboot() closes it, so that it freezes sessions
 *    that nobody changes. If that has succeeded the gate stays closed: an operation that
 *    comes then fails with -EBUSY instead of waiting for a kernel that does not return.
 * 2. luo_session.lock: the files of one session. The caller holds it for reading to
 *    retrieve files, and for writing to add files and to finish.
 * 3. luo_file.lock, of a file of an incoming session: it is retrieved once.
 *    luo_file.retrieving is set as long as that goes on.
 * 4. The lock of the list of sessions, one for outgoing and one for incoming
 *    ones; the lock of the handlers; and that of the ids of preserved files. None
 *    of these is taken while another one of them is held. The lock of the gate itself
 *    is taken last.
 *
 * An object that files share has two mutexes, for the outgoing and the incoming side,
 * which are taken between 3 and 4, first incoming, then outgoing, and its operations are
 * called under them. The lock of the list of objects is taken inside of these, or while
 * the gate is closed, or alone, and outside of the lock of the handlers. So a reboot does
 * not wait for an operation of an object. Nor does a file that is given up while other
 * files keep the object: that takes no mutex. No operation registers objects.
 *
 * Operations of file handlers are called under 1 and 2, or 2 and 3. To freeze, the gate
 * is closed and no other lock is held. can_preserve and get_id are called under 2, and size
 * under 2 and 3; can_preserve and size under the lock of the handlers as well, without
 * pinning the handler. So a handler can take any lock of its own, but must neither
 * register handlers nor change sessions while it holds one.
 *
 * It can take the lock of an mm, too: a page fault in a frozen memfd never waits with the mm
 * or the vma locked. The lock of an inode is another matter: a write() has it while
 * its source is a hole of a frozen memfd. So between the first freeze operation and the
 * last unfreeze operation a handler only tries to take the lock of an inode, up to
 * liveupdate_freeze_deadline().
 *
 * A reader of a list in sysfs takes the lock of the list to find a session, and releases
 * it. Then it tries to take 2 for reading, but does not wait for it: it lists a session
 * as busy instead. Under 2 it tries to take 3, in the same way, and then the lock of the
 * handlers. A reader of a list in debugfs holds the lock of the list and no other.
 *
 * A reboot waits for a limited time. An operation that hangs inside of the gate makes it
 * fail. The locks of 4 are never held while something waits for user space, so a reboot,
 * and the release of a session, can take them.
 *
 * The last reference to a session may be dropped anywhere, but its release always
 * runs without any lock, and does not wait for the gate: if a reboot has closed it, then
 * the release is deferred until that has failed.
 */

struct luo_file;
struct seq_file;

/**
 * struct luo_files - the files of a session
 * @list: in the order in which they were preserved
 * @tokens: the same, by their tokens
 * @nr: number of files; written under luo_session.lock, lists read it without
 * @nr_retrieved: number of files that user space has retrieved
 * @blocks: how they cross kernels. Of an outgoing session there is room for all of
 *	    them, and no more; of an incoming one this is what the previous kernel
 *	    wrote
 */
struct luo_files {
	struct list_head list;
	struct rb_root tokens;
	unsigned long nr;
	atomic_long_t nr_retrieved;
	struct kho_block_set blocks;
};

/**
 * struct luo_session - a session
 * @name: its name, with a NUL at its end
 * @node: in the list of sessions, by its name
 * @list: in the list of sessions
 * @id: position in the list of sessions: grows from each to the next
 * @kref: one reference for the list or the file of the session, and one for each
 *	  reader of luo_sysfs.c that is at this session
 * @deferred: outgoing: nobody has it any more, but it could not be released yet
 * @lock: protects @files and @finished
 * @files: its files
 * @incoming: it was handed over to this kernel
 * @claimed: a process has retrieved it and not closed it; written under the lock of the
 *	     list, read without
 * @finished: it was finished, or an outgoing one was closed: it is in no list any more,
 *	      or is about to leave it. Written under @lock; readers of lists look without
 * @damaged: incoming: 0; -EBADMSG if its list of files is damaged; -ENOMEM if there was no
 *	     memory for its files, which are read when user space asks for the session.
 *	     Written while the session is claimed, or under the lock of the list before
 *	     others can find it; readers of lists look without
 */
struct luo_session {
	char name[LUO_SESSION_NAME_LENGTH];
	struct rb_node node;
	struct list_head list;
	u64 id;
	struct kref kref;
	struct list_head deferred;
	struct rw_semaphore lock;	/* of files and finished */
	struct luo_files files;
	bool incoming;
	bool claimed;
	bool finished;
	int damaged;
};

/**
 * struct luo_sessions - a list of sessions
 * @lock: protects all of it, and luo_session.claimed of those in it
 * @list: in the order in which they were created
 * @names: the same, by their names
 * @nr: number of sessions; written under @lock, read without
 * @nr_unclaimed: incoming: number of sessions that are not claimed; likewise
 * @nr_unread: incoming: number of sessions that could not be read for want of memory, which
 *	       have no luo_session; likewise
 * @last_id: luo_session.id of the session that was added last
 * @blocks: outgoing: room for all of them, and no more. Incoming: what the previous kernel
 *	    has written, as long as a session of it could not be read for want of memory
 */
struct luo_sessions {
	struct mutex lock;	/* of the list */
	struct list_head list;
	struct rb_root names;
	unsigned long nr;
	unsigned long nr_unclaimed;
	unsigned long nr_unread;
	u64 last_id;
	struct kho_block_set blocks;
};

/**
 * struct luo_file - a file of a session
 * @list: in luo_files.list
 * @token_node: in luo_files.tokens; not in it when an incoming token comes twice
 * @id_node: outgoing: in the tree of ids
 * @id: outgoing: what @handler tells files apart by
 * @token: what user space knows it by
 * @lock: incoming: protects all that follows
 * @handler: pinned; NULL when an incoming file was not retrieved
 * @file: the file; NULL when an incoming file was not retrieved
 * @ser: incoming: what was handed over, in luo_files.blocks
 * @retrieve_status: as in struct liveupdate_file_op_args
 * @suspended: retrieving has failed and can be tried again: @handler, which may have left
 *	       something in @private_data, stays
 * @retrieving: the file is being retrieved; written under @lock, read without
 * @serialized_data: what the handler hands over
 * @unfrozen_data: the same, before it was frozen
 * @freezing: outgoing: to be unfrozen if the reboot fails
 * @private_data: for the handler
 */
struct luo_file {
	struct list_head list;
	struct rb_node token_node;
	struct rb_node id_node;
	unsigned long id;
	u64 token;
	struct mutex lock;	/* of retrieving */
	struct liveupdate_file_handler *handler;
	struct file *file;
	const struct luo_file_ser *ser;
	int retrieve_status;
	bool suspended;
	bool retrieving;
	u64 serialized_data;
	u64 unfrozen_data;
	bool freezing;
	void *private_data;
};

/* So long a reboot waits, all in all, before it fails. */
#define LUO_REBOOT_SECONDS	5

/**
 * struct luo_gate_pass - an operation that is inside of the gate
 * @list: in the list of these
 * @what: the operation
 * @name: name of the session
 * @pid: of the process
 * @comm: its name
 */
struct luo_gate_pass {
	struct list_head list;
	const char *what;
	const char *name;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/* luo_gate.c */
int luo_gate_enter(struct luo_gate_pass *pass, const char *what, const char *name);
bool luo_gate_enter_or_defer(struct luo_gate_pass *pass, const char *what,
			     const char *name, struct list_head *entry);
void luo_gate_leave(struct luo_gate_pass *pass);
struct list_head *luo_gate_next_deferred(void);
int luo_gate_close(unsigned long deadline);
void luo_gate_open(void);
void luo_gate_seal(void);

/* luo_core.c */
void luo_extend_deadline(unsigned long since);

/* luo_device.c */
int luo_device_init(void);

/* luo_session.c */
void luo_sessions_init(void);
unsigned long luo_sessions_take_over(u64 sessions_pa);
void luo_sessions_forget(void);
struct luo_session *luo_session_alloc(const u8 *name);
struct file *luo_session_create(const u8 *name);
struct file *luo_session_retrieve(const u8 *name);
int luo_sessions_check_finished(void);
void luo_sessions_release_deferred(void);
void luo_sessions_release_later(void);
int luo_sessions_freeze(u64 *sessions_pa);
struct luo_sessions *luo_sessions_of(bool is_incoming);
void luo_session_put(struct luo_session *session);
void luo_session_show_name(struct seq_file *m, const struct luo_session *session);
void luo_sessions_unfreeze(void);

/* luo_list.c */
void luo_sessions_show_outgoing(struct seq_file *m);
void luo_sessions_show_incoming(struct seq_file *m);
unsigned long luo_sessions_nr_unclaimed(void);
unsigned long luo_sessions_nr(bool is_incoming);
struct luo_session *luo_session_get_from(bool is_incoming, u64 id);
struct luo_session *luo_session_get_next(struct luo_session *session);
void luo_session_show(struct seq_file *m, const struct luo_session *session, bool busy);
void luo_session_show_rest(struct seq_file *m, const struct luo_session *session);
struct luo_file *luo_session_files_from(const struct luo_session *session, u64 token);
struct luo_file *luo_files_next(struct luo_file *luo_file);
void luo_file_show(struct seq_file *m, struct luo_file *luo_file);

/* luo_file.c */
unsigned long luo_nr_preserved_files(void);
struct luo_file *luo_file_alloc(void);
void luo_files_init(struct luo_files *files);
int luo_files_add(struct luo_files *files, int fd, u64 token);
void luo_files_unpreserve(struct luo_files *files);
int luo_files_freeze_prepare(struct luo_files *files);
void luo_files_freeze_begin(struct luo_files *files);
int luo_files_wait_ready(struct luo_files *files, unsigned long deadline);
int luo_files_freeze(struct luo_files *files);
void luo_files_unfreeze(struct luo_files *files);
void luo_files_write(struct luo_files *files, struct luo_session_ser *ser);
int luo_files_take_over(struct luo_files *files, const struct luo_session_ser *ser);
int luo_files_read(struct luo_files *files);
struct file *luo_files_retrieve(struct luo_files *files, u64 token);
int luo_files_finish(struct luo_files *files);
void luo_files_forget(struct luo_files *files);

/* luo_handler.c */
struct liveupdate_file_handler *luo_handler_get_for_file(struct file *file);
struct liveupdate_file_handler *luo_handler_get(const char *compatible);
loff_t luo_handler_size(const char *compatible, struct liveupdate_file_op_args *args);
void luo_handler_put(struct liveupdate_file_handler *handler);
int luo_handler_add_flb(struct liveupdate_file_handler *handler,
			struct list_head *link,
			bool (*same)(const struct list_head *a,
				     const struct list_head *b));
struct list_head *
luo_handler_del_flb(struct liveupdate_file_handler *handler,
		    const struct list_head *key,
		    bool (*same)(const struct list_head *a,
				 const struct list_head *b));

/* luo_flb.c */
bool luo_flb_same(const struct list_head *a, const struct list_head *b);
int luo_flbs_preserve(struct liveupdate_file_handler *handler);
void luo_flbs_unpreserve(struct liveupdate_file_handler *handler);
void luo_flbs_finish(struct liveupdate_file_handler *handler);
void luo_flbs_write(void);
int luo_flbs_init(u64 *flbs_pa);
void luo_flbs_exit(void);
void luo_flbs_take_over(u64 flbs_pa);
void luo_flbs_forget(void);

#endif /* _LUO_INTERNAL_H */
