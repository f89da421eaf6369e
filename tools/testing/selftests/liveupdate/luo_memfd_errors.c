// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, and memory that is short, not allowed, or broken. See luo_memfd.h
 * for how it keeps sessions, and
 *
 *	luo_memfd_errors poison		before the kexec, when an image is loaded
 *	luo_memfd_errors charged	after it, in a memory cgroup without room for
 *					a file, and with one that has, see ENOUGH
 *	luo_memfd_errors faults		after it: one allocation after the other fails
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/reboot.h>

#include "luo_faults.h"
#include "luo_memfd.h"

#define ENOUGH		"/sys/fs/cgroup/enough/"
#define UNCLAIMED	"/sys/kernel/debug/kho/in/unclaimed_pages"

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
	make_files(session, 2);
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

/* Who retrieves a file is charged for it. */
static void see_charged(void)
{
	int session = open_session(luo_retrieve(device, "charged"), "charged");
	long before = read_number(UNCLAIMED);
	int fd;

	check(luo_retrieve_fd(session, 1) == -ENOMEM, "charged", "there is no room");
	/* The page that describes it, too. */
	check(before - read_number(UNCLAIMED) == FILE_PAGES + LIST_PAGES + 1, "charged",
	      "the memory is free");

	check(write_number(ENOUGH "cgroup.procs", 0) == 0, "charged", "another cgroup");
	before = number_of(ENOUGH "memory.stat", "shmem");
	fd = luo_retrieve_fd(session, 2);
	check(is_good(fd, 2), "charged", "content");
	check(number_of(ENOUGH "memory.stat", "shmem") - before == FILE_PAGES * PAGE,
	      "charged", "it is charged for all");
	check(luo_finish(session) == 0, "charged", "is finished");
	close(fd);
	check(number_of(ENOUGH "memory.stat", "shmem") == before, "charged",
	      "and for nothing when the file is gone");
	close(session);
}

/*
 * What cannot be retrieved is freed, but for what nobody knows of when there is no memory
 * for the list of it: that stays reserved, as the log says.
 */
static void retrieve_with_faults(void)
{
	int session = open_session(luo_retrieve(device, "faults"), "faults");
	int faults = open("/proc/thread-self/fail-nth", O_RDWR);
	int nr, fd, good = 0, lost = 0, as_expected = 0;
	bool failed_one;
	long left;

	if (faults < 0 || prepare_faults())
		die("fault injection");

	for (nr = 1; nr <= NR_FILES; nr++) {
		fail_nth(faults, nr);
		fd = luo_retrieve_fd(session, nr);
		failed_one = has_failed(faults);
		fail_nth(faults, 0);
		good += fd >= 0;
		lost += fd == -EBADMSG;
		if (fd < 0)
			printf("note the file fails with %s\n", strerrorname_np(-fd));
		/* Shmem says ENOSPC when there is no inode. */
		as_expected += fd >= 0 ? is_good(fd, nr) :
			       failed_one && (fd == -ENOMEM || fd == -EBADMSG || fd == -ENOSPC);
		close(fd);
	}
	printf("note %d of %d files are retrieved, %d lists are lost\n", good, NR_FILES, lost);
	check(as_expected == NR_FILES, "faults", "each is retrieved, or fails for that");
	check(good > 0 && good < NR_FILES, "faults", "some fail, and not all");
	check(luo_finish(session) == 0, "faults", "is finished");
	/* The list itself may be free, or not. */
	left = read_number(UNCLAIMED) - NR_FINISHED * (FILE_PAGES + LIST_PAGES + 1);
	check(left >= lost * FILE_PAGES && left <= lost * (FILE_PAGES + LIST_PAGES), "faults",
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
	check(nr_failed > 0 && nr_failed < NR_FINISHED && finished == NR_FINISHED, "finish",
	      "all are finished");
	/* What describes a file is in a page, and its list of files another. */
	left = read_number(UNCLAIMED) - before + NR_FINISHED * (FILE_PAGES + LIST_PAGES + 1);
	check(left >= 0 && left <= nr_failed * (FILE_PAGES + LIST_PAGES), "finish",
	      "their memory is free");
}

static void try_faults(void)
{
	retrieve_with_faults();
	finish_with_faults();
}

const struct kind kinds[] = {
	{ "faults", make_faults, NULL },
	{ "charged", make_charged, NULL },
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
	else if (argc == 2 && !strcmp(argv[1], "faults"))
		try_faults();
	else
		return usage();

	return failed;
}
