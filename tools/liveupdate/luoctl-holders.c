// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which processes have a session, or the device, by what /proc shows of them.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "luoctl.h"

/* What /proc/PID/fd shows of a session, with a part of its name. */
#define SESSION_LINK	"anon_inode:[luo_session] "

/* In /proc/PID/fdinfo of a session, with all of its name. */
#define INCOMING_INFO	"luo-session-incoming:\t"
#define OUTGOING_INFO	"luo-session-outgoing:\t"

/*
 * Read the name of a session that a descriptor is, if @info begins its line in fdinfo.
 * Returns NULL if it is no such session; the name is in @line else.
 */
static char *session_name(const char *pid, const char *fd, const char *info, char line[512])
{
	char path[64], *name = NULL;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%.20s/fdinfo/%.20s", pid, fd);
	file = fopen(path, "re");
	while (file && !name && fgets(line, 512, file)) {
		if (strncmp(line, info, strlen(info)))
			continue;
		line[strcspn(line, "\n")] = '\0';
		name = line + strlen(info);
		unescape(name);
	}
	if (file)
		fclose(file);
	return name;
}

/* What to look for: a session, or the device if there is no name. */
struct wanted {
	const char *name;
	const char *info;
};

static bool is_open_as(const char *pid, const char *fd, const char *link,
		       const struct wanted *wanted)
{
	char line[512], *name;

	if (!wanted->name)
		return !strcmp(link, LUO_DEVICE);
	if (strncmp(link, SESSION_LINK, strlen(SESSION_LINK)))
		return false;

	name = session_name(pid, fd, wanted->info, line);
	return name && !strcmp(name, wanted->name);
}

static bool has_open(const char *pid, const struct wanted *wanted)
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
		found = is_open_as(pid, entry->d_name, link, wanted);
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
	fprintf(to, "process %s (%s)", pid, printable(comm));
}

const char *holders(const char *name, bool incoming)
{
	const struct wanted wanted = {
		.name = name,
		.info = incoming ? INCOMING_INFO : OUTGOING_INFO,
	};
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
		return "a process";

	proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		/* This process may have inherited it. */
		pid = strtoul(entry->d_name, NULL, 10);
		if (!pid || pid == (unsigned long)getpid() || !has_open(entry->d_name, &wanted))
			continue;
		if (found)
			fputs(", ", to);
		print_comm(to, entry->d_name);
		found = true;
	}
	if (proc)
		closedir(proc);
	if (!found)
		fputs("a process that cannot be seen in /proc", to);
	fclose(to);
	return text ? text : "a process";
}

/* systemd ends neither itself nor a process whose name begins with an @. */
static bool survives_shutdown(const char *pid)
{
	char path[64];
	FILE *file;
	int first;

	if (!strcmp(pid, "1"))
		return true;

	snprintf(path, sizeof(path), "/proc/%.20s/cmdline", pid);
	file = fopen(path, "re");
	first = file ? fgetc(file) : EOF;
	if (file)
		fclose(file);
	return first == '@';
}

static void visit_files(const char *pid, void *data,
			void (*found)(void *data, const char *name))
{
	char path[64], link[PATH_MAX], line[512], *name;
	struct dirent *entry;
	ssize_t len;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		len = readlinkat(dirfd(dir), entry->d_name, link, sizeof(link) - 1);
		if (len < 0)
			continue;
		link[len] = '\0';
		if (strncmp(link, SESSION_LINK, strlen(SESSION_LINK)))
			continue;
		name = session_name(pid, entry->d_name, OUTGOING_INFO, line);
		if (name)
			found(data, name);
	}
	if (dir)
		closedir(dir);
}

void visit_survivors(void *data, void (*found)(void *data, const char *name))
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");

	while (proc && (entry = readdir(proc))) {
		if (strtoul(entry->d_name, NULL, 10) && survives_shutdown(entry->d_name))
			visit_files(entry->d_name, data, found);
	}
	if (proc)
		closedir(proc);
}
