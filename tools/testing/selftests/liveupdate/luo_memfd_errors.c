// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, and memory that is short, not allowed, or broken. See luo_memfd.h
 * for how it keeps sessions, and
 *
 *	luo_memfd_errors poison		before the kexec, when an image is loaded
 *	luo_memfd_errors charged	after it, in a memory cgroup without room for
 *					a file, see SMALL, and with one that has, see
 *					ENOUGH
 *	luo_memfd_errors swapped	after it, in the former, which can swap
 *	luo_memfd_errors large		after it, in the former: a file of 100,000
 *					folios
 *	luo_memfd_errors huge		the same: one of huge pages
 *	luo_memfd_errors faults		after it: one allocation after the other fails
 */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>

#include "luo_faults.h"
#include "luo_memfd.h"

#define SMALL		"/sys/fs/cgroup/small/"
#define ENOUGH		"/sys/fs/cgroup/enough/"

#define NR_FILES	70
#define FILE_PAGES	300L
/* Two for the list of its folios, and one that lists these. */
#define LIST_PAGES	3

static void make_files(int session, int nr)
{
	int i, fd;

	for (i = 1; i <= nr; i++) {
		fd = new_memfd("errors", FILE_PAGES * PAGE, 0);
		write_pages(fd, i, 0, FILE_PAGES);
		preserve(session, fd, i);
		close(fd);
	}
}

#define NR_FINISHED	40

static int made_finished(int nr, int (*open)(int device, const char *name))
{
	char name[64];

	sprintf(name, "finished %d", nr);
	return open(device, name);
}

static void make_faults(int session)
{
	int nr;

	make_files(session, NR_FILES);
	/* And each in a session of its own. */
	for (nr = 1; nr <= NR_FINISHED; nr++)
		make_files(open_session(made_finished(nr, luo_create), "finished"), 1);
}

static void make_charged(int session)
{
	make_files(session, 3);
}

/* Two of them are more than a cgroup with swap has room for. */
#define SWAPPED_PAGES	600L

static void make_swapped(int session)
{
	int fd = new_memfd("swapped", SWAPPED_PAGES * PAGE, 0);

	make_files(session, 1);
	write_pages(fd, 2, 0, SWAPPED_PAGES);
	preserve(session, fd, 2);
	close(fd);
}

#define LARGE_PAGES	100000L

static void make_large(int session)
{
	int fd = new_memfd("large", LARGE_PAGES * PAGE, 0);

	write_pages(fd, 1, 0, LARGE_PAGES);
	preserve(session, fd, 1);
	close(fd);
}

#define NR_HUGE		8
#define HUGE_PAGES	(NR_HUGE * 2 * MIB / PAGE)

static void make_huge(int session)
{
	int fd = new_memfd("huge", HUGE_PAGES * PAGE, 0);

	set_huge("force");
	write_pages(fd, 1, 0, HUGE_PAGES);
	set_huge("never");
	preserve(session, fd, 1);
	close(fd);
}

static _Atomic int nr_signals;

static bool is_good(int fd, int token)
{
	return nr_good_pages(fd, token, 0, FILE_PAGES) == FILE_PAGES;
}

/* It has the page mapped, and is told. */
static void on_sigbus(int signal)
{
	nr_signals++;
}

static int poison(int fd)
{
	char *mem = map(fd, 0, FILE_PAGES * PAGE);

	return madvise(mem + 7 * PAGE, PAGE, MADV_HWPOISON);
}

/* Poison a page of nobody else, and return it. */
static __u64 poison_own(void)
{
	char *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	__u64 pfn;

	if (mem == MAP_FAILED)
		die("mmap");
	*mem = 1;
	pfn = pfn_of(pagemap, mem);
	close(pagemap);
	check(madvise(mem, PAGE, MADV_HWPOISON) == 0, "poison", "any page can be poisoned");
	return pfn;
}

