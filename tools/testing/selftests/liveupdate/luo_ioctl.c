// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of live update and their errors, as far as they show without a kexec.
 * Needs liveupdate=on and CONFIG_LIVEUPDATE_TEST.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "luo.h"
#include "luo_faults.h"

FIXTURE(luo)
{
	int device;
	long preserved;
};

FIXTURE_SETUP(luo)
{
	if (access(DEVICE, F_OK))
		SKIP(return, "no " DEVICE);
	if (access(TEST_DEVICE, F_OK))
		SKIP(return, "no " TEST_DEVICE);

	self->device = open(DEVICE, O_RDWR);
	ASSERT_LE(0, self->device);
	self->preserved = read_number(PRESERVED);
	ASSERT_LT(0, self->preserved);
}

/* Whatever a test does, when its sessions are closed nothing is preserved. */
FIXTURE_TEARDOWN(luo)
{
	EXPECT_EQ(self->preserved, read_number(PRESERVED));
	EXPECT_EQ(0, read_number(TEST_DIR "errors"));
	EXPECT_EQ(nr_calls("preserve"), nr_calls("unpreserve"));
	close(self->device);
}

/* Of a user who may write to the device, but has no capabilities. */
static int open_unprivileged(void)
{
	int status, fd;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		/* Others than root may not search the guest's root directory. */
		if (chdir("/dev") || setresgid(65534, 65534, 65534) ||
		    setresuid(65534, 65534, 65534))
			_exit(0);
		fd = open("liveupdate", O_RDWR);
		_exit(fd < 0 ? errno : 0);
	}

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;

	return -WEXITSTATUS(status);
}

TEST_F(luo, unprivileged)
{
	EXPECT_EQ(-EACCES, open_unprivileged());
	ASSERT_EQ(0, chmod(DEVICE, 0666));
	EXPECT_EQ(-EPERM, open_unprivileged());
	close(self->device);
	EXPECT_EQ(-EPERM, open_unprivileged());
	EXPECT_EQ(0, chmod(DEVICE, 0600));

	self->device = open(DEVICE, O_RDWR);
	EXPECT_LE(0, self->device);
}

TEST_F(luo, exclusive)
{
	int copy;

	EXPECT_EQ(-1, open(DEVICE, O_RDWR));
	EXPECT_EQ(EBUSY, errno);

	/* Another descriptor of the same open file keeps it. */
	copy = dup(self->device);
	close(self->device);
	EXPECT_EQ(-1, open(DEVICE, O_RDWR));
	EXPECT_EQ(EBUSY, errno);
	close(copy);

	self->device = open(DEVICE, O_RDWR);
	EXPECT_LE(0, self->device);
}

TEST_F(luo, names)
{
	char long_name[64], too_long[65], name[64], path[64], link[128] = "";
	int session, other;

	memset(long_name, 'x', 63);
	long_name[63] = '\0';
	memset(too_long, 'x', 64);
	too_long[64] = '\0';

	EXPECT_EQ(-EINVAL, luo_create(self->device, ""));
	EXPECT_EQ(-EINVAL, luo_create(self->device, too_long));
	EXPECT_EQ(-EINVAL, luo_retrieve(self->device, ""));
	EXPECT_EQ(-EINVAL, luo_retrieve(self->device, too_long));

	session = luo_create(self->device, "n");
	ASSERT_LE(0, session);
	EXPECT_EQ(0, luo_get_name(session, name));
	EXPECT_STREQ("n", name);
	sprintf(path, "/proc/self/fd/%d", session);
	EXPECT_LT(0, readlink(path, link, sizeof(link) - 1));
	EXPECT_STREQ("anon_inode:[luo_session] n", link);
	EXPECT_EQ(FD_CLOEXEC, fcntl(session, F_GETFD));

	other = luo_create(self->device, long_name);
	ASSERT_LE(0, other);
	EXPECT_EQ(0, luo_get_name(other, name));
	EXPECT_STREQ(long_name, name);
	sprintf(path, "/proc/self/fd/%d", other);
	EXPECT_EQ(63, readlink(path, link, sizeof(link) - 1));
	link[63] = '\0';
	EXPECT_EQ(0, strncmp("anon_inode:[luo_session] xxx", link, 28));
	EXPECT_EQ(38, strspn(link + 25, "x"));

	/* Only the first 63 characters tell them apart. */
	long_name[62] = 'y';
	EXPECT_EQ(0, close(luo_create(self->device, long_name)));

	close(session);
	close(other);
}

