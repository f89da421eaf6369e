// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds of hugetlb in sessions, across a kexec: see luo_memfd.h, and
 *
 *	luo_hugetlb again KIND	retrieve a session of the kind "chain" or "huge_chain", and
 *				make it anew of the same memfd
 *	luo_hugetlb from-cma	try to preserve a page that hugetlb_cma= has given
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
 * @parts: bit for each of the first huge pages that is mapped by itself, which reserves it
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
	unsigned int parts;
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
	/* Parts with pages at either end, in the middle, everywhere and nowhere. */
	{ 24, 0x3c1041, 0x300, false, 0, 0, 0x7dd77d },
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
	long i;

	if (file->reserve)
		munmap(map(fd, 0, file->nr * HUGE_2M), file->nr * HUGE_2M);
	for (i = 0; i < 32; i++) {
		if (file->parts & 1U << i)
			munmap(map(fd, i * HUGE_2M, HUGE_2M), HUGE_2M);
	}
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

/* Page frame number of a huge page of a file. */
static long pfn_of_huge(int fd, long size, long index)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	char *mem = mmap(NULL, size, PROT_READ, MAP_SHARED | MAP_NORESERVE, fd, index * size);
	long pfn;

	if (pagemap < 0 || mem == MAP_FAILED)
		die("pagemap");
	pfn = pfn_of(pagemap, mem);
	munmap(mem, size);
	close(pagemap);
	return pfn;
}

static bool in_scratch(long pfn)
{
	FILE *file = fopen("/sys/kernel/debug/kho/scratch", "r");
	unsigned long long start, end;
	bool inside = false;

	while (file && fscanf(file, "%llx-%llx %*u KiB", &start, &end) == 2)
		inside |= pfn * PAGE < (long)end && (pfn * PAGE) + HUGE_2M > (long)start;
	if (!file || fclose(file))
		die("scratch");
	return inside;
}

/*
 * Most of the memory is in the pool, some of it in scratch, and all that in a file. But for
 * some pages of that kind, which have to be moved, the file becomes a hole.
 */
#define NR_MOVED	4

static void make_moved(int session)
{
	long nr = (proc_kb("/proc/meminfo", "MemFree") - 64 * 1024) / 2048;
	long index[NR_MOVED], pfns[NR_MOVED], i, found = 0;
	int fd, moved = 0;

	write_number(POOL_2M "nr_hugepages", nr);
	nr = pool_number(POOL_2M, "nr_hugepages");
	fd = new_memfd("moved", nr * HUGE_2M, MFD_HUGETLB | MFD_HUGE_2MB);
	if (fallocate(fd, 0, 0, nr * HUGE_2M))
		die("fallocate");

	for (i = 0; i < nr; i++) {
		if (found < NR_MOVED && in_scratch(pfn_of_huge(fd, HUGE_2M, i))) {
			index[found] = i;
			pfns[found++] = pfn_of_huge(fd, HUGE_2M, i);
			write_huge(fd, HUGE_2M, 30, i);
		} else if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * HUGE_2M,
				     HUGE_2M)) {
			die("punch");
		}
	}
	check(found == NR_MOVED, "moved", "huge pages are in scratch");

	preserve(session, fd, 1);
	for (i = 0; i < found; i++)
		moved += pfns[i] != pfn_of_huge(fd, HUGE_2M, index[i]) &&
			 !in_scratch(pfn_of_huge(fd, HUGE_2M, index[i])) &&
			 huge_good(fd, HUGE_2M, 30, index[i]);
	check(moved == NR_MOVED, "moved", "and are not any more, with their content");
	check(pool_number(POOL_2M, "nr_hugepages") == nr &&
	      pool_number(POOL_2M, "free_hugepages") == nr - NR_MOVED, "moved",
	      "the pool has its size");
	close(fd);
	/* To kexec takes memory. */
	write_number(POOL_2M "nr_hugepages", NR_MOVED);
}

static void see_moved(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);
	long i, nr = size_of(fd) / HUGE_2M, good = 0;

	for (i = 0; i < nr; i++)
		good += huge_good(fd, HUGE_2M, 30, i);
	check(good == NR_MOVED && pages_of(fd) == NR_MOVED * (HUGE_2M / PAGE), kind, "content");
	nr_retrieved += NR_MOVED;
	close(fd);
}

/* Whether a page of 1 GiB is one that ZONE_MOVABLE begins in; see hugetlb_zones.sh. */
static bool is_crossing(int fd, long index)
{
	return pfn_of_huge(fd, GIB, index) == 4 * GIB / PAGE;
}

