// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl status and list: what is handed over, and what was.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "luoctl.h"

/* One side of a handover. Numbers are -1 if the kernel does not tell them. */
struct side {
	const char *key;
	const char *title;
	bool incoming;
	long long nr_sessions;
	long long bytes;	/* outgoing: preserved; incoming: unclaimed */
	long long preserved;	/* incoming */
	long long blackout_us;	/* incoming */
	bool listed;		/* @list is valid */
	struct session_list list;
};

static void read_side(struct side *side, bool incoming)
{
	*side = (struct side){
		.key = incoming ? "incoming" : "outgoing",
		.title = incoming ? "From the previous kernel" : "For the next kernel",
		.incoming = incoming,
		.blackout_us = -1,
	};

	if (incoming) {
		side->nr_sessions = sysfs_number(LUO_DIR "incoming/nr_sessions");
		side->bytes = sysfs_number(KHO_DIR "incoming/unclaimed_bytes");
		side->preserved = sysfs_number(KHO_DIR "incoming/preserved_bytes");
		side->blackout_us = sysfs_number(KHO_DIR "incoming/blackout_us");
		/* There is no such directory if nothing was handed over. */
		if (side->nr_sessions >= 0 && side->bytes < 0) {
			side->bytes = 0;
			side->preserved = 0;
		}
	} else {
		side->nr_sessions = sysfs_number(LUO_DIR "outgoing/nr_sessions");
		side->bytes = sysfs_number(KHO_DIR "outgoing/preserved_bytes");
	}

	side->listed = read_sessions(incoming, &side->list);
	if (!side->listed && errno != ENOENT && errno != EACCES)
		fail(EXIT_FAILED, errno, LUO_DIR "%s/sessions", side->key);
}

static void json_file(const struct listed_file *file)
{
	char token[24];

	/* Many readers of JSON round numbers of more than 53 bits. */
	sprintf(token, "%" PRIu64, file->token);
	json_open(NULL, '{');
	json_string("token", token);
	json_string("kind", file->kind);
	if (file->size >= 0)
		json_number("bytes", file->size);
	if (*file->state)
		json_string("state", file->state);
	json_close();
}

static void json_session(const struct listed *session, bool with_files)
{
	size_t i;

	json_open(NULL, '{');
	json_name("name", session->name);
	json_number("files", session->nr_files);
	json_number("bytes", session->bytes);
	if (session->incoming)
		json_number("retrieved", session->nr_retrieved);
	if (*session->state)
		json_string("state", session->state);
	if (with_files) {
		json_open("list", '[');
		for (i = 0; i < session->nr_listed; i++)
			json_file(&session->files[i]);
		json_close();
	}
	json_close();
}

static bool is_named(const struct listed *session, const char *name)
{
	return !name || !strcmp(session->name, name);
}

static void json_sessions(const struct side *side, bool with_files, const char *name)
{
	size_t i;

	json_open("sessions", '[');
	for (i = 0; i < side->list.nr; i++) {
		if (is_named(&side->list.sessions[i], name))
			json_session(&side->list.sessions[i], with_files);
	}
	json_close();
}

static void json_side(const struct side *side)
{
	json_open(side->key, '{');
	if (side->incoming) {
		json_number("preserved_bytes", side->preserved);
		json_number("unclaimed_bytes", side->bytes);
		if (side->blackout_us >= 0)
			json_number("blackout_us", side->blackout_us);
	} else if (side->bytes >= 0) {
		json_number("preserved_bytes", side->bytes);
	}
	if (side->listed)
		json_sessions(side, false, NULL);
	json_close();
}

static void print_files_and_bytes(const struct listed *session)
{
	printf("%lu %s, %s", session->nr_files, plural(session->nr_files, "file", "files"),
	       human(session->bytes));
	if (session->incoming)
		printf(", %lu retrieved", session->nr_retrieved);
	if (*session->state)
		printf(", %s", session->state);
}

static void print_side(const struct side *side)
{
	size_t i;

	printf("%s: ", side->title);
	/* Only root can see how much is preserved. */
	if (side->bytes >= 0)
		printf("%s%s, ", human(side->bytes), side->incoming ? " unclaimed" : "");
	if (side->nr_sessions)
		printf("%lld %s\n", side->nr_sessions,
		       plural(side->nr_sessions, "session", "sessions"));
	else
		puts("no sessions");

	for (i = 0; i < side->list.nr; i++) {
		printf("  %s: ", printable(side->list.sessions[i].name));
		print_files_and_bytes(&side->list.sessions[i]);
		putchar('\n');
	}
}

