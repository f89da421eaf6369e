// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files that the service manager keeps for the keeper, so that it loses none if it dies: the
 * file descriptor store of sd_notify(3).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
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
void store_barrier(void)
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
		store_barrier();
}

void unstore_fds(const char *name)
{
	char text[128];

	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
	notify_with_fds(text, NULL, 0);
}

void stored_add(struct stored *stored, int fd)
{
	struct stat st;

	if (fd < 0 || stored->nr == MAX_FDS || fstat(fd, &st))
		return;

	stored->files[stored->nr].dev = st.st_dev;
	stored->files[stored->nr].ino = st.st_ino;
	stored->nr++;
}

/* Count an open file if it is one of them. Others are not looked at: that may take long. */
static void count_open(struct stored *stored, int dir, const char *fd)
{
	static const char memfd[] = "/memfd:";
	char target[sizeof(memfd)];
	struct stat st;
	unsigned int i;

	if (readlinkat(dir, fd, target, sizeof(target)) != sizeof(target) ||
	    memcmp(target, memfd, strlen(memfd)) || fstatat(dir, fd, &st, 0))
		return;

	for (i = 0; i < stored->nr; i++) {
		if (stored->files[i].dev == st.st_dev && stored->files[i].ino == st.st_ino)
			stored->files[i].nr++;
	}
}

/* The service manager is the parent. Returns false if it cannot be seen. */
static bool count_all(struct stored *stored)
{
	const struct dirent *entry;
	char path[32];
	unsigned int i;
	DIR *dir;

	for (i = 0; i < stored->nr; i++)
		stored->files[i].nr = 0;
	snprintf(path, sizeof(path), "/proc/%d/fd", getppid());
	dir = is_managed() ? opendir(path) : NULL;
	if (!dir)
		return false;

	while ((entry = readdir(dir)))
		count_open(stored, dirfd(dir), entry->d_name);
	closedir(dir);
	return true;
}

void stored_begin(struct stored *stored)
{
	unsigned int i;

	if (!count_all(stored))
		stored->nr = 0;
	for (i = 0; i < stored->nr; i++)
		stored->files[i].nr_before = stored->files[i].nr;
}

bool stored_left(struct stored *stored)
{
	unsigned int i;

	if (!stored->nr || !count_all(stored))
		return false;

	for (i = 0; i < stored->nr; i++) {
		if (stored->files[i].nr && stored->files[i].nr == stored->files[i].nr_before)
			return true;
	}

	return false;
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
