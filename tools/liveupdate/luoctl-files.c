// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl save and restore: files in a session of live update.
 *
 * Each file is copied into a memfd, with a token from 1 on. The memfd with token
 * INDEX_TOKEN says what they are: a line "luoctl 1", and for each file its token, mode
 * and size, all in decimal, a blank each, and its name with a NUL at its end.
 *
 * The kernel takes it for the end of a session when all of its files were retrieved
 * and it is closed. So that whatever goes wrong in a restore loses nothing, there is an
 * empty memfd with token GUARD_TOKEN that nobody retrieves.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "luoctl.h"

/* Who has made another session has not used these. */
#define INDEX_TOKEN	0x6c756f63746c0000ULL
#define GUARD_TOKEN	0x6c756f63746c0001ULL
#define INDEX_MAGIC	"luoctl 1\n"

/* One is enough for a million files, and no damaged one takes more. */
#define INDEX_MAX	(256L * 1024 * 1024)

struct saved {
	unsigned long long token;
	unsigned int mode;
	unsigned long long size;
	const char *name;
	/* Of the file that was made for it. */
	dev_t dev;
	ino_t ino;
	uid_t uid;
};

static int new_memfd(const char *name)
{
	int fd = memfd_create("luoctl", MFD_CLOEXEC);

	if (fd < 0)
		fail(EXIT_FAILED, errno, "%s: memfd", printable(name));
	return fd;
}

static void end_if_interrupted(void)
{
	if (is_interrupted())
		fail(EXIT_FAILED, EINTR, "nothing is restored");
}

/* Copy until the end of @from, after @copied bytes of other files. Returns how much it was. */
static long long copy(int to, int from, const char *name, unsigned long long copied)
{
	static char buf[1 << 16];
	long long sum = 0;
	ssize_t got, done, put;

	while ((got = read(from, buf, sizeof(buf)))) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			fail(EXIT_FAILED, errno, "%s: read", printable(name));
		for (done = 0; done < got; done += put) {
			put = write(to, buf + done, got - done);
			if (put < 0 && errno != EINTR)
				fail(EXIT_FAILED, errno, "%s: write", printable(name));
			if (put < 0)
				put = 0;
		}
		sum += got;
		progress(copied + sum);
		end_if_interrupted();
	}

	return sum;
}

static void preserve(int session, int fd, unsigned long long token, const char *name)
{
	int err = luo_session_preserve_fd(session, fd, token);

	if (err)
		fail(EXIT_FAILED, -err, "%s: cannot be preserved", printable(name));
	close(fd);
}

/* Copy a file, and note it in the index. */
static long long save_file(int session, FILE *index, const char *path,
			   unsigned long long token, unsigned long long before)
{
	int from = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC), to;
	char *copied = strdup(path), *name;
	struct stat st;
	long long size;

	if (from < 0 || fstat(from, &st))
		fail(EXIT_FAILED, errno, "%s", printable(path));
	if (!S_ISREG(st.st_mode))
		fail(EXIT_FAILED, 0, "%s: not a regular file", printable(path));
	if (!copied)
		fail(EXIT_FAILED, ENOMEM, "%s", printable(path));

	to = new_memfd(path);
	size = copy(to, from, path, before);
	close(from);
	preserve(session, to, token, path);

	name = basename(copied);
	fprintf(index, "%llu %u %lld %s", token, st.st_mode & 07777, size, name);
	fputc('\0', index);
	free(copied);
	return size;
}

static void check_names(int nr, char **paths)
{
	int i, j;

	for (i = 0; i < nr; i++) {
		for (j = 0; j < i; j++) {
			char *a = strdup(paths[i]), *b = strdup(paths[j]);

			if (!a || !b)
				fail(EXIT_FAILED, ENOMEM, "%s", printable(paths[i]));
			if (!strcmp(basename(a), basename(b)))
				fail(EXIT_USAGE, 0, "%s and %s have the same name",
				     printable(paths[i]), printable(paths[j]));
			free(a);
			free(b);
		}
	}
}

