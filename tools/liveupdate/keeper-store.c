// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that the service manager keeps for the keeper, so that it loses none if it dies: the
 * file descriptor store of sd_notify(3).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "keeper.h"

/* sd_listen_fds(3): the first file that is passed on. */
#define FIRST_FD	3

/* A service manager that takes longer has other problems. */
#define BARRIER_MS	5000

/*
 * Wait until the service manager has read everything: it does not accept files of a
 * process that has died meanwhile.
 */
static void barrier(void)
{
	struct pollfd end = {};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		return;

	if (notify_with_fds("BARRIER=1", &ends[1], 1)) {
		close(ends[1]);
		end.fd = ends[0];
		if (!poll(&end, 1, BARRIER_MS))
			keeper_log(LOG_WARNING, "the service manager does not answer");
	} else {
		close(ends[1]);
	}
	close(ends[0]);
}

void store_fds(const char *name, const int *fds, unsigned int nr)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
	if (notify_with_fds(text, fds, nr))
		barrier();
}

void unstore_fds(const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	if (notify_with_fds(text, NULL, 0))
		barrier();
}

void add_stored(void)
{
	const char *pid = getenv("LISTEN_PID"), *number = getenv("LISTEN_FDS");
	const char *name = getenv("LISTEN_FDNAMES");
	char session[LUO_NAME_SIZE], key[KEY_SIZE];
	int fd, end;

	if (!pid || !number || strtol(pid, NULL, 10) != getpid())
		return;

	end = FIRST_FD + atoi(number);
	for (fd = FIRST_FD; fd < end; fd++) {
		size_t len = name ? strcspn(name, ":") : 0;

		snprintf(key, sizeof(key), "%.*s", (int)len, name ? name : "");
		fcntl(fd, F_SETFD, FD_CLOEXEC);
		if (!luo_session_name(fd, session))
			add_kept_session(fd);
		else
			add_kept_fd(fd, key);
		name = name && name[len] ? name + len + 1 : NULL;
	}

	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
}
