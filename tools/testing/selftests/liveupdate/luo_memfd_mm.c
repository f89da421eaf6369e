// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, across a kexec: where their memory is, and what is written to it
 * until the end. See luo_memfd.h, and
 *
 *	luo_memfd_mm reboot-with-faults		try to kexec, and have one allocation
 *						after the other fail in it
 *	luo_memfd_mm frozen			try to kexec, and use what is frozen
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/reboot.h>
#include <sys/uio.h>

#include "luo_faults.h"
#include "luo_memfd.h"

#define HUGE_SIZE	(2 * MIB)

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

/* Huge pages stay whole. The last part of the file is in small ones. */
#define NR_HUGE		8
#define HUGE_PAGES	(NR_HUGE * HUGE_SIZE / PAGE)
#define SMALL_PAGES	(4 * HUGE_SIZE / PAGE)

static long huge_kb(void)
{
	return proc_kb("/proc/meminfo", "ShmemHugePages");
}

static void make_thp(int session)
{
	int fd = new_memfd("thp", (HUGE_PAGES + SMALL_PAGES) * PAGE, 0);
	long before = huge_kb(), i;

	for (i = 0; i < NR_HUGE / 2; i++)
		write_pages(fd, 3, i * HUGE_SIZE / PAGE, HUGE_SIZE / PAGE);
	preserve(session, fd, 1);
	for (i = NR_HUGE / 2; i < NR_HUGE; i++)
		write_pages(fd, 3, i * HUGE_SIZE / PAGE, HUGE_SIZE / PAGE);
	set_huge("never");
	write_pages(fd, 3, HUGE_PAGES, SMALL_PAGES);
	check(huge_kb() - before == NR_HUGE * HUGE_SIZE / 1024, "thp",
	      "there are huge pages");
}

#define OVERCOMMIT	"/proc/sys/vm/overcommit_memory"
#define COMMIT_KB	"/proc/sys/vm/overcommit_kbytes"

/*
 * There is room for the huge pages and half of the small ones: the former are put into a
 * file, and taken out again. The CPUs count in steps, which are smaller than the margins.
 */
static void see_no_room(int session, const char *kind)
{
	long mode = read_number(OVERCOMMIT), before = huge_kb();

	if (write_number(OVERCOMMIT, 2) ||
	    write_number(COMMIT_KB, proc_kb("/proc/meminfo", "Committed_AS") +
			 (HUGE_PAGES + SMALL_PAGES / 2) * PAGE / 1024))
		die(COMMIT_KB);
	check(luo_retrieve_fd(session, 1) == -ENOSPC, kind, "there is not room for all");
	check(huge_kb() == before, kind, "then no huge page is in use");
	check(luo_retrieve_fd(session, 1) == -ENOSPC, kind, "nor the second time");
	check(huge_kb() == before, kind, "which leaves none in use, either");
	if (write_number(OVERCOMMIT, mode))
		die(OVERCOMMIT);
}

static void see_thp(int session, const char *kind)
{
	long before = huge_kb();
	char *mem;
	int fd;

	see_no_room(session, kind);
	fd = luo_retrieve_fd(session, 1);
	check(nr_good_pages(fd, 3, 0, HUGE_PAGES + SMALL_PAGES) == HUGE_PAGES + SMALL_PAGES,
	      kind, "content");
	check(pages_of(fd) == HUGE_PAGES + SMALL_PAGES, kind, "memory");
	check(huge_kb() - before == NR_HUGE * HUGE_SIZE / 1024, kind, "they are still whole");

	/* And can be used as such: mapped, and taken apart. */
	mem = map(fd, 0, NR_HUGE * HUGE_SIZE);
	check(mem[HUGE_SIZE] == *(char *)map(fd, HUGE_SIZE, PAGE), kind, "they can be mapped");
	check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, PAGE,
			HUGE_SIZE) == 0, kind, "holes can be punched");
	check(nr_good_pages(fd, 3, 0, 1) == 1 && mem[PAGE] == 0 &&
	      nr_good_pages(fd, 3, HUGE_SIZE / PAGE + 1, HUGE_SIZE / PAGE) ==
	      HUGE_SIZE / PAGE, kind, "and what is around them stays");
}

/* So do those in between. */
#define MTHP_DIR	"/sys/kernel/mm/transparent_hugepage/hugepages-64kB/"
#define MTHP_SIZE	(64 * 1024L)
#define NR_MTHP		32
/* KPF_COMPOUND_HEAD and KPF_COMPOUND_TAIL */
#define KPF_HEAD	0x8000ULL
#define KPF_TAIL	0x10000ULL

