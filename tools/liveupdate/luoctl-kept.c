// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl run and put, and list and drop with --kept: files that the keeper keeps.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keeper.h"

/* sd_listen_fds(3): the first file that is passed on. */
#define FIRST_FD	3

static uid_t uid_option(void)
{
	uid_t uid;

	if (!parse_uid(optarg, &uid))
		fail(EXIT_USAGE, 0, "%s is no number of a user", printable(optarg));
	return uid;
}

/* Have a number of descriptors at FIRST_FD and up, that exec() leaves open. */
static void place_fds(int *fds, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + nr);
		if (fds[i] < 0)
			fail(EXIT_FAILED, errno, "files");
	}
	for (i = 0; i < nr; i++) {
		if (dup2(fds[i], FIRST_FD + i) < 0)
			fail(EXIT_FAILED, errno, "files");
	}
}

static void set_variable(const char *name, const char *value)
{
	if (setenv(name, value, 1))
		fail(EXIT_FAILED, errno, "%s", name);
}

static _Noreturn void run_command(int keeper, struct kept *kept, char **command)
{
	int fds[MAX_FDS + 1];
	char *names = NULL, number[16];
	size_t size;
	FILE *to = open_memstream(&names, &size);
	struct message msg;
	unsigned int i;
	char *text;

	if (!to)
		fail(EXIT_FAILED, errno, "files");
	for (i = 0; i < kept->nr; i++) {
		fprintf(to, "%s%s", i ? ":" : "", kept->names[i]);
		fds[i] = kept->fds[i];
	}
	if (fclose(to))
		fail(EXIT_FAILED, errno, "files");

	/* NAME is the command's as long as this connection is open, and nothing else is. */
	message_begin(&msg);
	message_add(&msg, KEEPER_PROTOCOL);
	message_add(&msg, "confine");
	if (keeper_call(keeper, &msg, &text))
		fail(EXIT_FAILED, 0, "%s", printable(text));
	fds[kept->nr] = keeper;
	place_fds(fds, kept->nr + 1);

	snprintf(number, sizeof(number), "%u", kept->nr);
	set_variable("LISTEN_FDS", number);
	set_variable("LISTEN_FDNAMES", names);
	snprintf(number, sizeof(number), "%d", getpid());
	set_variable("LISTEN_PID", number);
	execvp(command[0], command);
	fail(EXIT_FAILED, errno, "%s", printable(command[0]));
}

static int cmd_run(int argc, char **argv)
{
	static const struct option options[] = {
		{ "memfd", required_argument, NULL, 'm' },
		{ "uid", required_argument, NULL, 'u' },
		{}
	};
	struct memory memory[MAX_FDS];
	unsigned int nr = 0, i;
	uid_t uid = getuid();
	struct kept kept;
	const char *name;
	int option, keeper;

	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'u') {
			uid = uid_option();
			continue;
		}
		if (nr == MAX_FDS || !parse_memory(optarg, &memory[nr]))
			fail(EXIT_USAGE, 0, "--memfd %s is not FD=SIZE[,huge=SIZE]",
			     printable(optarg));
		for (i = 0; i < nr; i++) {
			if (!strcmp(memory[i].name, memory[nr].name))
				fail(EXIT_USAGE, 0, "--memfd %s is there twice", memory[i].name);
		}
		nr++;
	}
	if (argc - optind < 2)
		fail_usage();

	name = argv[optind];
	keeper = need_keeper();
	claim_memory(keeper, uid, name, memory, nr, &kept);
	run_command(keeper, &kept, argv + optind + 1);
}

const struct verb run_verb = {
	.name = "run",
	.usage = "NAME [--memfd FD=SIZE[,huge=SIZE]]... [--uid UID] -- COMMAND [ARGUMENT]...",
	.help =
	"Run COMMAND with all files that the keeper keeps as NAME: from descriptor 3 on, their\n"
	"number in $LISTEN_FDS and their names in $LISTEN_FDNAMES, as sd_listen_fds(3) says.\n"
	"As long as it runs nobody else can have them.\n"
	"\n"
	"  --memfd FD=SIZE[,huge=SIZE] have a memfd called FD among them: it is made, and kept\n"
	"                              from then on, if there is none. SIZE can be 512M or 4G\n"
	"  --uid UID                   files of another user, for root\n",
	.run = cmd_run,
};

