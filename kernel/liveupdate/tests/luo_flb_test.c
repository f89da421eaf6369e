// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that share an object, to test the Live Update Orchestrator with.
 *
 * Open files of /dev/luo_flb_test and /dev/luo_flb_test_too, which have a handler each,
 * have nothing of their own. As long as some are preserved there is a page, which counts
 * them all. It uses only the public API.
 *
 *	/sys/kernel/debug/luo_flb_test/calls	operations of the object, how often
 *						they were called, and what the page
 *						of the previous kernel counts
 *	/sys/kernel/debug/luo_flb_test/fail	how many calls fail next, with -EIO
 *	/sys/kernel/debug/luo_flb_test/fail_file	the same for files
 *	/sys/kernel/debug/luo_flb_test/retriable	Y: retrieve can be called again then
 *	/sys/kernel/debug/luo_flb_test/retrieve_ms	how long it takes to retrieve it
 *	/sys/kernel/debug/luo_flb_test/hold_outgoing	1 to use the object, 0 to give
 *	/sys/kernel/debug/luo_flb_test/hold_incoming	it up again
 *	/sys/kernel/debug/luo_flb_test/errors	what was not as it should be
 *	/sys/kernel/debug/luo_flb_test/unregister	reading it tries to unregister the
 *						object: the errno of that
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#define MAGIC	0x6c756f2d666c62ULL

/* What the files share, and hand over. */
struct shared {
	u64 magic;
	atomic64_t nr_files;
};

static struct {
	atomic_t preserve;
	atomic_t unpreserve;
	atomic_t retrieve;
	atomic_t finish;
	atomic_t errors;
} calls;

static atomic_t fail;
static atomic_t fail_file;
static u32 retrieve_ms;

/* The files that the previous kernel had, when its page was retrieved. */
static u64 nr_incoming;

static void expect(bool what)
{
	if (!what)
		atomic_inc(&calls.errors);
}

static bool fails(atomic_t *nr)
{
	return atomic_dec_if_positive(nr) >= 0;
}

static int shared_preserve(struct liveupdate_flb_op_args *args)
{
	struct shared *shared;

	if (fails(&fail))
		return -EIO;

	shared = kho_alloc_preserve(sizeof(*shared));
	if (IS_ERR(shared))
		return PTR_ERR(shared);

	shared->magic = MAGIC;
	args->obj = shared;
	args->data = virt_to_phys(shared);
	atomic_inc(&calls.preserve);
	return 0;
}

static void shared_unpreserve(struct liveupdate_flb_op_args *args)
{
	struct shared *shared = args->obj;

	expect(args->data == virt_to_phys(shared));
	expect(!atomic64_read(&shared->nr_files));
	kho_unpreserve_free(shared);
	atomic_inc(&calls.unpreserve);
}

static int shared_retrieve(struct liveupdate_flb_op_args *args)
{
	struct folio *folio;
	struct shared *shared;

	msleep(retrieve_ms);
	if (fails(&fail))
		return -EIO;

	folio = kho_restore_folio(args->data);
	if (!folio)
		return -EBADMSG;

	shared = folio_address(folio);
	expect(shared->magic == MAGIC);
	nr_incoming = atomic64_read(&shared->nr_files);
	args->obj = shared;
	atomic_inc(&calls.retrieve);
	return 0;
}

static void shared_finish(struct liveupdate_flb_op_args *args)
{
	folio_put(virt_to_folio(args->obj));
	atomic_inc(&calls.finish);
}

static struct liveupdate_flb_ops shared_ops = {
	.preserve = shared_preserve,
	.unpreserve = shared_unpreserve,
	.retrieve = shared_retrieve,
	.finish = shared_finish,
	.owner = THIS_MODULE,
};

static struct liveupdate_flb shared_flb = {
	.ops = &shared_ops,
	.compatible = "luo-test-shared-v1",
};

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
};

