// SPDX-License-Identifier: GPL-2.0-only
/*
 * The functions of libkholuo, with a program in place of the kernel: keeper.py, which
 * $FAKE_LUO names the socket of. Sessions are connections to it, so that they can be passed
 * on, and end with their last descriptor, as those of the kernel do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../keeper.h"

/* Ask for something, and return an error number, or the file that comes with the reply. */
static int ask(int to, const char *verb, const char *name, uint64_t token, int fd)
{
	struct message msg;
	const char *word;
	int err;

	message_begin(&msg);
	message_add(&msg, verb);
	message_add(&msg, name);
	message_add_number(&msg, token);
	if (fd >= 0)
		message_add_fd(&msg, fd);
	err = message_send(to, &msg, 0);
	if (!err)
		err = message_receive(to, &msg, 0);
	word = err ? NULL : message_next(&msg);
	if (!word)
		return err ? err : -EPROTO;

	err = -atoi(word);
	return err ? err : msg.nr_fds ? msg.fds[0] : 0;
}

int luo_open(void)
{
	int device = keeper_connect(getenv("FAKE_LUO"));
	int err = device < 0 ? device : ask(device, "open", "", 0, -1);

	if (err && device >= 0)
		close(device);
	return err ? err : device;
}

int luo_session_create(int device, const char *name)
{
	return ask(device, "create", name, 0, -1);
}

int luo_session_retrieve(int device, const char *name)
{
	return ask(device, "retrieve", name, 0, -1);
}

int luo_session_preserve_fd(int session, int fd, uint64_t token)
{
	return ask(session, "preserve", "", token, fd);
}

int luo_session_retrieve_fd(int session, uint64_t token)
{
	return ask(session, "retrieve_fd", "", token, -1);
}

int luo_session_finish(int session)
{
	return ask(session, "finish", "", 0, -1);
}

int luo_session_name(int session, char name[LUO_NAME_SIZE])
{
	struct message msg;
	const char *word;
	struct stat st;

	/* What it is asked about is a memfd else. */
	if (fstat(session, &st) || !S_ISSOCK(st.st_mode))
		return -ENOTTY;

	message_begin(&msg);
	message_add(&msg, "name");
	if (message_send(session, &msg, 0) || message_receive(session, &msg, 0))
		return -ENOTTY;

	message_next(&msg);
	word = message_next(&msg);
	if (!word)
		return -ENOTTY;
	snprintf(name, LUO_NAME_SIZE, "%s", word);
	return 0;
}
