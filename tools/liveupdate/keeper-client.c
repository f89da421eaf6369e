// SPDX-License-Identifier: GPL-2.0-only
/*
 * What clients of the keeper do: ask it, and have memory kept.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT	26
#endif

long long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int need_keeper(void)
{
	const char *path = keeper_socket();
	int keeper = keeper_connect(path);

	if (keeper == -ENOENT || keeper == -ECONNREFUSED)
		fail(EXIT_FAILED, 0, "%s: no keeper runs: see luoctl keeper", printable(path));
	if (keeper < 0)
		fail(EXIT_FAILED, -keeper, "%s", printable(path));
	return keeper;
}

void keeper_request(struct message *msg, const char *verb, uid_t uid, const char *name)
{
	message_begin(msg);
	message_add(msg, KEEPER_PROTOCOL);
	message_add(msg, verb);
	message_add_number(msg, uid);
	message_add(msg, name);
}

int keeper_call(int keeper, struct message *msg, char **text)
{
	const char *word;
	int err;

	err = message_send(keeper, msg, 0);
	if (!err)
		err = message_receive(keeper, msg, 0);
	if (err == -EPIPE || err == -ECONNRESET) {
		*text = strdup("the keeper has closed the connection");
		return err;
	}
	/* The caller has set a time. A reply might come later, for another request. */
	if (err == -EAGAIN) {
		shutdown(keeper, SHUT_RDWR);
		*text = strdup("the keeper does not answer");
		return -ETIMEDOUT;
	}
	if (err) {
		*text = strdup(strerror(-err));
		return err;
	}

	word = message_next(msg);
	err = word ? -atoi(word) : -EPROTO;
	word = err ? message_next(msg) : NULL;
	*text = err ? strdup(word ? word : strerror(-err)) : NULL;
	return err;
}

void keeper_take_files(struct message *msg, struct kept *kept)
{
	const char *name;

	kept->nr = 0;
	while (kept->nr < msg->nr_fds && (name = message_next(msg))) {
		kept->names[kept->nr] = strdup(name);
		if (!kept->names[kept->nr])
			fail(EXIT_FAILED, ENOMEM, "files");
		kept->fds[kept->nr] = msg->fds[kept->nr];
		kept->nr++;
	}
}

int kept_fd(const struct kept *kept, const char *name)
{
	unsigned int i;

	for (i = 0; i < kept->nr; i++) {
		if (!strcmp(kept->names[i], name))
			return kept->fds[i];
	}

	return -1;
}

const char *parse_size(const char *text, unsigned long long *size)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	if (!isdigit((unsigned char)*text))
		return NULL;

	errno = 0;
	*size = strtoull(text, &end, 10);
	unit = *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unit - units + 1);

		if (*size > (unsigned long long)INT64_MAX >> shift)
			return NULL;
		*size <<= shift;
		end++;
	}

	return errno || !*size || *size > INT64_MAX ? NULL : end;
}

bool parse_memory(const char *option, struct memory *memory)
{
	const char *equals = strchr(option, '='), *at;

	memset(memory, 0, sizeof(*memory));
	if (!equals)
		return false;

	memory->name = strndup(option, equals - option);
	if (!memory->name)
		fail(EXIT_FAILED, ENOMEM, "%s", printable(option));

	at = parse_size(equals + 1, &memory->size);
	if (at && !strncmp(at, ",huge=", strlen(",huge=")))
		at = parse_size(at + strlen(",huge="), &memory->huge);
	if (!at || *at || !is_valid_name(memory->name))
		return false;

	/* A power of two, of which the size is a multiple. */
	return !(memory->huge & (memory->huge - 1)) &&
	       (!memory->huge || !(memory->size % memory->huge));
}

int create_memory(const struct memory *memory)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (memory->huge)
		flags |= MFD_HUGETLB | __builtin_ctzll(memory->huge) << MFD_HUGE_SHIFT;
	fd = memfd_create(memory->name, flags);
	if (fd >= 0 && !ftruncate(fd, memory->size))
		return fd;

	if (fd >= 0)
		close(fd);
	return -errno;
}

/* Create what is missing, and have it kept. */
static void add_memory(int keeper, uid_t uid, const char *name, const struct memory *memory,
		       unsigned int nr, struct kept *kept)
{
	unsigned int i, first = kept->nr;
	struct message msg;
	char *text;
	int fd;

	keeper_request(&msg, "put", uid, name);
	for (i = 0; i < nr; i++) {
		if (kept_fd(kept, memory[i].name) >= 0)
			continue;
		if (kept->nr == MAX_FDS)
			fail(EXIT_FAILED, 0, "%s: a name can have no more than %d files",
			     printable(name), MAX_FDS);
		fd = create_memory(&memory[i]);
		if (fd < 0)
			fail(EXIT_FAILED, -fd, "%s: memory of %llu bytes", memory[i].name,
			     memory[i].size);
		kept->names[kept->nr] = memory[i].name;
		kept->fds[kept->nr++] = fd;
		message_add(&msg, memory[i].name);
		message_add_fd(&msg, fd);
	}

	if (kept->nr > first && keeper_call(keeper, &msg, &text))
		fail(EXIT_FAILED, 0, "%s", printable(text));
}

bool claim_memory(int keeper, uid_t uid, const char *name, const struct memory *memory,
		  unsigned int nr, struct kept *kept)
{
	struct message msg;
	struct stat st;
	char *text;
	unsigned int i;
	bool there;
	int fd;

	keeper_request(&msg, "claim", uid, name);
	if (keeper_call(keeper, &msg, &text))
		fail(EXIT_FAILED, 0, "%s", printable(text));
	keeper_take_files(&msg, kept);
	there = kept->nr > 0;

	for (i = 0; i < nr; i++) {
		fd = kept_fd(kept, memory[i].name);
		if (fd < 0)
			continue;
		if (fstat(fd, &st))
			fail(EXIT_FAILED, errno, "%s", memory[i].name);
		if ((unsigned long long)st.st_size != memory[i].size)
			fail(EXIT_FAILED, 0,
			     "%s of %s is kept with %lld bytes, not %llu: nothing was changed, see luoctl drop --kept",
			     memory[i].name, printable(name), (long long)st.st_size,
			     memory[i].size);
	}
	add_memory(keeper, uid, name, memory, nr, kept);
	return there;
}
