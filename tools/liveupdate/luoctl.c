// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl: live update from the command line. See luoctl.8.
 */

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libluo.h"
#include "luoctl.h"

bool json;

static const char usage[] =
	"Usage: luoctl [--json] COMMAND ...\n"
	"\n"
	"  status                      what is handed over, and what was\n"
	"  save NAME FILE...           keep copies of files in memory, in a session\n"
	"  restore NAME DIRECTORY      after the kexec: write them there\n"
	"  drop NAME                   after the kexec: give a session up\n"
	"  kexec KERNEL [--initrd FILE] [--reuse-cmdline | --command-line STRING]\n"
	"        [--load-only | --discard]\n"
	"                              check that a handover can happen, load, and reboot\n"
	"\n"
	"  --json                      print objects, for programs\n"
	"  --help                      print this\n"
	"\n"
	"Exits with 0, 1 when it failed, 2 when it was called wrong, or 3 when the kernel\n"
	"has no live update.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "status", cmd_status },
	{ "save", cmd_save },
	{ "restore", cmd_restore },
	{ "drop", cmd_drop },
	{ "kexec", cmd_kexec },
	{}
};

void fail(int status, int err, const char *format, ...)
{
	va_list args;

	fflush(stdout);
	fputs("luoctl: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (err)
		fprintf(stderr, ": %s", strerror(err));
	fputc('\n', stderr);
	exit(status);
}

void print_json_string(FILE *to, const char *string)
{
	const unsigned char *c;

	fputc('"', to);
	for (c = (const unsigned char *)string; *c; c++) {
		if (*c == '"' || *c == '\\')
			fprintf(to, "\\%c", *c);
		else if (*c < 0x20 || *c >= 0x7f)
			fprintf(to, "\\u%04x", *c);
		else
			fputc(*c, to);
	}
	fputc('"', to);
}

int need_device(void)
{
	int device = luo_open();

	if (device == -ENOENT)
		fail(EXIT_NO_KERNEL, 0,
		     "no %s: the kernel has no live update, or it is off, see kho= and liveupdate=",
		     LUO_DEVICE);
	if (device == -EBUSY)
		fail(EXIT_FAILED, 0, "%s: in use by %s", LUO_DEVICE, device_holders());
	if (device < 0)
		fail(EXIT_FAILED, -device, "%s", LUO_DEVICE);

	return device;
}

void need_live_update(void)
{
	struct stat st;

	if (stat(LUO_DEVICE, &st))
		close(need_device());
}

/* What is opened later must not be taken for one of the three. */
static void have_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			exit(EXIT_FAILED);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{}
	};
	unsigned int i;
	int option;

	have_standard_files();
	while ((option = getopt_long(argc, argv, "+jh", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return EXIT_OK;
		default:
			fputs(usage, stderr);
			return EXIT_USAGE;
		}
	}

	argc -= optind;
	argv += optind;
	for (i = 0; argc && commands[i].name; i++) {
		if (!strcmp(argv[0], commands[i].name)) {
			/* The command has options of its own. */
			optind = 0;
			return commands[i].run(argc, argv);
		}
	}

	fputs(usage, stderr);
	return EXIT_USAGE;
}
