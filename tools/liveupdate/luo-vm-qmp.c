// SPDX-License-Identifier: GPL-2.0-only
/*
 * As much of QMP, the protocol of QEMU's monitor, as luo-vm needs: commands with replies
 * that are looked for by their number, and of which single strings are read.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "keeper.h"
#include "luo-vm.h"

/* With emulation and a busy host QEMU takes its time. Tests have less. */
#ifndef REPLY_MS
#define REPLY_MS	120000
#endif
/* For all of the state, without memory. */
#ifndef MIGRATE_MS
#define MIGRATE_MS	300000
#endif
#define MIGRATE_POLL_US	20000

/* Receive more. Returns 0 or -errno; -EPIPE at the end. */
static int receive(struct qmp *qmp, int ms)
{
	struct pollfd ready = { .fd = qmp->sock, .events = POLLIN };
	char *grown;
	ssize_t got;
	int ret;

	do {
		ret = poll(&ready, 1, ms);
	} while (ret < 0 && errno == EINTR);
	if (!ret)
		return -ETIMEDOUT;

	grown = realloc(qmp->buffer, qmp->len + 4097);
	if (!grown)
		return -ENOMEM;
	qmp->buffer = grown;
	got = recv(qmp->sock, grown + qmp->len, 4096, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (got <= 0)
		return -EPIPE;

	qmp->len += got;
	grown[qmp->len] = '\0';
	return 0;
}

/* Take the first line from what was received, or return NULL. */
static char *take_line(struct qmp *qmp)
{
	char *end = qmp->len ? memchr(qmp->buffer, '\n', qmp->len) : NULL;
	char *line;

	if (!end)
		return NULL;

	line = strndup(qmp->buffer, end - qmp->buffer);
	qmp->len -= end + 1 - qmp->buffer;
	memmove(qmp->buffer, end + 1, qmp->len + 1);
	return line;
}

/* Read lines until there is one with @text in it, which becomes the reply. */
static int wait_for_line(struct qmp *qmp, const char *text)
{
	long long until = now_ms() + REPLY_MS, left;
	char *line;
	int err;

	while (1) {
		while ((line = take_line(qmp))) {
			if (strstr(line, text)) {
				free(qmp->reply);
				qmp->reply = line;
				return 0;
			}
			/* An event. */
			free(line);
		}
		left = until - now_ms();
		err = receive(qmp, left > 0 ? left : 0);
		if (err)
			return err;
	}
}

int qmp_begin(struct qmp *qmp, int sock)
{
	int err;

	memset(qmp, 0, sizeof(*qmp));
	qmp->sock = sock;
	err = wait_for_line(qmp, "\"QMP\"");
	return err ? err : qmp_command(qmp, "\"qmp_capabilities\"");
}

int qmp_command(struct qmp *qmp, const char *command)
{
	char id[48], *line;
	int len, err;

	snprintf(id, sizeof(id), "\"id\": \"luo-%u\"", ++qmp->nr_commands);
	len = asprintf(&line, "{\"execute\": %s, %s}\n", command, id);
	if (len < 0)
		return -ENOMEM;

	err = send(qmp->sock, line, len, MSG_NOSIGNAL) == len ? 0 : -EPIPE;
	free(line);
	if (!err)
		err = wait_for_line(qmp, id);
	if (!err && strstr(qmp->reply, "\"error\": {"))
		err = -EPROTO;

	return err;
}

int qmp_drain(struct qmp *qmp)
{
	int err = receive(qmp, 0);
	char *line;

	while ((line = take_line(qmp)))
		free(line);

	return err == -ETIMEDOUT ? 0 : err;
}

bool qmp_string(const struct qmp *qmp, const char *key, char *value, size_t size)
{
	char text[64];
	const char *at;
	size_t len;

	snprintf(text, sizeof(text), "\"%s\": \"", key);
	at = qmp->reply ? strstr(qmp->reply, text) : NULL;
	if (!at)
		return false;

	at += strlen(text);
	len = strcspn(at, "\"");
	if (len >= size)
		len = size - 1;
	memcpy(value, at, len);
	value[len] = '\0';
	return true;
}

/*
 * Wait until a migration has ended, and return how, or NULL and the error. Unless it @has_begun
 * for sure, "" if there is none.
 */
static const char *wait_for_end(struct qmp *qmp, bool has_begun, int *err)
{
	static const char *const ends[] = { "completed", "failed", "cancelled" };
	long long until = now_ms() + MIGRATE_MS;
	char status[32];
	unsigned int i;

	while (1) {
		*err = qmp_command(qmp, "\"query-migrate\"");
		if (*err)
			return NULL;
		if (!qmp_string(qmp, "status", status, sizeof(status))) {
			if (!has_begun)
				return "";
			*status = '\0';
		}
		for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
			if (!strcmp(status, ends[i]))
				return ends[i];
		}
		if (now_ms() > until) {
			*err = -ETIMEDOUT;
			return NULL;
		}
		usleep(MIGRATE_POLL_US);
	}
}

int qmp_wait_migrated(struct qmp *qmp)
{
	const char *end;
	int err;

	end = wait_for_end(qmp, true, &err);
	if (!end)
		return err;
	return strcmp(end, "completed") ? -EPROTO : 0;
}

void qmp_cancel_migration(struct qmp *qmp)
{
	int err;

	if (!qmp_command(qmp, "\"migrate_cancel\""))
		wait_for_end(qmp, false, &err);
}