TEST_F(luo, same_name)
{
	int session = luo_create(self->device, "name");
	int again;

	ASSERT_LE(0, session);
	EXPECT_EQ(-EEXIST, luo_create(self->device, "name"));
	again = luo_create(self->device, "name2");
	EXPECT_LE(0, again);
	close(again);

	/* It is not one that was handed over. */
	EXPECT_EQ(-ENOENT, luo_retrieve(self->device, "name"));

	close(session);
	session = luo_create(self->device, "name");
	EXPECT_LE(0, session);
	close(session);
}

/*
 * An ioctl refuses arguments that are too short, or that have at their end what it
 * does not know, and takes those that are longer but zero there. What it says then
 * is in @rc.
 */
static void try_sizes(struct __test_metadata *_metadata, int fd,
		      unsigned long cmd, const void *arg, __u32 size, int rc)
{
	union {
		__u32 size;
		char bytes[8192];
	} buf = {};
	__u32 i;

	for (i = 0; i < size; i++) {
		memcpy(&buf, arg, size);
		buf.size = i;
		EXPECT_EQ(-EINVAL, luo_ioctl(fd, cmd, &buf));
	}

	memcpy(&buf, arg, size);
	buf.size = size + 8;
	EXPECT_EQ(rc, luo_ioctl(fd, cmd, &buf));
	memcpy(&buf, arg, size);
	buf.size = size + 8;
	buf.bytes[size + 7] = 1;
	EXPECT_EQ(-E2BIG, luo_ioctl(fd, cmd, &buf));
	buf.bytes[size + 7] = 0;
	buf.size = 4097;
	EXPECT_EQ(-E2BIG, luo_ioctl(fd, cmd, &buf));
	buf.size = ~0U;
	EXPECT_EQ(-E2BIG, luo_ioctl(fd, cmd, &buf));
	memcpy(&buf, arg, size);
	buf.size = 4096;
	EXPECT_EQ(rc, luo_ioctl(fd, cmd, &buf));

	EXPECT_EQ(-EFAULT, luo_ioctl(fd, cmd, NULL));
	EXPECT_EQ(-EFAULT, luo_ioctl(fd, cmd, (void *)-4096L));
}

TEST_F(luo, sizes)
{
	struct liveupdate_ioctl_create_session create = { .name = "taken" };
	struct liveupdate_ioctl_retrieve_session retrieve = { .name = "none" };
	struct liveupdate_session_preserve_fd preserve = { .fd = -1 };
	struct liveupdate_session_retrieve_fd retrieve_fd = { .token = 1 };
	struct liveupdate_session_finish finish = {};
	struct liveupdate_session_get_name get_name = {};
	int session = luo_create(self->device, "taken");

	ASSERT_LE(0, session);
	try_sizes(_metadata, self->device, LIVEUPDATE_IOCTL_CREATE_SESSION,
		  &create, sizeof(create), -EEXIST);
	try_sizes(_metadata, self->device, LIVEUPDATE_IOCTL_RETRIEVE_SESSION,
		  &retrieve, sizeof(retrieve), -ENOENT);
	try_sizes(_metadata, session, LIVEUPDATE_SESSION_PRESERVE_FD,
		  &preserve, sizeof(preserve), -EBADF);
	try_sizes(_metadata, session, LIVEUPDATE_SESSION_RETRIEVE_FD,
		  &retrieve_fd, sizeof(retrieve_fd), -EINVAL);
	try_sizes(_metadata, session, LIVEUPDATE_SESSION_FINISH,
		  &finish, sizeof(finish), -EINVAL);
	try_sizes(_metadata, session, LIVEUPDATE_SESSION_GET_NAME,
		  &get_name, sizeof(get_name), 0);
	close(session);
}

