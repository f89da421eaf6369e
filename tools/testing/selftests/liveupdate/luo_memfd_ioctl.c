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

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC	0x0020
#endif

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

static int open_again(int fd, int flags)
{
	char path[64];

	sprintf(path, "/proc/self/fd/%d", fd);
	return open(path, flags);
}

/* A memfd of one page with these seals, and not executable: F_SEAL_EXEC adds no others. */
static int sealed_memfd(int seals)
{
	int fd = memfd_create("sealed", MFD_ALLOW_SEALING);

	if (fd < 0 || fchmod(fd, 0600) || pwrite(fd, "text", 4, 0) != 4 ||
	    ftruncate(fd, PAGE) || fcntl(fd, F_ADD_SEALS, seals) ||
	    fcntl(fd, F_GET_SEALS) != seals) {
		close(fd);
		return -1;
	}

	return fd;
}

/* What can be done with a descriptor, a bit for each. Does it. */
static unsigned int abilities(int fd)
{
	int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	unsigned int able = 0;
	char byte;
	void *mem;

	if (pread(fd, &byte, 1, 0) == 1)
		able |= 1;
	if (pwrite(fd, "x", 1, 0) == 1)
		able |= 2;
	mem = mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem != MAP_FAILED) {
		able |= 4;
		munmap(mem, PAGE);
	}
	if (!fallocate(fd, punch, 0, PAGE))
		able |= 8;
	if (!ftruncate(fd, 2 * PAGE))
		able |= 16;
	if (!ftruncate(fd, PAGE / 2))
		able |= 32;
	/* No seal at all can be added if none can. */
	if (!fcntl(fd, F_ADD_SEALS, 0))
		able |= 64;

	return able;
}

/*
 * The file comes back open for reading and writing. A descriptor is refused if that gives
 * more than it had, whatever the seals are.
 */
TEST_F(memfd, access)
{
	static const int all[] = {
		F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE, F_SEAL_FUTURE_WRITE,
		F_SEAL_EXEC,
	};
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	unsigned int had, gets, set, i, nr_refused = 0, nr_readers = 0;
	int seals, fd, again, err;

	for (set = 0; set < 1 << ARRAY_SIZE(all); set++) {
		seals = 0;
		for (i = 0; i < ARRAY_SIZE(all); i++)
			seals |= set & 1 << i ? all[i] : 0;

		for (i = 0; i < ARRAY_SIZE(modes); i++) {
			fd = sealed_memfd(seals);
			ASSERT_LE(0, fd);
			again = open_again(fd, modes[i]);
			had = abilities(again);
			close(again);
			close(fd);
			fd = sealed_memfd(seals);
			gets = abilities(fd);
			close(fd);

			fd = sealed_memfd(seals);
			again = open_again(fd, modes[i]);
			ASSERT_LE(0, again);
			close(fd);
			err = luo_preserve_fd(self->session, again, set * 3 + i);
			EXPECT_EQ(gets & ~had ? -EACCES : 0, err)
				TH_LOG("mode %d, seals %#x", modes[i], seals);
			nr_refused += err == -EACCES;
			nr_readers += !err && modes[i] == O_RDONLY;
			close(again);
		}
	}

	/* All that were open for writing only, and readers but for three in eight of them. */
	EXPECT_LT(64, nr_refused);
	EXPECT_EQ(6, nr_readers);
}

TEST_F(memfd, path_only)
{
	int mere = open_again(self->fd, O_PATH);

	ASSERT_LE(0, mere);
	EXPECT_EQ(-EBADF, luo_preserve_fd(self->session, mere, 1));
	close(mere);
}

static void *map_shared(int fd, int prot)
{
	return mmap(NULL, PAGE, prot, MAP_SHARED, fd, 0);
}

/* Whoever has mapped it writable could not do so again. */
TEST_F(memfd, future_write)
{
	void *mem = map_shared(self->fd, PROT_READ | PROT_WRITE);
	int reader = open_again(self->fd, O_RDONLY);
	int status, pipes[2];
	pid_t pid;

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_LE(0, reader);
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	EXPECT_EQ(-EPERM, luo_preserve_fd(self->session, self->fd, 1));

	/* So is a copy of the mapping, which another process has. */
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &status, 1) != 0);
	}
	munmap(mem, PAGE);
	EXPECT_EQ(-EPERM, luo_preserve_fd(self->session, self->fd, 1));
	close(pipes[0]);
	close(pipes[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	/* A mapping that can only be read, and cannot become writable, loses nothing. */
	mem = map_shared(self->fd, PROT_READ);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(-1, mprotect(mem, PAGE, PROT_WRITE));
	EXPECT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
	munmap(mem, PAGE);
	close(reader);
}

/* Only the protection of it makes a mapping of before the seal not writable. */
TEST_F(memfd, future_write_reader)
{
	void *mem = map_shared(self->fd, PROT_READ);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	EXPECT_EQ(-EPERM, luo_preserve_fd(self->session, self->fd, 1));
	EXPECT_EQ(0, mprotect(mem, PAGE, PROT_READ | PROT_WRITE));
	munmap(mem, PAGE);
	EXPECT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
}

/* Nor can the seal be added to one that is preserved, while it is mapped like that. */
TEST_F(memfd, future_write_later)
{
	void *mem = map_shared(self->fd, PROT_READ | PROT_WRITE);

	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, luo_preserve_fd(self->session, self->fd, 1));
	EXPECT_EQ(-EBUSY, as_errno(fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)));
	EXPECT_EQ(0, fcntl(self->fd, F_GET_SEALS));
	munmap(mem, PAGE);
	EXPECT_EQ(0, as_errno(fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)));

	/* One that is not preserved can get it at any time. */
	close(self->session);
	close(self->fd);
	self->fd = memfd_create("other", MFD_ALLOW_SEALING);
	ASSERT_EQ(0, ftruncate(self->fd, PAGE));
	mem = map_shared(self->fd, PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_EQ(0, as_errno(fcntl(self->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE)));
	munmap(mem, PAGE);
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
	int pipes[2], file;

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

TEST_F(memfd, hugetlb)
{
	int huge = memfd_create("huge", MFD_HUGETLB), again, file;
	char path[64];

	ASSERT_LE(0, huge);
	sprintf(path, "/proc/self/fd/%d", huge);
	again = open(path, O_RDONLY);
	ASSERT_LE(0, again);
	EXPECT_EQ(-EACCES, luo_preserve_fd(self->session, again, 1));
	EXPECT_EQ(0, luo_preserve_fd(self->session, huge, 1));
	EXPECT_EQ(-EBUSY, luo_preserve_fd(self->session, huge, 2));
	close(again);
	close(huge);

	/* It belongs to a mount. */
	mkdir("luo_memfd.dir", 0700);
	ASSERT_EQ(0, mount("none", "luo_memfd.dir", "hugetlbfs", 0, NULL));
	file = open("luo_memfd.dir/memfd:file", O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, file);
	EXPECT_EQ(-ENOENT, luo_preserve_fd(self->session, file, 3));
	close(file);
	ASSERT_EQ(0, umount("luo_memfd.dir"));
	rmdir("luo_memfd.dir");
}

TEST_HARNESS_MAIN
