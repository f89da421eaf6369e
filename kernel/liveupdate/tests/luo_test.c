// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files to test the Live Update Orchestrator with.
 *
 * Each open file of /dev/luo_test holds a page of data of its own, which can be
 * read and written, and which is what is handed over. It uses only the public API, but for
 * seal_memfd.
 *
 *	/sys/kernel/debug/luo_test/fail_preserve	how many calls fail next,
 *	/sys/kernel/debug/luo_test/fail_retrieve	with -EIO
 *	/sys/kernel/debug/luo_test/retriable		Y: retrieve can be called again then
 *	/sys/kernel/debug/luo_test/fail_freeze		which call, from now on,
 *							fails, with -EAGAIN
 *	/sys/kernel/debug/luo_test/fail_after_ms	and takes so long for that
 *	/sys/kernel/debug/luo_test/freeze_mistake	which call, from now on, registers a
 *							blob that is not preserved, until
 *							the file is unfrozen
 *	/sys/kernel/debug/luo_test/prepare_ms		how long it takes to prepare a file
 *	/sys/kernel/debug/luo_test/reboot_ms		how long a reboot takes when nothing
 *							can fail any more
 *	/sys/kernel/debug/luo_test/preserve_ms		how long it takes to preserve a file,
 *	/sys/kernel/debug/luo_test/retrieve_ms		to retrieve one,
 *	/sys/kernel/debug/luo_test/size_ms		and to tell the size of one
 *	/sys/kernel/debug/luo_test/cannot_finish	not 0: it cannot
 *	/sys/kernel/debug/luo_test/registered		write 0 or 1 to unregister
 *							or register the handler
 *	/sys/kernel/debug/luo_test/seal_memfd		write a descriptor of a memfd to add
 *							F_SEAL_FUTURE_WRITE, as if a writable
 *							mapping that there is was made at the
 *							same time
 *	/sys/kernel/debug/luo_test/calls		what was called, how often,
 *							and the files that are open
 *	/sys/kernel/debug/luo_test/errors		calls that should not have
 *							come then
 *	/sys/kernel/debug/luo_test/ticks		from the first file that was prepared
 *							for the last reboot to the last one, and
 *							from there to the one that failed
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/liveupdate.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/timex.h>
#include <linux/uaccess.h>

static struct {
	atomic_t preserve;
	atomic_t unpreserve;
	atomic_t prepare;
	atomic_t freeze;
	atomic_t unfreeze;
	atomic_t retrieve;
	atomic_t finish;
	atomic_t errors;
	atomic_t open;		/* files that are, not calls */
} calls;

static atomic_t fail_preserve;
static atomic_t fail_retrieve;
static atomic_t fail_freeze;
static u32 fail_after_ms;
static atomic_t freeze_mistake;
static u32 prepare_ms;
static u32 reboot_ms;
static u32 preserve_ms;
static u32 retrieve_ms;
static u32 size_ms;
static u32 cannot_finish;

/* When steps of the reboot have come to a file of this kind. */
static struct {
	u64 first_prepared;
	u64 last_prepared;
	u64 failed;
} ticks;

/* Files that are frozen: meanwhile none is preserved, nor the opposite. */
static atomic_t nr_frozen;

/* Whether this call is one of those that fail. */
static bool fails(atomic_t *nr)
{
	return atomic_dec_if_positive(nr) >= 0;
}

/* In what is handed over, the address of the page: it was frozen. */
#define FROZEN	1ULL

/* How a file is, in private_data of the struct file. */
struct test_file {
	void *data;
	void *mistake;		/* a blob that is not preserved */
	bool preserved;
	bool frozen;
};

static void expect(bool what)
{
	if (!what)
		atomic_inc(&calls.errors);
}

static struct test_file *new_file(void *data)
{
	struct test_file *test = kzalloc(sizeof(*test), GFP_KERNEL);

	if (test) {
		test->data = data;
		atomic_inc(&calls.open);
	}

	return test;
}

static void free_file(struct test_file *test)
{
	kfree(test);
	atomic_dec(&calls.open);
}

/* Memory that can be preserved, but is not yet. */
static void *new_data(void)
{
	void *data = kho_alloc_preserve(PAGE_SIZE);

	if (!IS_ERR(data))
		kho_unpreserve_folio(virt_to_folio(data));

	return data;
}