/* Shared mappings are not aligned to what they could have. */
static char *map_aligned(int fd, long offset, long size)
{
	char *mem = mmap(NULL, size + MTHP_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		die("mmap");
	mem += -(long)mem & (MTHP_SIZE - 1);
	if (mmap(mem, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, offset) != mem)
		die("mmap");
	return mem;
}

/* Half of them are added when the file is preserved already. */
static void make_mthp(int session)
{
	const long half = NR_MTHP / 2 * MTHP_SIZE;
	long before = read_number(MTHP_DIR "stats/shmem_alloc");
	int fd = new_memfd("mthp", NR_MTHP * MTHP_SIZE, 0);

	/* They are for mappings, and not for write(). */
	madvise(map_aligned(fd, 0, half), half, MADV_POPULATE_WRITE);
	preserve(session, fd, 1);
	madvise(map_aligned(fd, half, half), half, MADV_POPULATE_WRITE);
	check(read_number(MTHP_DIR "stats/shmem_alloc") - before == NR_MTHP, "mthp",
	      "there are folios of 64 KiB");
	write_pages(fd, 8, 0, NR_MTHP * MTHP_SIZE / PAGE);
}

/* The first page of a folio of 64 KiB and all that follow. */
static bool is_mthp(int pagemap, int kpageflags, const char *mem)
{
	__u64 pfn = pfn_of(pagemap, mem), flags[MTHP_SIZE / PAGE];
	long i;

	if (pread(kpageflags, flags, sizeof(flags), pfn * 8) != sizeof(flags) ||
	    !(flags[0] & KPF_HEAD))
		return false;

	for (i = 1; i < MTHP_SIZE / PAGE; i++) {
		if (!(flags[i] & KPF_TAIL) || pfn_of(pagemap, mem + i * PAGE) != pfn + i)
			return false;
	}

	return true;
}

static void see_mthp(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	int kpageflags = open("/proc/kpageflags", O_RDONLY);
	char *mem = map(fd, 0, NR_MTHP * MTHP_SIZE);
	long i, whole = 0;

	check(nr_good_pages(fd, 8, 0, NR_MTHP * MTHP_SIZE / PAGE) ==
	      NR_MTHP * MTHP_SIZE / PAGE, kind, "content");
	for (i = 0; i < NR_MTHP; i++)
		whole += is_mthp(pagemap, kpageflags, mem + i * MTHP_SIZE);
	check(whole == NR_MTHP, kind, "they are still whole");
	close(kpageflags);
	close(pagemap);
}

/* What is added in small pages, and made a huge one later. */
static void make_collapsed(int session)
{
	long before = proc_kb("/proc/meminfo", "ShmemHugePages");
	int fd = new_memfd("collapsed", 2 * HUGE_SIZE, 0);
	char *mem;

	preserve(session, fd, 1);
	write_pages(fd, 9, 0, HUGE_SIZE / PAGE);
	/* A mapping of all of the file is where there can be huge pages. */
	mem = map(fd, 0, 2 * HUGE_SIZE);
	if ((long)mem % HUGE_SIZE)
		mem = mmap(mem + 4 * HUGE_SIZE - (long)mem % HUGE_SIZE, 2 * HUGE_SIZE,
			   PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	check(madvise(mem, HUGE_SIZE, MADV_COLLAPSE) == 0, "collapsed", "a huge page is made");
	check(proc_kb("/proc/meminfo", "ShmemHugePages") - before == HUGE_SIZE / 1024,
	      "collapsed", "there is one");
}

static void see_collapsed(int session, const char *kind)
{
	long before = proc_kb("/proc/meminfo", "ShmemHugePages");
	int fd = luo_retrieve_fd(session, 1);

	check(nr_good_pages(fd, 9, 0, HUGE_SIZE / PAGE) == HUGE_SIZE / PAGE, kind, "content");
	check(pages_of(fd) == HUGE_SIZE / PAGE, kind, "memory");
	check(proc_kb("/proc/meminfo", "ShmemHugePages") - before == HUGE_SIZE / 1024, kind,
	      "it is still whole");
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

	for (i = 0; i < nr; i++)
		found += in_scratch(pfn_of(fd, mem + i * PAGE) * PAGE);
	close(fd);
	return found;
}

/* What somebody else has pinned cannot be moved. */
static void try_pinned(int session, int fd, char *mem)
{
	long before = read_number(PRESERVED), i;
	struct iovec iov = { .iov_len = PAGE };
	char page[PAGE];
	int pipes[2];

	for (i = 0; i < CMA_PAGES && !pages_in_scratch(mem + i * PAGE, 1); i++)
		;
	iov.iov_base = mem + i * PAGE;
	if (pipe(pipes) || vmsplice(pipes[1], &iov, 1, 0) != PAGE)
		die("vmsplice");
	check(luo_preserve_fd(session, fd, 1) == -EBUSY, "cma", "what is pinned is refused");
	check(read_number(PRESERVED) == before, "cma", "and nothing is preserved");
	if (read(pipes[0], page, PAGE) != PAGE)
		die("pipe");
	close(pipes[0]);
	close(pipes[1]);
}

#define NR_LOCKED	8

/*
 * Pages that are locked are for a while on a list of the CPU that has a reference to them,
 * which keeps them from being moved.
 */
static void preserve_locked(int session, int fd, char *mem)
{
	int nr = 0;
	long i;

	for (i = 0; i < CMA_PAGES && nr < NR_LOCKED; i++) {
		if (pages_in_scratch(mem + i * PAGE, 1) && !mlock(mem + i * PAGE, PAGE))
			nr++;
	}
	check(nr == NR_LOCKED, "cma", "some of them are locked");
	preserve(session, fd, 1);
}

/* Even if the kernel wants to move all that it can. */
static bool stay_in_place(char *mem, long nr)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	__u64 *pfns = malloc(nr * sizeof(*pfns));
	bool same = true;
	long i;

	for (i = 0; i < nr; i++)
		pfns[i] = pfn_of(pagemap, mem + i * PAGE);
	if (write_number("/proc/sys/vm/compact_memory", 1))
		die("compact_memory");
	for (i = 0; i < nr; i++)
		same &= pfns[i] == pfn_of(pagemap, mem + i * PAGE);
	free(pfns);
	close(pagemap);
	return same;
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
	check(nr >= 100, "cma", "some are in scratch");
	try_pinned(session, fd, mem);
	preserve_locked(session, fd, mem);
	check(pages_in_scratch(mem, CMA_PAGES) == 0, "cma", "they were moved");

	/* Nor is any when it is added: it would have to be moved when time is short. */
	if (ftruncate(fd, 2 * CMA_PAGES * PAGE))
		die("ftruncate");
	write_pages(fd, 6, CMA_PAGES, CMA_PAGES);
	check(pages_in_scratch(map(fd, CMA_PAGES * PAGE, CMA_PAGES * PAGE), CMA_PAGES) == 0,
	      "cma", "what is added is elsewhere");
	munmap(ballast, 2 * GIB);
	check(stay_in_place(mem, CMA_PAGES), "cma", "and stays there");
}

static void see_cma(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	check(nr_good_pages(fd, 6, 0, 2 * CMA_PAGES) == 2 * CMA_PAGES, kind, "content");
}

/*
 * What lies in hotplugged memory, which is above 4 GiB in a guest with less than that. There
 * is more of it than of boot memory.
 */
#define HOTPLUG_PAGES	(48 * MIB / PAGE)
#define HOTPLUG_START	(4 * GIB)
#define NR_HOTPLUG_HUGE	8
#define TOO_LARGE	(640 * MIB)

static long pages_above(char *mem, long nr, __u64 phys)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	long i, found = 0;

	for (i = 0; i < nr; i++)
		found += pfn_of(fd, mem + i * PAGE) * PAGE >= phys;
	close(fd);
	return found;
}

