// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, across a kexec.
 *
 *	luo_memfd keep KIND...	make a session of each of these kinds, and keep it in
 *				the background
 *	luo_memfd after KIND...	after the kexec: retrieve it, look at it, finish it
 *	luo_memfd again KIND	the same, and make it anew of the same memfds
 *
 * Prints "ok WHAT" and "not ok WHAT".
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "luo.h"

#define PAGE		4096L
#define MIB		(1L << 20)
#define GIB		(1L << 30)
#define HUGE_SIZE	(2 * MIB)

static int device;
static int failed;

static void check(bool good, const char *kind, const char *what)
{
	printf("%s %s: %s\n", good ? "ok" : "not ok", kind, what);
	failed |= !good;
}

static void die(const char *what)
{
	printf("not ok %s: %m\n", what);
	exit(1);
}

/* What a page of a file holds. */
static void page_content(__u64 *page, long seed, long index)
{
	__u64 value = seed * 0x9e3779b97f4a7c15ULL + index;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*page); i++)
		page[i] = value * (2 * i + 1);
}

static void *map(int fd, long offset, long size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (mem == MAP_FAILED)
		die("mmap");
	return mem;
}

static int new_memfd(const char *name, long size, unsigned int flags)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0 || ftruncate(fd, size))
		die("memfd_create");
	return fd;
}

static void write_pages(int fd, long seed, long first, long nr)
{
	__u64 page[PAGE / sizeof(__u64)];
	long i;

	for (i = first; i < first + nr; i++) {
		page_content(page, seed, i);
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			die("pwrite");
	}
}

static long nr_good_pages(int fd, long seed, long first, long nr)
{
	__u64 page[PAGE / sizeof(__u64)], found[PAGE / sizeof(__u64)];
	long i, good = 0;

	for (i = first; i < first + nr; i++) {
		page_content(page, seed, i);
		good += pread(fd, found, PAGE, i * PAGE) == PAGE &&
			!memcmp(page, found, PAGE);
	}

	return good;
}

static long size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* Memory that a file takes, in pages. */
static long pages_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_blocks * 512 / PAGE;
}

/* "NAME: N kB" of a file in /proc, in kB. */
static long proc_kb(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long value = -1, sum = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') {
			sscanf(line + strlen(name) + 1, "%ld", &value);
			sum += value;
		}
	}
	if (file)
		fclose(file);
	return value < 0 ? -1 : sum;
}

static void preserve(int session, int fd, __u64 token)
{
	int err = luo_preserve_fd(session, fd, token);

	if (err) {
		errno = -err;
		die("preserve");
	}
}

/* Small ones, of any size, position and access. */
static const struct {
	long size;
	long first, nr;
	long pos;
	int seals;
} small[] = {
	{ 0, 0, 0, 0, 0 },
	{ 1, 0, 0, 1, 0 },
	{ 3 * PAGE + 100, 0, 3, 1234, F_SEAL_SEAL },
	{ 100 * PAGE, 7, 50, 0, F_SEAL_GROW },
	{ 100 * PAGE, 99, 1, 100 * PAGE + 5, F_SEAL_SHRINK },
	{ 20 * PAGE, 0, 20, 3, F_SEAL_WRITE },
	{ 20 * PAGE, 0, 20, 3, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL },
	{ 20 * PAGE, 0, 20, 3, F_SEAL_FUTURE_WRITE },
	{ 70000 * PAGE, 0, 0, 77, 0 },
	{ 600 * PAGE, 0, 600, 0, 0 },
};

#define NR_SMALL	(sizeof(small) / sizeof(small[0]))

static void make_small(int session)
{
	unsigned int i;
	int fd;

	for (i = 0; i < NR_SMALL; i++) {
		fd = new_memfd("small", small[i].size, 0);
		write_pages(fd, i, small[i].first, small[i].nr);
		lseek(fd, small[i].pos, SEEK_SET);
		if (fcntl(fd, F_ADD_SEALS, small[i].seals))
			die("seals");
		preserve(session, fd, i);
		/* What follows until the kexec counts. */
		if (!small[i].seals && small[i].nr)
			write_pages(fd, i + 100, small[i].first + 5, 1);
		if (i % 2)
			close(fd);
	}
}