static int cmd_put(int argc, char **argv)
{
	static const struct option options[] = {
		{ "uid", required_argument, NULL, 'u' },
		{}
	};
	unsigned int nr = 0;
	uid_t uid = getuid();
	struct message msg;
	const char *name;
	int fd, keeper;
	char *text;

	while (next_option(argc, argv, options) != -1)
		uid = uid_option();
	if (argc - optind < 2)
		fail_usage();

	name = argv[optind++];
	keeper_request(&msg, "put", uid, name);
	for (; optind < argc; optind++, nr++) {
		char *fdname = argv[optind], *equals = strchr(fdname, '='), *end;

		if (!equals || !isdigit((unsigned char)equals[1]))
			fail_usage();
		*equals = '\0';
		fd = strtol(equals + 1, &end, 10);
		if (*end || !is_valid_name(fdname))
			fail_usage();
		if (fcntl(fd, F_GETFD) < 0)
			fail(EXIT_FAILED, errno, "descriptor %d", fd);
		message_add(&msg, fdname);
		message_add_fd(&msg, fd);
	}
	if (msg.overflow)
		fail(EXIT_USAGE, 0, "a name can have no more than %d files", MAX_FDS);

	keeper = need_keeper();
	if (keeper_call(keeper, &msg, &text))
		fail(EXIT_FAILED, 0, "%s", printable(text));
	if (json) {
		json_open(NULL, '{');
		json_name("name", name);
		json_number("files", nr);
		json_close();
		json_print();
	} else {
		printf("%u %s %s kept as %s\n", nr, plural(nr, "file", "files"),
		       plural(nr, "is", "are"), printable(name));
	}

	return EXIT_OK;
}

const struct verb put_verb = {
	.name = "put",
	.usage = "NAME FD=NUMBER... [--uid UID]",
	.help =
	"Have the keeper keep open files as NAME: those that luoctl has inherited with these\n"
	"NUMBERs. Each is called FD. All of them are kept, or none.\n"
	"\n"
	"  --uid UID                   as files of another user, for root\n",
	.run = cmd_put,
};

int list_kept(const char *name)
{
	int keeper = need_keeper(), err;
	struct message msg;
	unsigned int uid, nr = 0;
	char one[64], fd[64], state[16];
	long long size;
	char *text;
	FILE *list;

	message_begin(&msg);
	message_add(&msg, KEEPER_PROTOCOL);
	message_add(&msg, "list");
	if (keeper_call(keeper, &msg, &text))
		fail(EXIT_FAILED, 0, "%s", printable(text));
	/* The position is that of the keeper's file. */
	list = msg.nr_fds == 1 && !lseek(msg.fds[0], 0, SEEK_SET) ? fdopen(msg.fds[0], "r") : NULL;
	if (!list)
		fail(EXIT_FAILED, 0, "the keeper has sent no list");

	if (json) {
		json_open(NULL, '{');
		json_open("kept", '[');
	}
	while (fscanf(list, "%u %63s %63s %lld %15s %d", &uid, one, fd, &size, state, &err) == 6) {
		if (name && strcmp(name, one))
			continue;
		nr++;
		if (json) {
			json_open(NULL, '{');
			json_string("name", one);
			json_string("fd", fd);
			json_number("uid", uid);
			json_number("bytes", size);
			json_string("state", state);
			if (err)
				json_string("reason", strerror(err));
			json_close();
		} else {
			printf("%s: %s, user %u, %s", one, fd, uid, human(size));
			if (strcmp(state, "kept"))
				printf(", %s%s%s", state, err ? ": " : "",
				       err ? strerror(err) : "");
			putchar('\n');
		}
	}
	if (json) {
		json_close();
		json_close();
	}
	if (name && !nr)
		fail(EXIT_FAILED, 0, "nothing is kept as %s", printable(name));
	if (json)
		json_print();
	return EXIT_OK;
}

int drop_kept(uid_t uid, const char *name, char **fds)
{
	int keeper = need_keeper();
	struct message msg;
	char *text;

	keeper_request(&msg, "drop", uid, name);
	for (; *fds; fds++)
		message_add(&msg, *fds);
	if (keeper_call(keeper, &msg, &text))
		fail(EXIT_FAILED, 0, "%s", printable(text));
	if (json) {
		json_open(NULL, '{');
		json_name("name", name);
		json_close();
		json_print();
	} else {
		printf("%s is no longer kept\n", printable(name));
	}

	return EXIT_OK;
}
