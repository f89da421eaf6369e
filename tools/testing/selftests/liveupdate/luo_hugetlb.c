// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds of hugetlb in sessions, across a kexec: see luo_memfd.h, and
 *
 *	luo_hugetlb again KIND	retrieve a session of the kind "chain", and make it anew of
 *				the same memfd
 */
#define _GNU_SOURCE
#include <sys/syscall.h>

#include "luo_faults.h"
#include "luo_memfd.h"

#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB	(21U << 26)
#endif
#ifndef MFD_HUGE_1GB
#define MFD_HUGE_1GB	(30U << 26)
#endif

#define POOL_2M		"/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define POOL_1G		"/sys/kernel/mm/hugepages/hugepages-1048576kB/"

/* What a pool says of itself. */
struct pool {
	long total, free, reserved, surplus;
};

static long pool_number(const char *pool, const char *what)
{
	char path[128];

	snprintf(path, sizeof(path), "%s%s", pool, what);
	return read_number(path);
}

static struct pool read_pool(const char *pool)
{
	return (struct pool){
		.total = pool_number(pool, "nr_hugepages"),
		.free = pool_number(pool, "free_hugepages"),
		.reserved = pool_number(pool, "resv_hugepages"),
		.surplus = pool_number(pool, "surplus_hugepages"),
	};
}

static void note_pool(const char *what, const struct pool *pool)
{
	printf("note %s: total %ld free %ld reserved %ld surplus %ld\n", what, pool->total,
	       pool->free, pool->reserved, pool->surplus);
}

/* Pages that are in files, or have arrived and will be. */
static long in_use(const struct pool *pool)
{
	return pool->total - pool->free;
}

/* Pages that have arrived, and have been retrieved or given up since this program began. */
static long nr_retrieved;

/**
 * struct file - a memfd
 * @nr: size in huge pages
 * @present: bit for each of the first huge pages that is written to
 * @later: those that are written to after the memfd was preserved
 * @reserve: whether it is mapped as a whole, which reserves all of it
 * @pos: file position
 * @seals: its seals
 */
struct file {
	long nr;
	unsigned int present;
	unsigned int later;
	bool reserve;
	long pos;
	int seals;
};

static const struct file files[] = {
	{ 8, 0xff, 0, true, 0, 0 },
	{ 16, 0x5555, 0x8001, false, 1234567, 0 },
	{ 10, 0x211, 0, true, 5, 0 },
	{ 12, 0x10, 0x820, true, 0, F_SEAL_SEAL },
	{ 2, 0x3, 0, false, 0, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL },
	{ 1, 0x1, 0, false, 7, F_SEAL_WRITE | F_SEAL_SHRINK },
	{ 0, 0, 0, false, 0, 0 },
	{ 3, 0, 0, false, 0, F_SEAL_FUTURE_WRITE },
};

#define NR_FILES	ARRAY_SIZE(files)

#define HUGE_2M		(2 * MIB)

/* The first and the last page of a huge page say which one it is. */
static void write_huge(int fd, long size, long seed, long index)
{
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd,
			 index * size);

	if (mem == MAP_FAILED)
		die("mmap of a huge page");
	page_content((__u64 *)mem, seed, index);
	page_content((__u64 *)(mem + size - PAGE), seed + 1, index);
	munmap(mem, size);
}

static bool huge_good(int fd, long size, long seed, long index)
{
	__u64 page[PAGE / sizeof(__u64)], found[PAGE / sizeof(__u64)];

	page_content(page, seed, index);
	if (pread(fd, found, PAGE, index * size) != PAGE || memcmp(page, found, PAGE))
		return false;

	page_content(page, seed + 1, index);
	return pread(fd, found, PAGE, (index + 1) * size - PAGE) == PAGE &&
	       !memcmp(page, found, PAGE);
}

static unsigned int all_present(const struct file *file)
{
	return file->present | file->later;
}

static long nr_present(const struct file *file)
{
	return __builtin_popcount(all_present(file));
}