static int test_open(struct inode *inode, struct file *file)
{
	void *data = new_data();

	if (IS_ERR(data))
		return PTR_ERR(data);

	file->private_data = new_file(data);
	if (!file->private_data) {
		folio_put(virt_to_folio(data));
		return -ENOMEM;
	}

	return 0;
}

static int test_release(struct inode *inode, struct file *file)
{
	struct test_file *test = file->private_data;

	expect(!test->preserved);
	folio_put(virt_to_folio(test->data));
	free_file(test);
	return 0;
}

static ssize_t test_read(struct file *file, char __user *user, size_t len,
			 loff_t *pos)
{
	struct test_file *test = file->private_data;

	return simple_read_from_buffer(user, len, pos, test->data, PAGE_SIZE);
}

static ssize_t test_write(struct file *file, const char __user *user,
			  size_t len, loff_t *pos)
{
	struct test_file *test = file->private_data;

	return simple_write_to_buffer(test->data, PAGE_SIZE, pos, user, len);
}

static const struct file_operations test_fops = {
	.owner = THIS_MODULE,
	.open = test_open,
	.release = test_release,
	.read = test_read,
	.write = test_write,
	.llseek = default_llseek,
};

static bool test_can_preserve(struct liveupdate_file_handler *handler,
			      struct file *file)
{
	return file->f_op == &test_fops;
}

static int test_preserve(struct liveupdate_file_op_args *args)
{
	struct test_file *test = args->file->private_data;
	int err;

	if (fails(&fail_preserve))
		return -EIO;

	expect(!test->preserved && !atomic_read(&nr_frozen));
	msleep(preserve_ms);
	err = kho_preserve_folio(virt_to_folio(test->data));
	if (err)
		return err;

	test->preserved = true;
	args->private_data = test;
	args->serialized_data = virt_to_phys(test->data);
	atomic_inc(&calls.preserve);
	return 0;
}

static void test_unpreserve(struct liveupdate_file_op_args *args)
{
	struct test_file *test = args->private_data;

	expect(test->preserved && !test->frozen && !atomic_read(&nr_frozen) &&
	       test == args->file->private_data);
	/* Whatever freeze() has handed over, it was taken back. */
	expect(args->serialized_data == virt_to_phys(test->data));
	kho_unpreserve_folio(virt_to_folio(test->data));
	test->preserved = false;
	atomic_inc(&calls.unpreserve);
}

static int test_freeze_prepare(struct liveupdate_file_op_args *args)
{
	const struct test_file *test = args->private_data;

	expect(test->preserved && !test->frozen && !atomic_read(&nr_frozen));
	atomic_inc(&calls.prepare);
	msleep(prepare_ms);
	ticks.last_prepared = get_cycles();
	if (ticks.failed || !ticks.first_prepared) {
		ticks.first_prepared = ticks.last_prepared;
		ticks.failed = 0;
	}

	return 0;
}

/* The next kernel would refuse all of the handover for this. */
static void make_mistake(struct test_file *test)
{
	test->mistake = (void *)get_zeroed_page(GFP_KERNEL);
	expect(test->mistake &&
	       !kho_add_subtree("luo-test-mistake", test->mistake, PAGE_SIZE));
}

static void undo_mistake(struct test_file *test)
{
	kho_remove_subtree(test->mistake);
	free_page((unsigned long)test->mistake);
	test->mistake = NULL;
}

static int test_freeze(struct liveupdate_file_op_args *args)
{
	struct test_file *test = args->private_data;

	if (atomic_read(&fail_freeze) && atomic_dec_and_test(&fail_freeze)) {
		ticks.failed = get_cycles();
		msleep(fail_after_ms);
		return -EAGAIN;
	}

	if (atomic_read(&freeze_mistake) && atomic_dec_and_test(&freeze_mistake))
		make_mistake(test);

	expect(test->preserved && !test->frozen);
	expect(args->serialized_data == virt_to_phys(test->data));
	args->serialized_data |= FROZEN;
	atomic_inc(&nr_frozen);
	test->frozen = true;
	atomic_inc(&calls.freeze);
	return 0;
}

static void test_unfreeze(struct liveupdate_file_op_args *args)
{
	struct test_file *test = args->private_data;

	expect(test->preserved && test->frozen);
	expect(args->serialized_data == (virt_to_phys(test->data) | FROZEN));
	if (test->mistake)
		undo_mistake(test);
	atomic_dec(&nr_frozen);
	test->frozen = false;
	atomic_inc(&calls.unfreeze);
}