/* Boot memory has no room for this one. */
static void try_too_large(int session)
{
	long before = read_number(PRESERVED);
	int fd = new_memfd("too large", TOO_LARGE, 0), err;
	char *mem = map(fd, 0, TOO_LARGE);

	memset(mem, 1, TOO_LARGE);
	err = luo_preserve_fd(session, fd, 9);
	printf("note too large: %s\n", strerror(-err));
	check(err == -ENOMEM || err == -EBUSY, "hotplugged", "what is too large is refused");
	check(read_number(PRESERVED) == before, "hotplugged", "and nothing is preserved");
	munmap(mem, TOO_LARGE);
	close(fd);
}

static void make_hotplugged(int session)
{
	int fd = new_memfd("hotplugged", 2 * HOTPLUG_PAGES * PAGE, 0), huge;
	char *mem = map(fd, 0, HOTPLUG_PAGES * PAGE), *huge_mem;
	long before;

	write_pages(fd, 10, 0, HOTPLUG_PAGES);
	check(pages_above(mem, HOTPLUG_PAGES, HOTPLUG_START) > HOTPLUG_PAGES / 2,
	      "hotplugged", "most of it is in hotplugged memory");
	preserve(session, fd, 1);
	check(pages_above(mem, HOTPLUG_PAGES, HOTPLUG_START) == 0, "hotplugged",
	      "it was moved");
	write_pages(fd, 10, HOTPLUG_PAGES, HOTPLUG_PAGES);

	set_huge("force");
	huge = new_memfd("huge", NR_HOTPLUG_HUGE * HUGE_SIZE, 0);
	huge_mem = map(huge, 0, NR_HOTPLUG_HUGE * HUGE_SIZE);
	before = proc_kb("/proc/meminfo", "ShmemHugePages");
	write_pages(huge, 11, 0, NR_HOTPLUG_HUGE * HUGE_SIZE / PAGE);
	check(pages_above(huge_mem, NR_HOTPLUG_HUGE * HUGE_SIZE / PAGE, HOTPLUG_START) > 0,
	      "hotplugged", "so are huge pages");
	preserve(session, huge, 2);
	check(proc_kb("/proc/meminfo", "ShmemHugePages") - before ==
	      NR_HOTPLUG_HUGE * HUGE_SIZE / 1024, "hotplugged", "they are moved as a whole");
	set_huge("never");

	try_too_large(session);
}

