/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of live update share: the ioctls as functions that return what
 * user space would see, a descriptor or 0 or -errno, and test files.
 */
#ifndef _SELFTESTS_LIVEUPDATE_LUO_H
#define _SELFTESTS_LIVEUPDATE_LUO_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "../../../../include/uapi/linux/liveupdate.h"

#define DEVICE		"/dev/liveupdate"
#define TEST_DEVICE	"/dev/luo_test"
#define TEST_DIR	"/sys/kernel/debug/luo_test/"
#define SHARING_DEVICE	"/dev/luo_flb_test"
#define SHARING_TOO	"/dev/luo_flb_test_too"
#define PRESERVED	"/sys/kernel/debug/kho/out/preserved_pages"
#define UNCLAIMED	"/sys/kernel/debug/kho/in/unclaimed_pages"

static inline int luo_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) ? -errno : 0;
}

static inline void luo_set_name(__u8 *to, const char *name)
{
	memset(to, 0, LIVEUPDATE_SESSION_NAME_LENGTH);
	memcpy(to, name, strnlen(name, LIVEUPDATE_SESSION_NAME_LENGTH));
}

static inline int luo_create(int device, const char *name)
{
	struct liveupdate_ioctl_create_session arg = { .size = sizeof(arg), .fd = -1 };

	luo_set_name(arg.name, name);
	return luo_ioctl(device, LIVEUPDATE_IOCTL_CREATE_SESSION, &arg) ?: arg.fd;
}

static inline int luo_retrieve(int device, const char *name)
{
	struct liveupdate_ioctl_retrieve_session arg = { .size = sizeof(arg), .fd = -1 };

	luo_set_name(arg.name, name);
	return luo_ioctl(device, LIVEUPDATE_IOCTL_RETRIEVE_SESSION, &arg) ?: arg.fd;
}

static inline int luo_preserve_fd(int session, int fd, __u64 token)
{
	struct liveupdate_session_preserve_fd arg = {
		.size = sizeof(arg),
		.fd = fd,
		.token = token,
	};

	return luo_ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &arg);
}

static inline int luo_retrieve_fd(int session, __u64 token)
{
	struct liveupdate_session_retrieve_fd arg = {
		.size = sizeof(arg),
		.fd = -1,
		.token = token,
	};

	return luo_ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &arg) ?: arg.fd;
}

static inline int luo_finish(int session)
{
	struct liveupdate_session_finish arg = { .size = sizeof(arg) };

	return luo_ioctl(session, LIVEUPDATE_SESSION_FINISH, &arg);
}

static inline int luo_get_name(int session, char *name)
{
	struct liveupdate_session_get_name arg = { .size = sizeof(arg) };
	int err = luo_ioctl(session, LIVEUPDATE_SESSION_GET_NAME, &arg);

	memcpy(name, arg.name, sizeof(arg.name));
	return err;
}

/* What a test file of a session holds. */
static inline void luo_content(char *to, size_t size, const char *name, __u64 token)
{
	memset(to, 0, size);
	snprintf(to, size, "%s/%llu", name, (unsigned long long)token);
}

/* A test file with its content, or -errno. */
static inline int luo_test_file(const char *name, __u64 token)
{
	int fd = open(TEST_DEVICE, O_RDWR);
	char content[96];

	if (fd < 0)
		return -errno;

	luo_content(content, sizeof(content), name, token);
	if (write(fd, content, sizeof(content)) != sizeof(content)) {
		close(fd);
		return -EIO;
	}

	return fd;
}

/* Whether a file is that one. */
static inline int luo_is_test_file(int fd, const char *name, __u64 token)
{
	char content[96], found[96];

	luo_content(content, sizeof(content), name, token);
	return pread(fd, found, sizeof(found), 0) == sizeof(found) &&
	       !memcmp(content, found, sizeof(found));
}

/* A number from a file, or -1. */
static inline long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* 0 or -errno. */
static inline int write_number(const char *path, long value)
{
	int fd = open(path, O_WRONLY), rc = 0;

	if (fd < 0)
		return -errno;
	if (dprintf(fd, "%ld\n", value) < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), rc;

	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* The number behind a word in a file, or -1. */
static inline long number_of(const char *path, const char *word)
{
	FILE *file = fopen(path, "r");
	char name[32];
	long nr, found = -1;

	if (!file)
		return -1;
	while (fscanf(file, "%31s %ld", name, &nr) == 2) {
		if (!strcmp(name, word))
			found = nr;
	}
	fclose(file);
	return found;
}

#define SESSIONS_OUT	"/sys/kernel/liveupdate/outgoing/sessions"
#define SESSIONS_IN	"/sys/kernel/liveupdate/incoming/sessions"

/* How many lines of a file have all of this text in them, or -1. */
static inline int nr_lines_with(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	int nr = 0;

	if (!file)
		return -1;
	while (getline(&line, &size, file) > 0)
		nr += !!strstr(line, text);
	if (ferror(file))
		nr = -1;
	free(line);
	fclose(file);
	return nr;
}

/* Wait at most two seconds until there is such a line. */
static inline int appears(const char *path, const char *text)
{
	int tries;

	for (tries = 0; tries < 200; tries++) {
		if (nr_lines_with(path, text) > 0)
			return 1;
		usleep(10000);
	}

	return 0;
}

/* How often an operation of the test files was called, or -1. */
static inline long nr_calls(const char *op)
{
	return number_of(TEST_DIR "calls", op);
}

#endif /* _SELFTESTS_LIVEUPDATE_LUO_H */
