// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl: live update from the command line. See luoctl.8.
 */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "luoctl.h"

bool json;

static const struct verb * const verbs[] = {
	&status_verb, &list_verb, &check_verb, &map_verb, &save_verb, &restore_verb,
	&drop_verb, &unclaimed_verb, &kexec_verb, &keeper_verb, &run_verb, &put_verb,
};

#define NR_VERBS	(sizeof(verbs) / sizeof(*verbs))

/* The one that runs. */
static const struct verb *verb;

static void print_help(FILE *to)
{
	unsigned int i;

	fputs("Usage: luoctl [--json] COMMAND ...\n\n", to);
	for (i = 0; i < NR_VERBS; i++)
		fprintf(to, "  luoctl %s%s%s\n", verbs[i]->name,
			*verbs[i]->usage ? " " : "", verbs[i]->usage);
	fputs("\n"
	      "  luoctl COMMAND --help       explain a command\n"
	      "  --json                      print a JSON object, for programs\n"
	      "  --version                   print the version\n"
	      "\n"
	      "Exits with 0; 1 if it failed; 2 if it was called wrong; or 3 if the kernel has no\n"
	      "live update, or it is off. See luoctl(8).\n", to);
}

static void print_verb_help(FILE *to)
{
	fprintf(to, "Usage: luoctl %s%s%s\n\n%s\n"
		"With --json it prints a JSON object, for programs. See luoctl(8).\n",
		verb->name, *verb->usage ? " " : "", verb->usage, verb->help);
}

void fail(int status, int err, const char *format, ...)
{
	char *text = NULL;
	va_list args;
	size_t size;
	FILE *to;

	to = open_memstream(&text, &size);
	if (to) {
		va_start(args, format);
		vfprintf(to, format, args);
		va_end(args);
		if (err)
			fprintf(to, ": %s", strerror(err));
		fclose(to);
	}

	fflush(stdout);
	progress_end();
	fprintf(stderr, "luoctl: %s\n", text ? text : "no memory");
	if (json && text) {
		json_discard();
		/* The one that printing it may fail with has no room for JSON. */
		json = false;
		json_open(NULL, '{');
		if (status == EXIT_NO_KERNEL)
			json_bool("enabled", false);
		json_string("error", text);
		json_close();
		json_print();
	}
	exit(status);
}

void fail_usage(void)
{
	fail(EXIT_USAGE, 0, "usage: luoctl %s%s%s", verb->name, *verb->usage ? " " : "",
	     verb->usage);
}

static _Noreturn void fail_without_verb(void)
{
	if (json)
		fail(EXIT_USAGE, 0, "usage: luoctl [--json] COMMAND ...; see luoctl --help");
	print_help(stderr);
	exit(EXIT_USAGE);
}

#define MAX_OPTIONS	16

/* Every verb has these. */
static const struct option common_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{}
};

/* An error in the options before it is to be printed as JSON, too. */
static void find_json(char **argv)
{
	for (; *argv && strcmp(*argv, "--"); argv++)
		json = json || !strcmp(*argv, "--json");
}

int next_option(int argc, char **argv, const struct option *own)
{
	struct option options[MAX_OPTIONS];
	unsigned int nr = sizeof(common_options) / sizeof(*common_options);
	int option;

	memcpy(options, common_options, sizeof(common_options));
	for (nr--; own && own->name; own++)
		options[nr++] = *own;
	memset(&options[nr], 0, sizeof(*options));

	while ((option = getopt_long(argc, argv, "jh", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'h':
			print_verb_help(stdout);
			exit(EXIT_OK);
		case '?':
			find_json(argv + optind);
			fail_usage();
		default:
			return option;
		}
	}

	return -1;
}

void only_arguments(int argc, char **argv, int min, int max)
{
	next_option(argc, argv, NULL);
	if (argc - optind < min || argc - optind > max)
		fail_usage();
}

int need_device(void)
{
	int device = luo_open();

	if (device == -ENOENT)
		fail(EXIT_NO_KERNEL, 0,
		     "no %s: the kernel has no live update, or it is off, see kho= and liveupdate=",
		     LUO_DEVICE);
	if (device == -EBUSY)
		fail(EXIT_FAILED, 0, "%s: in use by %s", LUO_DEVICE, holders(NULL, false));
	if (device < 0)
		fail(EXIT_FAILED, -device, "%s", LUO_DEVICE);

	return device;
}

void need_live_update(void)
{
	struct stat st;

	if (stat(LUO_DEVICE, &st))
		close(need_device());
}

/* Signals that end luoctl only where it says so. Ignored ones, as by nohup(1), do not. */
static const int held_signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
static sigset_t held, before;

void hold_signals(void)
{
	struct sigaction action;
	unsigned int i;

	sigemptyset(&held);
	for (i = 0; i < sizeof(held_signals) / sizeof(*held_signals); i++) {
		if (!sigaction(held_signals[i], NULL, &action) &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&held, held_signals[i]);
	}
	sigprocmask(SIG_BLOCK, &held, &before);
}

void release_signals(void)
{
	sigprocmask(SIG_SETMASK, &before, NULL);
}

bool is_interrupted(void)
{
	sigset_t pending;
	unsigned int i;

	if (sigpending(&pending))
		return false;

	/* The caller may have others blocked. */
	for (i = 0; i < sizeof(held_signals) / sizeof(*held_signals); i++) {
		if (sigismember(&held, held_signals[i]) == 1 &&
		    sigismember(&pending, held_signals[i]) == 1)
			return true;
	}

	return false;
}

/* A file that is opened later must not become standard input or output. */
static void have_standard_files(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
			exit(EXIT_FAILED);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'v' },
		{}
	};
	unsigned int i;
	int option;

	have_standard_files();
	while ((option = getopt_long(argc, argv, "+jhV", options, NULL)) != -1) {
		switch (option) {
		case 'j':
			json = true;
			break;
		case 'h':
			print_help(stdout);
			return EXIT_OK;
		case 'v':
		case 'V':
			printf("luoctl %s\n", LUOCTL_VERSION);
			return EXIT_OK;
		default:
			find_json(argv + optind);
			fail_without_verb();
		}
	}

	argc -= optind;
	argv += optind;
	for (i = 0; argc && i < NR_VERBS; i++) {
		if (strcmp(argv[0], verbs[i]->name))
			continue;

		/* The verb has options of its own. */
		verb = verbs[i];
		optind = 0;
		return verb->run(argc, argv);
	}

	find_json(argv);
	if (argc)
		fail(EXIT_USAGE, 0, "there is no command %s; see luoctl --help",
		     printable(argv[0]));
	fail_without_verb();
}