/* The layout that programs were compiled with. */
TEST_F(luo, layout)
{
	EXPECT_EQ(72, sizeof(struct liveupdate_ioctl_create_session));
	EXPECT_EQ(72, sizeof(struct liveupdate_ioctl_retrieve_session));
	EXPECT_EQ(16, sizeof(struct liveupdate_session_preserve_fd));
	EXPECT_EQ(16, sizeof(struct liveupdate_session_retrieve_fd));
	EXPECT_EQ(8, sizeof(struct liveupdate_session_finish));
	EXPECT_EQ(72, sizeof(struct liveupdate_session_get_name));
	EXPECT_EQ(0xBA00, LIVEUPDATE_IOCTL_CREATE_SESSION);
	EXPECT_EQ(0xBA01, LIVEUPDATE_IOCTL_RETRIEVE_SESSION);
	EXPECT_EQ(0xBA40, LIVEUPDATE_SESSION_PRESERVE_FD);
	EXPECT_EQ(0xBA41, LIVEUPDATE_SESSION_RETRIEVE_FD);
	EXPECT_EQ(0xBA42, LIVEUPDATE_SESSION_FINISH);
	EXPECT_EQ(0xBA43, LIVEUPDATE_SESSION_GET_NAME);
}

TEST_F(luo, other_ioctls)
{
	struct liveupdate_session_get_name arg = { .size = sizeof(arg) };
	int session = luo_create(self->device, "name");
	int nr;

	ASSERT_LE(0, session);
	for (nr = 0; nr < 256; nr++) {
		if (nr > 1)
			EXPECT_EQ(-ENOTTY, luo_ioctl(self->device, 0xBA00 | nr, &arg));
		if (nr < 0x40 || nr > 0x43)
			EXPECT_EQ(-ENOTTY, luo_ioctl(session, 0xBA00 | nr, &arg));
	}
	EXPECT_EQ(-ENOTTY, luo_ioctl(session, _IOR(0xBA, 0x43, int), &arg));
	EXPECT_EQ(-ENOTTY, luo_ioctl(session, 0xBB43, &arg));
	close(session);
}

TEST_F(luo, reserved)
{
	struct liveupdate_session_get_name name = { .size = sizeof(name), .reserved = 1 };
	int session = luo_create(self->device, "name");

	ASSERT_LE(0, session);
	EXPECT_EQ(-EINVAL, luo_ioctl(session, LIVEUPDATE_SESSION_GET_NAME, &name));
	close(session);
}

/* What is returned in memory that cannot be written has not happened. */
TEST_F(luo, read_only_argument)
{
	struct liveupdate_ioctl_create_session *arg;
	int session;

	arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	arg->size = sizeof(*arg);
	luo_set_name(arg->name, "name");
	ASSERT_EQ(0, mprotect(arg, 4096, PROT_READ));
	EXPECT_EQ(-EFAULT, luo_ioctl(self->device, LIVEUPDATE_IOCTL_CREATE_SESSION, arg));

	session = luo_create(self->device, "name");
	EXPECT_LE(0, session);
	close(session);
}

/* One that returns nothing has no need to write. */
TEST_F(luo, read_only_preserve)
{
	struct liveupdate_session_preserve_fd *arg;
	int session = luo_create(self->device, "name");

	ASSERT_LE(0, session);
	arg = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, arg);
	arg->size = sizeof(*arg);
	arg->fd = luo_test_file("name", 1);
	arg->token = 1;
	ASSERT_EQ(0, mprotect(arg, 4096, PROT_READ));
	EXPECT_EQ(0, luo_ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, arg));
	EXPECT_EQ(-EEXIST, luo_ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, arg));

	close(arg->fd);
	close(session);
}

TEST_F(luo, no_descriptors)
{
	struct rlimit limit, none;
	int session;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, luo_create(self->device, "name"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));

	session = luo_create(self->device, "name");
	EXPECT_LE(0, session);
	close(session);
}