static const struct file_operations too_fops = {
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler test_handler;

static const struct file_operations *fops_of(const struct liveupdate_file_handler *handler)
{
	return handler == &test_handler ? &test_fops : &too_fops;
}

static bool test_can_preserve(struct liveupdate_file_handler *handler,
			      struct file *file)
{
	return file->f_op == fops_of(handler);
}

/* One more, or one less. */
static void count_file(int nr)
{
	struct shared *shared;
	void *obj;

	if (liveupdate_flb_get_outgoing(&shared_flb, &obj)) {
		expect(false);
		return;
	}

	shared = obj;
	expect(shared->magic == MAGIC);
	atomic64_add(nr, &shared->nr_files);
	liveupdate_flb_put_outgoing(&shared_flb);
}

static int test_preserve(struct liveupdate_file_op_args *args)
{
	if (fails(&fail_file))
		return -EIO;

	count_file(1);
	return 0;
}

static void test_unpreserve(struct liveupdate_file_op_args *args)
{
	count_file(-1);
}

static int test_retrieve(struct liveupdate_file_op_args *args)
{
	struct file *file;
	void *obj;
	int err;

	err = liveupdate_flb_get_incoming(&shared_flb, &obj);
	if (err)
		return err;

	expect(((struct shared *)obj)->magic == MAGIC);
	liveupdate_flb_put_incoming(&shared_flb);

	file = anon_inode_getfile("[luo_flb_test]", fops_of(args->handler), NULL, O_RDWR);
	if (IS_ERR(file))
		return PTR_ERR(file);

	args->file = file;
	return 0;
}

static void test_finish(struct liveupdate_file_op_args *args)
{
}

static const struct liveupdate_file_ops test_ops = {
	.can_preserve = test_can_preserve,
	.preserve = test_preserve,
	.unpreserve = test_unpreserve,
	.retrieve = test_retrieve,
	.finish = test_finish,
	.owner = THIS_MODULE,
};

static struct liveupdate_file_handler test_handler = {
	.ops = &test_ops,
	.compatible = "luo-test-sharing-v1",
};

static struct liveupdate_file_handler too_handler = {
	.ops = &test_ops,
	.compatible = "luo-test-sharing-too-v1",
};

static int calls_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "preserve %d\n", atomic_read(&calls.preserve));
	seq_printf(m, "unpreserve %d\n", atomic_read(&calls.unpreserve));
	seq_printf(m, "retrieve %d\n", atomic_read(&calls.retrieve));
	seq_printf(m, "finish %d\n", atomic_read(&calls.finish));
	seq_printf(m, "incoming_files %llu\n", nr_incoming);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(calls);

