/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libkholuo: functions for sessions of live update. See libkholuo(3kho).
 *
 * Every function returns 0 or a file descriptor, or a negative error number. Descriptors
 * are close-on-exec. Documentation/userspace-api/liveupdate.rst has the concepts.
 */
#ifndef LIBLUO_H
#define LIBLUO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LUO_DEVICE		"/dev/liveupdate"

/* Size of the longest name of a session, with its NUL. */
#define LUO_NAME_SIZE		64

/**
 * luo_open - open /dev/liveupdate
 *
 * Only one process at a time can have it open.
 *
 * Return:
 * * a descriptor of the device
 * * -ENOENT - the kernel has no live update, or it is off
 * * -EBUSY - another process has it open
 * * -EPERM - the caller has no CAP_SYS_ADMIN
 * * -EACCES - the mode of the device forbids it
 */
int luo_open(void);

/**
 * luo_session_create - begin a session for the next kernel
 * @device: from luo_open(); can be closed then
 * @name: name of the session
 *
 * Return:
 * * a descriptor of the session, which lives until all of its descriptors are closed
 * * -EINVAL - @name is empty
 * * -ENAMETOOLONG - @name does not fit into LUO_NAME_SIZE bytes
 * * -EEXIST - there is such a session
 * * -EBUSY - the kernel is about to kexec
 */
int luo_session_create(int device, const char *name);

/**
 * luo_session_retrieve - get a session of the previous kernel
 * @device: from luo_open(); can be closed then
 * @name: name of the session
 *
 * Return:
 * * a descriptor of the session
 * * -ENOENT - the previous kernel has left no such session
 * * -EINVAL - @name is empty, or a process has the session
 * * -ENAMETOOLONG - @name does not fit into LUO_NAME_SIZE bytes
 * * -EBADMSG - the session is damaged
 */
int luo_session_retrieve(int device, const char *name);

/**
 * luo_session_preserve_fd - put a file into a session
 * @session: from luo_session_create()
 * @fd: the file; can be closed then
 * @token: the number by which to retrieve it
 *
 * Return:
 * * 0
 * * -EBADF - @fd is no open file
 * * -EEXIST - the session has a file with this token
 * * -EBUSY - the file is in a session, or the kernel is about to kexec
 * * -ENOENT - files of this kind cannot be preserved
 * * -EINVAL - the session is one of the previous kernel
 * * others, depending on the kind of file
 */
int luo_session_preserve_fd(int session, int fd, uint64_t token);

/**
 * luo_session_retrieve_fd - get a file out of a session
 * @session: from luo_session_retrieve()
 * @token: token of the file
 *
 * Return:
 * * a descriptor of the file
 * * -ENOENT - the session has no file with this token
 * * -EINVAL - the session is for the next kernel, or is finished
 * * -EOPNOTSUPP - this kernel does not know such files
 * * others, depending on the kind of file
 */
int luo_session_retrieve_fd(int session, uint64_t token);

/**
 * luo_session_finish - end a session of the previous kernel
 * @session: from luo_session_retrieve()
 *
 * Files that were not retrieved are given up.
 *
 * Return:
 * * 0
 * * -EBUSY - a file is not ready for this
 * * -EINVAL - the session is for the next kernel, or is finished
 */
int luo_session_finish(int session);

/**
 * luo_session_name - tell the name of a session
 * @session: a session of either kind
 * @name: set to its name
 *
 * Return:
 * * 0
 * * -ENOTTY - @session is no session
 */
int luo_session_name(int session, char name[LUO_NAME_SIZE]);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_H */