static void see_hotplugged(int session, const char *kind)
{
	check(nr_good_pages(luo_retrieve_fd(session, 1), 10, 0, 2 * HOTPLUG_PAGES) ==
	      2 * HOTPLUG_PAGES, kind, "content");
	check(nr_good_pages(luo_retrieve_fd(session, 2), 11, 0,
			    NR_HOTPLUG_HUGE * HUGE_SIZE / PAGE) ==
	      NR_HOTPLUG_HUGE * HUGE_SIZE / PAGE, kind, "content of huge pages");
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

static int try_reboot(void)
{
	return reboot(RB_KEXEC) ? -errno : 0;
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
		err = try_reboot();
		as_expected += err == -EAGAIN || (err == -ENOMEM && has_failed(faults));
		nr_failed += err == -ENOMEM;
		fail_nth(faults, 0);
	}
	write_number(TEST_DIR "fail_freeze", 0);
	printf("note of %d allocations, %d were needed\n", NR_TRIES, nr_failed);
	check(nr_failed > 0, "faults", "the reboot fails for lack of memory");
	check(as_expected == NR_TRIES, "faults", "and for no other reason");
}

/* Try to reboot in the background. */
static void *reboot_thread(void *result)
{
	*(int *)result = try_reboot();
	return NULL;
}

/* It takes a while until a file that comes later fails. */
static void try_frozen(void)
{
	int session = open_session(luo_create(device, "frozen"), "frozen");
	int last = open_session(luo_create(device, "last"), "last");
	int fd = new_memfd("frozen", 10 * PAGE, 0), result = 0, err = 0, tries;
	pthread_t thread;

	preserve(session, fd, 1);
	preserve(last, luo_test_file("last", 1), 1);
	write_number(TEST_DIR "fail_after_ms", 2000);
	write_number(TEST_DIR "fail_freeze", 1);
	pthread_create(&thread, NULL, reboot_thread, &result);
	for (tries = 0; tries < 1500 && !err; tries++) {
		usleep(1000);
		err = ftruncate(fd, (11 + tries) * PAGE) ? errno : 0;
	}
	check(err == EBUSY, "frozen", "it does not grow");
	check(fallocate(fd, 0, 0, PAGE) && errno == EBUSY, "frozen", "nor is it allocated");
	check(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) && errno == EBUSY, "frozen",
	      "nor is it sealed");
	pthread_join(thread, NULL);
	check(result == -EAGAIN, "frozen", "the reboot fails");
	check(ftruncate(fd, 2000 * PAGE) == 0 && fallocate(fd, 0, 0, PAGE) == 0 &&
	      fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "frozen", "then all is allowed");
	close(session);
	close(last);
}

/*
 * A writable mapping and F_SEAL_FUTURE_WRITE come at the same time, so that neither has
 * kept the other out. The next kernel would let nobody make the mapping again.
 */
