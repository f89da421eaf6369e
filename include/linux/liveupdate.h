/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_LIVEUPDATE_H
#define _LINUX_LIVEUPDATE_H

#include <linux/atomic.h>
#include <linux/errno.h>
#include <linux/gfp_types.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/kho/abi/luo.h>

struct file;
struct liveupdate_file_handler;
struct module;

/*
 * To allocate memory that user space causes: it is charged to the memory cgroup of the
 * caller. If that has no room, the allocation fails instead of killing a process there,
 * which might be the one that keeps a session.
 */
#define LIVEUPDATE_GFP	(GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL)

/**
 * struct liveupdate_file_op_args - what an operation on a file is about
 * @handler: the handler
 * @retrieve_status: state of the file, for retrieve and the operations after it: 1 if
 *		     retrieve succeeded; -errno if it failed for good; 0 if it was not
 *		     called, or has failed and can be called again, see
 *		     &liveupdate_file_ops.retriable
 * @file: the file. Retrieve sets it to a new one; NULL after it when there is none
 * @serialized_data: what the next kernel gets: preserve and freeze may set it
 * @private_data: for the handler, which sets it in preserve or retrieve and finds
 *		  it in all later operations of the same kernel. Retrieve starts with
 *		  NULL, or with what an earlier call of a retriable handler has left
 */
struct liveupdate_file_op_args {
	struct liveupdate_file_handler *handler;
	int retrieve_status;
	struct file *file;
	u64 serialized_data;
	void *private_data;
};

/**
 * struct liveupdate_file_ops - what a handler does with files
 * @can_preserve: whether this handler is the one for a file. Is quick, and does
 *		  not change anything. Must be there
 * @preserve: preserve the file, which goes on being used. 0 or -errno, and on
 *	      failure nothing has changed. Must be there
 * @unpreserve: take @preserve back. Must be there
 * @freeze: the reboot has begun; what the next kernel gets must not change from
 *	    now on, but for the memory that user space has mapped. 0 or -errno,
 *	    and then the reboot fails and nothing has changed
 * @unfreeze: the reboot has failed after all: undo @freeze and @freeze_begin
 * @retrieve: make the file anew, in the next kernel. 0 or -errno. Both are final: it
 *	      is called once for each file, unless the handler is @retriable. Must be
 *	      there
 * @can_finish: whether @finish can be called now
 * @finish: nobody needs what was handed over any more. Free it, unless @retrieve
 *	    has made something of it, which is the file's. Must be there
 * @size: bytes of a file of the previous kernel that was not retrieved, for lists that
 *	  people read. Changes nothing, and claims nothing: what was handed over may be
 *	  damaged, and has to be checked. Called under the lock of the handlers, without
 *	  pinning the module. private_data is what a @retriable @retrieve that has
 *	  failed has left there. -errno if the size cannot be told
 * @get_id: what tells apart things that must not be preserved twice, by this
 *	    handler; the address of the struct file when it is not there. An inode
 *	    is a better one for who preserves what is behind it
 * @owner: the module that is pinned as long as there are files
 * @retriable: @retrieve can be called again after it has failed, and loses nothing that
 *	       was handed over unless it returns -EBADMSG. That says that what was handed
 *	       over is damaged, and is the only -errno that is final. After any other one
 *	       the next call, or @finish with a retrieve_status of 0, finds in
 *	       private_data what the last call has left there. The handler stays pinned.
 *	       A handler that is written for Linux 7.x does not set this
 * @freeze_prepare: a reboot is about to freeze all files: do what @freeze would have to do
 *		    and can be done while the file is in use. 0 or -errno, and then the
 *		    reboot fails
 * @freeze_begin: let nobody begin to change the file any more, by which @freeze_ready will
 *		  be true in a moment. Does not wait. Is called for all files before
 *		  @freeze is for the first of them
 * @freeze_ready: whether all changes have ended that began before @freeze_begin. Does not
 *		  wait: it is called again until it is true, or the reboot fails with
 *		  -ETIMEDOUT. Once it was true it stays so
 *
 * All may sleep. For one file they are called one after the other. Freezing and
 * unfreezing may happen several times. The last three are for files that user space
 * changes through system calls that take long, and may depend on another file that is
 * about to be frozen; a handler needs none of them. One that has @freeze_begin has
 * @unfreeze as well, which may be called for a file when @freeze was not.
 */
struct liveupdate_file_ops {
	bool (*can_preserve)(struct liveupdate_file_handler *handler,
			     struct file *file);
	int (*preserve)(struct liveupdate_file_op_args *args);
	void (*unpreserve)(struct liveupdate_file_op_args *args);
	int (*freeze)(struct liveupdate_file_op_args *args);
	void (*unfreeze)(struct liveupdate_file_op_args *args);
	int (*retrieve)(struct liveupdate_file_op_args *args);
	bool (*can_finish)(struct liveupdate_file_op_args *args);
	void (*finish)(struct liveupdate_file_op_args *args);
	loff_t (*size)(struct liveupdate_file_op_args *args);
	unsigned long (*get_id)(struct file *file);
	struct module *owner;
	bool retriable;
	int (*freeze_prepare)(struct liveupdate_file_op_args *args);
	void (*freeze_begin)(struct liveupdate_file_op_args *args);
	bool (*freeze_ready)(struct liveupdate_file_op_args *args);
};