TEST_F(luo, preserve)
{
	int session = luo_create(self->device, "one");
	int other = luo_create(self->device, "two");
	int file = luo_test_file("one", 1), second = luo_test_file("one", 2);
	int copy = dup(file);

	ASSERT_LE(0, session);
	ASSERT_LE(0, other);
	ASSERT_LE(0, file);
	ASSERT_LE(0, second);

	EXPECT_EQ(0, luo_preserve_fd(session, file, 1));
	/* The block that lists sessions, that of the files of one, and the file. */
	EXPECT_EQ(self->preserved + 3, read_number(PRESERVED));
	EXPECT_EQ(-EEXIST, luo_preserve_fd(session, second, 1));
	EXPECT_EQ(-EBUSY, luo_preserve_fd(session, file, 2));
	EXPECT_EQ(-EBUSY, luo_preserve_fd(session, copy, 2));
	EXPECT_EQ(-EBUSY, luo_preserve_fd(other, file, 2));
	EXPECT_EQ(0, luo_preserve_fd(other, second, 1));
	EXPECT_EQ(self->preserved + 5, read_number(PRESERVED));

	/* It is still in use, and the session keeps it. */
	EXPECT_TRUE(luo_is_test_file(file, "one", 1));
	close(file);
	EXPECT_EQ(-EBUSY, luo_preserve_fd(session, copy, 2));
	EXPECT_TRUE(luo_is_test_file(copy, "one", 1));

	/* When its session is closed the file can go to another one. */
	close(session);
	EXPECT_EQ(0, luo_preserve_fd(other, copy, 3));
	EXPECT_EQ(0, luo_preserve_fd(other, luo_test_file("x", 0), 0));
	EXPECT_EQ(0, luo_preserve_fd(other, luo_test_file("x", 0), ~0ULL));
	close(copy);
	close(second);
	close(other);
}

TEST_F(luo, not_preservable)
{
	int session = luo_create(self->device, "name");
	int fds[2], path;

	ASSERT_LE(0, session);
	EXPECT_EQ(-EBADF, luo_preserve_fd(session, -1, 1));
	EXPECT_EQ(-EBADF, luo_preserve_fd(session, 1000, 1));
	path = open(TEST_DEVICE, O_PATH);
	ASSERT_LE(0, path);
	EXPECT_EQ(-EBADF, luo_preserve_fd(session, path, 1));

	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-ENOENT, luo_preserve_fd(session, fds[0], 1));
	EXPECT_EQ(-ENOENT, luo_preserve_fd(session, session, 1));
	EXPECT_EQ(-ENOENT, luo_preserve_fd(session, self->device, 1));
	close(session);
}

TEST_F(luo, wrong_direction)
{
	int session = luo_create(self->device, "name");

	ASSERT_LE(0, session);
	EXPECT_EQ(0, luo_preserve_fd(session, luo_test_file("name", 1), 1));
	EXPECT_EQ(-EINVAL, luo_retrieve_fd(session, 1));
	EXPECT_EQ(-EINVAL, luo_finish(session));
	close(session);
}

/* What a handler refuses leaves nothing behind, and can be tried again. */
TEST_F(luo, handler_fails)
{
	int session = luo_create(self->device, "name");
	int file = luo_test_file("name", 1);
	long before;
	int i;

	ASSERT_LE(0, session);
	before = read_number(PRESERVED);
	ASSERT_EQ(0, write_number(TEST_DIR "fail_preserve", 2));
	EXPECT_EQ(-EIO, luo_preserve_fd(session, file, 1));
	EXPECT_EQ(before, read_number(PRESERVED));
	EXPECT_EQ(-EIO, luo_preserve_fd(session, file, 1));
	EXPECT_EQ(0, luo_preserve_fd(session, file, 1));
	EXPECT_EQ(before + 2, read_number(PRESERVED));

	/* Also when it is the first one of the next block, 63 of which fit. */
	for (i = 2; i <= 63; i++)
		ASSERT_EQ(0, luo_preserve_fd(session, luo_test_file("name", i), i));
	before = read_number(PRESERVED);
	ASSERT_EQ(0, write_number(TEST_DIR "fail_preserve", 1));
	file = luo_test_file("name", 64);
	EXPECT_EQ(-EIO, luo_preserve_fd(session, file, 64));
	EXPECT_EQ(before, read_number(PRESERVED));
	EXPECT_EQ(0, luo_preserve_fd(session, file, 64));
	EXPECT_EQ(before + 2, read_number(PRESERVED));
	close(session);
}