static void try_sealed(void)
{
	int session = open_session(luo_create(device, "sealed"), "sealed");
	int last = open_session(luo_create(device, "last"), "last");
	int fd = new_memfd("sealed", 10 * PAGE, 0);
	void *mem;

	preserve(session, fd, 1);
	preserve(last, luo_test_file("last", 1), 1);
	mem = map(fd, 0, 10 * PAGE);
	check(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) && errno == EBUSY, "sealed",
	      "a seal that spares a mapping is refused");
	check(write_number(TEST_DIR "seal_memfd", fd) == 0 &&
	      fcntl(fd, F_GET_SEALS) == F_SEAL_FUTURE_WRITE, "sealed",
	      "it is added all the same");
	check(try_reboot() == -EPERM, "sealed", "the reboot would lose the mapping");
	munmap(mem, 10 * PAGE);
	write_number(TEST_DIR "fail_freeze", 1);
	check(try_reboot() == -EAGAIN, "sealed", "without it, another file fails");
	close(session);
	close(last);
	close(fd);
}

#define BUSY_PAGES	(64 * MIB / PAGE)
#define NR_BUSY		4

static int busy_fd;
static bool busy_ends;

static void *busy_thread(void *allocates)
{
	while (!__atomic_load_n(&busy_ends, __ATOMIC_RELAXED)) {
		if (allocates)
			fallocate(busy_fd, 0, 0, PAGE);
		else
			lseek(busy_fd, 0, SEEK_HOLE);
	}
	return NULL;
}

/* Those who do nothing but take its lock do not keep it from being frozen. */
static void try_busy(void)
{
	int session = open_session(luo_create(device, "busy"), "busy");
	int last = open_session(luo_create(device, "last"), "last");
	pthread_t threads[NR_BUSY];
	long i;

	busy_fd = new_memfd("busy", BUSY_PAGES * PAGE, 0);
	write_pages(busy_fd, 1, 0, BUSY_PAGES);
	preserve(session, busy_fd, 1);
	preserve(last, luo_test_file("last", 1), 1);
	write_number(TEST_DIR "fail_after_ms", 0);
	write_number(TEST_DIR "fail_freeze", 1);
	for (i = 0; i < NR_BUSY; i++)
		pthread_create(&threads[i], NULL, busy_thread, (void *)(i % 2));
	usleep(100000);
	check(try_reboot() == -EAGAIN, "busy", "it is frozen, and another file fails");
	__atomic_store_n(&busy_ends, true, __ATOMIC_RELAXED);
	for (i = 0; i < NR_BUSY; i++)
		pthread_join(threads[i], NULL);
	write_number(TEST_DIR "fail_freeze", 0);
	close(session);
	close(last);
	close(busy_fd);
}

#define SOURCE_SIZE	(64 * MIB)

/* Write a hole of another memfd, which takes long. */
static void *write_thread(void *fds)
{
	int from = ((int *)fds)[0], to = ((int *)fds)[1];
	char *mem = map(from, 0, SOURCE_SIZE);
	long done = 0, nr = 0;

	while (done < SOURCE_SIZE && nr >= 0) {
		nr = pwrite(to, mem + done, SOURCE_SIZE - done, done);
		done += nr;
	}
	return (void *)done;
}

/* A write() to one memfd goes on although it is from holes of another, until all of it is done. */
static void try_slow_write(void)
{
	int session = open_session(luo_create(device, "slow"), "slow");
	int last = open_session(luo_create(device, "last"), "last");
	int fds[2] = { new_memfd("from", SOURCE_SIZE, 0), new_memfd("to", SOURCE_SIZE, 0) };
	pthread_t thread;
	void *written;

	preserve(session, fds[0], 1);
	preserve(session, fds[1], 2);
	/* This one fails, so that the reboot can be looked at. */
	preserve(last, luo_test_file("last", 1), 1);
	write_number(TEST_DIR "fail_after_ms", 0);
	write_number(TEST_DIR "fail_freeze", 1);
	pthread_create(&thread, NULL, write_thread, fds);
	while (!pages_of(fds[1]))
		;
	check(try_reboot() == -EAGAIN, "slow write", "all is frozen, and another file fails");
	pthread_join(thread, &written);
	write_number(TEST_DIR "fail_freeze", 0);
	check((long)written == SOURCE_SIZE, "slow write", "the write succeeds");
	close(session);
	close(last);
}

#define LONG_PAGES	(768 * MIB / PAGE)

static int long_errno;
static bool long_stop;

