// SPDX-License-Identifier: GPL-2.0-only
/*
 * What can be done with a memfd while it is in a session, and which files are refused.
 * Needs liveupdate=on and CONFIG_LIVEUPDATE_MEMFD.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../kselftest_harness.h"
#include "luo.h"

#define PAGE	4096L

FIXTURE(memfd)
{
	int device;
	int session;
	int fd;
	long preserved;
};

FIXTURE_SETUP(memfd)
{
	if (access(DEVICE, F_OK))
		SKIP(return, "no " DEVICE);

	self->device = open(DEVICE, O_RDWR);
	ASSERT_LE(0, self->device);
	self->preserved = read_number(PRESERVED);
	self->session = luo_create(self->device, "memfd");
	ASSERT_LE(0, self->session);
	self->fd = memfd_create("test", MFD_ALLOW_SEALING);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ftruncate(self->fd, 100 * PAGE));
	ASSERT_EQ(4, pwrite(self->fd, "text", 4, 3 * PAGE));
}

FIXTURE_TEARDOWN(memfd)
{
	close(self->session);
	close(self->fd);
	EXPECT_EQ(self->preserved, read_number(PRESERVED));
	close(self->device);
}

static int as_errno(int rc)
{
	return rc < 0 ? -errno : rc;
}

/* Nothing is taken away from it, and that is over with the session. */
TEST_F(memfd, takes_away)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	void *mem = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
	EXPECT_EQ(-EBUSY, as_errno(ftruncate(self->fd, 99 * PAGE)));
	EXPECT_EQ(-EBUSY, as_errno(ftruncate(self->fd, 0)));
	EXPECT_EQ(-EBUSY, as_errno(fallocate(self->fd, punch, 3 * PAGE, PAGE)));
	EXPECT_EQ(-EBUSY, as_errno(madvise(mem, 100 * PAGE, MADV_REMOVE)));
	munmap(mem, 100 * PAGE);
	EXPECT_EQ(-EBUSY, as_errno(fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE)));

	close(self->session);
	mem = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0, as_errno(fallocate(self->fd, punch, 3 * PAGE, PAGE)));
	EXPECT_EQ(0, as_errno(madvise(mem, 100 * PAGE, MADV_REMOVE)));
	EXPECT_EQ(0, as_errno(ftruncate(self->fd, 0)));
	munmap(mem, 100 * PAGE);
	EXPECT_EQ(0, as_errno(fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE)));
}

/* All else goes on. */
TEST_F(memfd, goes_on)
{
	char *mem = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	struct stat st;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
	mem[7 * PAGE] = 'x';
	EXPECT_EQ('x', mem[7 * PAGE]);
	EXPECT_EQ(4, pwrite(self->fd, "text", 4, 50 * PAGE));
	EXPECT_EQ(0, memcmp(mem + 50 * PAGE, "text", 4));
	EXPECT_EQ(0, as_errno(ftruncate(self->fd, 100 * PAGE)));
	EXPECT_EQ(0, as_errno(ftruncate(self->fd, 200 * PAGE)));
	EXPECT_EQ(0, as_errno(fallocate(self->fd, 0, 150 * PAGE, 10 * PAGE)));
	EXPECT_EQ(0, as_errno(fcntl(self->fd, F_ADD_SEALS, F_SEAL_SHRINK)));
	ASSERT_EQ(0, fstat(self->fd, &st));
	EXPECT_EQ(200 * PAGE, st.st_size);
	/* 3, 7, 50, and 10 that were allocated. */
	EXPECT_EQ(13 * PAGE / 512, st.st_blocks);
	munmap(mem, 100 * PAGE);
}

/* It is preserved once, whatever it was opened as. */
TEST_F(memfd, same_file)
{
	char path[64];
	int other;

	sprintf(path, "/proc/self/fd/%d", self->fd);
	other = open(path, O_RDWR);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
	EXPECT_EQ(-EBUSY, luo_preserve_fd(self->session, self->fd, 2));
	EXPECT_EQ(-EBUSY, luo_preserve_fd(self->session, other, 2));
	close(other);
}

/* It comes back writable. */
TEST_F(memfd, access)
{
	char path[64];
	int reader, writer, mere;

	sprintf(path, "/proc/self/fd/%d", self->fd);
	reader = open(path, O_RDONLY);
	writer = open(path, O_WRONLY);
	mere = open(path, O_PATH);
	ASSERT_LE(0, reader);
	ASSERT_LE(0, writer);
	ASSERT_LE(0, mere);
	EXPECT_EQ(-EBADF, luo_preserve_fd(self->session, mere, 1));
	EXPECT_EQ(-EACCES, luo_preserve_fd(self->session, reader, 1));
	EXPECT_EQ(-EACCES, luo_preserve_fd(self->session, writer, 1));

	/* Unless nobody can write any more. */
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(0, luo_preserve_fd(self->session, reader, 1));
	close(reader);
	close(writer);
	close(mere);
}

/* A line of /proc/self/status, or -1. */
static long vm_kb(const char *name)
{
	FILE *file = fopen("/proc/self/status", "r");
	long value = -1;
	char line[256];

	while (file && fgets(line, sizeof(line), file)) {
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	}
	if (file)
		fclose(file);
	return value;
}

/* No limit of the caller counts what is pinned. */
TEST_F(memfd, limits)
{
	struct rlimit limit = { 0, 0 };

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	ASSERT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
	EXPECT_EQ(0, vm_kb("VmPin:"));
	EXPECT_EQ(0, vm_kb("VmLck:"));
}

/* Who is killed at any moment of it has not preserved anything. */
TEST_F(memfd, killed)
{
	int fd = memfd_create("large", 0), status, ms, nr_killed = 0;
	long before = read_number(PRESERVED);
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fallocate(fd, 0, 0, 16384 * PAGE));
	for (ms = 1; ms <= 256; ms *= 2) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(luo_preserve_fd(luo_create(self->device, "killed"), fd, 1) != 0);
		usleep(ms * 1000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		nr_killed += WIFSIGNALED(status);
		EXPECT_EQ(before, read_number(PRESERVED));
	}
	EXPECT_LT(0, nr_killed);
	close(fd);
}

TEST_F(memfd, other_files)
{
	int huge = memfd_create("huge", MFD_HUGETLB);
	int pipes[2], file;

	ASSERT_LE(0, huge);
	EXPECT_EQ(-ENOENT, luo_preserve_fd(self->session, huge, 1));
	close(huge);

	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-ENOENT, luo_preserve_fd(self->session, pipes[0], 1));
	close(pipes[0]);
	close(pipes[1]);

	/* It has a name by which others find it, and belongs to a mount. */
	mkdir("luo_memfd.dir", 0700);
	ASSERT_EQ(0, mount("none", "luo_memfd.dir", "tmpfs", 0, NULL));
	file = open("luo_memfd.dir/memfd:file", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, file);
	EXPECT_EQ(-ENOENT, luo_preserve_fd(self->session, file, 1));
	close(file);
	ASSERT_EQ(0, umount("luo_memfd.dir"));
	rmdir("luo_memfd.dir");
}

TEST_HARNESS_MAIN
