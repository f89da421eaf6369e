// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reboots that must end although a process hangs.
 *
 *	luo_hang preserve	try to kexec while PRESERVE_FD hangs
 *	luo_hang write		try to kexec while a write() to a preserved memfd hangs; keep
 *				the session in the background
 *	luo_hang after		after the kexec: look at that session, finish it
 *
 * What hangs is a write() to a memfd, from memory that userfaultfd never fills: as from a
 * mapping of a file on a dead FUSE or NFS server. It has the lock of the inode.
 *
 * Prints "ok WHAT" and "not ok WHAT".
 */
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "luo_memfd.h"

#define NR_PAGES	16
#define SIZE		(NR_PAGES * PAGE)

/* As LUO_REBOOT_SECONDS, and what a slow guest may add to that. */
#define REBOOT_MS	5000
#define MARGIN_MS	3000
/* What must not wait at all. */
#define AT_ONCE_MS	1000

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int uffd;

/* Memory that nobody can read before fill(). */
static char *hanging_memory(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	char *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (mem == MAP_FAILED || uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		die("userfaultfd");
	reg.range.start = (unsigned long)mem;
	reg.range.len = SIZE;
	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER");
	return mem;
}

static void fill(char *mem, long seed)
{
	__u64 pages[SIZE / sizeof(__u64)];
	struct uffdio_copy copy = {
		.dst = (unsigned long)mem,
		.src = (unsigned long)pages,
		.len = SIZE,
	};
	long i;

	for (i = 0; i < NR_PAGES; i++)
		page_content(pages + i * PAGE / sizeof(*pages), seed, i);
	if (ioctl(uffd, UFFDIO_COPY, &copy))
		die("UFFDIO_COPY");
}

struct write {
	pthread_t thread;
	int fd;
	char *mem;
};

static void *write_thread(void *arg)
{
	struct write *write = arg;

	return (void *)pwrite(write->fd, write->mem, SIZE, 0);
}

/* Begin to write, and wait until it hangs. */
static struct write begin_write(int fd)
{
	static struct write write;
	struct pollfd pollfd;

	write.fd = fd;
	write.mem = hanging_memory();
	pthread_create(&write.thread, NULL, write_thread, &write);
	pollfd = (struct pollfd){ .fd = uffd, .events = POLLIN };
	if (poll(&pollfd, 1, 60000) != 1)
		die("poll");
	return write;
}

static long end_write(struct write *write, long seed)
{
	void *written;

	fill(write->mem, seed);
	pthread_join(write->thread, &written);
	return (long)written;
}

/* Whether another process sleeps in an ioctl. */
static bool sleeps(pid_t pid)
{
	char path[64], state = 0;
	FILE *file;
	int tries;

	sprintf(path, "/proc/%d/stat", pid);
	for (tries = 0; tries < 1000 && state != 'D'; tries++) {
		usleep(10000);
		file = fopen(path, "r");
		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			die(path);
		fclose(file);
	}

	return state == 'D';
}

struct reboot {
	pthread_t thread;
	long begin, end;
	int result;
};

static void *reboot_thread(void *arg)
{
	struct reboot *try = arg;

	try->begin = now_ms();
	try->result = reboot(RB_KEXEC) ? -errno : 0;
	try->end = now_ms();
	return NULL;
}

static bool in_time(const struct reboot *try)
{
	printf("note reboot() has returned %d after %ld ms\n", try->result,
	       try->end - try->begin);
	return try->end - try->begin >= REBOOT_MS - 100 &&
	       try->end - try->begin <= REBOOT_MS + MARGIN_MS;
}

static int memfd_session(const char *name, int *fd)
{
	int session = open_session(luo_create(device, name), name);

	*fd = new_memfd(name, SIZE, 0);
	write_pages(*fd, 1, 0, NR_PAGES);
	preserve(session, *fd, 1);
	return session;
}

static bool becomes(const char *path, long value)
{
	int tries;

	for (tries = 0; tries < 500 && read_number(path) != value; tries++)
		usleep(10000);
	return read_number(path) == value;
}

/* Create a session when a reboot waits, and so wait for that. */
static void *create_thread(void *unused)
{
	return (void *)(long)luo_create(device, "closed 1");
}

static void try_preserve(void)
{
	long at_first = read_number(PRESERVED);
	int hung = open_session(luo_create(device, "hung"), "hung");
	int fd = new_memfd("hung", SIZE, 0), fds[2], closed[2], status;
	long before, begin, to_close;
	struct write write = begin_write(fd);
	pthread_t creator;
	struct reboot try;
	void *created;
	pid_t pid;

	before = read_number(PRESERVED);
	closed[0] = memfd_session("closed 0", &fds[0]);
	closed[1] = memfd_session("closed 1", &fds[1]);
	to_close = read_number(PRESERVED) - before;
	pid = fork();
	if (!pid) {
		close(closed[0]);
		close(closed[1]);
		luo_preserve_fd(hung, fd, 1);
		_exit(1);
	}
	check(sleeps(pid), "preserve", "PRESERVE_FD hangs");
	/* With what PRESERVE_FD has preserved so far. */
	before = read_number(PRESERVED) - to_close;

	begin = now_ms();
	close(closed[0]);
	check(now_ms() - begin < AT_ONCE_MS, "preserve", "another session is closed at once");

	pthread_create(&try.thread, NULL, reboot_thread, &try);
	usleep(1000000);
	pthread_create(&creator, NULL, create_thread, NULL);
	begin = now_ms();
	close(closed[1]);
	check(now_ms() - begin < AT_ONCE_MS, "preserve",
	      "and so is one for which the reboot is waiting");
	/* This takes the same lock as to power off. */
	reboot(RB_DISABLE_CAD);
	check(now_ms() - begin < REBOOT_MS + MARGIN_MS, "preserve",
	      "the machine could be powered off soon");
	pthread_join(try.thread, NULL);
	check(in_time(&try), "preserve", "the reboot ends after 5 s");
	check(try.result == -ETIMEDOUT, "preserve", "and fails");
	pthread_join(creator, &created);
	check((long)created >= 0, "preserve", "the name of a closed session is free");
	close((long)created);
	check(becomes(PRESERVED, before), "preserve", "what was closed is not preserved");

	kill(pid, SIGKILL);
	check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status), "preserve",
	      "the process that hung can be killed");
	check(end_write(&write, 1) == SIZE, "preserve", "the write() succeeds");
	check(luo_preserve_fd(hung, fd, 1) == 0, "preserve", "and so does PRESERVE_FD");
	close(hung);
	check(becomes(PRESERVED, at_first), "preserve", "nothing is preserved any more");
}

