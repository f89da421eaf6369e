// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, across a kexec: where their memory is, and what is written to it
 * until the end. See luo_memfd.h, and
 *
 *	luo_memfd_mm reboot-with-faults		try to kexec, and have one allocation
 *						after the other fail in it
 */
#define _GNU_SOURCE
#include <sys/reboot.h>

#include "luo_faults.h"
#include "luo_memfd.h"

#define HUGE_SIZE	(2 * MIB)

/* Huge pages stay whole. */
#define NR_HUGE		8

static void make_thp(int session)
{
	long before = proc_kb("/proc/meminfo", "ShmemHugePages"), i;
	int fd = new_memfd("thp", NR_HUGE * HUGE_SIZE, 0);

	for (i = 0; i < NR_HUGE / 2; i++)
		write_pages(fd, 3, i * HUGE_SIZE / PAGE, HUGE_SIZE / PAGE);
	preserve(session, fd, 1);
	for (i = NR_HUGE / 2; i < NR_HUGE; i++)
		write_pages(fd, 3, i * HUGE_SIZE / PAGE, HUGE_SIZE / PAGE);
	check(proc_kb("/proc/meminfo", "ShmemHugePages") - before ==
	      NR_HUGE * HUGE_SIZE / 1024, "thp", "there are huge pages");
}

static void see_thp(int session, const char *kind)
{
	long before = proc_kb("/proc/meminfo", "ShmemHugePages");
	int fd = luo_retrieve_fd(session, 1);
	char *mem;

	check(nr_good_pages(fd, 3, 0, NR_HUGE * HUGE_SIZE / PAGE) ==
	      NR_HUGE * HUGE_SIZE / PAGE, kind, "content");
	check(proc_kb("/proc/meminfo", "ShmemHugePages") - before ==
	      NR_HUGE * HUGE_SIZE / 1024, kind, "they are still whole");

	/* And can be used as such: mapped, and taken apart. */
	mem = map(fd, 0, NR_HUGE * HUGE_SIZE);
	check(mem[HUGE_SIZE] == *(char *)map(fd, HUGE_SIZE, PAGE), kind, "they can be mapped");
	check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE,
			HUGE_SIZE) == 0, kind, "holes can be punched");
	check(nr_good_pages(fd, 3, 0, 1) == 1 && mem[PAGE] == 0 &&
	      nr_good_pages(fd, 3, HUGE_SIZE / PAGE + 1, HUGE_SIZE / PAGE) ==
	      HUGE_SIZE / PAGE, kind, "and what is around them stays");
}

/* What is in swap. There has to be some. */
#define SWAPPED_PAGES	4096L

static long swapped_pages(void *mem)
{
	unsigned char vec[SWAPPED_PAGES];
	long i, nr = 0;

	mincore(mem, SWAPPED_PAGES * PAGE, vec);
	for (i = 0; i < SWAPPED_PAGES; i++)
		nr += !(vec[i] & 1);
	return nr;
}

static void make_swapped(int session)
{
	int fd = new_memfd("swapped", 2 * SWAPPED_PAGES * PAGE, 0);
	void *mem = map(fd, 0, SWAPPED_PAGES * PAGE);
	void *later = map(fd, SWAPPED_PAGES * PAGE, SWAPPED_PAGES * PAGE);
	long nr;

	write_pages(fd, 5, 0, SWAPPED_PAGES);
	madvise(mem, SWAPPED_PAGES * PAGE, MADV_POPULATE_WRITE);
	madvise(mem, SWAPPED_PAGES * PAGE, MADV_PAGEOUT);
	nr = swapped_pages(mem);
	check(nr > SWAPPED_PAGES / 2, "swapped", "they are in swap");
	preserve(session, fd, 1);
	check(swapped_pages(mem) == 0, "swapped", "they were brought in");
	madvise(mem, SWAPPED_PAGES * PAGE, MADV_PAGEOUT);
	check(swapped_pages(mem) == 0, "swapped", "and stay there");

	write_pages(fd, 5, SWAPPED_PAGES, SWAPPED_PAGES);
	madvise(later, SWAPPED_PAGES * PAGE, MADV_POPULATE_WRITE);
	madvise(later, SWAPPED_PAGES * PAGE, MADV_PAGEOUT);
	check(swapped_pages(later) == 0, "swapped", "as do those that are added");
}

