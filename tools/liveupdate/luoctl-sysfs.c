// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read numbers and lists from sysfs. Documentation/ABI/testing/sysfs-kernel-liveupdate and
 * sysfs-kernel-kho describe the files.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "luoctl.h"

long long sysfs_number(const char *path)
{
	FILE *file = fopen(path, "re");
	long long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%lld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

bool is_image(const char *kind)
{
	FILE *file = fopen(KHO_DIR "outgoing/image", "re");
	char word[16] = "";

	if (!file)
		return false;
	if (fscanf(file, "%15s", word) != 1)
		*word = '\0';
	fclose(file);
	return !strcmp(word, kind);
}

/*
 * Find the value of @key in a line, a word and then pairs of a key and a value. That of
 * "name" or "kind" is the last one, and goes on to the end of the line. Returns NULL if
 * there is no such pair. @line is left as it is.
 */
static const char *value_of(const char *line, const char *key)
{
	const char *at = strchr(line, ' ');
	size_t len = strlen(key);
	bool last;

	while (at) {
		at++;
		if (!strncmp(at, key, len) && at[len] == ' ')
			return at + len + 1;
		last = !strncmp(at, "name ", 5) || !strncmp(at, "kind ", 5);
		at = last ? NULL : strchr(at, ' ');
		if (at)
			at = strchr(at + 1, ' ');
	}

	return NULL;
}

static unsigned long long number_of(const char *line, const char *key)
{
	const char *value = value_of(line, key);

	return value ? strtoull(value, NULL, 10) : 0;
}

static void copy_word(char *to, size_t size, const char *line, const char *key)
{
	const char *value = value_of(line, key);
	size_t len = value ? strcspn(value, " ") : 0;

	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(to, value, len);
	to[len] = '\0';
}

/* The next element of an array that grows by doubling. */
static void *append(void *array, size_t *nr, size_t size)
{
	void *grown = *(void **)array;

	if (!(*nr & (*nr - 1))) {
		grown = reallocarray(grown, *nr ? *nr * 2 : 1, size);
		if (!grown)
			fail(EXIT_FAILED, ENOMEM, "list of sessions");
		*(void **)array = grown;
	}

	memset((char *)grown + *nr * size, 0, size);
	return (char *)grown + (*nr)++ * size;
}

static char *rest_of(const char *line, const char *key)
{
	const char *value = value_of(line, key);
	char *copied = value ? strdup(value) : NULL;

	if (value && !copied)
		fail(EXIT_FAILED, ENOMEM, "list of sessions");
	return copied;
}

static bool add_session(struct session_list *list, const char *line)
{
	struct listed *session = append(&list->sessions, &list->nr, sizeof(*session));

	session->name = rest_of(line, "name");
	session->incoming = list->incoming;
	session->nr_files = number_of(line, "files");
	session->nr_retrieved = number_of(line, "retrieved");
	copy_word(session->state, sizeof(session->state), line, "state");
	if (session->name)
		unescape(session->name);
	return session->name;
}

static bool add_file(struct session_list *list, const char *line)
{
	static const char *last_kind = "";
	const char *size = value_of(line, "size"), *kind = value_of(line, "kind");
	struct listed *session;
	struct listed_file *file;

	if (!list->nr || !size || !kind || !value_of(line, "token"))
		return false;

	session = &list->sessions[list->nr - 1];
	file = append(&session->files, &session->nr_listed, sizeof(*file));
	file->token = number_of(line, "token");
	file->size = *size == '-' ? -1 : strtoll(size, NULL, 10);
	copy_word(file->state, sizeof(file->state), line, "state");
	if (file->size > 0)
		session->bytes = add_bytes(session->bytes, file->size);

	/* There are few kinds, and may be a million files. */
	if (strcmp(kind, last_kind))
		last_kind = rest_of(line, "kind");
	file->kind = last_kind;
	return true;
}

/* The files of a session that come last in the list are not known. */
static bool note_rest(struct session_list *list, const char *line)
{
	struct listed *session;

	if (!list->nr)
		return false;

	session = &list->sessions[list->nr - 1];
	copy_word(session->state, sizeof(session->state), line, "state");
	return true;
}

unsigned long long add_bytes(unsigned long long a, unsigned long long b)
{
	return a > LLONG_MAX - b ? LLONG_MAX : a + b;
}

static bool read_once(struct session_list *list)
{
	const char *path = list->incoming ? LUO_DIR "incoming/sessions" :
					    LUO_DIR "outgoing/sessions";
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	bool ok = true;

	if (!file)
		return false;

	while (ok && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		if (!strncmp(line, "session ", strlen("session ")))
			ok = add_session(list, line);
		else if (!strncmp(line, "file ", strlen("file ")))
			ok = add_file(list, line);
		else if (!strncmp(line, "rest ", strlen("rest ")))
			ok = note_rest(list, line);
	}
	if (!ok)
		fail(EXIT_FAILED, 0, "%s: the line \"%s\" is not understood", path, line);
	if (ferror(file))
		fail(EXIT_FAILED, errno, "%s", path);
	free(line);
	fclose(file);
	return true;
}

static bool has_busy(const struct session_list *list)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		if (!strcmp(list->sessions[i].state, "busy"))
			return true;
	}

	return false;
}

void forget_sessions(struct session_list *list)
{
	size_t i;

	for (i = 0; i < list->nr; i++) {
		free(list->sessions[i].name);
		free(list->sessions[i].files);
	}
	free(list->sessions);
	list->sessions = NULL;
	list->nr = 0;
}

/* The kernel does not list the files of a session that changes: most often not for long. */
#define MAX_READS	5
#define PAUSE_US	20000

bool read_sessions(bool incoming, struct session_list *list)
{
	unsigned int tries;

	*list = (struct session_list){ .incoming = incoming };
	for (tries = 1; read_once(list); tries++) {
		if (tries == MAX_READS || !has_busy(list))
			return true;
		forget_sessions(list);
		usleep(PAUSE_US);
	}

	return false;
}

bool is_in_use(const struct listed *session)
{
	return !strcmp(session->state, "claimed") || !strcmp(session->state, "busy");
}

bool is_unfinished(const struct listed *session)
{
	return strcmp(session->state, "damaged") && session->nr_retrieved != session->nr_files;
}