static void try_write(void)
{
	int fd, session = memfd_session("written", &fd);
	struct write write = begin_write(fd);
	struct reboot try;
	long begin;

	pthread_create(&try.thread, NULL, reboot_thread, &try);
	usleep(1000000);
	begin = now_ms();
	close(open_session(memfd_session("other", &(int){ 0 }), "other"));
	check(now_ms() - begin > AT_ONCE_MS, "write", "who makes a session waits");
	pthread_join(try.thread, NULL);
	check(in_time(&try), "write", "the reboot ends after 5 s");
	check(try.result == -ETIMEDOUT, "write", "and fails");
	check(end_write(&write, 2) == SIZE, "write", "the write() succeeds");
	check(nr_good_pages(fd, 2, 0, NR_PAGES) == NR_PAGES, "write", "content");
	if (session < 0)
		die("written");
	keep_running();
}

static void see_written(void)
{
	int session = open_session(luo_retrieve(device, "written"), "written");

	check(nr_good_pages(luo_retrieve_fd(session, 1), 2, 0, NR_PAGES) == NR_PAGES, "written",
	      "content");
	check(luo_finish(session) == 0, "written", "is finished");
}

int main(int argc, char **argv)
{
	open_device(100);
	if (argc == 2 && !strcmp(argv[1], "preserve"))
		try_preserve();
	else if (argc == 2 && !strcmp(argv[1], "write"))
		try_write();
	else if (argc == 2 && !strcmp(argv[1], "after"))
		see_written();
	else
		die("usage");

	return failed;
}

/* It has none. */
const struct kind kinds[] = { {} };