/* Both pages there are, of which one cannot be preserved: it has to be moved. */
static void make_crossing(int session)
{
	int fd = new_memfd("both", 2 * GIB, MFD_HUGETLB | MFD_HUGE_1GB);
	long index;

	write_huge(fd, GIB, 40, 0);
	write_huge(fd, GIB, 40, 1);
	check(is_crossing(fd, 0) != is_crossing(fd, 1), "crossing", "one page crosses zones");
	check(luo_preserve_fd(session, fd, 1) == -EBUSY, "crossing",
	      "it cannot be preserved where it is");

	index = is_crossing(fd, 1);
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, !index * GIB, GIB))
		die("punch");
	preserve(session, fd, 1);
	check(!is_crossing(fd, index), "crossing", "and is moved to another one of the pool");
	check(huge_good(fd, GIB, 40, index), "crossing", "with its content");
	close(fd);
}

static void see_crossing(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	check(huge_good(fd, GIB, 40, 0) != huge_good(fd, GIB, 40, 1), kind, "content");
	close(fd);
}

/* Both pages are preserved, and in the next kernel one lies in two zones. */
static void make_divided(int session)
{
	int fd = new_memfd("both", 2 * GIB, MFD_HUGETLB | MFD_HUGE_1GB);

	write_huge(fd, GIB, 41, 0);
	write_huge(fd, GIB, 41, 1);
	check(is_crossing(fd, 0) || is_crossing(fd, 1), "divided", "is the page to be divided");
	preserve(session, fd, 1);
	close(fd);
}

static void see_divided(int session, const char *kind)
{
	struct pool pool;

	check(luo_retrieve_fd(session, 1) == -EXDEV, kind, "cannot be retrieved in this kernel");
	check(luo_retrieve_fd(session, 1) == -EXDEV, kind, "nor when it is tried again");
	pool = read_pool(POOL_1G);
	note_pool(kind, &pool);
	check(in_use(&pool) == 2, kind, "and is not lost");
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

/* Three of the six GiB that there are; see hugetlb_most.sh. */
#define NR_MOST		3

static void make_most(int session)
{
	int fd = new_memfd("most", NR_MOST * GIB, MFD_HUGETLB | MFD_HUGE_1GB), i;

	for (i = 0; i < NR_MOST; i++)
		write_huge(fd, GIB, 45, i);
	preserve(session, fd, 1);
	close(fd);
}

static void see_most(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1), i, good = 0;

	for (i = 0; i < NR_MOST; i++)
		good += huge_good(fd, GIB, 45, i);
	check(good == NR_MOST, kind, "content");
	close(fd);
}

static void make_huge_chain(int session)
{
	int fd = new_memfd("huge", GIB, MFD_HUGETLB | MFD_HUGE_1GB);

	write_huge(fd, GIB, 43, 0);
	preserve(session, fd, 1);
	close(fd);
}

static void see_huge_chain(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	check(huge_good(fd, GIB, 43, 0), kind, "content");
	close(fd);
}

/* A page that hugetlb_cma= has given. */
static int try_cma(void)
{
	int session, fd;

	open_device(100);
	session = open_session(luo_create(device, "cma"), "cma");
	write_number(POOL_1G "nr_hugepages", 2);
	check(pool_number(POOL_1G, "free_hugepages") == 1, "cma", "there is one");
	fd = new_memfd("cma", GIB, MFD_HUGETLB | MFD_HUGE_1GB);
	write_huge(fd, GIB, 44, 0);
	check(luo_preserve_fd(session, fd, 1) == -EBUSY, "cma", "it cannot be preserved");
	check(huge_good(fd, GIB, 44, 0), "cma", "and is as it was");
	close(fd);
	write_number(POOL_1G "nr_hugepages", 0);
	return failed;
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
	{ 21, 0x1fffff, 0, true, 0, 0 },
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
	check(nr_failed > 5, kind, "retrieves fail for lack of memory");
	check(as_expected == NR_FAULTY, kind, "and for no other reason");
	check(good == NR_FAULTY, kind, "content when they are tried again");
}

#define OPTIMIZE	"/proc/sys/vm/hugetlb_optimize_vmemmap"

/* One is poisoned in the next kernel before it is retrieved: where it is, another file says. */
#define POISONED_PAGE	300

static void make_poisoned(int session)
{
	int where = new_memfd("where", PAGE, 0), i, fd;
	__u64 *pfns = map(where, 0, PAGE);

	preserve(session, where, 0);
	for (i = 1; i <= 2; i++) {
		fd = make_file(&faulty, 50 + i);
		pfns[i] = pfn_of_huge(fd, HUGE_2M, 2);
		preserve(session, fd, i);
		close(fd);
	}
	close(where);
}

