/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What programs share that make sessions before a kexec, keep them in the background,
 * and look at them afterwards. They print "ok WHAT" and "not ok WHAT".
 */
#ifndef _SELFTESTS_LIVEUPDATE_LUO_KEEP_H
#define _SELFTESTS_LIVEUPDATE_LUO_KEEP_H

#include <sys/resource.h>

#include "luo.h"

static int device;
static int failed;

static inline void die(const char *what)
{
	printf("not ok %s: %m\n", what);
	exit(1);
}

/* With so many descriptors for sessions and files. */
static inline void open_device(rlim_t nr)
{
	struct rlimit limit = { nr, nr };

	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("setrlimit");
	device = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		die(DEVICE);
}

static inline int open_session(int session, const char *name)
{
	if (session < 0) {
		errno = -session;
		die(name);
	}
	return session;
}

static inline void preserve(int session, int fd, __u64 token)
{
	int err = luo_preserve_fd(session, fd, token);

	if (err) {
		errno = -err;
		die("preserve");
	}
}

/* The sessions live on in a process of their own. */
static inline void keep_running(void)
{
	fflush(stdout);
	/* The next program opens it as soon as this one has exited. */
	close(device);
	if (fork())
		_exit(failed);

	setsid();
	close(0);
	close(1);
	close(2);
	while (1)
		pause();
}

#endif /* _SELFTESTS_LIVEUPDATE_LUO_KEEP_H */
