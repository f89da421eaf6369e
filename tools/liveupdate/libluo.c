// SPDX-License-Identifier: GPL-2.0-only OR MIT
/*
 * libkholuo: functions for sessions of live update. See libluo.h.
 */

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../../include/uapi/linux/liveupdate.h"

#include "libluo.h"

#if LUO_NAME_SIZE != LIVEUPDATE_SESSION_NAME_LENGTH
#error "The kernel has other names"
#endif

static int do_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static int set_name(uint8_t *to, const char *name)
{
	size_t len = strlen(name);

	if (len >= LUO_NAME_SIZE)
		return -ENAMETOOLONG;

	memcpy(to, name, len);
	return 0;
}

int luo_open(void)
{
	int fd = open(LUO_DEVICE, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int luo_session_create(int device, const char *name)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg) };
	int err;

	err = set_name(arg.name, name);
	if (!err)
		err = do_ioctl(device, LIVEUPDATE_IOCTL_CREATE_SESSION, &arg);

	return err ? err : arg.fd;
}

int luo_session_retrieve(int device, const char *name)
{
	struct liveupdate_ioctl_retrieve_session arg = { .size = sizeof(arg) };
	int err;

	err = set_name(arg.name, name);
	if (!err)
		err = do_ioctl(device, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &arg);

	return err ? err : arg.fd;
}

int luo_session_preserve_fd(int session, int fd, uint64_t token)
{
	struct liveupdate_session_preserve_fd arg = {
		.size = sizeof(arg),
		.fd = fd,
		.token = token,
	};

	return do_ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg);
}

int luo_session_retrieve_fd(int session, uint64_t token)
{
	struct liveupdate_session_retrieve_fd arg = {
		.size = sizeof(arg),
		.token = token,
	};
	int err = do_ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg);

	return err ? err : arg.fd;
}

int luo_session_finish(int session)
{
	struct liveupdate_session_finish arg = { .size = sizeof(arg) };

	return do_ioctl(session, LIVEUPDATE_SESSION_FINISH, &arg);
}

int luo_session_name(int session, char name[LUO_NAME_SIZE])
{
	struct liveupdate_session_get_name arg = { .size = sizeof(arg) };
	int err = do_ioctl(session, LIVEUPDATE_SESSION_GET_NAME, &arg);

	if (!err)
		memcpy(name, arg.name, LUO_NAME_SIZE);

	return err;
}
