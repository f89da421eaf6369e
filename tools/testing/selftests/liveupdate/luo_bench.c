// SPDX-License-Identifier: GPL-2.0-only
/*
 * What it costs to hand memfds over, in ticks of the TSC: with QEMU's icount these are
 * instructions.
 *
 *	luo_bench freeze	preserve a memfd, add folios to it, and try to kexec, for
 *				which an image must be loaded
 *	luo_bench preserve	make memfds, preserve them, and stay in the background
 *	luo_bench retrieve	after the kexec
 *	luo_bench gigantic NR	make two memfds of hugetlb that have NR pages of 1 GiB
 *				together, preserve them, and stay in the background
 *	luo_bench gigantic	after the kexec: retrieve them, and have the struct pages of
 *				one of them freed
 *
 * Prints "value WHAT FOLIOS TICKS", and "value WHAT_bytes BYTES" for what a file costs
 * that is mostly a hole.
 */
#define _GNU_SOURCE
#include <sys/reboot.h>
#include <x86intrin.h>

#include "luo_memfd.h"

#define NAME		"bench"

/*
 * Files; of each one byte is written every @step bytes, into a folio of its own. Those of
 * hugetlb have their struct pages freed in the next kernel, or not.
 */
static const struct {
	const char *what;
	long size, step, folio;
	const char *huge;
	unsigned int flags;
	int optimize;
} files[] = {
	{ "memfd_dense", 256 * MIB, PAGE, PAGE, "never" },
	{ "memfd_sparse", 256 * MIB, 2 * MIB, PAGE, "never" },
	{ "memfd_huge", 4096 * MIB, 2 * MIB, 2 * MIB, "force" },
	{ "memfd_hugetlb", 512 * MIB, 2 * MIB, 2 * MIB, "never", MFD_HUGETLB, 0 },
	{ "memfd_optimized", 512 * MIB, 2 * MIB, 2 * MIB, "never", MFD_HUGETLB, 1 },
};

#define NR_HUGEPAGES	"/proc/sys/vm/nr_hugepages"
#define OPTIMIZE	"/proc/sys/vm/hugetlb_optimize_vmemmap"

#define NR_FILES	ARRAY_SIZE(files)

static long nr_folios(int i)
{
	return files[i].size / files[i].step;
}

/* What is measured is for each folio: there have to be as many. */
static void check_folios(int fd, int i)
{
	if (pages_of(fd) != nr_folios(i) * files[i].folio / PAGE) {
		printf("not ok %s has %ld pages\n", files[i].what, pages_of(fd));
		exit(1);
	}
}

