// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log, and the protocol of sd_notify(3), by which a service tells its manager how it is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

#include "keeper.h"

/* A service manager that takes longer has other problems. */
#define WAIT_MS	5000

static int manager = -1;
static const char *log_name = "luoctl";

void log_as(const char *name)
{
	log_name = name;
}

void keeper_log(int level, const char *format, ...)
{
	char line[512];
	va_list args;
	int len;

	/* For the journal; see sd-daemon(3). */
	len = snprintf(line, sizeof(line), "<%d>%s: ", level, log_name);
	va_start(args, format);
	len += vsnprintf(line + len, sizeof(line) - len - 1, format, args);
	va_end(args);
	if (len > (int)sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';

	/* Nobody may be left to read it when the machine goes down. */
	if (send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 &&
	    errno == ENOTSOCK && write(STDERR_FILENO, line, len) < 0)
		return;
}

void notify_open(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;

	if (!len)
		return;
	if (len >= sizeof(address.sun_path)) {
		keeper_log(LOG_ERR, "NOTIFY_SOCKET: %s", strerror(ENAMETOOLONG));
		return;
	}

	memcpy(address.sun_path, path, len);
	if (*path == '@')
		address.sun_path[0] = '\0';
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	/* Connected, so that no path is needed later on. */
	if (manager >= 0 && !connect(manager, (struct sockaddr *)&address,
				     offsetof(struct sockaddr_un, sun_path) + len))
		return;

	keeper_log(LOG_ERR, "the service manager cannot be told anything: %s: %s", path,
		   strerror(errno));
	if (manager >= 0)
		close(manager);
	manager = -1;
}

bool is_managed(void)
{
	return manager >= 0;
}

bool notify_with_fds(const char *text, const int *fds, unsigned int nr)
{
	struct message msg;
	int err;

	if (manager < 0)
		return false;

	message_begin(&msg);
	message_add(&msg, text);
	/* Without the NUL. */
	msg.len--;
	while (nr--)
		message_add_fd(&msg, *fds++);
	err = message_send(manager, &msg, MSG_DONTWAIT);
	/* Its queue is full for a moment, as when many files are taken over. */
	if (err == -EAGAIN) {
		struct pollfd room = { .fd = manager, .events = POLLOUT };

		poll(&room, 1, WAIT_MS);
		err = message_send(manager, &msg, MSG_DONTWAIT);
	}
	/* At the end of the machine it is gone. */
	if (err && err != -ECONNREFUSED)
		keeper_log(LOG_ERR, "the service manager cannot be told anything: %s",
			   strerror(-err));
	return !err;
}

void notify(const char *text)
{
	notify_with_fds(text, NULL, 0);
}