/* Poisoned memory must not be read, and the next kernel would not know. */
static void see_poison(void)
{
	int before = new_memfd("poisoned", FILE_PAGES * PAGE, 0);
	int later = new_memfd("poisoned later", FILE_PAGES * PAGE, 0);
	int session = open_session(luo_create(device, "poisoned"), "poisoned");
	__u64 own;
	int err;

	signal(SIGBUS, on_sigbus);
	own = poison_own();
	nr_signals = 0;
	write_pages(before, 1, 0, FILE_PAGES);
	check(poison(before) == 0, "poison", "a page can be poisoned");
	check(luo_preserve_fd(session, before, 1) == -EHWPOISON, "poison",
	      "it is not preserved");

	write_pages(later, 2, 0, FILE_PAGES);
	preserve(session, later, 2);
	/* One that is not poisoned any more does not make up for one that is. */
	check(write_number("/sys/kernel/debug/hwpoison/unpoison-pfn", own) == 0, "poison",
	      "that can be taken back");
	/* It fails, as the page is pinned, but it is known. */
	poison(later);
	check(nr_signals == 2, "poison", "who has the page mapped is told");
	err = reboot(RB_KEXEC) ? errno : 0;
	check(err == EHWPOISON, "poison", "the reboot fails when it is poisoned later");
	close(session);
}

static long charged(const char *cgroup)
{
	char path[64];

	sprintf(path, "%smemory.stat", cgroup);
	return number_of(path, "shmem");
}

/* Have the limit of a cgroup. */
static void set_max(const char *cgroup, const char *what, const char *value)
{
	char path[64];

	sprintf(path, "%s%s", cgroup, what);
	check(write_text(path, value) == 0, what, value);
}

/*
 * Whoever retrieves a file is charged for it. If there is no room, nobody is, and the
 * process has room for what it does then.
 */
static void see_charged(void)
{
	int session = open_session(luo_retrieve(device, "charged"), "charged");
	long before = charged(SMALL), claimed, in_enough;
	int fd;

	claimed = read_number(UNCLAIMED);
	check(luo_retrieve_fd(session, 1) == -ENOMEM, "charged", "there is no room");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, "charged", "nor the second time");
	claimed -= read_number(UNCLAIMED);
	printf("note %ld pages are claimed, %ld bytes are charged\n", claimed,
	       charged(SMALL) - before);
	check(charged(SMALL) - before == 0, "charged", "it is charged to nobody");
	check(luo_retrieve_fd(session, 2) == -ENOMEM, "charged", "nor for another one");

	check(luo_retrieve_fd(session, 3) == -ENOMEM, "charged", "nor for a third one");

	/* In another cgroup. */
	check(write_number(ENOUGH "cgroup.procs", 0) == 0, "charged", "another cgroup");
	in_enough = charged(ENOUGH);
	fd = luo_retrieve_fd(session, 2);
	check(is_good(fd, 2), "charged", "content");
	check(charged(ENOUGH) - in_enough == FILE_PAGES * PAGE, "charged",
	      "that is charged for all");
	close(fd);

	/* With more room in the first one. */
	check(write_number(SMALL "cgroup.procs", 0) == 0, "charged", "the first cgroup");
	set_max(SMALL, "memory.max", "4M");
	fd = luo_retrieve_fd(session, 1);
	check(is_good(fd, 1), "charged", "content");
	check(charged(SMALL) - before == FILE_PAGES * PAGE, "charged",
	      "it is charged for all");
	close(fd);

	/* The third one is given up. */
	check(luo_finish(session) == 0, "charged", "is finished");
	check(charged(ENOUGH) == in_enough && charged(SMALL) == before, "charged",
	      "and nobody is charged when the files are gone");
	close(session);
}

/*
 * Have a process in a user namespace of its own fail to retrieve a file, or do nothing. False
 * if it cannot get a namespace.
 */
