/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/*
 * libluo: sessions of live update, as functions.
 *
 * Every function returns 0 or a file descriptor, or -errno. Descriptors are
 * close-on-exec. For what the errors mean see
 * Documentation/userspace-api/liveupdate.rst.
 */
#ifndef LIBLUO_H
#define LIBLUO_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LUO_DEVICE		"/dev/liveupdate"

/* Longest name of a session, with the NUL. */
#define LUO_NAME_SIZE		64

/**
 * luo_open - open /dev/liveupdate
 *
 * Only one process at a time has it.
 *
 * Return: the descriptor; -ENOENT when the kernel has no live update, or it is off;
 * -EBUSY when somebody has it; -EPERM without CAP_SYS_ADMIN; -EACCES.
 */
int luo_open(void);

/**
 * luo_session_create - begin a session for the next kernel
 * @device: of luo_open(), which can be closed then
 * @name: its name
 *
 * Return: a descriptor of the session, which lives until all of them are closed;
 * -EINVAL when the name is empty, -ENAMETOOLONG; -EEXIST; -EBUSY when the kernel is
 * at its end.
 */
int luo_session_create(int device, const char *name);

/**
 * luo_session_retrieve - get a session of the previous kernel
 * @device: of luo_open(), which can be closed then
 * @name: its name
 *
 * Return: a descriptor of the session; -ENOENT; -EINVAL when somebody has it;
 * -EBADMSG when it is damaged.
 */
int luo_session_retrieve(int device, const char *name);

/**
 * luo_session_preserve_fd - put a file into a session
 * @session: of luo_session_create()
 * @fd: the file, which can be closed then
 * @token: what to retrieve it by
 *
 * Return: 0; -EEXIST when the token is taken; -EBUSY when the file is in a session;
 * -ENOENT when files of this kind cannot be preserved; and others.
 */
int luo_session_preserve_fd(int session, int fd, uint64_t token);

/**
 * luo_session_retrieve_fd - get a file out of a session
 * @session: of luo_session_retrieve()
 * @token: its token
 *
 * Return: a descriptor of the file; -ENOENT; and others.
 */
int luo_session_retrieve_fd(int session, uint64_t token);

/**
 * luo_session_finish - be done with a session of the previous kernel
 * @session: of luo_session_retrieve()
 *
 * Gives up the files that were not retrieved.
 *
 * Return: 0; -EBUSY; -EINVAL when it is finished.
 */
int luo_session_finish(int session);

/**
 * luo_session_name - the name of a session
 * @session: any
 * @name: set to the name
 *
 * Return: 0; -ENOTTY when that is not a session.
 */
int luo_session_name(int session, char name[LUO_NAME_SIZE]);

#ifdef __cplusplus
}
#endif

#endif /* LIBLUO_H */
