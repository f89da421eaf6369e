/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Live update: file descriptors that survive a kexec.
 *
 * A program opens /dev/liveupdate, creates sessions there, and puts file
 * descriptors into them, each under a token. After the kexec a program
 * retrieves the sessions by their names, and the files by their tokens.
 */
#ifndef _UAPI_LINUX_LIVEUPDATE_H
#define _UAPI_LINUX_LIVEUPDATE_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * DOC: ioctls
 *
 * Each ioctl has a pointer to a struct for its argument. Its first member,
 * size, is set by the caller to the size of the struct that it knows. The
 * kernel takes larger ones, of newer programs, up to a page, as long as what it
 * does not know is zero. A member that is set to a file descriptor may be set to
 * something else when the ioctl fails.
 *
 * For all of them:
 *
 * - EFAULT: the argument cannot be read or written
 * - EINVAL: size is too small, or a reserved member is not 0
 * - E2BIG: size is larger than what the kernel knows, and the rest is not zero;
 *   or size is larger than a page, zero or not
 * - ENOTTY: there is no such ioctl for this file
 */
#define LIVEUPDATE_IOCTL_TYPE	0xBA

/* Length of the name of a session, with the NUL that ends it. */
#define LIVEUPDATE_SESSION_NAME_LENGTH	64

/**
 * struct liveupdate_ioctl_create_session - LIVEUPDATE_IOCTL_CREATE_SESSION
 * @size: sizeof(struct liveupdate_ioctl_create_session)
 * @fd: set to a file descriptor of the session
 * @name: name of the session, with a NUL at its end
 *
 * On /dev/liveupdate: create a session that hands files to the next kernel. It
 * lives until its last file descriptor is closed. If that is before the reboot
 * then its files are not preserved any more.
 *
 * Errors: EINVAL when the name is empty or does not end; EEXIST when there is
 * such a session, that is not one which the previous kernel handed over; EBUSY
 * when a reboot has begun; EMFILE, ENFILE, ENOMEM. While a reboot has begun and may still
 * fail it waits.
 */
struct liveupdate_ioctl_create_session {
	__u32		size;
	__s32		fd;
	__u8		name[LIVEUPDATE_SESSION_NAME_LENGTH];
};

#define LIVEUPDATE_IOCTL_CREATE_SESSION	_IO(LIVEUPDATE_IOCTL_TYPE, 0x00)

/**
 * struct liveupdate_ioctl_retrieve_session - LIVEUPDATE_IOCTL_RETRIEVE_SESSION
 * @size: sizeof(struct liveupdate_ioctl_retrieve_session)
 * @fd: set to a file descriptor of the session
 * @name: name of the session, with a NUL at its end
 *
 * On /dev/liveupdate: get a session that the previous kernel handed over.
 *
 * When its last file descriptor is closed, and it is not finished, it is
 * finished if all of its files have been retrieved. Otherwise nothing is lost:
 * it can be retrieved again.
 *
 * Errors: EINVAL when the name is empty or does not end, or somebody has the
 * session; ENOENT when there is no such session, or it is finished; EBADMSG when
 * what was handed over for it is damaged; EMFILE, ENFILE, ENOMEM. After the last
 * three nothing is lost: the call can be repeated.
 */
struct liveupdate_ioctl_retrieve_session {
	__u32		size;
	__s32		fd;
	__u8		name[LIVEUPDATE_SESSION_NAME_LENGTH];
};

#define LIVEUPDATE_IOCTL_RETRIEVE_SESSION	_IO(LIVEUPDATE_IOCTL_TYPE, 0x01)