static void write_bits(int fd, long seed, unsigned int bits)
{
	long i;

	for (i = 0; i < 32; i++) {
		if (bits & 1U << i)
			write_huge(fd, HUGE_2M, seed, i);
	}
}

static int make_file(const struct file *file, long seed)
{
	int fd = new_memfd("huge", file->nr * HUGE_2M, MFD_HUGETLB | MFD_HUGE_2MB);

	if (file->reserve)
		munmap(map(fd, 0, file->nr * HUGE_2M), file->nr * HUGE_2M);
	write_bits(fd, seed, file->present);
	lseek(fd, file->pos, SEEK_SET);
	if (file->seals && fcntl(fd, F_ADD_SEALS, file->seals))
		die("seals");
	return fd;
}

/* What takes memory away is refused while a memfd is preserved. */
static void try_to_shrink(int fd, const char *kind)
{
	check(ftruncate(fd, HUGE_2M) && errno == EBUSY, kind, "cannot be made smaller");
	check(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, HUGE_2M) &&
	      errno == EBUSY, kind, "no hole can be punched");
}

static void make_pages(int session)
{
	struct pool before = read_pool(POOL_2M), after;
	unsigned int i;
	int fd;

	for (i = 0; i < NR_FILES; i++) {
		fd = make_file(&files[i], 10 * i);
		preserve(session, fd, i);
		if (!i)
			try_to_shrink(fd, "pages");
		/* What follows until the kexec counts. */
		write_bits(fd, 10 * i, files[i].later);
		if (i % 2)
			close(fd);
	}

	after = read_pool(POOL_2M);
	note_pool("before", &before);
	note_pool("after", &after);
}

/* Holes read as zeros, and what is there is as it was. */
static bool content_good(int fd, const struct file *file, long seed)
{
	long i;

	for (i = 0; i < file->nr; i++) {
		if (!(all_present(file) & 1U << i ? huge_good(fd, HUGE_2M, seed, i) :
		      zero_pages(fd, i * (HUGE_2M / PAGE), 1)))
			return false;
	}

	return true;
}

/*
 * Accounts as of a program that has made the file itself. The pages of a file that arrives
 * have been in use before it is retrieved, those that it has reserved have not.
 */
static bool same_accounts(const struct pool *before, const struct file *file,
			  const char *kind)
{
	struct pool retrieved = read_pool(POOL_2M), own;
	int fd;

	fd = make_file(file, 0);
	write_bits(fd, 0, file->later);
	own = read_pool(POOL_2M);
	close(fd);

	if (in_use(&retrieved) == in_use(before) && retrieved.total == before->total &&
	    in_use(&own) - in_use(&retrieved) == nr_present(file) &&
	    retrieved.reserved - before->reserved == own.reserved - retrieved.reserved)
		return true;

	printf("note %s: file with %ld huge pages\n", kind, file->nr);
	note_pool("before its retrieve", before);
	note_pool("after its retrieve", &retrieved);
	note_pool("after another one was made", &own);
	return false;
}