TEST_F(luo, unregister)
{
	int session = luo_create(self->device, "name");
	int file = luo_test_file("name", 1);

	ASSERT_LE(0, session);
	ASSERT_EQ(0, luo_preserve_fd(session, file, 1));
	EXPECT_EQ(-EBUSY, write_number(TEST_DIR "registered", 0));
	close(session);
	EXPECT_EQ(0, write_number(TEST_DIR "registered", 0));

	session = luo_create(self->device, "name");
	EXPECT_EQ(-ENOENT, luo_preserve_fd(session, file, 1));
	EXPECT_EQ(0, write_number(TEST_DIR "registered", 1));
	EXPECT_EQ(-EEXIST, write_number(TEST_DIR "registered", 1));
	EXPECT_EQ(0, luo_preserve_fd(session, file, 1));
	close(session);
}

TEST_F_TIMEOUT(luo, many_sessions, 300)
{
	int sessions[1000], i;
	char name[64];

	for (i = 0; i < 1000; i++) {
		sprintf(name, "session %d", i);
		sessions[i] = luo_create(self->device, name);
		ASSERT_LE(0, sessions[i]);
		ASSERT_EQ(0, luo_preserve_fd(sessions[i], luo_test_file(name, i), i));
		ASSERT_EQ(0, close(sessions[i] + 1));
	}
	EXPECT_EQ(-EEXIST, luo_create(self->device, "session 500"));
	/* 51 fit into a block. */
	EXPECT_EQ(self->preserved + 2 * 1000 + (1000 + 50) / 51, read_number(PRESERVED));
	for (i = 0; i < 1000; i++)
		close(sessions[i * 7 % 1000]);
}

TEST_F_TIMEOUT(luo, many_files, 300)
{
	int session = luo_create(self->device, "name");
	int file, i;

	ASSERT_LE(0, session);
	for (i = 0; i < 10000; i++) {
		file = luo_test_file("name", i);
		ASSERT_LE(0, file);
		ASSERT_EQ(0, luo_preserve_fd(session, file, i * 7919ULL % 10000));
		close(file);
	}
	EXPECT_EQ(self->preserved + 1 + 10000 + (10000 + 62) / 63, read_number(PRESERVED));
	close(session);
}

static void send_fd(int to, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	sendmsg(to, &msg, 0);
}

static int receive_fd(int from)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd = -1;

	if (recvmsg(from, &msg, 0) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));

	return fd;
}

/* One process makes a session and dies, another one goes on with it. */
TEST_F(luo, passed_on)
{
	int sockets[2], session, status;
	char name[64];
	pid_t pid;

	if (access("/proc/net/unix", F_OK))
		SKIP(return, "the kernel has no sockets");
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, sockets));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		session = luo_create(self->device, "passed on");
		luo_preserve_fd(session, luo_test_file("passed on", 1), 1);
		send_fd(sockets[1], session);
		_exit(0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	/* It is in the socket, and nowhere else. */
	EXPECT_EQ(-EEXIST, luo_create(self->device, "passed on"));
	session = receive_fd(sockets[0]);
	ASSERT_LE(0, session);
	EXPECT_EQ(0, luo_get_name(session, name));
	EXPECT_STREQ("passed on", name);
	EXPECT_EQ(-EEXIST, luo_preserve_fd(session, luo_test_file("x", 1), 1));
	EXPECT_EQ(0, luo_preserve_fd(session, luo_test_file("x", 2), 2));
	close(session);
}

/* Who is killed has not preserved anything. */
TEST_F(luo, killed)
{
	int pipes[2], status, i;
	char byte;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int session = luo_create(self->device, "killed");

		for (i = 0; i < 100; i++)
			luo_preserve_fd(session, luo_test_file("killed", i), i);
		write(pipes[1], "", 1);
		pause();
		_exit(0);
	}
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	EXPECT_EQ(self->preserved + 1 + 100 + 2, read_number(PRESERVED));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(self->preserved, read_number(PRESERVED));
}