/* One fallocate() after the other, until one fails or it has to stop. */
static void *long_thread(void *fd)
{
	do {
		long_errno = fallocate(*(int *)fd, FALLOC_FL_KEEP_SIZE, 0,
				       LONG_PAGES * PAGE) ? errno : 0;
	} while (!long_errno && !__atomic_load_n(&long_stop, __ATOMIC_RELAXED));

	return NULL;
}

/* It gives way to a reboot, and can be tried again. */
static void try_long_fallocate(void)
{
	int session = open_session(luo_create(device, "long"), "long");
	int last = open_session(luo_create(device, "last"), "last");
	int fd = new_memfd("long", 0, 0);
	pthread_t thread;

	preserve(session, fd, 1);
	preserve(last, luo_test_file("last", 1), 1);
	write_number(TEST_DIR "fail_after_ms", 0);
	write_number(TEST_DIR "fail_freeze", 1);
	pthread_create(&thread, NULL, long_thread, &fd);
	while (!pages_of(fd))
		;
	check(try_reboot() == -EAGAIN, "long fallocate", "all is frozen, and another file fails");
	__atomic_store_n(&long_stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	printf("note %ld of %ld pages were allocated\n", pages_of(fd), LONG_PAGES);
	check(long_errno == EBUSY, "long fallocate", "it has failed");
	check(fallocate(fd, 0, 0, 10 * PAGE) == 0 && size_of(fd) == 10 * PAGE,
	      "long fallocate", "and another one does not");
	write_number(TEST_DIR "fail_freeze", 0);
	close(session);
	close(last);
	close(fd);
}

/* Reads a hole, and so waits for the file to be unfrozen. */
static void *touch_thread(void *mem)
{
	return (void *)(long)__atomic_load_n((char *)mem, __ATOMIC_RELAXED);
}

/* A process that waits for a frozen file does not have its own mm locked. */
static void try_mm_lock(void)
{
	int session = open_session(luo_create(device, "mm"), "mm");
	int last = open_session(luo_create(device, "last"), "last");
	int fd = new_memfd("mm", 10 * PAGE, 0), self = open("/proc/self/mem", O_RDWR);
	char *mem = map(fd, 0, 10 * PAGE);
	pthread_t thread, toucher;
	int result = 0, err;

	preserve(session, fd, 1);
	preserve(last, luo_test_file("last", 1), 1);
	write_number(TEST_DIR "fail_after_ms", 2000);
	write_number(TEST_DIR "fail_freeze", 1);
	pthread_create(&thread, NULL, reboot_thread, &result);
	while (!(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) && errno == EBUSY))
		;
	pthread_create(&toucher, NULL, touch_thread, mem);
	usleep(200000);
	/* This has to be locked all the time. */
	err = pwrite(self, "x", 1, (long)mem + 5 * PAGE) == 1 ? 0 : errno;
	check(err == EIO, "mm", "what cannot wait without the lock fails");
	munmap(map(fd, 0, PAGE), PAGE);
	check(pages_of(fd) == 0 && !__atomic_load_n(&result, __ATOMIC_RELAXED), "mm",
	      "memory can be mapped while the file is frozen");
	pthread_join(thread, NULL);
	pthread_join(toucher, NULL);
	check(result == -EAGAIN, "mm", "the reboot fails");
	check(pages_of(fd) == 1 && pwrite(self, "x", 1, (long)mem + 5 * PAGE) == 1, "mm",
	      "then all goes on");
	write_number(TEST_DIR "fail_freeze", 0);
	write_number(TEST_DIR "fail_after_ms", 0);
	close(session);
	close(last);
}

const struct kind kinds[] = {
	{ "added", NULL, see_added },
	{ "last", NULL, see_last },
	{ "thp", make_thp, see_thp },
	{ "mthp", make_mthp, see_mthp },
	{ "collapsed", make_collapsed, see_collapsed },
	{ "swapped", make_swapped, see_swapped },
	{ "cma", make_cma, see_cma },
	{ "hotplugged", make_hotplugged, see_hotplugged },
	{ "writers", make_writers, see_writers },
	{}
};

int main(int argc, char **argv)
{
	if (run_kinds(argc, argv))
		return failed;

	if (argc == 2 && !strcmp(argv[1], "reboot-with-faults")) {
		reboot_with_faults();
		keep_running();
	} else if (argc == 2 && !strcmp(argv[1], "frozen")) {
		try_frozen();
		try_sealed();
		try_busy();
		try_slow_write();
		try_long_fallocate();
		try_mm_lock();
	} else {
		return usage();
	}

	return failed;
}
