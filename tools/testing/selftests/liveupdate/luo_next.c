// SPDX-License-Identifier: GPL-2.0-only
/*
 * Measure the whole blackout, in ticks of the TSC: with QEMU's icount these are instructions.
 *
 *	luo_next load KERNEL INITRD COMMAND_LINE	load them, and print
 *							"value load TICKS"
 *	luo_next reboot					into what is loaded
 *
 * As the init of the next kernel it reports when it began, and what kho_blackout.c knows if
 * that is there, in lines for vmtest.sh.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>
#include <linux/reboot.h>

#define DEBUGFS	"/sys/kernel/debug"
#define REPORT	DEBUGFS "/kho_blackout/report"
#define CONTROL	DEBUGFS "/kho_blackout/control"

static int open_or_die(const char *name, int flags)
{
	int fd = open(name, flags);

	if (fd < 0) {
		perror(name);
		exit(1);
	}
	return fd;
}

static int load_image(char **argv)
{
	int kernel = open_or_die(argv[0], O_RDONLY), initrd = open_or_die(argv[1], O_RDONLY);
	unsigned long long begin = __rdtsc(), ticks;
	long ret;

	ret = syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[2]) + 1, argv[2], 0);
	ticks = __rdtsc() - begin;
	if (ret) {
		perror("kexec_file_load");
		return 1;
	}

	printf("value load %llu\n", ticks);
	return 0;
}

/* Not dprintf(), which seeks: /dev/kmsg does not let it. */
static void say(const char *what, const char *value)
{
	int fd = open_or_die("/dev/kmsg", O_WRONLY);
	char line[256];
	int len;

	len = snprintf(line, sizeof(line), "khotest: %s%s", what, value);
	if (write(fd, line, len) != len) {
		perror("/dev/kmsg");
		exit(1);
	}
	close(fd);
}

static void say_ticks(const char *what, unsigned long long ticks)
{
	char value[32];

	snprintf(value, sizeof(value), "%llu", ticks);
	say(what, value);
}

static int leave(void)
{
	int fd = open(CONTROL, O_WRONLY);

	/* For kernels without kho_blackout.c */
	say_ticks("note value at_leave ", __rdtsc());
	if (fd >= 0 && write(fd, "mark", 4) != 4) {
		perror(CONTROL);
		return 1;
	}

	syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_KEXEC, 0);
	perror("reboot");
	return 1;
}

static int be_init(unsigned long long begin)
{
	char line[128];
	FILE *file;

	mkdir("/dev", 0755);
	mkdir("/sys", 0755);
	if (mount("dev", "/dev", "devtmpfs", 0, NULL) || mount("sys", "/sys", "sysfs", 0, NULL) ||
	    mount("debug", DEBUGFS, "debugfs", 0, NULL))
		return 1;

	say("init ", "next");
	say_ticks("note value at_main ", begin);
	file = fopen(REPORT, "r");
	while (file && fgets(line, sizeof(line), file))
		say("note value ", line);
	say("ok ", "the next kernel executes init");
	say("done", "");
	reboot(RB_AUTOBOOT);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long long begin = __rdtsc();

	if (getpid() == 1)
		return be_init(begin);
	if (argc == 5 && !strcmp(argv[1], "load"))
		return load_image(argv + 2);
	if (argc == 2 && !strcmp(argv[1], "reboot"))
		return leave();

	fprintf(stderr, "usage: luo_next load KERNEL INITRD COMMAND_LINE | luo_next reboot\n");
	return 1;
}
