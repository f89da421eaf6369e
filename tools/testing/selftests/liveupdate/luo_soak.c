// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two sessions of memfds through any number of kernels, with new content in each.
 *
 *	luo_soak begin SEED	first kernel: make the session that is handed on
 *	luo_soak again SEED	later kernels: retrieve that session, verify it, write to
 *				it, and hand it on
 *	luo_soak keep SEED	each kernel: make the session that the next kernel finishes
 *	luo_soak after SEED	later kernels: retrieve that one, verify it, finish it
 *
 * SEED is the number that the content is derived from. It is another one in each kernel
 * and travels in a memfd of each session, where the next kernel reads it. "after" is
 * told which one the previous kernel had, and so finds what an older kernel has left.
 *
 * Prints "ok WHAT" and "not ok WHAT".
 */
#define _GNU_SOURCE
#include "luo_memfd.h"

#define CARRIED		"soak-carried"
#define FINISHED	"soak-finished"

/* Tokens. */
enum {
	LABEL,
	DENSE,
	SPARSE,
	UNWANTED,
};

static __u64 random_of(__u64 seed, __u64 nr)
{
	__u64 x = seed * 0x9e3779b97f4a7c15ULL + nr * 0xbf58476d1ce4e5b9ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* A memfd with data at its beginning, mapped. */
static void *new_label(int session, long size)
{
	int fd = new_memfd("label", size, 0);
	char *mem = map(fd, 0, size);

	/* So that what is preserved does not depend on when its page is written. */
	*mem = 0;
	preserve(session, fd, LABEL);
	close(fd);
	return mem;
}

static void *find_label(int session, long size)
{
	int fd = open_session(luo_retrieve_fd(session, LABEL), "label");

	if (size_of(fd) != size) {
		errno = EBADMSG;
		die("label");
	}
	return map(fd, 0, size);
}

/*
 * The session that is finished: a dense memfd, and one with a page somewhere in each of
 * as many equal parts as it has pages. A third one is retrieved from every second of
 * those sessions; otherwise finishing the session frees its memory.
 */
#define PARTS		64L
#define PART_PAGES	(128 * MIB / PAGE)

static long dense_pages(__u64 seed)
{
	return 256 + random_of(seed, DENSE) % 2048;
}

static long sparse_page(__u64 seed, long part)
{
	return part * PART_PAGES + random_of(seed, SPARSE + part * 8) % (PART_PAGES - 1);
}

static long unwanted_pages(__u64 seed)
{
	return 1 + random_of(seed, UNWANTED) % 256;
}

static bool unwanted(__u64 seed)
{
	return random_of(seed, UNWANTED) >> 63;
}

static void make_file(int session, __u64 token, __u64 seed, long nr)
{
	int fd = new_memfd("dense", nr * PAGE, 0);

	write_pages(fd, seed + token, 0, nr);
	preserve(session, fd, token);
	close(fd);
}

static bool good_file(int session, __u64 token, __u64 seed, long nr)
{
	int fd = luo_retrieve_fd(session, token);
	bool good = size_of(fd) == nr * PAGE && pages_of(fd) == nr &&
		    nr_good_pages(fd, seed + token, 0, nr) == nr;

	close(fd);
	return good;
}

static void make_sparse(int session, __u64 seed)
{
	int fd = new_memfd("sparse", PARTS * PART_PAGES * PAGE, 0);
	long i;

	for (i = 0; i < PARTS; i++)
		write_pages(fd, seed + SPARSE, sparse_page(seed, i), 1);
	preserve(session, fd, SPARSE);
	close(fd);
}

static bool good_sparse(int session, __u64 seed)
{
	int fd = luo_retrieve_fd(session, SPARSE);
	bool good = size_of(fd) == PARTS * PART_PAGES * PAGE && pages_of(fd) == PARTS;
	long i, page;

	for (i = 0; good && i < PARTS; i++) {
		page = sparse_page(seed, i);
		good = nr_good_pages(fd, seed + SPARSE, page, 1) == 1;
	}
	check(good, FINISHED, "sparse memfd");

	for (i = 0; good && i < PARTS; i++)
		good = zero_pages(fd, sparse_page(seed, i) + 1, 1);
	close(fd);
	return good;
}

static void make_finished(__u64 seed)
{
	int session = open_session(luo_create(device, FINISHED), FINISHED);
	__u64 *label = new_label(session, sizeof(*label));

	*label = seed;
	make_file(session, DENSE, seed, dense_pages(seed));
	make_sparse(session, seed);
	make_file(session, UNWANTED, seed, unwanted_pages(seed));
	check(true, FINISHED, "is kept");
}

static void see_finished(__u64 expected)
{
	int session = open_session(luo_retrieve(device, FINISHED), FINISHED);
	const __u64 *label = find_label(session, sizeof(*label));
	__u64 seed = *label;

	check(seed == expected, FINISHED, "is of the previous kernel");
	check(good_file(session, DENSE, seed, dense_pages(seed)), FINISHED, "dense memfd");
	check(good_sparse(session, seed), FINISHED, "holes");
	if (!unwanted(seed))
		check(good_file(session, UNWANTED, seed, unwanted_pages(seed)), FINISHED,
		      "third memfd");
	check(luo_finish(session) == 0, FINISHED, "is finished");
}

/*
 * The session that is handed on: a memfd of which each kernel writes one page, in turn.
 * Its label says from which number each page was derived, and how many kernels have
 * written one.
 */
#define RING		64

struct ring {
	__u64 nr;
	__u64 seeds[RING];
};

static void hand_on(int session, struct ring *ring, int fd, __u64 seed)
{
	unsigned int slot = ring->nr++ % RING;

	ring->seeds[slot] = seed;
	write_pages(fd, seed, slot, 1);
	preserve(session, fd, DENSE);
}

static void begin_carried(__u64 seed)
{
	int session = open_session(luo_create(device, CARRIED), CARRIED);
	struct ring *ring = new_label(session, sizeof(*ring));
	int fd = new_memfd("ring", RING * PAGE, 0);
	unsigned int i;

	for (i = 0; i < RING; i++) {
		ring->seeds[i] = random_of(seed, i);
		write_pages(fd, ring->seeds[i], i, 1);
	}
	hand_on(session, ring, fd, seed);
	check(true, CARRIED, "is kept");
}

static void carry_on(__u64 seed)
{
	int session = open_session(luo_retrieve(device, CARRIED), CARRIED);
	int next = open_session(luo_create(device, CARRIED), CARRIED);
	int label = luo_retrieve_fd(session, LABEL);
	int fd = luo_retrieve_fd(session, DENSE);
	struct ring *ring = find_label(session, sizeof(*ring));
	unsigned int i, good = 0;

	for (i = 0; i < RING; i++)
		good += nr_good_pages(fd, ring->seeds[i], i, 1);
	check(good == RING && pages_of(fd) == RING, CARRIED, "content");
	preserve(next, label, LABEL);
	hand_on(next, ring, fd, seed);
	check(luo_finish(session) == 0, CARRIED, "is finished");
	printf("ok %s: %llu kernels have written to it\n", CARRIED, ring->nr);
	close(session);
	close(label);
	close(fd);
}

int main(int argc, char **argv)
{
	__u64 seed;

	if (argc != 3)
		return usage();

	open_device(100);
	seed = strtoull(argv[2], NULL, 10);
	if (!strcmp(argv[1], "begin"))
		begin_carried(seed);
	else if (!strcmp(argv[1], "again"))
		carry_on(seed);
	else if (!strcmp(argv[1], "keep"))
		make_finished(seed);
	else if (!strcmp(argv[1], "after"))
		see_finished(seed);
	else
		return usage();

	if (strcmp(argv[1], "after"))
		keep_running();
	return failed;
}
