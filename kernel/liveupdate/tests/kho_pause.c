// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pause right before a kexec, for a host that changes the handover in the memory of
 * this virtual machine: devices are shut down, the other CPUs stopped, and this
 * kernel does not look at what it hands over any more.
 *
 *	/sys/kernel/debug/kho_pause	write what is to be done then; or "now", and what is
 *					to be done at once, while everything runs
 *
 * In the pause the console says, with addresses in hexadecimal,
 *
 *	khotest: host GO FDT SCRATCH LIST WHAT
 *
 * FDT is the physical address of the root FDT and SCRATCH the one that the
 * array of scratch areas will have. LIST is the head of the list of pages that
 * are to be moved to where the image wants them. When the host has done WHAT, it makes
 * the byte at GO other than 0, and the kexec, or the writer, goes on.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/kmsg_dump.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "../../kexec_internal.h"

#define PAUSE_MAX_MS	60000

static DEFINE_MUTEX(lock);
static char *what;
static u8 *go;

static void pause(char *todo)
{
	unsigned int ms;

	WRITE_ONCE(*go, 0);
	pr_info("khotest: host %#llx %#llx %#llx %#lx %s\n",
		(u64)virt_to_phys(go), (u64)kexec_image->kho.fdt_phys,
		(u64)kexec_image->kho.scratch_phys, kexec_image->head, strim(todo));

	for (ms = 0; !READ_ONCE(*go); ms++) {
		if (ms == PAUSE_MAX_MS) {
			pr_err("khotest: not ok the host does not answer\n");
			return;
		}
		mdelay(1);
	}
}

static void pause_before_kexec(struct kmsg_dumper *dumper, struct kmsg_dump_detail *detail)
{
	if (detail->reason == KMSG_DUMP_SHUTDOWN && kexec_in_progress && what && kexec_image)
		pause(what);
}

static int pause_now(char *todo)
{
	if (!kexec_trylock())
		return -EBUSY;

	if (kexec_image)
		pause(todo);
	kexec_unlock();
	return kexec_image ? 0 : -ENOENT;
}

static struct kmsg_dumper dumper = {
	.dump = pause_before_kexec,
	.max_reason = KMSG_DUMP_SHUTDOWN,
};

static ssize_t pause_write(struct file *file, const char __user *buf,
			   size_t count, loff_t *ppos)
{
	char *words;
	int err;

	if (!count || count > 128)
		return -EINVAL;

	words = memdup_user_nul(buf, count);
	if (IS_ERR(words))
		return PTR_ERR(words);

	guard(mutex)(&lock);

	if (!strncmp(words, "now ", 4)) {
		err = pause_now(words + 4);
		kfree(words);
		return err ?: count;
	}

	kfree(what);
	what = words;
	return count;
}

static const struct file_operations pause_fops = {
	.open = simple_open,
	.write = pause_write,
};

static int __init pause_init(void)
{
	int err;

	go = kzalloc(sizeof(*go), GFP_KERNEL);
	if (!go)
		return -ENOMEM;

	err = kmsg_dump_register(&dumper);
	if (err) {
		kfree(go);
		return err;
	}

	debugfs_create_file("kho_pause", 0200, NULL, NULL, &pause_fops);
	return 0;
}
device_initcall(pause_init);
