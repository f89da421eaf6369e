// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl unclaimed: list memory of the previous kernel that nothing claims, and free it.
 * This needs only Kexec HandOver, not live update.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "luoctl.h"

#define INCOMING_DIR	KHO_DIR "incoming"
#define REGIONS_DIR	INCOMING_DIR "/reserve_mem"

/* Path of a file in the directory of a region, or of all memory if @region is NULL. */
static char *path_of(const char *region, const char *file)
{
	char *path;

	if (asprintf(&path, "%s%s%s/%s", region ? REGIONS_DIR : INCOMING_DIR,
		     region ? "/" : "", region ? region : "", file) < 0)
		fail(EXIT_FAILED, ENOMEM, "unclaimed memory");

	return path;
}

static long long bytes_of(const char *region)
{
	char *path = path_of(region, "unclaimed_bytes");
	long long bytes = sysfs_number(path);

	if (bytes < 0)
		fail(EXIT_FAILED, errno, "%s", path);
	free(path);
	return bytes;
}

static void show_region(const char *name)
{
	long long bytes = bytes_of(name);

	/* It was discarded. */
	if (!bytes)
		return;

	if (!json) {
		printf("  reserve_mem %s: %s\n", printable(name), human(bytes));
		return;
	}

	json_open(NULL, '{');
	json_name("name", name);
	json_number("unclaimed_bytes", bytes);
	json_close();
}

static void show_regions(void)
{
	DIR *dir = opendir(REGIONS_DIR);
	struct dirent *entry;

	if (!dir)
		return;

	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			show_region(entry->d_name);
	}
	closedir(dir);
}

/* Without the directory, no kernel has handed memory over to this one. */
static bool is_handed_over(void)
{
	return !access(INCOMING_DIR, F_OK);
}

static void show(void)
{
	long long bytes = is_handed_over() ? bytes_of(NULL) : 0;

	if (!json) {
		printf("Unclaimed: %s\n", human(bytes));
		show_regions();
		return;
	}

	json_open(NULL, '{');
	json_number("unclaimed_bytes", bytes);
	json_open("reserve_mem", '[');
	show_regions();
	json_close();
	json_close();
	json_print();
}

static bool is_region(const char *name)
{
	char *path;
	bool is;

	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;

	path = path_of(name, "");
	is = !access(path, F_OK);
	free(path);
	return is;
}

static void write_discard(const char *region)
{
	char *path = path_of(region, "discard_unclaimed");
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1", 1) != 1) {
		if (errno == EBUSY)
			fail(EXIT_FAILED, 0,
			     "sessions of the previous kernel are not finished, see luoctl status and drop");
		if (errno == ENOENT && region)
			fail(EXIT_FAILED, 0, "region %s was discarded before", printable(region));
		fail(EXIT_FAILED, errno, "%s", path);
	}

	close(fd);
	free(path);
}

static void discard(const char *region)
{
	long long bytes;

	if (region && !is_region(region))
		fail(EXIT_FAILED, 0, "the previous kernel has left no unclaimed region %s",
		     printable(region));
	if (!is_handed_over())
		fail(EXIT_FAILED, 0, "no kernel has handed memory over to this one");

	bytes = bytes_of(region);
	write_discard(region);
	bytes -= bytes_of(region);
	if (!json) {
		printf("%s discarded\n", human(bytes));
		return;
	}

	json_open(NULL, '{');
	json_number("discarded_bytes", bytes);
	json_close();
	json_print();
}

static int cmd_unclaimed(int argc, char **argv)
{
	static const struct option options[] = {
		{ "discard", no_argument, NULL, 'd' },
		{}
	};
	bool want_discard = false;

	while (next_option(argc, argv, options) != -1)
		want_discard = true;
	if (argc - optind > (want_discard ? 1 : 0))
		fail_usage();

	if (want_discard)
		discard(argv[optind]);
	else
		show();

	return EXIT_OK;
}

const struct verb unclaimed_verb = {
	.name = "unclaimed",
	.usage = "[--discard [REGION]]",
	.help =
	"Show how much memory of the previous kernel is reserved because nothing has claimed\n"
	"it, and the reserve_mem= regions among it.\n"
	"\n"
	"  --discard     free all of it, or only REGION: its content is lost\n",
	.run = cmd_unclaimed,
};