/* For when there are files that rely on it. */
static int unregister_get(void *unused, u64 *val)
{
	int err = liveupdate_unregister_flb(&test_handler, &shared_flb);

	*val = -err;
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(unregister_fops, unregister_get, NULL, "%llu\n");

static int hold_outgoing_set(void *unused, u64 val)
{
	void *obj;

	if (val)
		return liveupdate_flb_get_outgoing(&shared_flb, &obj);

	liveupdate_flb_put_outgoing(&shared_flb);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(hold_outgoing_fops, NULL, hold_outgoing_set, "%llu\n");

static int hold_incoming_set(void *unused, u64 val)
{
	void *obj;

	if (val)
		return liveupdate_flb_get_incoming(&shared_flb, &obj);

	liveupdate_flb_put_incoming(&shared_flb);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(hold_incoming_fops, NULL, hold_incoming_set, "%llu\n");

static struct dentry *test_dir;

static struct miscdevice test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "luo_flb_test",
	.fops = &test_fops,
	.mode = 0600,
};

static struct miscdevice too_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "luo_flb_test_too",
	.fops = &too_fops,
	.mode = 0600,
};

/* What must be refused, and leave no trace. */
static void __init try_bad_flbs(void)
{
	static const struct liveupdate_flb_ops incomplete_ops = {
		.preserve = shared_preserve,
		.unpreserve = shared_unpreserve,
		.finish = shared_finish,
	};
	static struct liveupdate_flb same = {
		.ops = &shared_ops,
		.compatible = "luo-test-shared-v1",
	}, nameless = {
		.ops = &shared_ops,
	}, incomplete = {
		.ops = &incomplete_ops,
		.compatible = "luo-test-incomplete",
	}, other = {
		.ops = &shared_ops,
		.compatible = "luo-test-other",
	};
	void *obj;

	expect(liveupdate_register_flb(&test_handler, &shared_flb) == -EEXIST);
	expect(liveupdate_register_flb(&test_handler, &same) == -EEXIST);
	expect(liveupdate_register_flb(&test_handler, &nameless) == -EINVAL);
	expect(liveupdate_register_flb(&test_handler, &incomplete) == -EINVAL);
	expect(liveupdate_unregister_flb(&test_handler, &other) == -ENOENT);

	/* It can come and go, and is not alone. */
	expect(liveupdate_register_flb(&test_handler, &other) == 0);
	expect(liveupdate_unregister_flb(&test_handler, &shared_flb) == 0);
	expect(liveupdate_unregister_flb(&test_handler, &shared_flb) == -ENOENT);
	expect(liveupdate_register_flb(&test_handler, &same) == 0);
	expect(liveupdate_register_flb(&test_handler, &shared_flb) == -EEXIST);
	expect(liveupdate_unregister_flb(&test_handler, &same) == 0);
	expect(liveupdate_register_flb(&test_handler, &shared_flb) == 0);
	expect(liveupdate_unregister_flb(&test_handler, &other) == 0);
	expect(liveupdate_flb_get_outgoing(&shared_flb, &obj) == -ENOENT);

	/* It stays as long as one handler relies on it. */
	expect(liveupdate_register_flb(&too_handler, &shared_flb) == 0);
	expect(liveupdate_register_flb(&too_handler, &shared_flb) == -EEXIST);
	expect(liveupdate_unregister_flb(&test_handler, &shared_flb) == 0);
	expect(liveupdate_unregister_flb(&test_handler, &shared_flb) == -ENOENT);
	expect(liveupdate_register_flb(&test_handler, &same) == -EEXIST);
	expect(liveupdate_register_flb(&test_handler, &shared_flb) == 0);
	expect(liveupdate_unregister_flb(&too_handler, &shared_flb) == 0);
	expect(liveupdate_register_flb(&too_handler, &same) == -EEXIST);
}

/* The object first of all: with the handler there may be files. */
static int __init add_handler(struct liveupdate_file_handler *handler,
			      struct miscdevice *misc)
{
	int err;

	err = liveupdate_register_flb(handler, &shared_flb);
	if (err)
		return err;

	if (handler == &test_handler)
		try_bad_flbs();
	err = liveupdate_register_file_handler(handler);
	if (err)
		goto err_flb;

	err = misc_register(misc);
	if (err)
		goto err_handler;

	return 0;

err_handler:
	liveupdate_unregister_file_handler(handler);
err_flb:
	liveupdate_unregister_flb(handler, &shared_flb);
	return err;
}

/* Nobody has a file, or it would be in use. */
static void remove_handler(struct liveupdate_file_handler *handler,
			   struct miscdevice *misc)
{
	misc_deregister(misc);
	WARN_ON(liveupdate_unregister_file_handler(handler));
	/* A test may have done it. */
	liveupdate_unregister_flb(handler, &shared_flb);
}

static int __init luo_flb_test_init(void)
{
	int err;

	err = add_handler(&test_handler, &test_misc);
	if (err)
		return err;

	err = add_handler(&too_handler, &too_misc);
	if (err) {
		remove_handler(&test_handler, &test_misc);
		return err;
	}

	test_dir = debugfs_create_dir("luo_flb_test", NULL);
	debugfs_create_atomic_t("fail", 0600, test_dir, &fail);
	debugfs_create_bool("retriable", 0600, test_dir, &shared_ops.retriable);
	debugfs_create_atomic_t("fail_file", 0600, test_dir, &fail_file);
	debugfs_create_u32("retrieve_ms", 0600, test_dir, &retrieve_ms);
	debugfs_create_atomic_t("errors", 0400, test_dir, &calls.errors);
	debugfs_create_file("calls", 0400, test_dir, NULL, &calls_fops);
	debugfs_create_file_unsafe("hold_outgoing", 0200, test_dir, NULL,
				   &hold_outgoing_fops);
	debugfs_create_file_unsafe("hold_incoming", 0200, test_dir, NULL,
				   &hold_incoming_fops);
	debugfs_create_file_unsafe("unregister", 0400, test_dir, NULL, &unregister_fops);
	return 0;
}
module_init(luo_flb_test_init);

static void __exit luo_flb_test_exit(void)
{
	debugfs_remove(test_dir);
	remove_handler(&too_handler, &too_misc);
	remove_handler(&test_handler, &test_misc);
}
module_exit(luo_flb_test_exit);

MODULE_DESCRIPTION("Files that share an object, to test the Live Update Orchestrator with");
MODULE_LICENSE("GPL");