static int test_retrieve(struct liveupdate_file_op_args *args)
{
	struct test_file *test;
	struct folio *folio;
	struct file *file;

	expect(!args->retrieve_status && !args->file);
	msleep(retrieve_ms);
	if (fails(&fail_retrieve))
		return -EIO;

	if (!(args->serialized_data & FROZEN))
		return -EBADMSG;
	folio = kho_restore_folio(args->serialized_data & ~FROZEN);
	if (!folio)
		return -EBADMSG;

	test = new_file(folio_address(folio));
	if (!test)
		goto err_folio;

	file = anon_inode_getfile("[luo_test]", &test_fops, test, O_RDWR);
	if (IS_ERR(file))
		goto err_test;

	file->f_mode |= FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE;
	args->file = file;
	args->private_data = test;
	atomic_inc(&calls.retrieve);
	return 0;

err_test:
	free_file(test);
err_folio:
	folio_put(folio);
	return -ENOMEM;
}

static bool test_can_finish(struct liveupdate_file_op_args *args)
{
	return !cannot_finish;
}

static void test_finish(struct liveupdate_file_op_args *args)
{
	struct folio *folio;

	atomic_inc(&calls.finish);
	if (args->retrieve_status == 1) {
		expect(args->file->private_data == args->private_data);
		return;
	}

	/* Nobody has it. It may not be there if retrieving it has failed. */
	expect(!args->file);
	folio = kho_restore_folio(args->serialized_data & ~FROZEN);
	if (folio)
		folio_put(folio);
}

static loff_t test_size(struct liveupdate_file_op_args *args)
{
	expect(!args->retrieve_status && !args->file);
	msleep(size_ms);
	return args->serialized_data & FROZEN ? PAGE_SIZE : -EBADMSG;
}

static struct liveupdate_file_ops test_ops = {
	.can_preserve = test_can_preserve,
	.preserve = test_preserve,
	.unpreserve = test_unpreserve,
	.freeze = test_freeze,
	.unfreeze = test_unfreeze,
	.retrieve = test_retrieve,
	.can_finish = test_can_finish,
	.finish = test_finish,
	.size = test_size,
	.owner = THIS_MODULE,
	.freeze_prepare = test_freeze_prepare,
};

static struct liveupdate_file_handler test_handler = {
	.ops = &test_ops,
	.compatible = "luo-test-v1",
};

static bool registered;
static struct dentry *test_dir;

static int on_reboot(struct notifier_block *nb, unsigned long event, void *unused)
{
	msleep(reboot_ms);
	return NOTIFY_DONE;
}

static struct notifier_block reboot_nb = {
	.notifier_call = on_reboot,
};

static int registered_get(void *data, u64 *value)
{
	*value = registered;
	return 0;
}

static int registered_set(void *data, u64 value)
{
	int err;

	if (value)
		err = liveupdate_register_file_handler(&test_handler);
	else
		err = liveupdate_unregister_file_handler(&test_handler);
	if (!err)
		registered = value;

	return err;
}
DEFINE_DEBUGFS_ATTRIBUTE(registered_fops, registered_get, registered_set,
			 "%llu\n");

static int seal_memfd_set(void *data, u64 value)
{
	struct file *file = fget(value);

	if (!file)
		return -EBADF;

	SHMEM_I(file_inode(file))->seals |= F_SEAL_FUTURE_WRITE;
	fput(file);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(seal_memfd_fops, NULL, seal_memfd_set, "%llu\n");

static int calls_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "preserve %d\n", atomic_read(&calls.preserve));
	seq_printf(m, "unpreserve %d\n", atomic_read(&calls.unpreserve));
	seq_printf(m, "prepare %d\n", atomic_read(&calls.prepare));
	seq_printf(m, "freeze %d\n", atomic_read(&calls.freeze));
	seq_printf(m, "unfreeze %d\n", atomic_read(&calls.unfreeze));
	seq_printf(m, "retrieve %d\n", atomic_read(&calls.retrieve));
	seq_printf(m, "finish %d\n", atomic_read(&calls.finish));
	seq_printf(m, "open %d\n", atomic_read(&calls.open));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(calls);

static int ticks_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "prepare %llu\n", ticks.last_prepared - ticks.first_prepared);
	seq_printf(m, "freeze %llu\n", ticks.failed - ticks.last_prepared);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ticks);

