/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs share that hand memfds over. Each has a list of kinds of
 * sessions, kinds[], and does with them what it is told:
 *
 *	keep KIND...	make a session of each of these kinds, and keep it in the
 *			background
 *	after KIND...	after the kexec: retrieve it, look at it, finish it
 *
 * They print "ok WHAT" and "not ok WHAT".
 */
#ifndef _SELFTESTS_LIVEUPDATE_LUO_MEMFD_H
#define _SELFTESTS_LIVEUPDATE_LUO_MEMFD_H

#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "../kselftest.h"
#include "luo_keep.h"

#define PAGE		4096L
#define MIB		(1024 * 1024L)
#define GIB		(1024 * MIB)

/**
 * struct kind - a kind of session
 * @name: its name, and that of the session
 * @make: put files into it
 * @see: look at what has arrived
 */
struct kind {
	const char *name;
	void (*make)(int session);
	void (*see)(int session, const char *kind);
};

extern const struct kind kinds[];

static inline void check(bool good, const char *kind, const char *what)
{
	printf("%s %s: %s\n", good ? "ok" : "not ok", kind, what);
	failed |= !good;
}

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* Whether what is added to memfds is in huge pages: "never", "force" and others. */
static inline void set_huge(const char *mode)
{
	FILE *file = fopen(SHMEM_ENABLED, "w");

	if (!file || fprintf(file, "%s\n", mode) < 0 || fclose(file))
		die(SHMEM_ENABLED);
}

/* What a page of a file holds. */
static inline void page_content(__u64 *page, long seed, long index)
{
	__u64 value = seed * 0x9e3779b97f4a7c15ULL + index;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*page); i++)
		page[i] = value * (2 * i + 1);
}

static inline void *map(int fd, long offset, long size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);

	if (mem == MAP_FAILED)
		die("mmap");
	return mem;
}

static inline int new_memfd(const char *name, long size, unsigned int flags)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);

	if (fd < 0 || ftruncate(fd, size))
		die("memfd_create");
	return fd;
}

static inline void write_pages(int fd, long seed, long first, long nr)
{
	__u64 page[PAGE / sizeof(__u64)];
	long i;

	for (i = first; i < first + nr; i++) {
		page_content(page, seed, i);
		if (pwrite(fd, page, PAGE, i * PAGE) != PAGE)
			die("pwrite");
	}
}

static inline long nr_good_pages(int fd, long seed, long first, long nr)
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

/* Whether they read as zeros, as holes do. */
static inline bool zero_pages(int fd, long first, long nr)
{
	static const char zero[PAGE];
	char page[PAGE];
	long i;

	for (i = first; i < first + nr; i++) {
		if (pread(fd, page, PAGE, i * PAGE) != PAGE || memcmp(page, zero, PAGE))
			return false;
	}

	return true;
}

static inline long size_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

/* Memory that a file takes, in pages. */
static inline long pages_of(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_blocks * 512 / PAGE;
}

/* Of a page that is mapped, from /proc/self/pagemap. */
static inline __u64 pfn_of(int pagemap, const char *mem)
{
	__u64 entry;

	__atomic_load_n(mem, __ATOMIC_RELAXED);
	if (pread(pagemap, &entry, 8, (long)mem / PAGE * 8) != 8)
		die("pagemap");
	return entry & ((1ULL << 55) - 1);
}

/* "NAME: N kB" of a file in /proc, in kB. */
static inline long proc_kb(const char *path, const char *name)
{
	FILE *file = fopen(path, "r");
	char line[256];
	long value = -1, sum = 0;

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') {
			value = strtol(line + strlen(name) + 1, NULL, 10);
			sum += value;
		}
	}
	if (file)
		fclose(file);
	return value < 0 ? -1 : sum;
}

static inline const struct kind *find_kind(const char *name)
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

/* Open the device, and do what every program can. False when it is something else. */
static inline bool run_kinds(int argc, char **argv)
{
	const struct kind *kind;
	int i, session;

	open_device(5000);

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
			check(luo_finish(session) == 0, argv[i], "is finished");
			close(session);
		}
	} else {
		return false;
	}

	return true;
}

static inline int usage(void)
{
	errno = EINVAL;
	die("usage");
	return 1;
}

#endif /* _SELFTESTS_LIVEUPDATE_LUO_MEMFD_H */