#define NR_THREADS	8
#define ROUNDS		200

static int thread_device, shared_session;
static int shared_file;
static int thread_errors;

/* All work on the same names and the same file, and on files of their own. */
static void *work(void *arg)
{
	long nr = (long)arg;
	char name[64];
	int i;

	for (i = 0; i < ROUNDS; i++) {
		int session, file, err;

		sprintf(name, "%d", i % 4);
		session = luo_create(thread_device, name);
		if (session < 0 && session != -EEXIST)
			__sync_fetch_and_add(&thread_errors, 1);
		if (session >= 0) {
			err = luo_preserve_fd(session, shared_file, 1);
			if (err && err != -EBUSY)
				__sync_fetch_and_add(&thread_errors, 1);
		}

		file = luo_test_file("shared", nr * ROUNDS + i);
		err = luo_preserve_fd(shared_session, file, nr * ROUNDS + i);
		if (file < 0 || err)
			__sync_fetch_and_add(&thread_errors, 1);
		close(file);
		if (session >= 0)
			close(session);
	}

	return NULL;
}

TEST_F_TIMEOUT(luo, threads, 300)
{
	pthread_t threads[NR_THREADS];
	long i;

	thread_device = self->device;
	shared_session = luo_create(self->device, "shared");
	shared_file = luo_test_file("everybody's", 1);
	ASSERT_LE(0, shared_session);
	ASSERT_LE(0, shared_file);

	for (i = 0; i < NR_THREADS; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work, (void *)i));
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);

	EXPECT_EQ(0, thread_errors);
	EXPECT_EQ(self->preserved + 1 + NR_THREADS * ROUNDS + (NR_THREADS * ROUNDS + 62) / 63,
		  read_number(PRESERVED));
	EXPECT_EQ(0, luo_preserve_fd(shared_session, shared_file, ~0ULL));
	close(shared_file);
	close(shared_session);
}

#define MAX_FILES	"/proc/sys/kernel/liveupdate_max_files"

/* The limit is for all sessions together, and takes nothing away. */
#define LISTED_FILES	500

/* What a thread preserves. */
struct slow {
	int session;
	int file;
	bool done;
	int err;
};

static void *preserve_slowly(void *arg)
{
	struct slow *slow = arg;

	slow->err = luo_preserve_fd(slow->session, slow->file, LISTED_FILES);
	__atomic_store_n(&slow->done, true, __ATOMIC_SEQ_CST);
	return NULL;
}

/*
 * Readers of the list do not wait for a session to which a file is added, neither if they
 * come then nor if they are among its files already.
 */
TEST_F(luo, listed_while_busy)
{
	struct slow slow = { .session = luo_create(self->device, "slow") };
	int other = luo_create(self->device, "other"), list, i, file;
	static char rest[1 << 16];
	pthread_t thread;
	ssize_t len;

	ASSERT_LE(0, slow.session);
	ASSERT_LE(0, other);
	for (i = 0; i < LISTED_FILES; i++) {
		file = luo_test_file("slow", i);
		ASSERT_EQ(0, luo_preserve_fd(slow.session, file, i));
		close(file);
	}
	EXPECT_EQ(1, nr_lines_with(SESSIONS_OUT, "session files 500 name slow\n"));
	EXPECT_EQ(LISTED_FILES, nr_lines_with(SESSIONS_OUT, " size - kind luo-test-v1\n"));
	list = open(SESSIONS_OUT, O_RDONLY);
	ASSERT_LT(0, read(list, rest, 4096));

	slow.file = luo_test_file("slow", i);
	ASSERT_LE(0, slow.file);
	ASSERT_EQ(0, write_number(TEST_DIR "preserve_ms", 3000));
	ASSERT_EQ(0, pthread_create(&thread, NULL, preserve_slowly, &slow));
	EXPECT_TRUE(appears(SESSIONS_OUT, "session files 500 state busy name slow\n"));
	EXPECT_EQ(1, nr_lines_with(SESSIONS_OUT, "session files 0 name other\n"));
	EXPECT_EQ(0, nr_lines_with(SESSIONS_OUT, "file token "));
	for (i = 0; (len = read(list, rest + i, sizeof(rest) - 1 - i)) > 0; i += len)
		;
	EXPECT_EQ(0, len);
	rest[i] = '\0';
	EXPECT_NE(NULL, strstr(rest, "rest state busy name slow\nsession files 0 name other\n"));
	EXPECT_FALSE(__atomic_load_n(&slow.done, __ATOMIC_SEQ_CST));
	close(list);

	pthread_join(thread, NULL);
	EXPECT_EQ(0, slow.err);
	EXPECT_EQ(0, write_number(TEST_DIR "preserve_ms", 0));
	EXPECT_EQ(1, nr_lines_with(SESSIONS_OUT, "session files 501 name slow\n"));
	EXPECT_EQ(0, nr_lines_with(SESSIONS_OUT, "state busy"));
	close(slow.file);
	close(slow.session);
	EXPECT_EQ(0, nr_lines_with(SESSIONS_OUT, "name slow"));
	close(other);
}