void print_status(void)
{
	struct side sides[2];
	long long scratch = sysfs_number(KHO_DIR "scratch_bytes");
	bool details;
	int i;

	for (i = 0; i < 2; i++)
		read_side(&sides[i], i);
	details = sides[0].nr_sessions >= 0 && scratch >= 0;

	if (json) {
		json_open(NULL, '{');
		json_bool("enabled", true);
		json_bool("details", details);
		if (details) {
			json_number("scratch_bytes", scratch);
			json_side(&sides[0]);
			json_side(&sides[1]);
		}
		json_close();
		json_print();
		return;
	}

	puts("Live update is on.");
	if (!details) {
		puts("This kernel does not say more in " LUO_DIR ".");
		return;
	}

	printf("Scratch: %s\n", human(scratch));
	print_side(&sides[0]);
	print_side(&sides[1]);
	if (sides[1].blackout_us >= 0)
		printf("The last blackout took %lld.%lld ms.\n", sides[1].blackout_us / 1000,
		       sides[1].blackout_us % 1000 / 100);
	if (!sides[0].listed)
		puts("Only root can see which sessions there are.");
}

static int cmd_status(int argc, char **argv)
{
	only_arguments(argc, argv, 0, 0);
	need_live_update();
	print_status();
	return EXIT_OK;
}

const struct verb status_verb = {
	.name = "status",
	.usage = "",
	.help =
	"Show how much memory is handed over to the next kernel, and how much of that of\n"
	"the previous kernel is unclaimed, the sessions, and how long the last blackout was.\n",
	.run = cmd_status,
};

static void print_listed(const struct side *side, const char *name)
{
	const struct listed *session;
	const struct listed_file *file;
	size_t i, j;

	for (i = 0; i < side->list.nr; i++) {
		session = &side->list.sessions[i];
		if (!is_named(session, name))
			continue;

		printf("%s: session %s: ", side->key, printable(session->name));
		print_files_and_bytes(session);
		putchar('\n');
		for (j = 0; j < session->nr_listed; j++) {
			file = &session->files[j];
			printf("  token %" PRIu64 ": %s, %s", file->token, file->kind,
			       file->size < 0 ? "size unknown" : human(file->size));
			if (*file->state)
				printf(", %s", file->state);
			putchar('\n');
		}
	}
}

static bool has(const struct side *side, const char *name)
{
	size_t i;

	for (i = 0; i < side->list.nr; i++) {
		if (is_named(&side->list.sessions[i], name))
			return true;
	}

	return false;
}

static int cmd_list(int argc, char **argv)
{
	static const struct option options[] = {
		{ "kept", no_argument, NULL, 'k' },
		{}
	};
	struct side sides[2];
	bool kept = false;
	const char *name;
	int i;

	while (next_option(argc, argv, options) != -1)
		kept = true;
	if (argc - optind > 1)
		fail_usage();
	name = argv[optind];
	if (kept)
		return list_kept(name);

	need_live_update();
	for (i = 0; i < 2; i++) {
		read_side(&sides[i], i);
		if (!sides[i].listed)
			fail(EXIT_FAILED, errno, LUO_DIR "%s/sessions", sides[i].key);
	}
	if (name && !has(&sides[0], name) && !has(&sides[1], name))
		fail(EXIT_FAILED, 0, "there is no session %s", printable(name));

	if (json) {
		json_open(NULL, '{');
		for (i = 0; i < 2; i++) {
			json_open(sides[i].key, '{');
			json_sessions(&sides[i], true, name);
			json_close();
		}
		json_close();
		json_print();
		return EXIT_OK;
	}

	print_listed(&sides[0], name);
	print_listed(&sides[1], name);
	return EXIT_OK;
}

const struct verb list_verb = {
	.name = "list",
	.usage = "[--kept] [NAME]",
	.help =
	"List the sessions, or those called NAME, and their files: token, kind, size, and\n"
	"if the previous kernel has handed them over, whether they were retrieved.\n"
	"\n"
	"  --kept                      list the files that the keeper keeps instead\n",
	.run = cmd_list,
};
