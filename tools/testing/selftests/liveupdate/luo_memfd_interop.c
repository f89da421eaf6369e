// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, as any kernel with this ABI hands them over: complete before they
 * are preserved, and looked at only through themselves. See luo_memfd.h.
 *
 * A kernel may fill holes when a file is preserved, as mainline does: only the kind
 * "vast" is about holes that stay holes.
 *
 * Besides "keep" and "after" there are
 *
 *	close KIND...	make sessions of these kinds, and close them all
 *	absent KIND...	after the kexec: see that there are no such sessions
 */
#define _GNU_SOURCE
#include "luo_memfd.h"

/*
 * Each has @nr pages with content, every @step pages from @first on; and the first
 * @allocated pages were allocated before, whatever the size.
 */
static const struct file {
	const char *what;
	long size, first, nr, step;
	long pos;
	int seals;
	const char *huge;
	long allocated;
} files[] = {
	{ "empty", 0, 0, 0, 1, 0, 0, "never" },
	{ "empty, with memory", 0, 0, 0, 1, 0, 0, "never", 256 },
	{ "never written to", 100 * PAGE, 50, 3, 1, 0, 0, "never", 80 },
	{ "a hole", 1000 * PAGE, 0, 0, 1, 77, 0, "never" },
	{ "small", 3 * PAGE + 100, 0, 3, 1, 1234, 0, "never" },
	{ "dense", 64 * MIB, 0, 64 * MIB / PAGE, 1, 0, 0, "never" },
	{ "sparse", 64 * MIB, 5, 8, 8 * MIB / PAGE, 64 * MIB, 0, "never" },
	{ "sealed", 100 * PAGE, 7, 50, 1, 0, F_SEAL_GROW | F_SEAL_SHRINK, "never" },
	{ "sealed for good", PAGE, 0, 1, 1, 0, F_SEAL_SEAL, "never" },
	{ "sealed against writing", 20 * PAGE, 0, 20, 1, 3, F_SEAL_WRITE, "never" },
	{ "sealed against more writing", 20 * PAGE, 0, 20, 1, 3, F_SEAL_FUTURE_WRITE,
	  "never" },
	{ "huge", 16 * MIB, 0, 16 * MIB / PAGE, 1, 0, 0, "force" },
};

static void make_each(int session)
{
	unsigned int i;
	long nr;
	int fd;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		set_huge(files[i].huge);
		fd = new_memfd("interop", files[i].size, 0);
		if (files[i].allocated && fallocate(fd, FALLOC_FL_KEEP_SIZE, 0,
						    files[i].allocated * PAGE))
			die("fallocate");
		for (nr = 0; nr < files[i].nr; nr++)
			write_pages(fd, i, files[i].first + nr * files[i].step, 1);
		lseek(fd, files[i].pos, SEEK_SET);
		if (fcntl(fd, F_ADD_SEALS, files[i].seals))
			die("seals");
		preserve(session, fd, i);
	}
	set_huge("never");
}

/* A page with content, or in a hole. */
static bool is_as_it_was(int fd, unsigned int i, long index)
{
	long nr = (index - files[i].first) / files[i].step;

	if (nr >= 0 && nr < files[i].nr && index == files[i].first + nr * files[i].step)
		return nr_good_pages(fd, i, index, 1);

	return zero_pages(fd, index, 1);
}

static void see_each(int session, const char *kind)
{
	long huge = proc_kb("/proc/meminfo", "ShmemHugePages"), index, pages, good;
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = luo_retrieve_fd(session, i);
		pages = files[i].size / PAGE;
		for (index = 0, good = 0; index < pages; index++)
			good += is_as_it_was(fd, i, index);
		check(good == pages && size_of(fd) == files[i].size &&
		      lseek(fd, 0, SEEK_CUR) == files[i].pos &&
		      fcntl(fd, F_GET_SEALS) == files[i].seals, kind, files[i].what);
	}
	check(proc_kb("/proc/meminfo", "ShmemHugePages") - huge == 16 * 1024, kind,
	      "huge pages are whole");
}

/* More than fit into a page of the list of files. */
#define NR_MANY		500

static void make_many(int session)
{
	int i, fd;

	for (i = 0; i < NR_MANY; i++) {
		fd = new_memfd("many", 10 * PAGE, 0);
		write_pages(fd, i, i % 9, 1);
		preserve(session, fd, i + 1000);
		close(fd);
	}
}

