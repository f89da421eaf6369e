// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memfds in sessions, across a kexec: what they hold. See luo_memfd.h, and
 *
 *	luo_memfd again KIND	retrieve a session, and make it anew of the same memfds
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/xattr.h>

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

#define MEMINFO		"/proc/meminfo"
#define OVERCOMMIT	"/proc/sys/vm/overcommit_memory"
#define COMMIT_KB	"/proc/sys/vm/overcommit_kbytes"

/* There is only half of the memory that may be committed. */
static void retrieve_overcommitted(int session, const char *kind)
{
	long unclaimed = read_number(UNCLAIMED), shmem = proc_kb(MEMINFO, "Shmem");
	long committed = proc_kb(MEMINFO, "Committed_AS"), missing;
	int fd;

	if (write_number(COMMIT_KB, committed + DENSE_PAGES * PAGE / 2 / 1024) ||
	    write_number(OVERCOMMIT, 2))
		die("overcommit");
	fd = luo_retrieve_fd(session, 1);
	check(fd == -ENOSPC, kind, "it cannot be committed");
	check(luo_retrieve_fd(session, 1) == -ENOSPC, kind, "nor when it is tried again");
	if (write_number(OVERCOMMIT, 0))
		die("overcommit");

	/* What the previous call has done is undone, but the folios are not lost. */
	missing = unclaimed - read_number(UNCLAIMED);
	printf("note %ld pages were claimed\n", missing);
	check(missing > DENSE_PAGES / 3 && missing < DENSE_PAGES, kind, "in the middle");
	check(proc_kb(MEMINFO, "Shmem") - shmem < 1024 &&
	      proc_kb(MEMINFO, "Committed_AS") - committed < 1024, kind,
	      "nothing is in a file");
}

/* The one who retrieves it dies. */
static void retrieve_killed(int session, const char *kind)
{
	long before = read_number(UNCLAIMED), left;
	pid_t pid = fork();
	int status;

	if (!pid) {
		luo_retrieve_fd(session, 1);
		_exit(0);
	}

	/* It begins with those that were claimed before. */
	while (before - read_number(UNCLAIMED) < 2000 && !waitpid(pid, &status, WNOHANG))
		usleep(1000);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	left = read_number(UNCLAIMED);
	printf("note %ld more pages were claimed\n", before - left);
	check(before - left > 0 && left > 1000, kind, "killed in the middle");
}

static void see_dense(int session, const char *kind)
{
	int fd;

	retrieve_overcommitted(session, kind);
	retrieve_killed(session, kind);
	fd = luo_retrieve_fd(session, 1);
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

#define NOEXEC		"/proc/sys/vm/memfd_noexec"
#define OTHER_UID	65534

/* Seals that leave nothing to do with write access. */
#define ALL_BUT_EXEC	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

static void make_rights(int session)
{
	int fd, reader, token;
	char path[64];

	for (token = 1; token <= 5; token++) {
		fd = new_memfd("rights", PAGE, 0);
		write_pages(fd, token, 0, 1);
		if (fchmod(fd, 0777))
			die("fchmod");
		if (token == 2) {
			if (fcntl(fd, F_ADD_SEALS, ALL_BUT_EXEC))
				die("seals");
			sprintf(path, "/proc/self/fd/%d", fd);
			reader = open(path, O_RDONLY);
			close(fd);
			fd = reader;
		} else if (token == 3 && fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)) {
			die("seals");
		}
		preserve(session, fd, token);
	}
}

/* What a process of another user can do: 0, or the errno of what it cannot; 255 if it dies. */
static int as_other(int fd, int (*what)(int fd))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		/* Others than root may not search the guest's root directory. */
		if (chdir("/proc/self/fd") || setresgid(OTHER_UID, OTHER_UID, OTHER_UID) ||
		    setresuid(OTHER_UID, OTHER_UID, OTHER_UID))
			_exit(EFAULT);
		_exit(what(fd));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return 255;

	return WEXITSTATUS(status);
}

static int use(int fd)
{
	void *mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return nr_good_pages(fd, 1, 0, 1) == 1 && mem != MAP_FAILED ? 0 : EIO;
}

static int open_by_path(int fd, int flags)
{
	char path[16];

	sprintf(path, "%d", fd);
	return open(path, flags) < 0 ? errno : 0;
}

