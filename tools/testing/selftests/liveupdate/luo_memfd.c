// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, across a kexec: what they hold. See luo_memfd.h, and
 *
 *	luo_memfd again KIND	retrieve a session, and make it anew of the same memfds
 */
#define _GNU_SOURCE
#include <pthread.h>

#include "luo_memfd.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC	0x0020
#endif

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
	/* The kernel adds these to F_SEAL_EXEC. */
	{ PAGE, 0, 1, 0, F_SEAL_EXEC | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE |
	  F_SEAL_SHRINK | F_SEAL_GROW },
};

#define NR_SMALL	ARRAY_SIZE(small)

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
	int fd, good = 0, sealed = 0, writable = 0, private = 0;
	struct stat st;
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
		/* Nobody can execute it, or open it who is not the owner. */
		private += !fstat(fd, &st) && (st.st_mode & 07777) == 0600;

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
	check(private == NR_SMALL, kind, "mode");
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

/* Little in a file that is larger than all memory: a page in each GiB, and the last one. */
static void make_holes(int session, const char *kind, long nr_gib)
{
	long before = read_number(PRESERVED), i, in_list;
	int fd = new_memfd(kind, nr_gib * GIB, 0);

	for (i = 0; i < nr_gib; i++)
		write_pages(fd, 2, i * (GIB / PAGE) + i, 1);
	write_pages(fd, 2, nr_gib * (GIB / PAGE) - 1, 1);
	preserve(session, fd, 1);

	/*
	 * The pages; the session's list of files, which begins with this one; what
	 * describes the file, its list, and a page that lists that.
	 */
	in_list = ((nr_gib + 1) * 16 + PAGE - 1) / PAGE;
	check(read_number(PRESERVED) - before == nr_gib + 1 + 3 + in_list, kind,
	      "holes cost nothing");
}

static void see_holes(int session, const char *kind, long nr_gib)
{
	int fd = luo_retrieve_fd(session, 1);
	long i, good = 0;

	for (i = 0; i < nr_gib; i++)
		good += nr_good_pages(fd, 2, i * (GIB / PAGE) + i, 1);
	good += nr_good_pages(fd, 2, nr_gib * (GIB / PAGE) - 1, 1);
	check(size_of(fd) == nr_gib * GIB, kind, "size");
	check(good == nr_gib + 1, kind, "content");
	check(pages_of(fd) == nr_gib + 1, kind, "holes are holes");
}

static void make_sparse(int session)
{
	make_holes(session, "sparse", 8);
}

static void see_sparse(int session, const char *kind)
{
	see_holes(session, kind, 8);
}

static void make_vast(int session)
{
	make_holes(session, "vast", 1024);
}

static void see_vast(int session, const char *kind)
{
	see_holes(session, kind, 1024);
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

static void see_fallocated(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1), later = luo_retrieve_fd(session, 2);

	check(pages_of(fd) == 32 && zero_pages(fd, 0, 64), kind, "before");
	check(pages_of(later) == 64 && zero_pages(later, 0, 63), kind, "after");
	check(nr_good_pages(later, 4, 63, 1) == 1, kind, "what was written then");
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
	int i, good = 0;

	for (i = 0; i < NR_MANY; i += 2)
		good += nr_good_pages(luo_retrieve_fd(session, i), i, 0, 300) == 300;
	check(good == NR_MANY / 2, kind, "content");
}

const struct kind kinds[] = {
	{ "small", make_small, see_small },
	{ "dense", make_dense, see_dense },
	{ "sparse", make_sparse, see_sparse },
	{ "vast", make_vast, see_vast },
	{ "fallocated", make_fallocated, see_fallocated },
	{ "threads", make_many, see_threads },
	{ "half", make_many, see_half },
	{ "unclaimed", make_many, see_threads },
	{}
};

/* Hand the same small memfds on. */
static void hand_on(const char *name)
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
	if (run_kinds(argc, argv))
		return failed;

	if (argc != 3 || strcmp(argv[1], "again"))
		return usage();

	hand_on(argv[2]);
	keep_running();
	return failed;
}
