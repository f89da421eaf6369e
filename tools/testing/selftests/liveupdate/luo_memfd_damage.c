// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in a session that is damaged on its way. The token of each says how, and the
 * host does it: see damage.py, and luo_memfd.h for how the session is kept.
 *
 * A damaged file fails its own retrieve, and the others are as they were.
 */
#define _GNU_SOURCE
#include "luo_memfd.h"

/* More than one page of the list of its folios. */
#define FILE_PAGES	300L

/* Its token says what it is; @err is what the next kernel says of it. */
static const struct {
	const char *how;
	int err;
	bool huge;
	bool zero;		/* its first page has lost its content */
	bool unknown;		/* its size cannot be listed */
} files[] = {
	{ "before", 0 },
	/* What describes it. */
	{ "nowhere", EBADMSG, .unknown = true },
	{ "odd", EBADMSG, .unknown = true },
	{ "free", EBADMSG, .unknown = true },
	{ "pos", EBADMSG, .unknown = true },
	{ "size", EBADMSG, .unknown = true },
	{ "seals", EBADMSG, .unknown = true },
	{ "flags", EBADMSG, .unknown = true },
	{ "many", EBADMSG, .unknown = true },
	{ "none", EBADMSG, .unknown = true },
	/* The list of its folios. */
	{ "pages", EBADMSG },
	{ "order", EBADMSG },
	{ "first", EBADMSG },
	{ "slot", EBADMSG },
	{ "hole", EBADMSG },
	{ "loop", EBADMSG },
	/* What that says of one. */
	{ "pfn", EBADMSG },
	{ "pfn0", EBADMSG },
	{ "pfntwice", EBADMSG },
	{ "pfntaken", EBADMSG },
	{ "mark", EBADMSG },
	{ "index", EBADMSG },
	{ "huge", EBADMSG, .huge = true },
	{ "clean", 0 },
	{ "stale", 0, .zero = true },
	{ "again", EBADMSG },
	/* Whose it is. */
	{ "handler", EOPNOTSUPP, .unknown = true },
	{ "after", 0 },
};

static __u64 token_of(unsigned int i)
{
	__u64 token = 0;

	memcpy(&token, files[i].how, strlen(files[i].how));
	return token;
}

static void make_damaged(int session)
{
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		set_huge(files[i].huge ? "force" : "never");
		fd = new_memfd("damaged", FILE_PAGES * PAGE, 0);
		write_pages(fd, i + 1, 0, FILE_PAGES);
		preserve(session, fd, token_of(i));
		close(fd);
	}
}

/* What is lost when memory is short, as if it was. There is no swap. */
static void reclaim(int fd)
{
	void *mem;

	if (fd < 0)
		return;
	mem = map(fd, 0, FILE_PAGES * PAGE);
	madvise(mem, FILE_PAGES * PAGE, MADV_POPULATE_READ);
	madvise(mem, FILE_PAGES * PAGE, MADV_PAGEOUT);
	munmap(mem, FILE_PAGES * PAGE);
}

/* The list of sessions tells sizes of files before they are retrieved. */
static void see_sizes(const char *kind)
{
	char text[96], size[32];
	unsigned int i;

	snprintf(size, sizeof(size), "%ld", FILE_PAGES * PAGE);
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(text, sizeof(text), "file token %llu size %s state unclaimed kind ",
			 (unsigned long long)token_of(i), files[i].unknown ? "-" : size);
		check(nr_lines_with(SESSIONS_IN, text) == 1, kind, files[i].how);
	}
}

static void see_damaged(int session, const char *kind)
{
	unsigned int i;
	int fd;

	see_sizes("size");
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		fd = luo_retrieve_fd(session, token_of(i));
		reclaim(fd);
		if (files[i].err)
			check(fd == -files[i].err, kind, files[i].how);
		else
			check(size_of(fd) == FILE_PAGES * PAGE &&
			      nr_good_pages(fd, i + 1, 1, FILE_PAGES - 1) == FILE_PAGES - 1 &&
			      nr_good_pages(fd, i + 1, 0, 1) == !files[i].zero &&
			      zero_pages(fd, 0, 1) == files[i].zero, kind, files[i].how);
		if (fd < 0)
			printf("note %s: %s\n", files[i].how, strerror(-fd));
	}
}

const struct kind kinds[] = {
	{ "damaged", make_damaged, see_damaged },
	{}
};

int main(int argc, char **argv)
{
	return run_kinds(argc, argv) ? failed : usage();
}