/* Who waits for the end of a pipe, or unmounts, must not have to wait for the keeper. */
static void close_all_but(int a, int b)
{
	unsigned int low = a < b ? a : b, high = a < b ? b : a;

	if (low > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
}

/* Nothing that happens to the terminal or the caller concerns it. */
static _Noreturn void keep(int session, int ready)
{
	int null;

	close_all_but(session, ready);
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (setsid() < 0 || chdir("/") || null < 0 || dup2(null, 0) < 0 ||
	    dup2(null, 1) < 0 || dup2(null, 2) < 0 || write(ready, "", 1) != 1)
		_exit(EXIT_FAILED);

	close(ready);
	while (1)
		pause();
}

/* Somebody has to have the session until the kexec. */
static pid_t start_keeper(int session)
{
	int ready[2];
	pid_t pid;
	char byte;

	fflush(stdout);
	if (pipe2(ready, O_CLOEXEC))
		fail(EXIT_FAILED, errno, "pipe");
	pid = fork();
	if (pid < 0)
		fail(EXIT_FAILED, errno, "fork");
	if (!pid)
		keep(session, ready[1]);

	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fail(EXIT_FAILED, 0, "the process that shall keep the session has failed");
	close(ready[0]);
	return pid;
}

/* How much there is to copy, as far as that is known before. */
static unsigned long long size_of(int nr, char **paths)
{
	unsigned long long sum = 0;
	struct stat st;
	int i;

	for (i = 0; i < nr; i++) {
		if (!stat(paths[i], &st) && S_ISREG(st.st_mode))
			sum += st.st_size;
	}

	return sum;
}

static void print_result(const char *name, int nr, unsigned long long bytes)
{
	json_open(NULL, '{');
	json_name("session", name);
	json_number("files", nr);
	json_number("bytes", bytes);
}

static int cmd_save(int argc, char **argv)
{
	int device, session, index_fd, nr, i;
	const char *name;
	char **paths;
	long long bytes = 0;
	FILE *index;
	pid_t keeper;

	only_arguments(argc, argv, 2, INT_MAX);
	name = argv[optind];
	paths = argv + optind + 1;
	nr = argc - optind - 1;

	check_names(nr, paths);
	device = need_device();
	session = luo_session_create(device, name);
	if (session < 0)
		fail(EXIT_FAILED, -session, "session %s", printable(name));
	close(device);

	index_fd = new_memfd("index");
	index = fdopen(dup(index_fd), "w");
	if (!index)
		fail(EXIT_FAILED, errno, "index");

	fputs(INDEX_MAGIC, index);
	progress_begin("saving", size_of(nr, paths));
	for (i = 0; i < nr; i++)
		bytes += save_file(session, index, paths[i], i + 1, bytes);
	progress_end();
	if (ferror(index) || fclose(index))
		fail(EXIT_FAILED, errno, "index");
	preserve(session, index_fd, INDEX_TOKEN, "index");
	preserve(session, new_memfd("guard"), GUARD_TOKEN, "guard");

	keeper = start_keeper(session);
	if (json) {
		print_result(name, nr, bytes);
		json_number("keeper", keeper);
		json_close();
		json_print();
	} else {
		printf("%d %s, %lld %s, %s kept in session %s by process %d\n", nr,
		       plural(nr, "file", "files"), bytes, plural(bytes, "byte", "bytes"),
		       plural(nr, "is", "are"), printable(name), keeper);
	}

	return EXIT_OK;
}

const struct verb save_verb = {
	.name = "save",
	.usage = "NAME FILE...",
	.help =
	"Copy files into memory, in a session called NAME, and leave a process behind that\n"
	"keeps the session until the next kexec hands it over.\n",
	.run = cmd_save,
};

static char *read_index(int session, size_t *size)
{
	int fd = luo_session_retrieve_fd(session, INDEX_TOKEN);
	struct stat st;
	char *text;

	if (fd == -ENOENT)
		fail(EXIT_FAILED, 0, "the session was not made by luoctl save");
	if (fd < 0)
		fail(EXIT_FAILED, -fd, "index, without which nothing is known of the files");
	if (fstat(fd, &st))
		fail(EXIT_FAILED, errno, "index");
	if (st.st_size > INDEX_MAX)
		fail(EXIT_FAILED, 0, "the index is damaged");

	text = malloc(st.st_size + 1);
	if (!text || pread(fd, text, st.st_size, 0) != st.st_size)
		fail(EXIT_FAILED, errno, "index");
	text[st.st_size] = '\0';
	*size = st.st_size;
	close(fd);

	if (strncmp(text, INDEX_MAGIC, strlen(INDEX_MAGIC)))
		fail(EXIT_FAILED, 0, "the session was not made by luoctl save");
	return text;
}

/* The next line of the index, or false at its end. */
static bool next_saved(char **text, const char *end, struct saved *saved)
{
	int name_at = 0;

	if (*text >= end)
		return false;

	/* One blank: what follows belongs to the name. */
	if (sscanf(*text, "%llu %u %llu%n", &saved->token, &saved->mode, &saved->size,
		   &name_at) != 3 || (*text)[name_at] != ' ')
		fail(EXIT_FAILED, 0, "the index is damaged");

	saved->name = *text + name_at + 1;
	if (!*saved->name || strchr(saved->name, '/') || !strcmp(saved->name, ".") ||
	    !strcmp(saved->name, ".."))
		fail(EXIT_FAILED, 0, "the index is damaged");

	*text += strlen(*text) + 1;
	return true;
}

/* Files that were made. As long as not all are complete they go when luoctl does. */
static struct {
	int dir;
	struct saved *files;
	int nr;
} made;

/* The directory may be somebody else's, and inode numbers are used again. */
static bool is_made(const struct saved *saved, const struct stat *st)
{
	return st->st_dev == saved->dev && st->st_ino == saved->ino &&
	       st->st_uid == saved->uid && S_ISREG(st->st_mode) && st->st_nlink == 1;
}

static void remove_made(void)
{
	const struct saved *saved;
	struct stat st;

	while (made.nr) {
		saved = &made.files[--made.nr];
		if (!fstatat(made.dir, saved->name, &st, AT_SYMLINK_NOFOLLOW) &&
		    is_made(saved, &st))
			unlinkat(made.dir, saved->name, 0);
	}
}

static void make_file(struct saved *saved)
{
	int fd = openat(made.dir, saved->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;
	int err = 0;

	if (fd < 0)
		fail(EXIT_FAILED, errno, "%s", printable(saved->name));
	if (fstat(fd, &st)) {
		err = errno;
		unlinkat(made.dir, saved->name, 0);
		fail(EXIT_FAILED, err, "%s", printable(saved->name));
	}

	saved->dev = st.st_dev;
	saved->ino = st.st_ino;
	saved->uid = st.st_uid;
	made.files[made.nr++] = *saved;
	if (saved->size)
		err = posix_fallocate(fd, 0, saved->size);
	if (err)
		fail(EXIT_FAILED, err, "%s: no room for %llu bytes", printable(saved->name),
		     saved->size);
	close(fd);
}

/* All of them, before the first is written. */
static unsigned long long make_files(char *text, const char *end)
{
	unsigned long long bytes = 0;
	struct saved saved, *files;

	while (next_saved(&text, end, &saved)) {
		files = realloc(made.files, (made.nr + 1) * sizeof(saved));
		if (!files)
			fail(EXIT_FAILED, ENOMEM, "index");
		made.files = files;
		make_file(&saved);
		bytes += saved.size;
	}

	return bytes;
}

/* There may be more files than can be open. */
static int open_made(const struct saved *saved)
{
	int fd = openat(made.dir, saved->name,
			O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st))
		fail(EXIT_FAILED, errno, "%s", printable(saved->name));
	if (!is_made(saved, &st))
		fail(EXIT_FAILED, 0, "%s: somebody has replaced or linked it",
		     printable(saved->name));

	return fd;
}

static void restore_file(int session, const struct saved *saved, unsigned long long before)
{
	int fd = luo_session_retrieve_fd(session, saved->token);
	int to = open_made(saved);

	if (fd < 0)
		fail(EXIT_FAILED, -fd, "%s: cannot be retrieved", printable(saved->name));
	if (lseek(fd, 0, SEEK_SET) ||
	    (unsigned long long)copy(to, fd, saved->name, before) != saved->size)
		fail(EXIT_FAILED, 0, "%s: is not as long as it was",
		     printable(saved->name));
	if (fchmod(to, saved->mode & 0777) || fsync(to) || close(to))
		fail(EXIT_FAILED, errno, "%s", printable(saved->name));
	close(fd);
}

static int cmd_restore(int argc, char **argv)
{
	unsigned long long bytes, done = 0;
	const char *name, *dir;
	int device, session, err, nr, i;
	char *text;
	size_t size;

	only_arguments(argc, argv, 2, 2);
	name = argv[optind];
	dir = argv[optind + 1];

	made.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (made.dir < 0)
		fail(EXIT_FAILED, errno, "%s", printable(dir));

	device = need_device();
	session = luo_session_retrieve(device, name);
	if (session < 0)
		fail(EXIT_FAILED, -session, "session %s", printable(name));
	close(device);

	atexit(remove_made);
	hold_signals();
	/* These are errors of the call, which are dealt with. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	text = read_index(session, &size);
	bytes = make_files(text + strlen(INDEX_MAGIC), text + size);
	progress_begin("restoring", bytes);
	for (i = 0; i < made.nr; i++) {
		restore_file(session, &made.files[i], done);
		done += made.files[i].size;
	}
	progress_end();
	end_if_interrupted();
	if (fsync(made.dir))
		fail(EXIT_FAILED, errno, "%s", printable(dir));
	err = luo_session_finish(session);
	if (err)
		fail(EXIT_FAILED, -err, "session %s cannot be finished", printable(name));
	nr = made.nr;
	made.nr = 0;

	if (json) {
		print_result(name, nr, bytes);
		json_close();
		json_print();
	} else {
		printf("%d %s, %llu %s, of session %s %s in %s\n", nr,
		       plural(nr, "file", "files"), bytes, plural(bytes, "byte", "bytes"),
		       printable(name), plural(nr, "is", "are"), printable(dir));
	}

	return EXIT_OK;
}

const struct verb restore_verb = {
	.name = "restore",
	.usage = "NAME DIRECTORY",
	.help =
	"Write the files of a session that luoctl save has made to DIRECTORY, and finish the\n"
	"session. If that fails, nothing is left in DIRECTORY, and nothing is lost.\n",
	.run = cmd_restore,
};