static void see_poisoned(int session, const char *kind)
{
	int where = luo_retrieve_fd(session, 0), next, i, fd, pages = HUGE_2M / PAGE;
	__u64 *pfns = map(where, 0, PAGE);
	char page[PAGE];

	for (i = 1; i <= 2; i++) {
		write_number("/sys/kernel/debug/hwpoison/corrupt-pfn", pfns[i] + POISONED_PAGE);
		if (write_number(OPTIMIZE, i == 2))
			die(OPTIMIZE);
		fd = luo_retrieve_fd(session, i);
		check(fd >= 0 && huge_good(fd, HUGE_2M, 50 + i, 0) &&
		      huge_good(fd, HUGE_2M, 50 + i, 2), kind, "what is not poisoned is there");
		check(pread(fd, page, PAGE, (2 * pages + POISONED_PAGE) * PAGE) < 0 && errno == EIO,
		      kind, "the page that is cannot be read");
		check(pread(fd, page, PAGE, (2 * pages + POISONED_PAGE + 1) * PAGE) == PAGE, kind,
		      "and the one behind it can");
		next = open_session(luo_create(device, "poison"), "poison");
		check(luo_preserve_fd(next, fd, 1) == -EHWPOISON, kind, "is not handed over again");
		close(next);
		nr_retrieved += nr_present(&faulty);
		close(fd);
	}
	close(where);
}

/* Pages of 1 GiB, of which struct pages cannot be freed for lack of memory. */
#define NR_OPTIMIZED	3

static void make_optimized(int session)
{
	int i, fd;

	for (i = 1; i <= NR_OPTIMIZED; i++) {
		fd = new_memfd("optimized", GIB, MFD_HUGETLB | MFD_HUGE_1GB);
		write_huge(fd, GIB, i, 0);
		preserve(session, fd, i);
		close(fd);
	}
}

#define KPF_COMPOUND_HEAD	15
#define KPF_COMPOUND_TAIL	16

/* Whether of the struct pages of a huge page one is that of a head, and all others of tails. */
static bool struct_pages_good(int fd)
{
	int flags = open("/proc/kpageflags", O_RDONLY);
	static __u64 all[GIB / PAGE];
	long pfn = pfn_of_huge(fd, GIB, 0), i, heads = 0, tails = 0;

	if (flags < 0 || pread(flags, all, sizeof(all), pfn * 8) != sizeof(all))
		die("kpageflags");
	close(flags);
	for (i = 0; i < GIB / PAGE; i++) {
		heads += all[i] >> KPF_COMPOUND_HEAD & 1;
		tails += all[i] >> KPF_COMPOUND_TAIL & 1;
	}
	if (heads == 1 && tails == GIB / PAGE - 1)
		return true;

	printf("note %ld heads, %ld tails\n", heads, tails);
	return false;
}

static void see_optimized(int session, const char *kind)
{
	int i, fd, tries = 0;

	if (prepare_faults() || write_number(OPTIMIZE, 1))
		die("fault injection");

	for (i = 1; i <= NR_OPTIMIZED; i++) {
		/* Splitting page tables takes a page for each of eight parts. */
		fail_after_pages(3 + 2 * i);
		fd = luo_retrieve_fd(session, i);
		fail_after_pages(-1);
		while (fd == -ENOMEM && tries++ < 10)
			fd = luo_retrieve_fd(session, i);
		check(fd >= 0 && huge_good(fd, GIB, i, 0), kind, "content");
		check(struct_pages_good(fd), kind, "struct pages");
		close(fd);
	}
}

/* With CONFIG_DEBUG_VM, freeing them looks at each of their struct pages. */
static void free_optimized(void)
{
	long nr = pool_number(POOL_1G, "nr_hugepages");
	int rc = write_number(POOL_1G "nr_hugepages", 0);

	printf("note %ld huge pages of 1 GiB, %ld after they were freed: %d\n", nr,
	       pool_number(POOL_1G, "nr_hugepages"), rc);
	check(nr >= NR_OPTIMIZED && !rc && !pool_number(POOL_1G, "nr_hugepages"), "optimized",
	      "they can be freed");
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

	/* With the limit some of what the cgroup had was reclaimed. */
	before = read_number(CGROUP "memory.current");
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
	{ "moved", make_moved, see_moved },
	{ "crossing", make_crossing, see_crossing },
	{ "divided", make_divided, see_divided },
	{ "poisoned", make_poisoned, see_poisoned },
	{ "optimized", make_optimized, see_optimized },
	{ "chain", make_chain, see_chain },
	{ "huge_chain", make_huge_chain, see_huge_chain },
	{ "most", make_most, see_most },
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
	if (!strcmp(argv[2], "optimized"))
		free_optimized();
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

	if (argc == 2 && !strcmp(argv[1], "from-cma"))
		return try_cma();

	if (run_kinds(argc, argv))
		return failed;

	if (argc != 3 || strcmp(argv[1], "again"))
		return usage();

	hand_on(argv[2]);
	keep_running();
	return failed;
}
