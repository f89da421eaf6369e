// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the process of the keeper lasts to the very end of the machine: it runs from memory,
 * with nothing of a file system open, and under a name that has the service manager spare it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <syslog.h>
#include <unistd.h>

#include "keeper.h"

#ifndef MFD_EXEC
#define MFD_EXEC	0x10U
#endif

/* Where the same program is without libraries, which are files of a file system. */
#ifndef STATIC_LUOCTL
#define STATIC_LUOCTL	"/usr/libexec/kho-luoctl-static"
#endif

/* Says that this is the copy in memory. */
#define COPY_ENV	"LUO_KEEPER_COPY"

/* Nothing of it is in a file system. Returns a memfd, or -1. */
static int copy_self(void)
{
	int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int to = memfd_create("luoctl", MFD_CLOEXEC | MFD_EXEC);
	char buf[1 << 16];
	ssize_t got;

	/* Kernels before 6.3. */
	if (to < 0 && errno == EINVAL)
		to = memfd_create("luoctl", MFD_CLOEXEC);
	while (from >= 0 && to >= 0 && (got = read(from, buf, sizeof(buf)))) {
		if (got < 0 || write(to, buf, got) != got) {
			close(to);
			to = -1;
		}
	}
	if (from < 0 && to >= 0) {
		close(to);
		to = -1;
	}
	if (from >= 0)
		close(from);
	return to;
}

void move_to_memory(int argc, char **argv)
{
	char *args[argc + 2];
	int copy;

	if (getenv(COPY_ENV)) {
		unsetenv(COPY_ENV);
		return;
	}

	args[0] = "@luoctl";
	memcpy(args + 1, argv, (argc + 1) * sizeof(*argv));
	/* There is an interpreter, and so there are libraries. */
	if (getauxval(AT_BASE)) {
		execv(STATIC_LUOCTL, args);
		keeper_log(LOG_WARNING, "%s: %s: this one has libraries in a file system open",
			   STATIC_LUOCTL, strerror(errno));
	}

	copy = copy_self();
	setenv(COPY_ENV, "1", 1);
	if (copy >= 0)
		fexecve(copy, args, environ);
	keeper_log(LOG_WARNING, "cannot run from memory: %s", strerror(errno));
	execv("/proc/self/exe", args);
	unsetenv(COPY_ENV);
}

void leave_file_systems(void)
{
	int null = open("/dev/null", O_RDWR);

	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		if (null > STDERR_FILENO)
			close(null);
	}
	if (chdir("/run"))
		keeper_log(LOG_WARNING, "/run: %s", strerror(errno));
}

void raise_limits(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}