static void see_pages(int session, const char *kind)
{
	int fds[NR_FILES], good = 0, sealed = 0, sized = 0, accounted = 0;
	struct pool before;
	const struct file *file;
	struct stat st;
	unsigned int i;
	int private = 0;

	for (i = 0; i < NR_FILES; i++) {
		file = &files[i];
		before = read_pool(POOL_2M);
		fds[i] = luo_retrieve_fd(session, i);
		if (fds[i] < 0) {
			errno = -fds[i];
			die("retrieve");
		}
		accounted += same_accounts(&before, file, kind);
		sized += size_of(fds[i]) == file->nr * HUGE_2M &&
			 lseek(fds[i], 0, SEEK_CUR) == file->pos &&
			 pages_of(fds[i]) == nr_present(file) * (HUGE_2M / PAGE) &&
			 (fcntl(fds[i], F_GETFL) & O_ACCMODE) == O_RDWR;
		good += content_good(fds[i], file, 10 * i);
		nr_retrieved += nr_present(file);
		sealed += fcntl(fds[i], F_GET_SEALS) == file->seals;
		private += !fstat(fds[i], &st) && (st.st_mode & 07777) == 0600 &&
			   st.st_blksize == HUGE_2M;
	}
	check(sized == NR_FILES, kind, "sizes, positions and memory");
	check(good == NR_FILES, kind, "content");
	check(sealed == NR_FILES, kind, "seals");
	check(private == NR_FILES, kind, "mode and page size");
	check(accounted == NR_FILES, kind, "accounts of the pool");

	/* To write is possible as before, into pages and into holes. */
	write_huge(fds[1], HUGE_2M, 99, 2);
	write_huge(fds[1], HUGE_2M, 99, 3);
	check(huge_good(fds[1], HUGE_2M, 99, 2) && huge_good(fds[1], HUGE_2M, 99, 3) &&
	      pages_of(fds[1]) == (nr_present(&files[1]) + 1) * (HUGE_2M / PAGE), kind,
	      "can be written to");
	check(!ftruncate(fds[0], HUGE_2M) && pages_of(fds[0]) == HUGE_2M / PAGE, kind,
	      "can be made smaller");
	check(mmap(NULL, HUGE_2M, PROT_WRITE, MAP_SHARED, fds[5], 0) == MAP_FAILED &&
	      errno == EPERM, kind, "sealed against writing");

	for (i = 0; i < NR_FILES; i++)
		close(fds[i]);
}

/* One of 1 GiB: a single key, and more than the page allocator has. */
static void make_gigantic(int session)
{
	long before = read_number(PRESERVED);
	int fd = new_memfd("gigantic", 2 * GIB, MFD_HUGETLB | MFD_HUGE_1GB);

	write_huge(fd, GIB, 3, 1);
	preserve(session, fd, 1);
	/* The list of files, what describes the file, its list, and a page that lists that. */
	check(read_number(PRESERVED) - before == GIB / PAGE + 4, "gigantic",
	      "metadata takes 4 pages");
}

static void see_gigantic(int session, const char *kind)
{
	struct pool before = read_pool(POOL_1G), after;
	int fd = luo_retrieve_fd(session, 1);

	after = read_pool(POOL_1G);
	note_pool("before", &before);
	note_pool("after", &after);
	check(huge_good(fd, GIB, 3, 1) && zero_pages(fd, 0, 1), kind, "content");
	check(size_of(fd) == 2 * GIB && pages_of(fd) == GIB / PAGE, kind, "size");
	check(in_use(&after) == 1 && in_use(&before) == 1, kind, "is in use in the pool");
	close(fd);
}

/* Nobody retrieves it. */
static void make_discarded(int session)
{
	preserve(session, make_file(&files[0], 5), 1);
}

static void see_discarded(int session, const char *kind)
{
	check(nr_lines_with(SESSIONS_IN, kind) > 0, kind, "was handed over");
	nr_retrieved += nr_present(&files[0]);
}

/* It has reserved more than the next kernel has. */
static void make_reserved(int session)
{
	preserve(session, make_file(&files[2], 7), 1);
}

static void see_reserved(int session, const char *kind)
{
	struct pool before = read_pool(POOL_2M), after;
	long free = before.free, unclaimed = read_number(UNCLAIMED);
	int ballast, fd;

	/* All but three of the seven are taken. */
	ballast = new_memfd("ballast", (free - 3) * HUGE_2M, MFD_HUGETLB | MFD_HUGE_2MB);
	munmap(map(ballast, 0, (free - 3) * HUGE_2M), (free - 3) * HUGE_2M);
	check(luo_retrieve_fd(session, 1) == -ENOMEM, kind, "the pool has too few pages");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, kind, "nor when it is tried again");
	check(read_number(UNCLAIMED) < unclaimed, kind, "the pages are claimed");
	after = read_pool(POOL_2M);
	note_pool("after it has failed", &after);
	check(after.reserved - before.reserved == free - 3, kind, "nothing stays reserved");
	close(ballast);

	fd = luo_retrieve_fd(session, 1);
	after = read_pool(POOL_2M);
	check(fd >= 0 && content_good(fd, &files[2], 7), kind, "content");
	check(after.reserved - before.reserved == 7, kind, "holes are reserved");
	nr_retrieved += nr_present(&files[2]);
	close(fd);
}