static bool retrieve_in_namespace(int session, int token)
{
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		if (unshare(CLONE_NEWUSER))
			_exit(1);
		_exit(session < 0 || luo_retrieve_fd(session, token) == -ENOMEM ? 0 : 2);
	}

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		die("waitpid");
	if (session >= 0)
		check(WEXITSTATUS(status) < 2, "swapped", "for another process not");
	return WEXITSTATUS(status) == 0;
}

/* A namespace that nothing refers to is freed after a while. */
static bool namespace_is_gone(void)
{
	int i;

	for (i = 0; i < 100; i++) {
		if (retrieve_in_namespace(-1, 0))
			return true;
		usleep(50000);
	}

	return false;
}

/* What a cgroup can swap out does not keep a file from being retrieved. */
static void see_swapped(void)
{
	int session = open_session(luo_retrieve(device, "swapped"), "swapped");
	long before = read_number(SMALL "memory.swap.current");
	int fd;

	fd = luo_retrieve_fd(session, 1);
	check(fd >= 0, "swapped", "with swap there is room");
	check(read_number(SMALL "memory.swap.current") > before, "swapped", "it is used");
	check(is_good(fd, 1), "swapped", "content");
	close(fd);

	/*
	 * Some of it is in swap when there is no room for the rest: both files together have
	 * more pages than there are here and in swap, and swap is larger than the first one,
	 * which the session keeps.
	 */
	set_max(SMALL, "memory.swap.max", "2M");
	check(write_text("/proc/sys/user/max_user_namespaces", "1") == 0, "swapped",
	      "there may be one namespace");
	check(retrieve_in_namespace(session, 2), "swapped", "another process has tried");
	check(luo_retrieve_fd(session, 2) == -ENOMEM, "swapped", "for a larger one not");
	check(luo_retrieve_fd(session, 2) == -ENOMEM, "swapped", "nor the second time");
	printf("note %ld bytes are in swap\n", read_number(SMALL "memory.swap.current"));
	set_max(SMALL, "memory.max", "8M");
	fd = luo_retrieve_fd(session, 2);
	check(nr_good_pages(fd, 2, 0, SWAPPED_PAGES) == SWAPPED_PAGES, "swapped",
	      "content of that");
	check(pages_of(fd) == SWAPPED_PAGES, "swapped", "and its memory");
	/* The credentials in a struct file keep their namespace. */
	check(namespace_is_gone(), "swapped", "it is not the file of the other process");
	check(luo_finish(session) == 0, "swapped", "is finished");
	close(fd);
	close(session);
}

static long mem_free_pages(void)
{
	return proc_kb("/proc/meminfo", "MemFree") * 1024 / PAGE;
}

/* In the middle of a long list: no room in the cgroup, and then no memory at all. */
static void see_large(void)
{
	int session = open_session(luo_retrieve(device, "large"), "large");
	long unclaimed = read_number(UNCLAIMED), before = charged(SMALL), total, bytes;
	int fd = -1, nr_failed = 0;

	if (prepare_faults())
		die("fault injection");

	/* Half of it fits. */
	set_max(SMALL, "memory.max", "200M");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, "large", "there is room for a half");
	total = unclaimed - read_number(UNCLAIMED);
	printf("note %ld pages are claimed\n", total);
	check(total > LARGE_PAGES / 3 && total < LARGE_PAGES * 2 / 3, "large",
	      "which is claimed");
	check(charged(SMALL) == before, "large", "and charged to nobody");
	check(luo_retrieve_fd(session, 1) == -ENOMEM, "large", "nor the second time");

	/* For the nodes of the page cache, it takes more than 900,000 bytes. */
	set_max(SMALL, "memory.max", "max");
	for (bytes = 1000; bytes < 900000; bytes = bytes * 3 / 2) {
		fail_after_bytes(bytes);
		fd = luo_retrieve_fd(session, 1);
		fail_after_bytes(-1);
		nr_failed += fd == -ENOMEM || fd == -ENOSPC;
		if (fd >= 0)
			break;
	}
	printf("note it fails %d times, at last after %ld bytes\n", nr_failed, bytes);
	check(nr_failed > 10 && fd < 0, "large", "without memory it fails");
	total = unclaimed - read_number(UNCLAIMED);
	check(total > LARGE_PAGES / 2, "large", "in the middle");
	if (fd < 0)
		fd = luo_retrieve_fd(session, 1);
	check(nr_good_pages(fd, 1, 0, LARGE_PAGES) == LARGE_PAGES, "large", "content");
	check(pages_of(fd) == LARGE_PAGES, "large", "memory");
	check(charged(SMALL) - before == LARGE_PAGES * PAGE, "large", "it is charged for all");
	/* With its list of 391 pages, one that lists these, and one that describes it. */
	total = unclaimed - read_number(UNCLAIMED);
	check(total == LARGE_PAGES + (LARGE_PAGES * 16 + PAGE - 1) / PAGE + 2, "large",
	      "as many pages are claimed as if nothing had failed");
	total = mem_free_pages();
	check(luo_finish(session) == 0, "large", "is finished");
	close(fd);
	close(session);
	total = mem_free_pages() - total;
	printf("note %ld pages are free by that\n", total);
	check(total > LARGE_PAGES - 5000 && total < LARGE_PAGES + 5000, "large",
	      "all of it is free again");
}