static int make_file(int i)
{
	char *mem;
	long at;
	int fd;

	if (files[i].flags & MFD_HUGETLB && read_number(NR_HUGEPAGES) < nr_folios(i))
		write_number(NR_HUGEPAGES, 2 * nr_folios(i));
	fd = new_memfd(NAME, files[i].size, files[i].flags);

	/* Before it is mapped: then it is aligned. */
	set_huge(files[i].huge);
	mem = map(fd, 0, files[i].size);
	for (at = 0; at < files[i].size; at += files[i].step)
		mem[at] = at / files[i].step + i;
	munmap(mem, files[i].size);
	check_folios(fd, i);
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

static void bench_preserve(void)
{
	int session = open_session(luo_create(device, NAME), NAME), fd;
	unsigned long long before;
	unsigned int i;
	long pages;

	for (i = 0; i < NR_FILES; i++) {
		fd = make_file(i);
		pages = read_number(PRESERVED);
		before = __rdtsc();
		preserve(session, fd, i);
		printf("value preserve_%s %ld %llu\n", files[i].what, nr_folios(i),
		       __rdtsc() - before);
		printf("value %s_bytes %ld\n", files[i].what,
		       (read_number(PRESERVED) - pages) * PAGE);
		close(fd);
	}

	keep_running();
}

/*
 * Have the struct pages of huge pages freed, or not. For the first such page the kernel patches
 * itself, which is no cost of the file: that is a page of the pool.
 */
static void set_optimize(int optimize)
{
	if (write_number(OPTIMIZE, optimize) ||
	    (optimize && write_number(NR_HUGEPAGES, read_number(NR_HUGEPAGES) + 1)))
		die(OPTIMIZE);
}

static void bench_retrieve(void)
{
	int session = open_session(luo_retrieve(device, NAME), NAME), fd;
	unsigned long long before, ticks;
	unsigned int i;

	for (i = 0; i < NR_FILES; i++) {
		if (files[i].flags & MFD_HUGETLB)
			set_optimize(files[i].optimize);
		before = __rdtsc();
		fd = luo_retrieve_fd(session, i);
		ticks = __rdtsc() - before;
		check(nr_good(fd, i) == nr_folios(i), files[i].what, "is as it was");
		check_folios(fd, i);
		printf("value retrieve_%s %ld %llu\n", files[i].what, nr_folios(i), ticks);
		close(fd);
	}

	check(luo_finish(session) == 0, NAME, "is finished");
}

#define ADDED_FOLIOS	100000
#define TICKS		TEST_DIR "ticks"

/* Between two test files: they say when the reboot has come to them, and the last fails. */
static void bench_freeze(void)
{
	int session = open_session(luo_create(device, "freeze"), "freeze");
	int fd = new_memfd("added", ADDED_FOLIOS * PAGE, 0);
	char *mem = map(fd, 0, ADDED_FOLIOS * PAGE);
	long i, pages;

	preserve(session, luo_test_file("freeze", 0), 0);
	preserve(session, fd, 1);
	preserve(session, luo_test_file("freeze", 2), 2);
	pages = read_number(PRESERVED);
	set_huge("never");
	for (i = 0; i < ADDED_FOLIOS; i++)
		mem[i * PAGE] = 1;

	write_number(TEST_DIR "fail_freeze", 2);
	check(reboot(RB_KEXEC) && errno == EAGAIN, "freeze", "the last file cannot be frozen");
	check(read_number(PRESERVED) - pages >= ADDED_FOLIOS, "freeze",
	      "what was added is preserved");
	printf("value prepare_added %d %ld\n", ADDED_FOLIOS, number_of(TICKS, "prepare"));
	printf("value freeze_added %d %ld\n", ADDED_FOLIOS, number_of(TICKS, "freeze"));
}

#define NR_GIGANTIC	"/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"
#define GIGANTIC	"gigantic"

#ifndef MFD_HUGE_1GB
#define MFD_HUGE_1GB	(30U << 26)
#endif

static void bench_gigantic(long nr)
{
	int session = open_session(luo_create(device, GIGANTIC), GIGANTIC), fd, i;
	unsigned long long before, ticks = 0;
	long pages, at;
	char *mem;

	if (read_number(NR_GIGANTIC) != nr) {
		printf("not ok there are %ld pages\n", read_number(NR_GIGANTIC));
		exit(1);
	}
	pages = read_number(PRESERVED);
	for (i = 0; i < 2; i++) {
		fd = new_memfd(GIGANTIC, nr / 2 * GIB, MFD_HUGETLB | MFD_HUGE_1GB);
		mem = map(fd, 0, nr / 2 * GIB);
		for (at = 0; at < nr / 2 * GIB; at += GIB)
			mem[at] = at / GIB + i;
		munmap(mem, nr / 2 * GIB);
		before = __rdtsc();
		preserve(session, fd, i);
		ticks += __rdtsc() - before;
		close(fd);
	}
	printf("value preserve_gigantic %ld %llu\n", nr, ticks);
	printf("value gigantic_metadata %ld\n",
	       (read_number(PRESERVED) - pages) * PAGE - nr * GIB);
	keep_running();
}

static void retrieve_gigantic(void)
{
	static const char *const names[2] = { "retrieve_gigantic", "retrieve_gigantic_optimized" };
	int session = open_session(luo_retrieve(device, GIGANTIC), GIGANTIC), fd, i;
	unsigned long long before, ticks;
	long at, nr;
	char byte;

	for (i = 0; i < 2; i++) {
		set_optimize(i);
		before = __rdtsc();
		fd = luo_retrieve_fd(session, i);
		ticks = __rdtsc() - before;
		nr = size_of(fd) / GIB;
		for (at = 0; at < nr; at++)
			check(pread(fd, &byte, 1, at * GIB) == 1 && byte == (char)(at + i),
			      GIGANTIC, "is as it was");
		printf("value %s %ld %llu\n", names[i], nr, ticks);
		close(fd);
	}

	before = __rdtsc();
	check(luo_finish(session) == 0, GIGANTIC, "is finished");
	printf("value finish_gigantic %ld %llu\n", 2 * nr, __rdtsc() - before);
}

int main(int argc, char **argv)
{
	open_device(100);
	if (argc == 3 && !strcmp(argv[1], GIGANTIC)) {
		bench_gigantic(atol(argv[2]));
		return failed;
	}
	if (argc == 2 && !strcmp(argv[1], GIGANTIC)) {
		retrieve_gigantic();
		return failed;
	}

	if (argc == 2 && !strcmp(argv[1], "freeze"))
		bench_freeze();
	else if (argc == 2 && !strcmp(argv[1], "preserve"))
		bench_preserve();
	else if (argc == 2 && !strcmp(argv[1], "retrieve"))
		bench_retrieve();
	else
		return usage();

	return failed;
}
