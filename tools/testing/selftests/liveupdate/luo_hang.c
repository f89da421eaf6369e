// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reboots that must end although a process hangs.
 *
 *	luo_hang preserve	try to kexec while PRESERVE_FD hangs
 *	luo_hang write		try to kexec while a write() to a preserved memfd hangs; keep
 *				the session in the background
 *	luo_hang after		after the kexec: look at that session, finish it
 *	luo_hang sync		in the background, have a write() to a memfd hang that a
 *				file system would have to be written to
 *	luo_hang loop		have loop devices on memfds of a session, with a file system
 *				on the first of them, in FS_DIR; write to the second one in
 *				the background, and say in the log of the kernel when that
 *				has failed
 *	luo_hang loop-again	after the kexec: have loop devices on the same memfds, and
 *				say which
 *	luo_hang loop-after	look at the files on the first of them, in FS_DIR
 *	luo_hang kexec		call reboot(), without sync() before it
 *
 * What hangs is a write() to a memfd, from memory that userfaultfd never fills: as from a
 * mapping of a file on a dead FUSE or NFS server. It has the lock of the inode.
 *
 * Prints "ok WHAT" and "not ok WHAT".
 */
#define _GNU_SOURCE
#include <linux/loop.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "luo_memfd.h"

#define NR_PAGES	16
#define SIZE		(NR_PAGES * PAGE)

/* As LUO_REBOOT_SECONDS, and what a slow guest may add to that: not as much again. */
#define REBOOT_MS	5000
#define MARGIN_MS	4000
/* What must not wait at all takes less, and what waits for a reboot more. */
#define AT_ONCE_MS	2000

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

	/* A descriptor that can block cannot be polled. */
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
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
	if (poll(&pollfd, 1, 60000) != 1 || pollfd.revents != POLLIN)
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

/* Whether another process or thread sleeps in an ioctl. */
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

struct create {
	pthread_t thread;
	atomic_int tid;
	const char *name;
};

/*
 * Create a session as soon as its name is free. While a reboot waits, so does this; before
 * that it is told at once that the name is in use.
 */
static void *create_thread(void *arg)
{
	struct create *create = arg;
	long session;

	create->tid = gettid();
	while ((session = luo_create(device, create->name)) == -EEXIST)
		usleep(10000);
	return (void *)session;
}

static struct create *begin_create(const char *name)
{
	static struct create create;

	create.name = name;
	pthread_create(&create.thread, NULL, create_thread, &create);
	while (!create.tid)
		usleep(1000);
	return &create;
}

