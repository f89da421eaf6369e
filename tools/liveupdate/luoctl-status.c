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

#define LUO_DIR	"/sys/kernel/debug/liveupdate/"
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

/* The kernel writes characters that cannot be printed, and backslashes, as "\012". */
static void unescape(char *string)
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

/* A line of outgoing or incoming: "files N [retrieved N STATE] name NAME". */
static void print_session(char *line, bool *first)
{
	char *name = strstr(line, "name "), state[32] = "";
	unsigned long files = 0, retrieved = 0;
	int fields;

	if (!name)
		return;

	line[strcspn(line, "\n")] = '\0';
	name += strlen("name ");
	fields = sscanf(line, "files %lu retrieved %lu %31s", &files, &retrieved, state);
	if (!json) {
		printf("  %s: %lu files", name, files);
		if (fields == 3)
			printf(", %lu retrieved, %s", retrieved, state);
		putchar('\n');
		return;
	}

	unescape(name);
	printf("%s{\"name\": ", *first ? "" : ", ");
	print_json_string(stdout, name);
	printf(", \"files\": %lu", files);
	if (fields == 3) {
		printf(", \"retrieved\": %lu, \"state\": ", retrieved);
		print_json_string(stdout, state);
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
