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

/* The next element of an array that grows by doubling. NULL if there is no memory. */
static void *append(void *array, size_t *nr, size_t size)
{
	void *grown = *(void **)array;

	if (!(*nr & (*nr - 1))) {
		grown = reallocarray(grown, *nr ? *nr * 2 : 1, size);
		if (!grown)
			return NULL;
		*(void **)array = grown;
	}

	memset((char *)grown + *nr * size, 0, size);
	return (char *)grown + (*nr)++ * size;
}

/*
 * The functions that read one line return 0; -EBADMSG if the line is not understood, or
 * -ENOMEM. The keeper reads lists as well, which must not end for that: none exits.
 */

static int add_session(struct session_list *list, const char *line)
{
	const char *name = value_of(line, "name");
	struct listed *session;
	char *copied;

	if (!name)
		return -EBADMSG;
	copied = strdup(name);
	session = copied ? append(&list->sessions, &list->nr, sizeof(*session)) : NULL;
	if (!session) {
		free(copied);
		return -ENOMEM;
	}

	session->name = copied;
	session->incoming = list->incoming;
	session->nr_files = number_of(line, "files");
	session->nr_retrieved = number_of(line, "retrieved");
	copy_word(session->state, sizeof(session->state), line, "state");
	unescape(session->name);
	return 0;
}

/* The one copy of a kind of files. There are few, and may be a million files. */
static const char *copy_of_kind(const char *kind)
{
	static char **kinds;
	static size_t nr;
	char **added;
	size_t i;

	for (i = 0; i < nr; i++) {
		if (!strcmp(kinds[i], kind))
			return kinds[i];
	}

	added = append(&kinds, &nr, sizeof(*kinds));
	if (!added)
		return NULL;
	*added = strdup(kind);
	if (!*added)
		nr--;
	return *added;
}

static int add_file(struct session_list *list, const char *line)
{
	const char *size = value_of(line, "size"), *kind = value_of(line, "kind");
	struct listed *session;
	struct listed_file *file;

	if (!list->nr || !size || !kind || !value_of(line, "token"))
		return -EBADMSG;

	session = &list->sessions[list->nr - 1];
	kind = copy_of_kind(kind);
	file = kind ? append(&session->files, &session->nr_listed, sizeof(*file)) : NULL;
	if (!file)
		return -ENOMEM;

	file->kind = kind;
	file->token = number_of(line, "token");
	file->size = *size == '-' ? -1 : strtoll(size, NULL, 10);
	copy_word(file->state, sizeof(file->state), line, "state");
	if (file->size > 0)
		session->bytes = add_bytes(session->bytes, file->size);
	return 0;
}

/* The files of a session that come last in the list are not known. */
static int note_rest(struct session_list *list, const char *line)
{
	struct listed *session;

	if (!list->nr)
		return -EBADMSG;

	session = &list->sessions[list->nr - 1];
	copy_word(session->state, sizeof(session->state), line, "state");
	return 0;
}

unsigned long long add_bytes(unsigned long long a, unsigned long long b)
{
	return a > LLONG_MAX - b ? LLONG_MAX : a + b;
}

static int read_line(struct session_list *list, const char *line)
{
	if (!strncmp(line, "session ", strlen("session ")))
		return add_session(list, line);
	if (!strncmp(line, "file ", strlen("file ")))
		return add_file(list, line);
	if (!strncmp(line, "rest ", strlen("rest ")))
		return note_rest(list, line);
	return 0;
}

/* Returns 0 or -errno. The caller frees what is in the list. */
static int read_once(struct session_list *list)
{
	const char *path = list->incoming ? LUO_DIR "incoming/sessions" :
					    LUO_DIR "outgoing/sessions";
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	if (!file)
		return -errno;

	while (!err) {
		errno = 0;
		if (getline(&line, &size, file) <= 0) {
			/* At the end of the file there is no error. */
			err = feof(file) ? 0 : errno ? -errno : -EIO;
			break;
		}
		line[strcspn(line, "\n")] = '\0';
		err = read_line(list, line);
	}
	free(line);
	fclose(file);
	return err;
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
	int err;

	*list = (struct session_list){ .incoming = incoming };
	for (tries = 1; !(err = read_once(list)); tries++) {
		if (tries == MAX_READS || !has_busy(list))
			return true;
		forget_sessions(list);
		usleep(PAUSE_US);
	}

	forget_sessions(list);
	errno = -err;
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
