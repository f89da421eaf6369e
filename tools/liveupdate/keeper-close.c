// SPDX-License-Identifier: GPL-2.0-only
/*
 * Close files of clients: there are kinds that make close() wait for as long as a client likes,
 * such as those of FUSE, or a TCP socket with SO_LINGER. Each is closed by a thread of its own.
 * There are only so many, which are counted, so that a user who has too many is not served.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <syslog.h>
#include <unistd.h>

#include "keeper.h"

/* Threads: of each user but root, of all of them, and in all. */
#define MAX_OF_USER	MAX_PACKET_FDS
#define MAX_OF_USERS	1024
#define MAX_CLOSING	1536

/* Protects what follows, which threads change when they end. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct closing {
	bool used;
	uid_t uid;
	int fd;
} closing[MAX_CLOSING];

static void *close_thread(void *data)
{
	struct closing *one = data;

	close(one->fd);
	pthread_mutex_lock(&lock);
	one->used = false;
	pthread_mutex_unlock(&lock);
	return NULL;
}

static struct closing *find_unused(void)
{
	unsigned int i;

	for (i = 0; i < MAX_CLOSING; i++) {
		if (!closing[i].used)
			return &closing[i];
	}

	return NULL;
}

static void close_by_thread(int fd, uid_t uid)
{
	struct closing *one;
	pthread_attr_t attr;
	pthread_t thread;
	int err = EAGAIN;

	pthread_mutex_lock(&lock);
	one = find_unused();
	if (one)
		*one = (struct closing){ .used = true, .uid = uid, .fd = fd };
	pthread_mutex_unlock(&lock);

	if (one) {
		pthread_attr_init(&attr);
		pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
		pthread_attr_setstacksize(&attr, 1 << 16);
		err = pthread_create(&thread, &attr, close_thread, one);
		pthread_attr_destroy(&attr);
	}
	/* Rather one that stays open, and is counted for ever. */
	if (err)
		keeper_log(LOG_WARNING, "a file of user %u stays open: %s", uid, strerror(err));
}

void close_foreign(int fd, uid_t uid)
{
	/* Nothing can make this wait. */
	if (fcntl(fd, F_GET_SEALS) >= 0)
		close(fd);
	else
		close_by_thread(fd, uid);
}

void close_connection(int sock, uid_t uid)
{
	/*
	 * What was sent and not read may have files with it. No more comes from here on. Whether
	 * there is something cannot be seen: packets may be empty, but for the files.
	 */
	shutdown(sock, SHUT_RDWR);
	close_by_thread(sock, uid);
}

bool has_too_many_closing(uid_t uid)
{
	unsigned int i, nr_of_user = 0, nr_of_users = 0;

	if (!uid)
		return false;

	pthread_mutex_lock(&lock);
	for (i = 0; i < MAX_CLOSING; i++) {
		nr_of_users += closing[i].used && closing[i].uid;
		nr_of_user += closing[i].used && closing[i].uid == uid;
	}
	pthread_mutex_unlock(&lock);

	return nr_of_user >= MAX_OF_USER || nr_of_users >= MAX_OF_USERS;
}