static void see_small(int session, const char *kind)
{
	int fd, good = 0, sealed = 0, writable = 0;
	unsigned int i;
	bool later;
	void *mem;
	char byte = 1;

	for (i = 0; i < NR_SMALL; i++) {
		fd = luo_retrieve_fd(session, i);
		later = !small[i].seals && small[i].nr;
		good += size_of(fd) == small[i].size && pages_of(fd) == small[i].nr &&
			lseek(fd, 0, SEEK_CUR) == small[i].pos &&
			(fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR &&
			nr_good_pages(fd, i, small[i].first, small[i].nr) ==
				small[i].nr - later &&
			nr_good_pages(fd, i + 100, small[i].first + 5, 1) == later;
		sealed += fcntl(fd, F_GET_SEALS) == small[i].seals;

		/* Seals hold, and without them all is allowed. */
		mem = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0);
		if (small[i].seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
			writable += mem == MAP_FAILED && pwrite(fd, &byte, 1, 0) < 0 &&
				    errno == EPERM;
		else if (small[i].size)
			writable += mem != MAP_FAILED && pwrite(fd, &byte, 1, 0) == 1;
		else
			writable += ftruncate(fd, 1) == 0 && pwrite(fd, &byte, 1, 0) == 1;
		close(fd);
	}
	check(good == NR_SMALL, kind, "sizes, positions and content");
	check(sealed == NR_SMALL, kind, "seals");
	check(writable == NR_SMALL, kind, "what they forbid");
}

/* Much content in small folios. */
#define DENSE_PAGES	(512 * MIB / PAGE)

static void make_dense(int session)
{
	int fd = new_memfd("dense", DENSE_PAGES * PAGE, 0);

	write_pages(fd, 1, 0, DENSE_PAGES);
	preserve(session, fd, 1);
}

static void see_dense(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	check(nr_good_pages(fd, 1, 0, DENSE_PAGES) == DENSE_PAGES, kind, "content");
	check(pages_of(fd) == DENSE_PAGES, kind, "memory");
}

/* Little in a file that is larger than all memory. */
#define SPARSE_STEP	(GIB / PAGE)
#define NR_SPARSE	8

static void make_sparse(int session)
{
	long before = read_number(PRESERVED), i;
	int fd = new_memfd("sparse", NR_SPARSE * GIB, 0);

	for (i = 0; i < NR_SPARSE; i++)
		write_pages(fd, 2, i * SPARSE_STEP + i, 1);
	write_pages(fd, 2, NR_SPARSE * SPARSE_STEP - 1, 1);
	preserve(session, fd, 1);
	/* The pages; what describes the file, its list, and a page that lists that. */
	check(read_number(PRESERVED) - before == NR_SPARSE + 1 + 3, "sparse",
	      "holes cost nothing");
}

static void see_sparse(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);
	long i, good = 0;

	for (i = 0; i < NR_SPARSE; i++)
		good += nr_good_pages(fd, 2, i * SPARSE_STEP + i, 1);
	good += nr_good_pages(fd, 2, NR_SPARSE * SPARSE_STEP - 1, 1);
	check(size_of(fd) == NR_SPARSE * GIB, kind, "size");
	check(good == NR_SPARSE + 1, kind, "content");
	check(pages_of(fd) == NR_SPARSE + 1, kind, "holes are holes");
}

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
	volatile char *mem;

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

/* Allocated, but never written to. */
static void make_fallocated(int session)
{
	int fd = new_memfd("fallocated", 64 * PAGE, 0);
	int later = new_memfd("fallocated", 64 * PAGE, 0);

	if (fallocate(fd, 0, 0, 32 * PAGE))
		die("fallocate");
	preserve(session, fd, 1);
	preserve(session, later, 2);
	if (fallocate(later, 0, 0, 64 * PAGE))
		die("fallocate");
	write_pages(later, 4, 63, 1);
}

static bool zero_pages(int fd, long nr)
{
	static const char zero[PAGE];
	char page[PAGE];
	long i;

	for (i = 0; i < nr; i++) {
		if (pread(fd, page, PAGE, i * PAGE) != PAGE || memcmp(page, zero, PAGE))
			return false;
	}

	return true;
}

static void see_fallocated(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1), later = luo_retrieve_fd(session, 2);

	check(pages_of(fd) == 32 && zero_pages(fd, 64), kind, "before");
	check(pages_of(later) == 64 && zero_pages(later, 63), kind, "after");
	check(nr_good_pages(later, 4, 63, 1) == 1, kind, "what was written then");
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