/*
 * A process that writes into holes until the last moment, each after the one before. So
 * whatever the number that was last seen, all pages before it must be there.
 */
#define WRITER_PAGES	40

static void make_writer(int session)
{
	int counter = new_memfd("counter", PAGE, 0);
	int fd = new_memfd("holes", WRITER_PAGES * HUGE_2M, MFD_HUGETLB | MFD_HUGE_2MB);
	__u64 *count, i;

	preserve(session, counter, 0);
	preserve(session, fd, 1);
	fflush(stdout);
	if (fork())
		return;

	/* Other programs open the device. */
	close(device);
	close(0);
	close(1);
	close(2);
	count = map(counter, 0, PAGE);
	for (i = 0; i < WRITER_PAGES; i++) {
		write_huge(fd, HUGE_2M, 8, i);
		__atomic_store_n(count, i + 1, __ATOMIC_SEQ_CST);
		usleep(i < 10 ? 1000 : 500000);
	}
	while (1)
		pause();
}

static void see_writer(int session, const char *kind)
{
	int counter = luo_retrieve_fd(session, 0), fd = luo_retrieve_fd(session, 1);
	__u64 *count = map(counter, 0, PAGE);
	long good = 0, i;

	printf("note %llu pages were written\n", *count);
	for (i = 0; i < (long)*count; i++)
		good += huge_good(fd, HUGE_2M, 8, i);
	check(*count > 0 && good == (long)*count, kind, "all that was written is there");
	nr_retrieved += pages_of(fd) / (HUGE_2M / PAGE);
	close(counter);
	close(fd);
}

static void make_chain(int session)
{
	preserve(session, make_file(&files[3], 9), 1);
}

static void see_chain(int session, const char *kind)
{
	struct file file = files[3];
	int fd = luo_retrieve_fd(session, 1);

	file.later = 0;
	check(content_good(fd, &file, 9), kind, "content");
	nr_retrieved += __builtin_popcount(file.present);
	close(fd);
}

static void hand_on(const char *name)
{
	int session = open_session(luo_retrieve(device, name), name);
	int next = open_session(luo_create(device, name), name);
	int fd = luo_retrieve_fd(session, 1);

	check(fd >= 0 && luo_preserve_fd(next, fd, 1) == 0, name, "can be preserved again");
	check(luo_finish(session) == 0, name, "is finished");
}

#define MPOL_DEFAULT	0
#define MPOL_BIND	2

/* Pages come from this node; from any if it is negative. */
static void bind_node(int node)
{
	unsigned long mask = node < 0 ? 0 : 1UL << node;

	if (syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
		    node < 0 ? NULL : &mask, node < 0 ? 0 : 8 * sizeof(mask)))
		die("set_mempolicy");
}

static long node_number(int node, const char *what)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/devices/system/node/node%d/hugepages/hugepages-2048kB/%s", node, what);
	return read_number(path);
}

static long node_in_use(int node)
{
	return node_number(node, "nr_hugepages") - node_number(node, "free_hugepages");
}

/* Some on each of two nodes, more on the second one. */
static const struct file on_node[2] = {
	{ 3, 0x7, 0, false, 0, 0 },
	{ 5, 0x1f, 0, true, 0, 0 },
};

static void make_nodes(int session)
{
	int node;

	for (node = 0; node < 2; node++) {
		bind_node(node);
		preserve(session, make_file(&on_node[node], 20 + node), node);
		check(node_in_use(node) == on_node[node].nr, "nodes", "are on the node");
	}
	bind_node(-1);
}

