// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to hand memfds over, in ticks of the TSC: with QEMU's icount these are
 * instructions.
 *
 *	luo_bench preserve	make memfds, preserve them, and stay in the background
 *	luo_bench retrieve	after the kexec
 *
 * Prints "value WHAT FOLIOS TICKS", and "value WHAT_bytes BYTES" for what a file costs
 * that is mostly a hole.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <x86intrin.h>

#include "../kselftest.h"
#include "luo.h"

#define NAME		"bench"
#define PAGE		4096L
#define MIB		(1024 * 1024L)
#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* Files; of each one byte is written every @step bytes. */
static const struct {
	const char *what;
	long size, step, folio;
	const char *huge;
} files[] = {
	{ "memfd_dense", 256 * MIB, PAGE, PAGE, "never" },
	{ "memfd_sparse", 256 * MIB, 2 * MIB, 2 * MIB, "never" },
	{ "memfd_huge", 4096 * MIB, 2 * MIB, 2 * MIB, "force" },
};

#define NR_FILES	ARRAY_SIZE(files)

static void die(const char *what)
{
	printf("not ok %s: %m\n", what);
	exit(1);
}

static void set_huge(const char *mode)
{
	FILE *file = fopen(SHMEM_ENABLED, "w");

	if (!file || fprintf(file, "%s\n", mode) < 0 || fclose(file))
		die(SHMEM_ENABLED);
}

static int make_file(int i)
{
	int fd = memfd_create(NAME, 0);
	char *mem;
	long at;

	set_huge(files[i].huge);
	if (fd < 0 || ftruncate(fd, files[i].size))
		die("memfd");
	mem = mmap(NULL, files[i].size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		die("mmap");
	for (at = 0; at < files[i].size; at += files[i].step)
		mem[at] = at / files[i].step + i;
	munmap(mem, files[i].size);
	return fd;
}

static long nr_good(int fd, int i)
{
	long at, good = 0;
	char byte;

	for (at = 0; at < files[i].size; at += files[i].step)
		good += pread(fd, &byte, 1, at) == 1 &&
			byte == (char)(at / files[i].step + i);
	return good;
}

static void keep_running(void)
{
	fflush(stdout);
	if (fork())
		_exit(0);

	setsid();
	close(0);
	close(1);
	close(2);
	while (1)
		pause();
}

static void preserve(int device)
{
	int session = luo_create(device, NAME), fd, err;
	unsigned long long before;
	unsigned int i;
	long pages;

	for (i = 0; i < NR_FILES; i++) {
		fd = make_file(i);
		pages = read_number(PRESERVED);
		before = __rdtsc();
		err = luo_preserve_fd(session, fd, i);
		printf("value preserve_%s %ld %llu\n", files[i].what,
		       files[i].size / files[i].folio, __rdtsc() - before);
		if (err) {
			errno = -err;
			die(files[i].what);
		}
		printf("value %s_bytes %ld\n", files[i].what,
		       (read_number(PRESERVED) - pages) * PAGE);
		close(fd);
	}

	close(device);
	keep_running();
}

static int retrieve(int device)
{
	int session = luo_retrieve(device, NAME), fd;
	unsigned long long before, ticks;
	unsigned int i;

	for (i = 0; i < NR_FILES; i++) {
		before = __rdtsc();
		fd = luo_retrieve_fd(session, i);
		ticks = __rdtsc() - before;
		if (nr_good(fd, i) != files[i].size / files[i].step) {
			printf("not ok %s is as it was\n", files[i].what);
			return 1;
		}
		printf("value retrieve_%s %ld %llu\n", files[i].what,
		       files[i].size / files[i].folio, ticks);
		close(fd);
	}

	return luo_finish(session) ? 1 : 0;
}

int main(int argc, char **argv)
{
	int device = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (device < 0)
		die(DEVICE);
	if (argc == 2 && !strcmp(argv[1], "preserve"))
		preserve(device);
	else if (argc == 2 && !strcmp(argv[1], "retrieve"))
		return retrieve(device);

	errno = EINVAL;
	die("usage");
}
