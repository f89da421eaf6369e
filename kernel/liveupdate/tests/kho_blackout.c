// SPDX-License-Identifier: GPL-2.0-only
/*
 * The blackout of a kexec: when things happen from the reboot to the init of the
 * next kernel.
 *
 * It uses only the public API of Kexec HandOver, so that the same file can be
 * built into any kernel that has it. Time is that of get_cycles(), where it goes
 * on counting over a kexec: the TSC. In QEMU with -icount shift=0 it counts
 * instructions.
 *
 *	/sys/kernel/debug/kho_blackout/control	write anything: note the time, the
 *						reboot follows at once
 *	/sys/kernel/debug/kho_blackout/report	"name value", in this order:
 *		at_mark		that was written
 *		at_reboot	the previous kernel tells its drivers
 *		at_param	this one has parsed its parameters; "khoblackout" has to
 *				be one of them
 *		at_pre_smp	it is about to bring up other CPUs
 *		at_init		it executes init
 *		region_kept	1 if the reserve_mem region "khoblackout", when there
 *				is one, is the one that the previous kernel had
 */

#include <linux/binfmts.h>
#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/reboot.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/timex.h>

#define SUBTREE		"kho-blackout"
#define MAGIC		0x74756f6b63616c62ULL
#define REGION_NAME	"khoblackout"

/* Crosses kernels: the blob of the subtree. */
struct record {
	u64 magic;
	u64 mark;
	u64 reboot;
	u64 region_phys;
	u64 region_size;
};

static struct record *outgoing;
static DEFINE_MUTEX(lock);

static u64 stamp_param, stamp_pre_smp, stamp_init;

static int __init blackout_param(char *p)
{
	stamp_param = get_cycles();
	return 0;
}
early_param("khoblackout", blackout_param);

static int __init blackout_pre_smp(void)
{
	stamp_pre_smp = get_cycles();
	return 0;
}
early_initcall(blackout_pre_smp);

/* Asked before all others whether it can execute a file. */
static int blackout_exec(struct linux_binprm *bprm)
{
	/* Only when the kernel executes init it has no memory of its own yet. */
	if (is_global_init(current) && !current->mm)
		stamp_init = get_cycles();

	return -ENOEXEC;
}

static struct linux_binfmt blackout_binfmt = {
	.load_binary = blackout_exec,
};

static int blackout_reboot(struct notifier_block *nb, unsigned long action,
			   void *data)
{
	if (outgoing)
		outgoing->reboot = get_cycles();

	return NOTIFY_DONE;
}

static struct notifier_block blackout_reboot_nb = {
	.notifier_call = blackout_reboot,
	.priority = INT_MAX,
};

static int need_record(void)
{
	phys_addr_t start, size;
	struct record *record;
	int err;

	if (outgoing)
		return 0;

	record = kho_alloc_preserve(sizeof(*record));
	if (IS_ERR(record))
		return PTR_ERR(record);

	record->magic = MAGIC;
	if (reserve_mem_find_by_name(REGION_NAME, &start, &size)) {
		record->region_phys = start;
		record->region_size = size;
	}

	err = kho_add_subtree(SUBTREE, record, sizeof(*record));
	if (err) {
		kho_unpreserve_free(record);
		return err;
	}

	outgoing = record;
	return 0;
}

static ssize_t control_write(struct file *file, const char __user *buf,
			     size_t count, loff_t *ppos)
{
	int err;

	mutex_lock(&lock);
	err = need_record();
	if (!err)
		outgoing->mark = get_cycles();
	mutex_unlock(&lock);

	return err ?: count;
}

static const struct file_operations control_fops = {
	.open = simple_open,
	.write = control_write,
};

static int report_show(struct seq_file *m, void *unused)
{
	const struct record *record;
	phys_addr_t phys, start, size;
	size_t len;
	int err;

	err = kho_retrieve_subtree(SUBTREE, &phys, &len);
	if (err)
		return err;

	record = phys_to_virt(phys);
	if (len != sizeof(*record) || record->magic != MAGIC)
		return -EINVAL;

	seq_printf(m, "at_mark %llu\n", record->mark);
	seq_printf(m, "at_reboot %llu\n", record->reboot);
	seq_printf(m, "at_param %llu\n", stamp_param);
	seq_printf(m, "at_pre_smp %llu\n", stamp_pre_smp);
	seq_printf(m, "at_init %llu\n", stamp_init);

	if (reserve_mem_find_by_name(REGION_NAME, &start, &size))
		seq_printf(m, "region_kept %d\n", start == record->region_phys &&
			   size == record->region_size);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(report);

static int __init blackout_init(void)
{
	struct dentry *dir = debugfs_create_dir("kho_blackout", NULL);

	debugfs_create_file("control", 0200, dir, NULL, &control_fops);
	debugfs_create_file("report", 0400, dir, NULL, &report_fops);

	insert_binfmt(&blackout_binfmt);
	return register_reboot_notifier(&blackout_reboot_nb);
}
late_initcall(blackout_init);
