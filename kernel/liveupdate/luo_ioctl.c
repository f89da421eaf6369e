// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all ioctls of live update have in common: arguments that can grow, and
 * descriptors that user space gets only with all that belongs to them.
 */

#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "luo_ioctl.h"

static int read_arg(const struct luo_ioctl *ioctl, void __user *user,
		    union luo_ioctl_arg *arg, u32 *size)
{
	if (get_user(*size, (u32 __user *)user))
		return -EFAULT;

	if (*size < ioctl->min_size)
		return -EINVAL;

	/* All that this kernel does not know is read, to see that it is zero. */
	if (*size > PAGE_SIZE)
		return -E2BIG;

	return copy_struct_from_user(arg, ioctl->size, user, *size);
}

static int write_arg(const struct luo_ioctl *ioctl, void __user *user,
		     const union luo_ioctl_arg *arg, u32 size)
{
	return copy_to_user(user, arg, min(size, ioctl->size)) ? -EFAULT : 0;
}

/*
 * User space learns the descriptor before there is anything behind it: when that
 * fails nothing has been opened, and once something is open nothing can fail.
 */
static int run_open(struct file *file, const struct luo_ioctl *ioctl,
		    void __user *user, union luo_ioctl_arg *arg, u32 size)
{
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *opened;
	int err;

	if (fd < 0)
		return fd;

	arg->head.fd = fd;
	err = write_arg(ioctl, user, arg, size);
	if (err)
		goto err_fd;

	opened = ioctl->open(file, arg);
	if (IS_ERR(opened)) {
		err = PTR_ERR(opened);
		goto err_fd;
	}

	fd_install(fd, opened);
	return 0;

err_fd:
	put_unused_fd(fd);
	return err;
}

/**
 * luo_do_ioctl - do one of several ioctls
 * @file: on which
 * @cmd: which
 * @user: the argument
 * @ioctls: those that there are
 * @nr_ioctls: how many they are
 *
 * Context: Process context; may sleep.
 * Return: 0; -ENOTTY, -EFAULT, -EINVAL, -E2BIG as of all ioctls; -EMFILE; or
 * what the ioctl says.
 */
long luo_do_ioctl(struct file *file, unsigned int cmd, unsigned long user,
		  const struct luo_ioctl *ioctls, unsigned int nr_ioctls)
{
	const struct luo_ioctl *ioctl;
	union luo_ioctl_arg arg = {};
	u32 size;
	int err;

	for (ioctl = ioctls; ioctl < ioctls + nr_ioctls; ioctl++) {
		if (ioctl->cmd == cmd)
			break;
	}
	if (ioctl == ioctls + nr_ioctls)
		return -ENOTTY;

	err = read_arg(ioctl, (void __user *)user, &arg, &size);
	if (err)
		return err;

	if (ioctl->open)
		return run_open(file, ioctl, (void __user *)user, &arg, size);

	err = ioctl->run(file, &arg);
	if (err || !ioctl->writes)
		return err;

	return write_arg(ioctl, (void __user *)user, &arg, size);
}
