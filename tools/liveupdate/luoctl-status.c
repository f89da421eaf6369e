// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl status: what is handed over, and what was. From debugfs; without it only
 * whether there is live update at all.
 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libluo.h"
#include "luoctl.h"

#define KHO_DIR	"/sys/kernel/debug/kho/"

/* A number in debugfs, or -1 when it is not there. */
static long long number(const char *path)
{
	FILE *file = fopen(path, "re");
	long long value = -1;

	if (file) {
		if (fscanf(file, "%lld", &value) != 1)
			value = -1;
		fclose(file);
	}

	return value;
}

static long long page_bytes(const char *path)
{
	long long pages = number(path);

	return pages < 0 ? pages : pages * sysconf(_SC_PAGESIZE);
}

void unescape(char *string)
{
	char *from = string, *to = string;

	while (*from) {
		if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
			*to++ = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');
			from += 4;
		} else {
			*to++ = *from++;
		}
	}
	*to = '\0';
}

/* "files N [retrieved N STATE] name NAME" */
bool parse_listed(char *line, struct listed *session)
{
	char *name = strstr(line, "name ");

	memset(session, 0, sizeof(*session));
	if (!name)
		return false;

	line[strcspn(line, "\n")] = '\0';
	session->name = name + strlen("name ");
	if (sscanf(line, "files %lu retrieved %lu %31s", &session->files,
		   &session->retrieved, session->state) != 3)
		session->state[0] = '\0';
	return true;
}

static void print_session(char *line, bool *first)
{
	struct listed session;

	if (!parse_listed(line, &session))
		return;

	if (!json) {
		printf("  %s: %lu files", session.name, session.files);
		if (*session.state)
			printf(", %lu retrieved, %s", session.retrieved, session.state);
		putchar('\n');
		return;
	}

	unescape(session.name);
	printf("%s{\"name\": ", *first ? "" : ", ");
	print_json_string(stdout, session.name);
	printf(", \"files\": %lu", session.files);
	if (*session.state) {
		printf(", \"retrieved\": %lu, \"state\": ", session.retrieved);
		print_json_string(stdout, session.state);
	}
	putchar('}');
	*first = false;
}

static void print_sessions(const char *path)
{
	FILE *file = fopen(path, "re");
	size_t size = 0;
	char *line = NULL;
	bool first = true;

	while (file && getline(&line, &size, file) > 0)
		print_session(line, &first);
	free(line);
	if (file)
		fclose(file);
}

static void print_side(const char *name, const char *title, const char *bytes_path)
{
	long long bytes = page_bytes(bytes_path);
	char path[64];

	snprintf(path, sizeof(path), LUO_DIR "%s", name);
	if (json) {
		printf(", \"%s\": {\"bytes\": %lld, \"sessions\": [", name, bytes < 0 ? 0 : bytes);
		print_sessions(path);
		fputs("]}", stdout);
		return;
	}

	printf("%s: %lld KiB\n", title, bytes < 0 ? 0 : bytes >> 10);
	print_sessions(path);
}

int cmd_status(int argc, char **argv)
{
	bool details = !access(LUO_DIR, X_OK);

	if (argc != 1)
		fail(EXIT_USAGE, 0, "usage: luoctl status");
	need_live_update();

	if (json)
		printf("{\"enabled\": true, \"details\": %s", details ? "true" : "false");
	else if (!details)
		printf("Live update is on. There is more to see in debugfs, for root.\n");

	if (details) {
		print_side("outgoing", "For the next kernel",
			   KHO_DIR "out/preserved_pages");
		print_side("incoming", "From the previous kernel, not claimed",
			   KHO_DIR "in/unclaimed_pages");
	}
	if (json)
		puts("}");

	return EXIT_OK;
}