TEST_F(luo, limit)
{
	int session = luo_create(self->device, "limit");
	int other = luo_create(self->device, "other");
	int file;

	ASSERT_LE(0, session);
	ASSERT_LE(0, other);
	ASSERT_EQ(1000000, read_number(MAX_FILES));
	ASSERT_EQ(0, write_number(MAX_FILES, 3));
	EXPECT_EQ(0, luo_preserve_fd(session, luo_test_file("limit", 1), 1));
	EXPECT_EQ(0, luo_preserve_fd(session, luo_test_file("limit", 2), 2));
	EXPECT_EQ(0, luo_preserve_fd(other, luo_test_file("other", 1), 1));
	file = luo_test_file("limit", 3);
	EXPECT_EQ(-ENOSPC, luo_preserve_fd(session, file, 3));
	EXPECT_EQ(-ENOSPC, luo_preserve_fd(other, file, 3));

	/* What fails for another reason does not count. */
	close(other);
	EXPECT_EQ(-EBADF, luo_preserve_fd(session, -1, 3));
	EXPECT_EQ(-ENOENT, luo_preserve_fd(session, session, 3));
	EXPECT_EQ(0, luo_preserve_fd(session, file, 3));

	EXPECT_EQ(0, write_number(MAX_FILES, 0));
	EXPECT_EQ(-ENOSPC, luo_preserve_fd(session, luo_test_file("limit", 4), 4));
	EXPECT_EQ(-EEXIST, luo_preserve_fd(session, luo_test_file("limit", 3), 3));
	EXPECT_EQ(0, write_number(MAX_FILES, 1000000));
	EXPECT_EQ(0, luo_preserve_fd(session, luo_test_file("limit", 4), 4));
	close(session);
}

#define CGROUP		"/sys/fs/cgroup/"
#define OURS		CGROUP "luo/"

/* Kernel memory of the cgroup in pages. */
static long kernel_pages(void)
{
	return number_of(OURS "memory.stat", "kernel") / 4096;
}

/* A memory cgroup for this process; false if the kernel has none. */
static bool enter_cgroup(void)
{
	mkdir(CGROUP, 0755);
	if (mount("none", CGROUP, "cgroup2", 0, NULL) && errno != EBUSY)
		return false;

	return !write_text(CGROUP "cgroup.subtree_control", "+memory") &&
	       (!mkdir(OURS, 0755) || errno == EEXIST) &&
	       !write_text(OURS "cgroup.procs", "0");
}

#define NR_ACCOUNTED	200

/*
 * What sessions take is charged to the memory cgroup of who makes them. Without room there
 * they fail, and leave nothing.
 */