static long pages_in_scratch(volatile char *mem, long nr)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	long i, found = 0;
	__u64 entry;

	for (i = 0; i < nr; i++) {
		(void)mem[i * PAGE];
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

static void write_step(enum writer how, volatile __u64 *counter, volatile __u64 *mem,
		       int fd, __u64 step)
{
	long index = how == PAGES ? step % 64 : step;

	if (how == WRITES) {
		if (pwrite(fd, &step, sizeof(step), index * PAGE) != sizeof(step))
			die("write");
	} else {
		mem[index * (PAGE / sizeof(*mem))] = step;
	}
	*counter = step;
}

static void run_writer(enum writer how)
{
	volatile __u64 *counter = map(writer_fds[how][0], 0, PAGE);
	volatile __u64 *mem = map(writer_fds[how][1], 0, WRITER_PAGES * PAGE);
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

/* Many, and what becomes of them when some, or none, are retrieved. */
#define NR_MANY		50

static void make_many(int session)
{
	int i, fd;

	for (i = 0; i < NR_MANY; i++) {
		fd = new_memfd("many", 300 * PAGE, 0);
		write_pages(fd, i, 0, 300);
		preserve(session, fd, i);
		close(fd);
	}
}

static int many_session, many_good;

static void *retrieve_many(void *unused)
{
	int i, fd;

	for (i = 0; i < NR_MANY; i++) {
		fd = luo_retrieve_fd(many_session, i);
		if (nr_good_pages(fd, i, 0, 300) == 300)
			__sync_fetch_and_add(&many_good, 1);
		close(fd);
	}

	return NULL;
}

static void see_threads(int session, const char *kind)
{
	pthread_t threads[4];
	int i;

	many_session = session;
	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, retrieve_many, NULL);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	check(many_good == 4 * NR_MANY, kind, "content");
}

static void see_half(int session, const char *kind)
{
	long before = read_number("/sys/kernel/debug/kho/in/unclaimed_pages"), now;
	int i, good = 0;

	for (i = 0; i < NR_MANY; i += 2)
		good += nr_good_pages(luo_retrieve_fd(session, i), i, 0, 300) == 300;
	check(good == NR_MANY / 2, kind, "content");
	check(luo_finish(session) == 0, kind, "is finished");
	now = read_number("/sys/kernel/debug/kho/in/unclaimed_pages");
	/* Each has a page that describes it, two for its list, and one for that. */
	check(before - now >= NR_MANY * (300 + 4), kind, "the others are freed");
}

static const struct kind {
	const char *name;
	void (*make)(int session);
	void (*see)(int session, const char *kind);
} kinds[] = {
	{ "small", make_small, see_small },
	{ "dense", make_dense, see_dense },
	{ "sparse", make_sparse, see_sparse },
	{ "thp", make_thp, see_thp },
	{ "fallocated", make_fallocated, see_fallocated },
	{ "swapped", make_swapped, see_swapped },
	{ "cma", make_cma, see_cma },
	{ "writers", make_writers, see_writers },
	{ "threads", make_many, see_threads },
	{ "half", make_many, see_half },
	{ "unclaimed", make_many, see_threads },
	{}
};

static const struct kind *find_kind(const char *name)
{
	const struct kind *kind;

	for (kind = kinds; kind->name; kind++) {
		if (!strcmp(kind->name, name))
			return kind;
	}
	errno = EINVAL;
	die(name);
	return NULL;
}

static void keep_running(void)
{
	fflush(stdout);
	if (fork())
		_exit(failed);

	setsid();
	close(device);
	close(0);
	close(1);
	close(2);
	while (1)
		pause();
}

static int open_session(int session, const char *name)
{
	if (session < 0) {
		errno = -session;
		die(name);
	}
	return session;
}

/* Hand the same small memfds on. */
static void again(const char *name)
{
	int session = open_session(luo_retrieve(device, name), name);
	int next = open_session(luo_create(device, name), name);
	unsigned int i;
	int fd, good = 0;

	for (i = 0; i < NR_MANY; i++) {
		fd = luo_retrieve_fd(session, i);
		good += nr_good_pages(fd, i, 0, 300) == 300 && !luo_preserve_fd(next, fd, i);
		close(fd);
	}
	check(good == NR_MANY, name, "content, and they can be preserved again");
	check(luo_finish(session) == 0, name, "is finished");
}

int main(int argc, char **argv)
{
	struct rlimit limit = { 5000, 5000 };
	const struct kind *kind;
	int i, session;

	setrlimit(RLIMIT_NOFILE, &limit);
	device = open(DEVICE, O_RDWR | O_CLOEXEC);
	if (device < 0)
		die(DEVICE);

	if (argc > 2 && !strcmp(argv[1], "keep")) {
		for (i = 2; i < argc; i++) {
			kind = find_kind(argv[i]);
			kind->make(open_session(luo_create(device, argv[i]), argv[i]));
		}
		keep_running();
	} else if (argc > 2 && !strcmp(argv[1], "after")) {
		for (i = 2; i < argc; i++) {
			kind = find_kind(argv[i]);
			session = open_session(luo_retrieve(device, argv[i]), argv[i]);
			kind->see(session, argv[i]);
			luo_finish(session);
			close(session);
		}
	} else if (argc == 3 && !strcmp(argv[1], "again")) {
		again(argv[2]);
		keep_running();
	} else {
		errno = EINVAL;
		die("usage");
	}

	return failed;
}