/**
 * struct liveupdate_session_preserve_fd - LIVEUPDATE_SESSION_PRESERVE_FD
 * @size: sizeof(struct liveupdate_session_preserve_fd)
 * @fd: the file descriptor
 * @token: what to retrieve the file by
 *
 * On a session that was created: hand a file to the next kernel. The file
 * descriptor may be closed then; the session keeps the file.
 *
 * Errors: EBADF when there is no such file descriptor, or it was opened with
 * O_PATH; ENOENT when files of this kind cannot be preserved; EEXIST when the
 * session has a file with this token; EBUSY when the file is in a session
 * already, or a reboot has begun; EINVAL on a session that was retrieved; ENOSPC
 * when all sessions together have as many files as the sysctl
 * kernel.liveupdate_max_files allows; ENOMEM, and what the kernel code says that
 * preserves this kind of files: for a memfd, EACCES when the next kernel would give more
 * access than the descriptor has, and EPERM when it has F_SEAL_FUTURE_WRITE and is
 * mapped writable. Other errors mean that the file cannot be preserved, either. It
 * waits while a reboot has begun and may still fail.
 */
struct liveupdate_session_preserve_fd {
	__u32		size;
	__s32		fd;
	__aligned_u64	token;
};

#define LIVEUPDATE_SESSION_PRESERVE_FD	_IO(LIVEUPDATE_IOCTL_TYPE, 0x40)

/**
 * struct liveupdate_session_retrieve_fd - LIVEUPDATE_SESSION_RETRIEVE_FD
 * @size: sizeof(struct liveupdate_session_retrieve_fd)
 * @fd: set to a file descriptor of the file
 * @token: the token that it was preserved with
 *
 * On a session that was retrieved: get a file. Files can be retrieved in any
 * order, and by several threads at once. To retrieve one again, before the
 * session is finished, gives another descriptor of the same open file.
 *
 * Errors: ENOENT when there is no file with this token; EOPNOTSUPP when nothing
 * in this kernel knows files of this kind, though a module may, once loaded, or
 * when this file needs what the kernel has not, as huge pages; EINVAL on a
 * session that was created, or is finished; EMFILE, ENFILE, ENOMEM, and whatever
 * the handler of this kind of files says.
 *
 * EBADMSG is final: what was handed over for the file is damaged. Whether another
 * error of a handler is final depends on the handler. A memfd can be retrieved again
 * after any other error. A handler that is called only once repeats its error. An
 * error that comes before the handler is called, such as EMFILE, is never final.
 */
struct liveupdate_session_retrieve_fd {
	__u32		size;
	__s32		fd;
	__aligned_u64	token;
};

#define LIVEUPDATE_SESSION_RETRIEVE_FD	_IO(LIVEUPDATE_IOCTL_TYPE, 0x41)

/**
 * struct liveupdate_session_finish - LIVEUPDATE_SESSION_FINISH
 * @size: sizeof(struct liveupdate_session_finish)
 * @reserved: 0
 *
 * On a session that was retrieved: files that nobody has retrieved are given
 * up, and their memory is freed. The others belong to who has retrieved them.
 *
 * Errors: EINVAL on a session that was created, or is finished; EBUSY when some
 * file is not ready for this, and then nothing has changed.
 */
struct liveupdate_session_finish {
	__u32		size;
	__u32		reserved;
};

#define LIVEUPDATE_SESSION_FINISH	_IO(LIVEUPDATE_IOCTL_TYPE, 0x42)

/**
 * struct liveupdate_session_get_name - LIVEUPDATE_SESSION_GET_NAME
 * @size: sizeof(struct liveupdate_session_get_name)
 * @reserved: 0
 * @name: set to the name of the session, with a NUL at its end
 *
 * On any session. In /proc/PID/fd long names are cut off.
 */
struct liveupdate_session_get_name {
	__u32		size;
	__u32		reserved;
	__u8		name[LIVEUPDATE_SESSION_NAME_LENGTH];
};

#define LIVEUPDATE_SESSION_GET_NAME	_IO(LIVEUPDATE_IOCTL_TYPE, 0x43)

#endif /* _UAPI_LINUX_LIVEUPDATE_H */
