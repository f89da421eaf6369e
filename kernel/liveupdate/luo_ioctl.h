/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls of /dev/liveupdate and of sessions: what is the same for all.
 */
#ifndef _LUO_IOCTL_H
#define _LUO_IOCTL_H

#include <linux/stddef.h>
#include <linux/types.h>
#include <uapi/linux/liveupdate.h>

struct file;

/**
 * union luo_ioctl_arg - the argument of any ioctl
 * @head: what those begin with that return a file descriptor
 * @create: of LIVEUPDATE_IOCTL_CREATE_SESSION
 * @retrieve: of LIVEUPDATE_IOCTL_RETRIEVE_SESSION
 * @preserve_fd: of LIVEUPDATE_SESSION_PRESERVE_FD
 * @retrieve_fd: of LIVEUPDATE_SESSION_RETRIEVE_FD
 * @finish: of LIVEUPDATE_SESSION_FINISH
 * @get_name: of LIVEUPDATE_SESSION_GET_NAME
 */
union luo_ioctl_arg {
	struct {
		__u32 size;
		__s32 fd;
	} head;
	struct liveupdate_ioctl_create_session create;
	struct liveupdate_ioctl_retrieve_session retrieve;
	struct liveupdate_session_preserve_fd preserve_fd;
	struct liveupdate_session_retrieve_fd retrieve_fd;
	struct liveupdate_session_finish finish;
	struct liveupdate_session_get_name get_name;
};

/**
 * struct luo_ioctl - one ioctl
 * @cmd: its number
 * @size: size of the argument that this kernel knows
 * @min_size: up to the end of the last member that must be there
 * @run: does it; NULL for one that returns a file descriptor
 * @open: does it, and returns the file for a new descriptor, or an ERR_PTR()
 * @writes: @run returns something in the argument, and changes nothing else
 *
 * Of @run and @open there is one.
 */
struct luo_ioctl {
	unsigned int cmd;
	unsigned int size;
	unsigned int min_size;
	int (*run)(struct file *file, union luo_ioctl_arg *arg);
	struct file *(*open)(struct file *file, union luo_ioctl_arg *arg);
	bool writes;
};

long luo_do_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		  const struct luo_ioctl *ioctls, unsigned int nr_ioctls);

#endif /* _LUO_IOCTL_H */