TEST_F_TIMEOUT(luo, accounted, 120)
{
	int memfds[NR_ACCOUNTED], sessions[NR_ACCOUNTED], i, nr, err = 0;
	struct rlimit limit = { 4 * NR_ACCOUNTED, 4 * NR_ACCOUNTED };
	long before, now;
	char name[64];

	if (!enter_cgroup())
		SKIP(return, "no memory cgroup");

	/* Others in the cgroup would be killed, and there are none but this process. */
	ASSERT_EQ(0, write_text("/proc/self/oom_score_adj", "-1000"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	for (i = 0; i < NR_ACCOUNTED; i++) {
		memfds[i] = memfd_create("accounted", 0);
		ASSERT_EQ(4, pwrite(memfds[i], "text", 4, 0));
	}

	before = kernel_pages();
	ASSERT_LT(0, before);
	for (i = 0; i < NR_ACCOUNTED; i++) {
		sprintf(name, "accounted %d", i);
		sessions[i] = luo_create(self->device, name);
		ASSERT_LE(0, sessions[i]);
		ASSERT_EQ(0, luo_preserve_fd(sessions[i], memfds[i], 1));
	}
	/* A list of files, what describes the file, its list, and a page that lists that. */
	now = kernel_pages();
	TH_LOG("%ld pages, and %ld pages with sessions", before, now);
	EXPECT_LE(before + 4 * NR_ACCOUNTED, now);
	EXPECT_GE(before + 6 * NR_ACCOUNTED, now);
	for (i = 0; i < NR_ACCOUNTED; i++)
		close(sessions[i]);
	EXPECT_GE(before + NR_ACCOUNTED / 4, kernel_pages());
	EXPECT_EQ(self->preserved, read_number(PRESERVED));

	/* There is room for half of them. */
	ASSERT_EQ(0, write_number(OURS "memory.max", read_number(OURS "memory.current") +
				  4096 * 2 * NR_ACCOUNTED));
	for (nr = 0; nr < NR_ACCOUNTED && !err; nr++) {
		sprintf(name, "accounted %d", nr);
		sessions[nr] = luo_create(self->device, name);
		err = sessions[nr] < 0 ? sessions[nr] :
		      luo_preserve_fd(sessions[nr], memfds[nr], 1);
	}
	EXPECT_EQ(-ENOMEM, err);
	EXPECT_LT(NR_ACCOUNTED / 8, nr);
	TH_LOG("the limit ends it at session %d", nr);
	for (i = 0; i < nr; i++) {
		if (sessions[i] >= 0)
			close(sessions[i]);
	}
	EXPECT_EQ(self->preserved, read_number(PRESERVED));

	ASSERT_EQ(0, write_text(OURS "memory.max", "max"));
	for (i = 0; i < NR_ACCOUNTED; i++)
		close(memfds[i]);
	EXPECT_EQ(0, write_text(CGROUP "cgroup.procs", "0"));
}

/* One allocation after the other fails, and nothing is left of what failed. */
TEST_F_TIMEOUT(luo, faults, 300)
{
	int faults = open("/proc/thread-self/fail-nth", O_RDWR);
	int nr, nr_failed = 0, file, memfd, session, err;
	bool failed = true;

	if (faults < 0)
		SKIP(return, "no fault injection");

	ASSERT_EQ(0, prepare_faults());

	for (nr = 1; failed && nr < 1000; nr++) {
		file = luo_test_file("faults", nr);
		memfd = memfd_create("faults", 0);
		ASSERT_LE(0, file);
		ASSERT_EQ(4, pwrite(memfd, "text", 4, 12345));

		fail_nth(faults, nr);
		session = luo_create(self->device, "faults");
		err = session < 0 ? session : luo_preserve_fd(session, file, 1) ?:
			luo_preserve_fd(session, memfd, 2);
		failed = has_failed(faults);
		fail_nth(faults, 0);

		if (err)
			EXPECT_EQ(-ENOMEM, err);
		EXPECT_TRUE(failed || !err);
		nr_failed += !!err;
		if (session >= 0)
			close(session);
		close(file);
		close(memfd);
		ASSERT_EQ(self->preserved, read_number(PRESERVED));
	}

	/*
	 * The session and its block; what its file takes; and of the memfd, what
	 * describes it here and there, its list, and a page that lists that.
	 */
	EXPECT_LE(7, nr_failed);
	EXPECT_FALSE(failed);
	close(faults);
}

TEST_HARNESS_MAIN