static void see_swapped(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	check(nr_good_pages(fd, 5, 0, 2 * SWAPPED_PAGES) == 2 * SWAPPED_PAGES, kind,
	      "content");
	check(pages_of(fd) == 2 * SWAPPED_PAGES, kind, "memory");
}

/* What lies in scratch, where movable memory may be, and nothing that is preserved. */
static struct {
	__u64 start, size;
} scratch[16];

static bool in_scratch(__u64 phys)
{
	unsigned int i;

	for (i = 0; i < 16; i++) {
		if (phys - scratch[i].start < scratch[i].size)
			return true;
	}

	return false;
}

#define CMA_PAGES	(32 * MIB / PAGE)

static long pages_in_scratch(char *mem, long nr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	long i, found = 0;
	__u64 entry;

	for (i = 0; i < nr; i++) {
		__atomic_load_n(&mem[i * PAGE], __ATOMIC_RELAXED);
		if (pread(fd, &entry, 8, ((long)mem / PAGE + i) * 8) != 8)
			die("pagemap");
		found += in_scratch((entry & ((1ULL << 55) - 1)) * PAGE);
	}
	close(fd);
	return found;
}

static void make_cma(int session)
{
	FILE *file = fopen("/sys/kernel/debug/kho/scratch", "r");
	unsigned int i = 0;
	char *ballast;
	void *mem = NULL;
	long nr = 0;
	int fd = -1;

	while (i < 16 && fscanf(file, "%llx-%*x %lld KiB\n", &scratch[i].start,
				&scratch[i].size) == 2)
		scratch[i++].size *= 1024;
	fclose(file);

	/* Movable memory comes from there when there is more of it than of other. */
	ballast = mmap(NULL, 2 * GIB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ballast == MAP_FAILED)
		die("mmap");
	for (i = 0; i < 256 && proc_kb("/proc/meminfo", "MemFree") >
	     2 * proc_kb("/proc/meminfo", "CmaFree") + 16384; i++)
		memset(ballast + i * 8 * MIB, 1, 8 * MIB);
	for (i = 0; i < 6 && nr < 100; i++) {
		fd = new_memfd("cma", CMA_PAGES * PAGE, 0);
		write_pages(fd, 6, 0, CMA_PAGES);
		mem = map(fd, 0, CMA_PAGES * PAGE);
		nr = pages_in_scratch(mem, CMA_PAGES);
	}
	munmap(ballast, 2 * GIB);
	check(nr >= 100, "cma", "some are in scratch");
	preserve(session, fd, 1);
	check(pages_in_scratch(mem, CMA_PAGES) == 0, "cma", "they were moved");
}

static void see_cma(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	check(nr_good_pages(fd, 6, 0, CMA_PAGES) == CMA_PAGES, kind, "content");
}

/*
 * Processes that write until the last moment, each step after the one before. So
 * whatever the step that was last seen, all before it must be there.
 */
#define WRITER_PAGES	(256 * MIB / PAGE)

enum writer { PAGES, HOLES, WRITES, NR_WRITERS };

static int writer_fds[NR_WRITERS][2];

static void write_step(enum writer how, __u64 *counter, __u64 *mem,
		       int fd, __u64 step)
{
	long index = how == PAGES ? step % 64 : step;

	if (how == WRITES) {
		if (pwrite(fd, &step, sizeof(step), index * PAGE) != sizeof(step))
			die("write");
	} else {
		__atomic_store_n(&mem[index * (PAGE / sizeof(*mem))], step, __ATOMIC_SEQ_CST);
	}
	__atomic_store_n(counter, step, __ATOMIC_SEQ_CST);
}

static void run_writer(enum writer how)
{
	__u64 *counter = map(writer_fds[how][0], 0, PAGE);
	__u64 *mem = map(writer_fds[how][1], 0, WRITER_PAGES * PAGE);
	__u64 step;

	for (step = 1; how == PAGES || step < WRITER_PAGES; step++) {
		write_step(how, counter, mem, writer_fds[how][1], step);
		if (how != PAGES)
			usleep(20);
	}
	pause();
}