static void see_nodes(int session, const char *kind)
{
	int node, good = 0, fd;

	for (node = 0; node < 2; node++) {
		fd = luo_retrieve_fd(session, node);
		good += content_good(fd, &on_node[node], 20 + node);
		check(node_in_use(node) == on_node[node].nr, kind,
		      "are on the node that they were on");
		close(fd);
	}
	check(good == 2, kind, "content");
	nr_retrieved += on_node[0].nr + on_node[1].nr;
}

/* Many, for one allocation after the other to fail when they are retrieved. */
#define NR_FAULTY	40

static const struct file faulty = { 5, 0xd, 0, true, 0, 0 };

static void make_faulty(int session)
{
	int i, fd;

	for (i = 1; i <= NR_FAULTY; i++) {
		fd = make_file(&faulty, i);
		preserve(session, fd, i);
		close(fd);
	}
}

static void see_faulty(int session, const char *kind)
{
	int faults = open("/proc/thread-self/fail-nth", O_RDWR), nr_failed = 0, good = 0;
	int i, fd, as_expected = 0;

	if (faults < 0 || prepare_faults())
		die("fault injection");

	for (i = 1; i <= NR_FAULTY; i++) {
		fail_nth(faults, i);
		fd = luo_retrieve_fd(session, i);
		as_expected += fd >= 0 || (has_failed(faults) &&
					   (fd == -ENOMEM || fd == -ENOSPC || fd == -ENFILE));
		fail_nth(faults, 0);
		nr_failed += fd < 0;
		if (fd < 0)
			fd = luo_retrieve_fd(session, i);
		good += content_good(fd, &faulty, i);
		nr_retrieved += nr_present(&faulty);
		close(fd);
	}
	printf("note %d retrieves have failed\n", nr_failed);
	check(nr_failed > 10, kind, "retrieves fail for lack of memory");
	check(as_expected == NR_FAULTY, kind, "and for no other reason");
	check(good == NR_FAULTY, kind, "content when they are tried again");
}

/*
 * Files that are damaged on their way: the token of each says how, and damage.py does it.
 * @err is what the next kernel says of it.
 */
static const struct {
	const char *how;
	int err;
} damaged[] = {
	{ "before", 0 },
	/* What describes it. */
	{ "size", EBADMSG },
	{ "incompat", EOPNOTSUPP },
	{ "seals", EBADMSG },
	{ "order0", EBADMSG },
	{ "order5", EOPNOTSUPP },
	{ "order18", EBADMSG },
	{ "order60", EBADMSG },
	{ "pos", EBADMSG },
	{ "length", EBADMSG },
	{ "many", EBADMSG },
	{ "none", EBADMSG },
	/* The lists as a whole. */
	{ "pages", EBADMSG },
	{ "first", EBADMSG },
	{ "chunk", EBADMSG },
	{ "runs", EBADMSG },
	{ "rorder", EBADMSG },
	{ "rfirst", EBADMSG },
	/* What they say of a page. */
	{ "pfn", EBADMSG },
	{ "pfn0", EBADMSG },
	{ "pfnmax", EBADMSG },
	{ "pfntail", EBADMSG },
	{ "pfntwice", EBADMSG },
	{ "pfntaken", EBADMSG },
	{ "small", EBADMSG },
	{ "index", EBADMSG },
	{ "again", EBADMSG },
	/* What they say of a reservation. */
	{ "run", EBADMSG },
	{ "run0", EBADMSG },
	{ "runpast", EBADMSG },
	/* Whose it is. */
	{ "handler", EOPNOTSUPP },
	{ "after", 0 },
};

static __u64 token_of(unsigned int i)
{
	__u64 token = 0;

	memcpy(&token, damaged[i].how, strlen(damaged[i].how));
	return token;
}

static void make_damaged(int session)
{
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(damaged); i++) {
		fd = make_file(&faulty, i);
		preserve(session, fd, token_of(i));
		close(fd);
	}
}