/**
 * struct liveupdate_file_handler - preserves files of one kind
 * @ops: how
 * @compatible: what is handed over, and in which version. The next kernel looks
 *		for the handler with the same string
 * @list: private
 * @users: private: number of files that rely on it
 * @flbs: private: the objects that its files share
 */
struct liveupdate_file_handler {
	const struct liveupdate_file_ops *ops;
	const char compatible[LUO_COMPATIBLE_LENGTH];

	struct list_head list;
	unsigned long users;
	struct list_head flbs;
};

struct liveupdate_flb;

/**
 * struct liveupdate_flb_op_args - what an operation on a shared object is about
 * @flb: the object
 * @data: what the next kernel gets: preserve sets it
 * @obj: the object itself, in this kernel: preserve and retrieve set it
 */
struct liveupdate_flb_op_args {
	struct liveupdate_flb *flb;
	u64 data;
	void *obj;
};

/**
 * struct liveupdate_flb_ops - what is done with a shared object
 * @preserve: the first file that relies on it is about to be preserved. 0 or
 *	      -errno, and then the file is not preserved
 * @unpreserve: the last one is not preserved any more: take @preserve back
 * @retrieve: make the object anew, in the next kernel. 0 or -errno. Both are final: it
 *	      is called once, unless the object is @retriable
 * @finish: the last file that relies on it was finished: free it. Nobody may have
 *	    asked for it, then it was retrieved for this
 * @owner: the module that is pinned from preserve to unpreserve, and from retrieve
 *	   to finish
 * @retriable: @retrieve can be called again after it has failed, and has changed nothing
 *	       then, unless it returns -EBADMSG, which is final. If it fails when the last
 *	       file is finished, there is no later occasion: that is final as well, and
 *	       the memory of the object stays reserved
 *
 * The operations must be there, and may sleep. They are called one after the other.
 */
struct liveupdate_flb_ops {
	int (*preserve)(struct liveupdate_flb_op_args *args);
	void (*unpreserve)(struct liveupdate_flb_op_args *args);
	int (*retrieve)(struct liveupdate_flb_op_args *args);
	void (*finish)(struct liveupdate_flb_op_args *args);
	struct module *owner;
	bool retriable;
};

/* Private: an object on one side. */
struct luo_flb_state {
	struct mutex lock;	/* of all that follows, and of operations */
	atomic_long_t count;	/* of reasons to keep it; becomes or leaves 0 under the lock */
	u64 data;
	void *obj;
	int status;		/* 1 when it was retrieved, -errno when it can never be */
};

/**
 * struct liveupdate_flb - a file-lifecycle-bound object, which files share
 * @ops: what is done with it
 * @compatible: what is handed over, and in which version
 * @list: private
 * @nr_handlers: private: number of handlers the files of which rely on it
 * @nr_files: private: number of files for the next kernel that do
 * @outgoing: private: for the next kernel
 * @incoming: private: of the previous kernel
 */
struct liveupdate_flb {
	const struct liveupdate_flb_ops *ops;
	const char compatible[LUO_COMPATIBLE_LENGTH];

	struct list_head list;
	unsigned int nr_handlers;
	atomic_long_t nr_files;
	struct luo_flb_state outgoing;
	struct luo_flb_state incoming;
};

#ifdef CONFIG_LIVEUPDATE

bool liveupdate_enabled(void);
int liveupdate_reboot(void);
unsigned long liveupdate_freeze_deadline(void);
int liveupdate_register_file_handler(struct liveupdate_file_handler *handler);
int liveupdate_unregister_file_handler(struct liveupdate_file_handler *handler);
int liveupdate_register_flb(struct liveupdate_file_handler *handler,
			    struct liveupdate_flb *flb);
int liveupdate_unregister_flb(struct liveupdate_file_handler *handler,
			      struct liveupdate_flb *flb);
int liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **objp);
void liveupdate_flb_put_incoming(struct liveupdate_flb *flb);
int liveupdate_flb_get_outgoing(struct liveupdate_flb *flb, void **objp);
void liveupdate_flb_put_outgoing(struct liveupdate_flb *flb);

#else /* !CONFIG_LIVEUPDATE */

static inline bool liveupdate_enabled(void)
{
	return false;
}

static inline int liveupdate_reboot(void)
{
	return 0;
}

static inline unsigned long liveupdate_freeze_deadline(void)
{
	return 0;
}

static inline int
liveupdate_register_file_handler(struct liveupdate_file_handler *handler)
{
	return -EOPNOTSUPP;
}

static inline int
liveupdate_unregister_file_handler(struct liveupdate_file_handler *handler)
{
	return -EOPNOTSUPP;
}

static inline int
liveupdate_register_flb(struct liveupdate_file_handler *handler,
			struct liveupdate_flb *flb)
{
	return -EOPNOTSUPP;
}

static inline int
liveupdate_unregister_flb(struct liveupdate_file_handler *handler,
			  struct liveupdate_flb *flb)
{
	return -EOPNOTSUPP;
}

static inline int
liveupdate_flb_get_incoming(struct liveupdate_flb *flb, void **objp)
{
	return -EOPNOTSUPP;
}

static inline void liveupdate_flb_put_incoming(struct liveupdate_flb *flb) {}

static inline int
liveupdate_flb_get_outgoing(struct liveupdate_flb *flb, void **objp)
{
	return -EOPNOTSUPP;
}

static inline void liveupdate_flb_put_outgoing(struct liveupdate_flb *flb) {}

#endif /* CONFIG_LIVEUPDATE */

#endif /* _LINUX_LIVEUPDATE_H */
