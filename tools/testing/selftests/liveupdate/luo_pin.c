// SPDX-License-Identifier: GPL-2.0-only
/*
 * luo_pin LEAVE_KIB
 *
 * Pin memory for long, as RDMA, io_uring and device assignment do, through CONFIG_GUP_TEST,
 * until no more than LEAVE_KIB are free that could be pinned. Print how much that is, in KiB.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <linux/types.h>

#define GUP_TEST	"/sys/kernel/debug/gup_test"

/* As in mm/gup_test.h of the kernel. */
struct pin_longterm_test {
	__u64 addr;
	__u64 size;
	__u32 flags;
};

#define PIN_LONGTERM_TEST_START			_IOW('g', 7, struct pin_longterm_test)
#define PIN_LONGTERM_TEST_STOP			_IO('g', 8)
#define PIN_LONGTERM_TEST_FLAG_USE_WRITE	1

#define MAX_PASSES	100
#define STEP_KIB	1024L

static void die(const char *what)
{
	printf("not ok %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A value of /proc/meminfo, in KiB. */
static long kib_of(const char *name)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[256];
	long value = -1;

	while (file && value < 0 && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':')
			value = strtol(line + strlen(name) + 1, NULL, 10);
	}
	if (!file || value < 0)
		die(name);
	fclose(file);
	return value;
}

/* Memory in CMA areas cannot be pinned for long. */
static long free_kib(void)
{
	return kib_of("MemFree") - kib_of("CmaFree");
}

int main(int argc, char **argv)
{
	struct pin_longterm_test pin = { .flags = PIN_LONGTERM_TEST_FLAG_USE_WRITE };
	long leave, kib = 0, more, total = kib_of("MemTotal");
	int fd = open(GUP_TEST, O_RDWR), pass;
	void *mem;

	if (argc != 2)
		return 1;
	leave = strtol(argv[1], NULL, 10);
	if (fd < 0)
		die(GUP_TEST);
	mem = mmap(NULL, total * 1024, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap");

	/* The array of pages, page tables and what is migrated take memory as well. */
	pin.addr = (__u64)mem;
	for (pass = 0; pass < MAX_PASSES; pass++) {
		more = (free_kib() - leave) / 2 / STEP_KIB * STEP_KIB;
		if (more <= 0)
			break;
		if (kib && ioctl(fd, PIN_LONGTERM_TEST_STOP))
			die("unpin");
		kib += more;
		pin.size = kib * 1024;
		if (ioctl(fd, PIN_LONGTERM_TEST_START, &pin))
			die("pin");
	}

	printf("%ld\n", kib);
	return 0;
}
