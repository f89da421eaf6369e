// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sessions of which something is damaged on its way: the list of sessions, that of the
 * files of one, or that of the objects which files share. The host does it: see
 * damage.py.
 *
 *	luo_damage keep		make the sessions "good", "victim" and "sharing", and keep
 *				them in the background
 *	luo_damage after KIND	after the kexec: retrieve what is left of them
 *
 * Prints "ok WHAT" and "not ok WHAT".
 */
#define _GNU_SOURCE
#include "../kselftest.h"
#include "luo_keep.h"

#define NR_FILES	5

/* What retrieving them says, in the session itself or its first bad file. */
static const struct {
	const char *kind;
	int good, victim, sharing;
} kinds[] = {
	{ "none", 0, 0, 0 },
	/* The list of reserve_mem regions. */
	{ "regions-version", 0, 0, 0 },
	/* What leads to all lists. */
	{ "luo-version", ENOENT, ENOENT, ENOENT },
	/* The list of objects, and the only one that is in it. */
	{ "flbs-nowhere", 0, 0, ENOENT },
	{ "flbs-odd", 0, 0, ENOENT },
	{ "flbs-free", 0, 0, ENOENT },
	{ "flbs-pages", 0, 0, ENOENT },
	{ "flbs-count", 0, 0, ENOENT },
	{ "flb-name", 0, 0, ENOENT },
	{ "flb-data", 0, 0, EBADMSG },
	/* The list of sessions. */
	{ "sessions-nowhere", ENOENT, ENOENT, ENOENT },
	{ "sessions-count", ENOENT, ENOENT, ENOENT },
	{ "sessions-loop", ENOENT, ENOENT, ENOENT },
	/* What it says of "victim", or the list of its files does. */
	{ "session-name", 0, ENOENT, 0 },
	{ "session-twin", 0, ENOENT, 0 },
	{ "session-files", 0, EBADMSG, 0 },
	{ "session-count", 0, EBADMSG, 0 },
	{ "files-count", 0, EBADMSG, 0 },
	{ "files-loop", 0, EBADMSG, 0 },
	{ "file-token", 0, EBADMSG, 0 },
	/* Only that file. */
	{ "file-handler", 0, EOPNOTSUPP, 0 },
	{ "file-data", 0, EBADMSG, 0 },
};

static int make_file(const char *name, int i)
{
	int fd;

	if (!strcmp(name, "sharing"))
		fd = open(i % 2 ? SHARING_TOO : SHARING_DEVICE, O_RDWR);
	else
		fd = luo_test_file(name, i);
	if (fd < 0)
		die(name);
	return fd;
}

static void make(const char *name)
{
	int session = open_session(luo_create(device, name), name), fd, i;

	for (i = 0; i < NR_FILES; i++) {
		fd = make_file(name, i);
		preserve(session, fd, i);
		close(fd);
	}
}

static void expect(const char *name, const char *kind, int err)
{
	int session = luo_retrieve(device, name), found = 0, i, fd, nr_good = 0;

	if (session < 0)
		found = -session;

	for (i = 0; session >= 0 && i < NR_FILES; i++) {
		fd = luo_retrieve_fd(session, i);
		if (fd < 0 && !found)
			found = -fd;
		nr_good += !strcmp(name, "sharing") ? fd >= 0 : luo_is_test_file(fd, name, i);
		close(fd);
	}

	printf("%s %s: session %s: %d files, %s\n", found == err ? "ok" : "not ok", kind,
	       name, nr_good, strerror(found));
	failed |= found != err;
	if (!err && nr_good != NR_FILES) {
		printf("not ok %s: all files of %s\n", kind, name);
		failed = 1;
	}
	if (session >= 0 && luo_finish(session)) {
		printf("not ok %s: session %s is finished\n", kind, name);
		failed = 1;
	}
	close(session);
}

int main(int argc, char **argv)
{
	unsigned int i;

	open_device(100);
	if (argc == 2 && !strcmp(argv[1], "keep")) {
		make("good");
		make("victim");
		make("sharing");
		printf("ok sessions are kept\n");
		keep_running();
	}

	for (i = 0; argc == 3 && !strcmp(argv[1], "after") && i < ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].kind, argv[2])) {
			expect("good", argv[2], kinds[i].good);
			expect("victim", argv[2], kinds[i].victim);
			expect("sharing", argv[2], kinds[i].sharing);
			return failed;
		}
	}

	errno = EINVAL;
	die("usage");
}
