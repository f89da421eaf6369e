// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl kexec: see that a handover can happen, load a kernel for it, and reboot.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/reboot.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/kexec.h>

#include "libluo.h"
#include "luoctl.h"

static char *running_cmdline(void)
{
	static char line[1 << 14];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof(line) - 1);

	if (len < 0)
		fail(EXIT_FAILED, errno, "/proc/cmdline");
	close(fd);
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return line;
}

static int open_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail(EXIT_FAILED, errno, "%s", path);
	return fd;
}

/* What a boolean parameter, as the kernel understands it, makes of @on. */
static bool is_on(const char *cmdline, const char *name, bool on)
{
	size_t len = strlen(name);
	const char *at, *value;

	for (at = cmdline; *at; at += strcspn(at, " "), at += strspn(at, " ")) {
		if (strncmp(at, name, len) || at[len] != '=')
			continue;

		value = at + len + 1;
		if (strspn(value, "1yYtT") || !strncasecmp(value, "on", 2))
			on = true;
		else if (strspn(value, "0nNfF") || !strncasecmp(value, "of", 2))
			on = false;
	}

	return on;
}

/* With the command line of this kernel, what is on in it by default will be on again. */
static void check_cmdline(const char *cmdline, bool reused)
{
	if (!is_on(cmdline, "kho", reused))
		fail(EXIT_FAILED, 0,
		     "the next kernel would hand nothing on: its command line has no kho=on");
	/* Sessions that arrive switch it on, in a kernel like this one. */
	if (!is_on(cmdline, "liveupdate", reused))
		fail(EXIT_FAILED, 0,
		     "the next kernel would not know of sessions: its command line has no liveupdate=on");
}

static void load(const char *kernel, const char *initrd, const char *cmdline)
{
	unsigned long flags = initrd ? 0 : KEXEC_FILE_NO_INITRAMFS;
	int kernel_fd = open_file(kernel);
	int initrd_fd = initrd ? open_file(initrd) : -1;

	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(cmdline) + 1, cmdline,
		    flags))
		fail(EXIT_FAILED, errno, "%s cannot be loaded", kernel);
}

static void reboot_now(void)
{
	fflush(stdout);
	sync();
	reboot(LINUX_REBOOT_CMD_KEXEC);
	switch (errno) {
	case EBUSY:
		fail(EXIT_FAILED, 0,
		     "the kernel does not reboot, as something would be lost; its log says what");
	default:
		fail(EXIT_FAILED, errno, "the kernel does not reboot; its log says why");
	}
}

static const char usage[] =
	"usage: luoctl kexec KERNEL [--initrd FILE]\n"
	"               [--reuse-cmdline | --command-line STRING] [--load-only | --discard]";

int cmd_kexec(int argc, char **argv)
{
	static const struct option options[] = {
		{ "initrd", required_argument, NULL, 'i' },
		{ "reuse-cmdline", no_argument, NULL, 'r' },
		{ "command-line", required_argument, NULL, 'c' },
		{ "load-only", no_argument, NULL, 'l' },
		{ "discard", no_argument, NULL, 'd' },
		{}
	};
	const char *initrd = NULL, *cmdline = NULL;
	bool reused = false, load_only = false, discard = false;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'i':
			initrd = optarg;
			break;
		case 'r':
			cmdline = running_cmdline();
			reused = true;
			break;
		case 'c':
			cmdline = optarg;
			reused = false;
			break;
		case 'l':
			load_only = true;
			break;
		case 'd':
			discard = true;
			break;
		default:
			fail(EXIT_USAGE, 0, "%s", usage);
		}
	}

	if (optind != argc - 1 || !cmdline || (load_only && discard))
		fail(EXIT_USAGE, 0, "%s", usage);

	need_live_update();
	check_cmdline(cmdline, reused);
	if (!discard)
		check_unfinished();
	load(argv[optind], initrd, cmdline);
	if (discard)
		discard_sessions();
	cmd_status(1, NULL);
	if (!load_only)
		reboot_now();

	return EXIT_OK;
}