static void make_writers(int session)
{
	int how;

	for (how = 0; how < NR_WRITERS; how++) {
		writer_fds[how][0] = new_memfd("counter", PAGE, 0);
		writer_fds[how][1] = new_memfd("written", WRITER_PAGES * PAGE, 0);
		preserve(session, writer_fds[how][0], how);
		preserve(session, writer_fds[how][1], NR_WRITERS + how);
		if (!fork()) {
			close(device);
			run_writer(how);
			_exit(0);
		}
	}
}

static bool all_steps(enum writer how, int fd, __u64 last)
{
	__u64 step, found, first = how == PAGES && last > 64 ? last - 62 : 1;

	for (step = first; step <= last; step++) {
		if (pread(fd, &found, sizeof(found),
			  (how == PAGES ? step % 64 : step) * PAGE) != sizeof(found) ||
		    found < step)
			return false;
	}

	return true;
}

static void see_writers(int session, const char *kind)
{
	static const char *const names[] = { "pages", "holes in memory", "holes by write()" };
	char what[64];
	__u64 last;
	int how;

	for (how = 0; how < NR_WRITERS; how++) {
		last = 0;
		pread(luo_retrieve_fd(session, how), &last, sizeof(last), 0);
		printf("note %s: %llu steps\n", names[how], last);
		snprintf(what, sizeof(what), "all steps into %s", names[how]);
		check(last > 100 && all_steps(how, luo_retrieve_fd(session, NR_WRITERS + how),
					      last), kind, what);
	}
}

/* It grows when it is preserved already: between one try to reboot and the next. */
#define ADDED_PAGES	257

static void see_added(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);
	long nr = size_of(fd) / PAGE;

	check(nr_good_pages(fd, 7, 0, nr) == nr && nr >= 10 + 3 * ADDED_PAGES, kind,
	      "content");
	check(pages_of(fd) == nr, kind, "memory");
}

static void see_last(int session, const char *kind)
{
	check(luo_is_test_file(luo_retrieve_fd(session, 1), "last", 1), kind, "content");
}

/*
 * Try to reboot, and have one allocation after the other fail in it. When that does no
 * harm, as when a tree tries again in another way, then the file that is frozen last
 * fails. Makes a session "added", and before each try the file in it grows, so that there
 * is something to allocate.
 */
#define NR_TRIES	40
static void reboot_with_faults(void)
{
	int faults = open("/proc/thread-self/fail-nth", O_RDWR);
	int session = open_session(luo_create(device, "added"), "added");
	int fd = new_memfd("added", 10 * PAGE, 0);
	int last = open_session(luo_create(device, "last"), "last");
	int nr, err, nr_failed = 0, as_expected = 0;

	if (faults < 0 || prepare_faults())
		die("fault injection");

	write_pages(fd, 7, 0, 10);
	preserve(session, fd, 1);
	preserve(last, luo_test_file("last", 1), 1);
	for (nr = 1; nr <= NR_TRIES; nr++) {
		write_pages(fd, 7, 10 + (nr - 1) * ADDED_PAGES, ADDED_PAGES);
		write_number(TEST_DIR "fail_freeze", 1);
		fail_nth(faults, nr);
		err = reboot(RB_KEXEC) ? errno : 0;
		as_expected += err == EAGAIN || (err == ENOMEM && has_failed(faults));
		nr_failed += err == ENOMEM;
		fail_nth(faults, 0);
	}
	write_number(TEST_DIR "fail_freeze", 0);
	printf("note of %d allocations, %d were needed\n", NR_TRIES, nr_failed);
	check(nr_failed > 0, "faults", "the reboot fails for lack of memory");
	check(as_expected == NR_TRIES, "faults", "and for no other reason");
}

const struct kind kinds[] = {
	{ "added", NULL, see_added },
	{ "last", NULL, see_last },
	{ "thp", make_thp, see_thp },
	{ "swapped", make_swapped, see_swapped },
	{ "cma", make_cma, see_cma },
	{ "writers", make_writers, see_writers },
	{}
};

int main(int argc, char **argv)
{
	if (run_kinds(argc, argv))
		return failed;

	if (argc != 2 || strcmp(argv[1], "reboot-with-faults"))
		return usage();

	reboot_with_faults();
	keep_running();
	return failed;
}