static void see_many(int session, const char *kind)
{
	int i, fd, good = 0;

	for (i = NR_MANY - 1; i >= 0; i--) {
		fd = luo_retrieve_fd(session, i + 1000);
		good += size_of(fd) == 10 * PAGE && nr_good_pages(fd, i, i % 9, 1) &&
			zero_pages(fd, 9, 1);
		close(fd);
	}
	check(good == NR_MANY, kind, "content");
}

/* Much larger than the memory of the machine. */
#define NR_FAR		8
#define FAR		(GIB / PAGE)

static void make_vast(int session)
{
	int fd = new_memfd("vast", NR_FAR * GIB, 0), i;

	for (i = 0; i < NR_FAR; i++)
		write_pages(fd, 1, i * FAR, 1);
	preserve(session, fd, 1);
}

static void see_vast(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1), i, good = 0;

	for (i = 0; i < NR_FAR; i++)
		good += nr_good_pages(fd, 1, i * FAR, 1) && zero_pages(fd, i * FAR + 1, 1);
	check(good == NR_FAR && size_of(fd) == NR_FAR * GIB, kind, "content");
	check(pages_of(fd) == NR_FAR, kind, "holes are holes");
}

static void make_nothing(int session)
{
}

static void see_nothing(int session, const char *kind)
{
	check(luo_retrieve_fd(session, 0) == -ENOENT, kind, "has no files");
}

/*
 * More sessions than fit into one page of the list, and so many less of them before the
 * kexec that one page is not needed any more. Every second session has no files.
 */
#define NR_CROWD	110
#define NR_LEAVE	30
#define NR_STAY		(NR_CROWD - NR_LEAVE)

static const char *crowd_name(int i)
{
	static char name[16];

	sprintf(name, "crowd %d", i);
	return name;
}

static void make_crowd(int session)
{
	int leave[NR_LEAVE], i, fd;

	for (i = 0; i < NR_CROWD; i++) {
		session = open_session(luo_create(device, crowd_name(i)), "crowd");
		if (i < NR_LEAVE)
			leave[i] = session;
		if (i % 2)
			continue;
		fd = new_memfd("crowd", PAGE, 0);
		write_pages(fd, i, 0, 1);
		preserve(session, fd, i);
		close(fd);
	}
	for (i = 0; i < NR_LEAVE; i++)
		close(leave[i]);
}

static void see_crowd(int session, const char *kind)
{
	int i, fd, gone = 0, stayed = 0;

	for (i = 0; i < NR_CROWD; i++) {
		session = luo_retrieve(device, crowd_name(i));
		if (session < 0) {
			gone += i < NR_LEAVE && session == -ENOENT;
			continue;
		}
		fd = luo_retrieve_fd(session, i);
		stayed += i >= NR_LEAVE && luo_finish(session) == 0 &&
			  (i % 2 ? fd == -ENOENT : nr_good_pages(fd, i, 0, 1) == 1);
		close(fd);
		close(session);
	}
	check(gone == NR_LEAVE, kind, "those that were closed are gone");
	check(stayed == NR_STAY, kind, "all others are there, with what they had");
}

const struct kind kinds[] = {
	{ "each", make_each, see_each },
	{ "many", make_many, see_many },
	{ "vast", make_vast, see_vast },
	{ "nothing", make_nothing, see_nothing },
	{ "crowd", make_crowd, see_crowd },
	{}
};

/* The sessions are closed, including those that a kind makes besides its own. */
static void close_sessions(char **names)
{
	for (; *names; names++)
		find_kind(*names)->make(open_session(luo_create(device, *names), *names));
	printf("ok sessions are made\n");
}

static void see_absent(char **names)
{
	for (; *names; names++) {
		find_kind(*names);
		check(luo_retrieve(device, *names) == -ENOENT, *names, "is not there");
	}
}

int main(int argc, char **argv)
{
	if (run_kinds(argc, argv))
		return failed;

	if (argc > 2 && !strcmp(argv[1], "close"))
		close_sessions(argv + 2);
	else if (argc > 2 && !strcmp(argv[1], "absent"))
		see_absent(argv + 2);
	else
		return usage();

	return failed;
}