static void try_preserve(void)
{
	long at_first = read_number(PRESERVED);
	int hung = open_session(luo_create(device, "hung"), "hung");
	int fd = new_memfd("hung", SIZE, 0), fds[2], closed[2], status;
	long before, begin, to_close;
	struct write write = begin_write(fd);
	struct create *creator;
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
	creator = begin_create("closed 1");
	check(sleeps(creator->tid), "preserve", "who makes a session waits for the reboot");
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
	pthread_join(creator->thread, &created);
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
	int ended, nr = 0;
	struct reboot try;
	long begin, waited;
	char name[LIVEUPDATE_SESSION_NAME_LENGTH];

	pthread_create(&try.thread, NULL, reboot_thread, &try);
	/* A slow machine takes some time until the reboot waits for the writer. */
	do {
		usleep(100000);
		snprintf(name, sizeof(name), "other %d", nr++);
		begin = now_ms();
		close(open_session(luo_create(device, name), name));
		waited = now_ms() - begin;
		ended = pthread_tryjoin_np(try.thread, NULL);
	} while (waited <= AT_ONCE_MS && ended == EBUSY);
	check(waited > AT_ONCE_MS, "write", "who makes a session waits");
	if (ended)
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

static void say_to_log(const char *what, int err)
{
	int fd = open("/dev/kmsg", O_WRONLY);
	char line[128];

	snprintf(line, sizeof(line), "khotest: %s: %s\n", what, strerror(err));
	write(fd, line, strlen(line));
	close(fd);
}

#define FS_SIZE		(32 * MIB)
#define FS_DIR		"/fs"
#define FS_TYPE		"ext2"
#define NR_FILES	40
#define FILE_PAGES	25

/* Put a loop device on a memfd. */
static void make_loop(int fd, char *path)
{
	int control = open("/dev/loop-control", O_RDWR), loop;

	sprintf(path, "/dev/loop%d", ioctl(control, LOOP_CTL_GET_FREE));
	loop = open(path, O_RDWR);
	if (loop < 0 || ioctl(loop, LOOP_SET_FD, fd))
		die(path);
	/* The device stays as long as it is in use. */
	close(control);
}

/* Whoever calls sync() hangs from now on. */
static void hang_sync(void)
{
	int fd = new_memfd("dead", SIZE, 0), loop, pipes[2];
	static char page[PAGE];
	char path[32];

	make_loop(fd, path);
	loop = open(path, O_RDWR);
	if (loop < 0 || pipe(pipes))
		die(path);
	fflush(stdout);
	if (fork()) {
		close(pipes[1]);
		check(read(pipes[0], page, 1) == 1, "sync", "it hangs");
		return;
	}

	setsid();
	begin_write(fd);
	if (pwrite(loop, page, PAGE, 0) != PAGE)
		_exit(1);
	write(pipes[1], page, 1);
	close(device);
	close(1);
	close(2);
	while (1)
		pause();
}

static int open_file(int i, int flags)
{
	char path[64];
	int fd;

	sprintf(path, FS_DIR "/%d", i);
	fd = open(path, flags, 0600);
	if (fd < 0)
		die(path);
	return fd;
}

/* Nothing of this is on the memfd before somebody writes it back. */
static void make_files(const char *device)
{
	int i, fd;

	mkdir(FS_DIR, 0700);
	if (mount(device, FS_DIR, FS_TYPE, MS_NOATIME, ""))
		die("mount");
	for (i = 0; i < NR_FILES; i++) {
		fd = open_file(i, O_WRONLY | O_CREAT);
		write_pages(fd, i, 0, FILE_PAGES);
		close(fd);
	}
}

static void see_files(void)
{
	int i, fd, good = 0;

	for (i = 0; i < NR_FILES; i++) {
		fd = open_file(i, O_RDONLY);
		good += size_of(fd) == FILE_PAGES * PAGE &&
			nr_good_pages(fd, i, 0, FILE_PAGES) == FILE_PAGES;
		close(fd);
	}
	check(good == NR_FILES, "loop", "all files are as they were");
}

/* Each step is on the device before the next one begins. */
static void write_to(const char *path)
{
	int fd = open(path, O_RDWR), err = 0;
	char page[PAGE];
	long step;

	if (fd < 0)
		die(path);
	for (step = 0; !err; step++) {
		memset(page, step, PAGE);
		if (pwrite(fd, page, PAGE, step % NR_PAGES * PAGE) != PAGE || fsync(fd))
			err = errno;
	}
	say_to_log("note the writer has failed", err);
	while (1)
		pause();
}

static void make_loops(void)
{
	int session = open_session(luo_create(device, "loop"), "loop");
	int fds[2] = { new_memfd("fs", FS_SIZE, 0), new_memfd("raw", SIZE, 0) };
	char paths[2][32], command[64];
	int i;

	/* What is written later has to be found. */
	for (i = 0; i < 2; i++) {
		preserve(session, fds[i], i);
		make_loop(fds[i], paths[i]);
	}
	sprintf(command, "mke2fs -F %s > /dev/null", paths[0]);
	check(system(command) == 0, "loop", "there is a file system");
	/* It is the files that are to be written when the machine reboots. */
	sync();
	make_files(paths[0]);
	fflush(stdout);
	if (!fork()) {
		close(device);
		close(session);
		write_to(paths[1]);
	}
	check(true, "loop", "there are files");
	keep_running();
}

static void make_loops_again(void)
{
	int session = open_session(luo_retrieve(device, "loop"), "loop"), i;
	char path[32];

	for (i = 0; i < 2; i++) {
		make_loop(luo_retrieve_fd(session, i), path);
		printf("loop %s\n", path);
	}
	check(luo_finish(session) == 0, "loop", "is finished");
	keep_running();
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "kexec")) {
		reboot(RB_KEXEC);
		die("reboot");
	}

	open_device(100);
	if (argc == 2 && !strcmp(argv[1], "preserve"))
		try_preserve();
	else if (argc == 2 && !strcmp(argv[1], "write"))
		try_write();
	else if (argc == 2 && !strcmp(argv[1], "after"))
		see_written();
	else if (argc == 2 && !strcmp(argv[1], "sync"))
		hang_sync();
	else if (argc == 2 && !strcmp(argv[1], "loop"))
		make_loops();
	else if (argc == 2 && !strcmp(argv[1], "loop-again"))
		make_loops_again();
	else if (argc == 2 && !strcmp(argv[1], "loop-after"))
		see_files();
	else
		die("usage");

	return failed;
}

/* It has none. */
const struct kind kinds[] = { {} };