static long huge_kb(void)
{
	return proc_kb("/proc/meminfo", "ShmemHugePages");
}

/* Three of the huge pages fit. None is split, or stays in the file that nobody gets. */
static void see_huge(void)
{
	int session = open_session(luo_retrieve(device, "huge"), "huge"), nr, fd;
	long before = charged(SMALL), huge = huge_kb();

	set_max(SMALL, "memory.max", "8M");
	for (nr = 1; nr <= 2; nr++) {
		check(luo_retrieve_fd(session, 1) == -ENOMEM, "huge", "there is no room for all");
		check(charged(SMALL) == before, "huge", "nobody is charged");
		check(huge_kb() == huge, "huge", "no huge page is in use");
	}

	set_max(SMALL, "memory.max", "max");
	fd = luo_retrieve_fd(session, 1);
	check(nr_good_pages(fd, 1, 0, HUGE_PAGES) == HUGE_PAGES, "huge", "content");
	check(pages_of(fd) == HUGE_PAGES, "huge", "memory");
	check(huge_kb() - huge == HUGE_PAGES * PAGE / 1024, "huge", "they are still whole");
	check(charged(SMALL) - before == HUGE_PAGES * PAGE, "huge", "all are charged");
	check(luo_finish(session) == 0, "huge", "is finished");
	close(fd);
	close(session);
}

/* Errors that a lack of memory has, in one place or another. */
static bool is_shortage(int err)
{
	/* Shmem says ENOSPC when there is no inode. */
	return err == -ENOMEM || err == -ENOSPC || err == -ENFILE;
}

/* A file is retrieved at last, whatever allocation was the first to fail before. */
static void retrieve_all_failing(int session)
{
	int fd, err = 0, nr_failed = 0;
	long bytes;

	for (bytes = 0; bytes < 65536; bytes += 32) {
		fail_after_bytes(bytes);
		fd = luo_retrieve_fd(session, NR_FILES);
		fail_after_bytes(-1);
		if (fd >= 0 || !is_shortage(fd))
			break;
		if (fd != err)
			printf("note it fails with %s\n", strerrorname_np(-fd));
		err = fd;
		nr_failed++;
	}
	printf("note it fails %d times, and does not with %ld bytes\n", nr_failed, bytes);
	check(nr_failed > 50, "faults", "no allocation can be done without");
	check(is_good(fd, NR_FILES), "faults", "it is retrieved in the end");
	close(fd);
}