static void see_damaged(int session, const char *kind)
{
	unsigned int i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(damaged); i++) {
		fd = luo_retrieve_fd(session, token_of(i));
		check(damaged[i].err ? fd == -damaged[i].err :
				       content_good(fd, &faulty, i), kind, damaged[i].how);
		if (fd >= 0)
			close(fd);
		else if (fd != -damaged[i].err)
			printf("note %s: %s\n", damaged[i].how, strerror(-fd));
	}
}

/* Cgroups: hugetlb, and memory, which counts hugetlb if it is mounted so. */
#define CGROUP		"/sys/fs/cgroup/huge/"

static void make_charged(int session)
{
	preserve(session, make_file(&faulty, 3), 1);
}

static void set_limit(const char *name, const char *value)
{
	char path[64];

	sprintf(path, CGROUP "%s", name);
	check(write_text(path, value) == 0, name, value);
}

static void see_charged(int session, const char *kind)
{
	long before, pages = nr_present(&faulty);
	int fd;

	check(write_number(CGROUP "cgroup.procs", 0) == 0, kind, "is in a cgroup");
	before = read_number(CGROUP "memory.current");
	set_limit("hugetlb.2MB.max", "4M");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, kind, "too few huge pages");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, kind, "nor when it is tried again");
	check(!read_number(CGROUP "hugetlb.2MB.current"), kind, "nobody is charged");
	set_limit("hugetlb.2MB.max", "max");
	set_limit("hugetlb.2MB.rsvd.max", "8M");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, kind, "too few reservations");
	check(!read_number(CGROUP "hugetlb.2MB.current") &&
	      !read_number(CGROUP "hugetlb.2MB.rsvd.current"), kind,
	      "nothing stays reserved");
	set_limit("hugetlb.2MB.rsvd.max", "max");
	set_limit("memory.max", "4M");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, kind, "too little memory");
	set_limit("memory.max", "max");

	fd = luo_retrieve_fd(session, 1);
	check(content_good(fd, &faulty, 3), kind, "content");
	check(read_number(CGROUP "hugetlb.2MB.current") == pages * HUGE_2M, kind,
	      "its huge pages are charged");
	check(read_number(CGROUP "hugetlb.2MB.rsvd.current") == faulty.nr * HUGE_2M, kind,
	      "and what it has reserved");
	check(read_number(CGROUP "memory.current") - before >= pages * HUGE_2M, kind,
	      "and its memory");
	close(fd);
	nr_retrieved += pages;
}

const struct kind kinds[] = {
	{ "pages", make_pages, see_pages },
	{ "gigantic", make_gigantic, see_gigantic },
	{ "discarded", make_discarded, see_discarded },
	{ "reserved", make_reserved, see_reserved },
	{ "writer", make_writer, see_writer },
	{ "chain", make_chain, see_chain },
	{ "nodes", make_nodes, see_nodes },
	{ "faulty", make_faulty, see_faulty },
	{ "charged", make_charged, see_charged },
	{ "damaged", make_damaged, see_damaged },
	{ "uncounted", make_chain, see_chain },
	{ }
};

/* Closed, or given up: what has arrived is free, and the pool has its size. */
static int run_after(int argc, char **argv)
{
	struct pool before = read_pool(POOL_2M), after;

	run_kinds(argc, argv);
	after = read_pool(POOL_2M);
	note_pool("at first", &before);
	note_pool("in the end", &after);
	/* What is damaged stays in use, and some of it is not claimed before it shows. */
	if (!strcmp(argv[2], "damaged"))
		return failed;

	/* As the table of what arrives was damaged. */
	if (!strcmp(argv[2], "uncounted"))
		nr_retrieved = 0;

	check(in_use(&before) - in_use(&after) == nr_retrieved, "pool",
	      "nothing that was retrieved is in use any more");
	check(after.total == before.total - before.surplus, "pool", "has its size");
	check(!after.reserved && !after.surplus, "pool", "nothing is reserved or surplus");
	return failed;
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "after"))
		return run_after(argc, argv);

	if (run_kinds(argc, argv))
		return failed;

	if (argc != 3 || strcmp(argv[1], "again"))
		return usage();

	hand_on(argv[2]);
	keep_running();
	return failed;
}