static int open_to_write(int fd)
{
	return open_by_path(fd, O_RDWR);
}

static int open_to_read(int fd)
{
	return open_by_path(fd, O_RDONLY);
}

static int change_mode(int fd)
{
	return fchmod(fd, 0640) ? errno : 0;
}

static int execute(int fd)
{
	char *const argv[] = { NULL };

	fexecve(fd, argv, argv);
	return errno;
}

/* The commands of the manual, for a descriptor that this process has. */
static bool run_command(const char *command, int fd)
{
	char line[128];

	snprintf(line, sizeof(line), "%s /proc/%d/fd/%d", command, getpid(), fd);
	return !system(line);
}

/* A service that runs as another user, and is handed the descriptor. */
static void see_other_user(int fd, const char *kind)
{
	struct stat st;
	char label[8] = "";

	check(!fstat(fd, &st) && st.st_uid == 0 && (st.st_mode & 07777) == 0600, kind,
	      "the file is of the one who retrieves it");
	check(as_other(fd, use) == 0, kind, "another user can use the descriptor");
	check(as_other(fd, open_to_write) == EACCES && as_other(fd, open_to_read) == EACCES &&
	      as_other(fd, change_mode) == EPERM, kind, "but not open the file, or change it");

	check(run_command("chmod 644", fd) && as_other(fd, open_to_read) == 0 &&
	      as_other(fd, open_to_write) == EACCES, kind, "chmod lets others open it");
	check(run_command("chown 65534:65534", fd) && as_other(fd, open_to_write) == 0 &&
	      as_other(fd, change_mode) == 0, kind, "chown lets the other user do all of that");
	check(as_other(fd, execute) == EACCES, kind, "but not execute it");

	/* That is what chcon does. */
	if (!fsetxattr(fd, "security.selinux", "label", 6, 0))
		check(fgetxattr(fd, "security.selinux", label, sizeof(label)) == 6 &&
		      !strcmp(label, "label"), kind, "a security label can be set");
	else
		check(errno == EOPNOTSUPP, kind, "no labels in this kernel");
}

/* Nothing is left to do with a file that could only be read. */
static void see_reader(int fd, const char *kind)
{
	check(nr_good_pages(fd, 2, 0, 1) == 1 && fcntl(fd, F_GET_SEALS) == ALL_BUT_EXEC, kind,
	      "the reader's content and seals");
	check(pwrite(fd, "x", 1, 0) < 0 && ftruncate(fd, 2 * PAGE) < 0 &&
	      ftruncate(fd, 1) < 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC) < 0 &&
	      mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED, kind,
	      "the reader can do no more than before");
}

/* No one retrieved under vm.memfd_noexec can be made executable. */
static void see_noexec(int session, const char *kind)
{
	int fd;

	if (access(NOEXEC, F_OK)) {
		printf("note no " NOEXEC "\n");
		return;
	}
	check(!write_number(NOEXEC, 1), kind, "vm.memfd_noexec is set");
	fd = luo_retrieve_fd(session, 4);
	check(nr_good_pages(fd, 4, 0, 1) == 1 && fcntl(fd, F_GET_SEALS) == F_SEAL_EXEC &&
	      fchmod(fd, 0700) < 0 && errno == EPERM && !fchmod(fd, 0640), kind,
	      "a file stays not executable");
	check(!write_number(NOEXEC, 0), kind, "vm.memfd_noexec is not set");
	fd = luo_retrieve_fd(session, 5);
	check(nr_good_pages(fd, 5, 0, 1) == 1 && fcntl(fd, F_GET_SEALS) == 0 &&
	      !fchmod(fd, 0700), kind, "a file can be made executable");
}

static void see_rights(int session, const char *kind)
{
	int fd = luo_retrieve_fd(session, 1);

	see_other_user(fd, kind);
	see_reader(luo_retrieve_fd(session, 2), kind);
	fd = luo_retrieve_fd(session, 3);
	check(nr_good_pages(fd, 3, 0, 1) == 1 && fcntl(fd, F_GET_SEALS) == F_SEAL_FUTURE_WRITE &&
	      pwrite(fd, "x", 1, 0) < 0, kind, "F_SEAL_FUTURE_WRITE");
	see_noexec(session, kind);
}

const struct kind kinds[] = {
	{ "small", make_small, see_small },
	{ "rights", make_rights, see_rights },
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
