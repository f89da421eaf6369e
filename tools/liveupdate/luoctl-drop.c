// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl drop, and what luoctl kexec --discard does: give sessions of the previous
 * kernel up. A session that a process has open is never given up by another one.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

static _Noreturn void fail_in_use(const char *name)
{
	/* First: it needs all the buffers that printable() has. */
	const char *by = holders(name, true);

	fail(EXIT_FAILED, 0, "session %s is in use by %s: they can finish it, or be stopped",
	     printable(name), by);
}

static void drop(const char *name)
{
	int device = need_device();
	int session = luo_session_retrieve(device, name);
	int err;

	close(device);
	if (session == -ENOENT)
		fail(EXIT_FAILED, 0, "the previous kernel has left no session %s", printable(name));
	if (session == -EINVAL)
		fail_in_use(name);
	if (session < 0)
		fail(EXIT_FAILED, -session, "session %s", printable(name));

	err = luo_session_finish(session);
	if (err)
		fail(EXIT_FAILED, -err, "session %s cannot be finished", printable(name));
	close(session);
}

static int cmd_drop(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kept", no_argument, NULL, 'k' },
		{ "uid", required_argument, NULL, 'u' },
		{}
	};
	bool kept = false, other = false;
	uid_t uid = getuid();
	const char *name;
	int option;

	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'k')
			kept = true;
		else if (parse_uid(optarg, &uid))
			other = true;
		else
			fail_usage();
	}
	if (optind == argc || (!kept && (other || optind + 1 < argc)))
		fail_usage();
	name = argv[optind];
	if (!*name)
		fail_usage();
	if (kept)
		return drop_kept(uid, name, argv + optind + 1);

	drop(name);
	if (json) {
		json_open(NULL, '{');
		json_name("session", name);
		json_close();
		json_print();
	} else {
		printf("session %s is given up\n", printable(name));
	}

	return EXIT_OK;
}

const struct verb drop_verb = {
	.name = "drop",
	.usage = "(NAME | --kept [--uid UID] NAME [FD]...)",
	.help =
	"Give up a session that the previous kernel has handed over: its files are gone.\n"
	"A session that a process has open is not given up.\n"
	"\n"
	"  --kept                      give up what the keeper keeps as NAME, all of it or the\n"
	"                              files that are called FD\n"
	"  --uid UID                   files of another user, for root\n",
	.run = cmd_drop,
};

/* Call @run for each session that keeps the kernel from a kexec. False without a list. */
static bool visit_unfinished(void (*run)(const struct listed *session))
{
	struct session_list list;
	size_t i;

	if (!read_sessions(true, &list))
		return false;

	for (i = 0; i < list.nr; i++) {
		if (is_unfinished(&list.sessions[i]))
			run(&list.sessions[i]);
	}

	return true;
}

static void check_free(const struct listed *session)
{
	if (is_in_use(session))
		fail_in_use(session->name);
}

static void discard(const struct listed *session)
{
	drop(session->name);
	if (!json)
		printf("session %s is given up\n", printable(session->name));
}

#define LIST	LUO_DIR "incoming/sessions"

void discard_sessions(void)
{
	/* All or none, as far as that can be known. */
	if (!visit_unfinished(check_free) || !visit_unfinished(discard))
		fail(EXIT_FAILED, errno, LIST ", which lists the sessions to discard");
}

static void fail_unfinished(const struct listed *session)
{
	fail(EXIT_FAILED, 0,
	     "session %s of the previous kernel is not finished, and would be lost: finish it, or see luoctl drop and --discard",
	     printable(session->name));
}

void check_unfinished(void)
{
	if (visit_unfinished(fail_unfinished))
		return;

	/* Not all kernels have the list, and not all users can read it. */
	if (errno != ENOENT && errno != EACCES)
		fail(EXIT_FAILED, errno, LIST ", which lists sessions that would be lost");
	fprintf(stderr,
		"luoctl: %s: %s: sessions that would be lost show only when the kernel refuses to reboot\n",
		LIST, strerror(errno));
}