static struct miscdevice test_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "luo_test",
	.fops = &test_fops,
	.mode = 0600,
};

/* Handlers of this kind that must not be registered. */
static void __init try_bad_handlers(void)
{
	static struct liveupdate_file_ops ops;
	static struct liveupdate_file_handler same = {
		.ops = &test_ops,
		.compatible = "luo-test-v1",
	}, nameless = {
		.ops = &test_ops,
	}, endless = {
		.ops = &test_ops,
		.compatible = "no NUL in here in a string of 48 characters.....",
	}, incomplete = {
		.ops = &ops,
		.compatible = "luo-test-incomplete",
	}, lazy = {
		.compatible = "luo-test-lazy",
	};

	expect(liveupdate_register_file_handler(&same) == -EEXIST);
	expect(liveupdate_register_file_handler(&nameless) == -EINVAL);
	expect(liveupdate_register_file_handler(&endless) == -EINVAL);
	expect(liveupdate_register_file_handler(&lazy) == -EINVAL);

	ops = test_ops;
	ops.can_preserve = NULL;
	expect(liveupdate_register_file_handler(&incomplete) == -EINVAL);
	ops = test_ops;
	ops.preserve = NULL;
	expect(liveupdate_register_file_handler(&incomplete) == -EINVAL);
	ops = test_ops;
	ops.unpreserve = NULL;
	expect(liveupdate_register_file_handler(&incomplete) == -EINVAL);
	ops = test_ops;
	ops.retrieve = NULL;
	expect(liveupdate_register_file_handler(&incomplete) == -EINVAL);
	ops = test_ops;
	ops.finish = NULL;
	expect(liveupdate_register_file_handler(&incomplete) == -EINVAL);
	ops = test_ops;
	ops.freeze_begin = test_unfreeze;
	ops.unfreeze = NULL;
	expect(liveupdate_register_file_handler(&incomplete) == -EINVAL);
}

static int __init luo_test_init(void)
{
	int err;

	err = liveupdate_register_file_handler(&test_handler);
	if (err)
		return err;

	err = misc_register(&test_misc);
	if (err) {
		liveupdate_unregister_file_handler(&test_handler);
		return err;
	}

	registered = true;
	try_bad_handlers();

	test_dir = debugfs_create_dir("luo_test", NULL);
	debugfs_create_atomic_t("fail_preserve", 0600, test_dir, &fail_preserve);
	debugfs_create_atomic_t("fail_retrieve", 0600, test_dir, &fail_retrieve);
	debugfs_create_atomic_t("fail_freeze", 0600, test_dir, &fail_freeze);
	debugfs_create_atomic_t("errors", 0400, test_dir, &calls.errors);
	debugfs_create_bool("retriable", 0600, test_dir, &test_ops.retriable);
	debugfs_create_u32("fail_after_ms", 0600, test_dir, &fail_after_ms);
	debugfs_create_atomic_t("freeze_mistake", 0600, test_dir, &freeze_mistake);
	debugfs_create_u32("prepare_ms", 0600, test_dir, &prepare_ms);
	debugfs_create_u32("reboot_ms", 0600, test_dir, &reboot_ms);
	debugfs_create_u32("preserve_ms", 0600, test_dir, &preserve_ms);
	debugfs_create_u32("retrieve_ms", 0600, test_dir, &retrieve_ms);
	debugfs_create_u32("size_ms", 0600, test_dir, &size_ms);
	debugfs_create_u32("cannot_finish", 0600, test_dir, &cannot_finish);
	debugfs_create_file("registered", 0600, test_dir, NULL, &registered_fops);
	debugfs_create_file("seal_memfd", 0200, test_dir, NULL, &seal_memfd_fops);
	debugfs_create_file("calls", 0400, test_dir, NULL, &calls_fops);
	debugfs_create_file("ticks", 0400, test_dir, NULL, &ticks_fops);
	register_reboot_notifier(&reboot_nb);
	return 0;
}
module_init(luo_test_init);

/* Nobody has a file, or it would be in use. */
static void __exit luo_test_exit(void)
{
	unregister_reboot_notifier(&reboot_nb);
	debugfs_remove(test_dir);
	misc_deregister(&test_misc);
	if (registered)
		WARN_ON(liveupdate_unregister_file_handler(&test_handler));
}
module_exit(luo_test_exit);

MODULE_DESCRIPTION("Files to test the Live Update Orchestrator with");
MODULE_LICENSE("GPL");
