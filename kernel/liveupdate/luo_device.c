// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/liveupdate: where sessions come from. One process has it at a time, and that
 * needs CAP_SYS_ADMIN, whatever the mode of the node is.
 */

#include <linux/atomic.h>
#include <linux/capability.h>
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "luo_internal.h"
#include "luo_ioctl.h"

static atomic_t in_use = ATOMIC_INIT(0);

static int luo_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;

	return atomic_cmpxchg(&in_use, 0, 1) ? -EBUSY : 0;
}

static int luo_release(struct inode *inode, struct file *file)
{
	atomic_set(&in_use, 0);
	return 0;
}

static struct file *create_session(struct file *file, union luo_ioctl_arg *arg)
{
	return luo_session_create(arg->create.name);
}

static struct file *retrieve_session(struct file *file,
				     union luo_ioctl_arg *arg)
{
	return luo_session_retrieve(arg->retrieve.name);
}

static const struct luo_ioctl device_ioctls[] = {
	{
		.cmd = LIVEUPDATE_IOCTL_CREATE_SESSION,
		.size = sizeof(struct liveupdate_ioctl_create_session),
		.min_size = offsetofend(struct liveupdate_ioctl_create_session, name),
		.open = create_session,
	}, {
		.cmd = LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
		.size = sizeof(struct liveupdate_ioctl_retrieve_session),
		.min_size = offsetofend(struct liveupdate_ioctl_retrieve_session, name),
		.open = retrieve_session,
	},
};

static long luo_device_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	return luo_do_ioctl(file, cmd, arg, device_ioctls,
			    ARRAY_SIZE(device_ioctls));
}

static const struct file_operations luo_fops = {
	.owner = THIS_MODULE,
	.open = luo_open,
	.release = luo_release,
	.unlocked_ioctl = luo_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice luo_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "liveupdate",
	.fops = &luo_fops,
	.mode = 0600,
};

/**
 * luo_device_init - make /dev/liveupdate
 *
 * Return: 0 or -errno.
 */
int __init luo_device_init(void)
{
	return misc_register(&luo_misc);
}