/* Each file can be retrieved when an allocation has failed, or be given up. */
static void retrieve_with_faults(void)
{
	int session = open_session(luo_retrieve(device, "faults"), "faults");
	int faults = open("/proc/thread-self/fail-nth", O_RDWR);
	int nr, fd, again, good = 0, as_expected = 0, given_up = 0;
	bool failed_one;
	long left;

	if (faults < 0 || prepare_faults())
		die("fault injection");

	retrieve_all_failing(session);
	for (nr = 1; nr < NR_FILES; nr++) {
		fail_nth(faults, nr);
		fd = luo_retrieve_fd(session, nr);
		failed_one = has_failed(faults);
		fail_nth(faults, 0);
		good += fd >= 0;
		if (fd >= 0) {
			as_expected += is_good(fd, nr);
			close(fd);
			continue;
		}

		printf("note the file fails with %s\n", strerrorname_np(-fd));
		if (nr % 5 == 0) {
			as_expected += failed_one && is_shortage(fd);
			given_up++;
			continue;
		}

		again = luo_retrieve_fd(session, nr);
		as_expected += failed_one && is_shortage(fd) && is_good(again, nr);
		close(again);
	}
	printf("note %d of %d files are retrieved at once, %d are given up\n", good, NR_FILES,
	       given_up);
	check(as_expected == NR_FILES - 1, "faults",
	      "each is retrieved, or fails for that and can be retrieved then");
	check(good > 0 && good < NR_FILES && given_up > 0, "faults", "some fail, and not all");
	left = mem_free_pages();
	check(luo_finish(session) == 0, "faults", "is finished");
	printf("note finishing it frees %ld pages\n", mem_free_pages() - left);
	check(read_number(UNCLAIMED) == NR_FINISHED * (FILE_PAGES + LIST_PAGES + 1), "faults",
	      "the memory of the others is free");
}

/* Sessions are retrieved and finished, and nobody asks for the file. */
static void finish_with_faults(void)
{
	int faults = open("/proc/thread-self/fail-nth", O_RDWR);
	int nr, session, rc, refused = 0, retrieved = 0, finished = 0, nr_failed = 0;
	long before = read_number(UNCLAIMED), left;

	for (nr = 1; nr <= NR_FINISHED; nr++) {
		fail_nth(faults, nr % 20 + 1);
		session = made_finished(nr, luo_retrieve);
		fail_nth(faults, 0);
		if (session < 0) {
			refused += session == -ENOMEM || session == -ENFILE;
			session = made_finished(nr, luo_retrieve);
		}
		retrieved += session >= 0;

		fail_nth(faults, nr);
		rc = luo_finish(session);
		nr_failed += has_failed(faults);
		fail_nth(faults, 0);
		finished += rc == 0;
		close(session);
	}
	printf("note %d sessions had to be retrieved again, and in %d something has failed\n",
	       refused, nr_failed);
	check(refused > 0 && retrieved == NR_FINISHED, "finish",
	      "who has no session for lack of memory can try again");
	check(finished == NR_FINISHED, "finish", "all are finished");
	/* What describes a file is in a page. */
	left = read_number(UNCLAIMED) - before + NR_FINISHED * (FILE_PAGES + LIST_PAGES + 1);
	check(left == 0, "finish", "their memory is free");
}

static void try_faults(void)
{
	retrieve_with_faults();
	finish_with_faults();
}

const struct kind kinds[] = {
	{ "faults", make_faults, NULL },
	{ "charged", make_charged, NULL },
	{ "swapped", make_swapped, NULL },
	{ "large", make_large, NULL },
	{ "huge", make_huge, NULL },
	{}
};

int main(int argc, char **argv)
{
	if (run_kinds(argc, argv))
		return failed;

	if (argc == 2 && !strcmp(argv[1], "poison"))
		see_poison();
	else if (argc == 2 && !strcmp(argv[1], "charged"))
		see_charged();
	else if (argc == 2 && !strcmp(argv[1], "swapped"))
		see_swapped();
	else if (argc == 2 && !strcmp(argv[1], "large"))
		see_large();
	else if (argc == 2 && !strcmp(argv[1], "huge"))
		see_huge();
	else if (argc == 2 && !strcmp(argv[1], "faults"))
		try_faults();
	else
		return usage();

	return failed;
}
