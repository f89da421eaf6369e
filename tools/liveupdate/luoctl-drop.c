// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl drop, and what luoctl kexec --discard does: give sessions of the previous
 * kernel up. A session that a process has is never given up by somebody else.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libluo.h"
#include "luoctl.h"

/* What /proc/PID/fd shows of a session, with a part of its name. */
#define SESSION_LINK	"anon_inode:[luo_session] "

/* In /proc/PID/fdinfo of an incoming session, with all of its name. */
#define SESSION_INFO	"luo-session-incoming:\t"

/* Whether a descriptor is that of the device, or if there is a @name of that session. */
static bool is_open_as(const char *pid, const char *fd, const char *link, const char *name)
{
	char path[300], line[512];
	bool found = false;
	FILE *file;

	if (!name)
		return !strcmp(link, LUO_DEVICE);
	if (strncmp(link, SESSION_LINK, strlen(SESSION_LINK)))
		return false;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, fd);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file)) {
		if (strncmp(line, SESSION_INFO, strlen(SESSION_INFO)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		unescape(line);
		found = !strcmp(line + strlen(SESSION_INFO), name);
	}
	if (file)
		fclose(file);
	return found;
}

static bool has_open(const char *pid, const char *name)
{
	char path[64], link[PATH_MAX];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (len < 0)
			continue;
		link[len] = '\0';
		found = is_open_as(pid, entry->d_name, link, name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void print_comm(FILE *to, const char *pid)
{
	char path[64], comm[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/comm", pid);
	file = fopen(path, "re");
	if (file && fgets(comm, sizeof(comm), file))
		comm[strcspn(comm, "\n")] = '\0';
	if (file)
		fclose(file);
	fprintf(to, "process %s (%s)", pid, comm);
}

/* Who has a session open, or the device if @name is NULL, in words. */
static const char *holders(const char *name)
{
	static char *text;
	struct dirent *entry;
	unsigned long pid;
	bool found = false;
	size_t size;
	FILE *to;
	DIR *proc;

	free(text);
	text = NULL;
	to = open_memstream(&text, &size);
	if (!to)
		return "somebody";

	proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		/* Whoever has started this may have passed it on. */
		pid = strtoul(entry->d_name, NULL, 10);
		if (!pid || pid == (unsigned long)getpid() || !has_open(entry->d_name, name))
			continue;
		if (found)
			fputs(", ", to);
		print_comm(to, entry->d_name);
		found = true;
	}
	if (proc)
		closedir(proc);
	if (!found)
		fputs("somebody who cannot be seen in /proc", to);
	fclose(to);
	return text ? text : "somebody";
}

const char *device_holders(void)
{
	return holders(NULL);
}

static _Noreturn void fail_in_use(const char *name)
{
	fail(EXIT_FAILED, 0, "session %s is in use by %s: they can finish it, or be stopped",
	     name, holders(name));
}

static void drop(const char *name)
{
	int device = need_device();
	int session = luo_session_retrieve(device, name);
	int err;

	close(device);
	if (session == -ENOENT)
		fail(EXIT_FAILED, 0, "the previous kernel has left no session %s", name);
	if (session == -EINVAL)
		fail_in_use(name);
	if (session < 0)
		fail(EXIT_FAILED, -session, "session %s", name);

	err = luo_session_finish(session);
	if (err)
		fail(EXIT_FAILED, -err, "session %s cannot be finished", name);
	close(session);
}

int cmd_drop(int argc, char **argv)
{
	if (argc != 2 || !*argv[1])
		fail(EXIT_USAGE, 0, "usage: luoctl drop NAME");

	drop(argv[1]);
	if (json) {
		fputs("{\"session\": ", stdout);
		print_json_string(stdout, argv[1]);
		puts("}");
	} else {
		printf("session %s is given up\n", argv[1]);
	}

	return EXIT_OK;
}

#define LIST	LUO_DIR "incoming"

/* Call @run for each session that keeps the kernel from a kexec. False without a list. */
static bool visit_unfinished(void (*run)(const struct listed *session))
{
	FILE *file = fopen(LIST, "re");
	struct listed session;
	char *line = NULL;
	size_t size = 0;

	if (!file)
		return false;

	while (getline(&line, &size, file) > 0) {
		if (!parse_listed(line, &session) || !strcmp(session.state, "damaged") ||
		    session.retrieved == session.files)
			continue;
		unescape(session.name);
		run(&session);
	}
	free(line);
	fclose(file);
	return true;
}

static void check_free(const struct listed *session)
{
	if (!strcmp(session->state, "claimed"))
		fail_in_use(session->name);
}

static void discard(const struct listed *session)
{
	drop(session->name);
	if (!json)
		printf("session %s is given up\n", session->name);
}

void discard_sessions(void)
{
	/* All or none, as far as that can be known. */
	if (!visit_unfinished(check_free) || !visit_unfinished(discard))
		fail(EXIT_FAILED, errno, LIST ", which lists what there is to discard");
}

static void fail_unfinished(const struct listed *session)
{
	fail(EXIT_FAILED, 0,
	     "session %s of the previous kernel is not finished, and would be lost: finish it, or see luoctl drop and --discard",
	     session->name);
}

void check_unfinished(void)
{
	if (!visit_unfinished(fail_unfinished))
		fprintf(stderr,
			"luoctl: %s: %s: sessions that would be lost show only when the kernel refuses to reboot\n",
			LIST, strerror(errno));
}
