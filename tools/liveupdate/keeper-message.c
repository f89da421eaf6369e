// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages between the keeper and its clients: strings and files in one packet.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "keeper.h"

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(MAX_PACKET_FDS * sizeof(int))];
};

void message_begin(struct message *msg)
{
	msg->len = 0;
	msg->at = 0;
	msg->nr_fds = 0;
	msg->overflow = false;
}

void message_add(struct message *msg, const char *string)
{
	size_t size = strlen(string) + 1;

	if (size > sizeof(msg->data) - msg->len) {
		msg->overflow = true;
		return;
	}

	memcpy(msg->data + msg->len, string, size);
	msg->len += size;
}

void message_add_number(struct message *msg, long long number)
{
	char text[24];

	sprintf(text, "%lld", number);
	message_add(msg, text);
}

void message_add_fd(struct message *msg, int fd)
{
	if (msg->nr_fds == MAX_FDS)
		msg->overflow = true;
	else
		msg->fds[msg->nr_fds++] = fd;
}

const char *message_next(struct message *msg)
{
	const char *string = msg->data + msg->at;

	if (msg->at >= msg->len)
		return NULL;

	msg->at += strlen(string) + 1;
	return string;
}

int message_send(int sock, const struct message *msg, int flags)
{
	union control control = {};
	struct iovec data = { (char *)msg->data, msg->len };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	ssize_t sent;

	if (msg->overflow)
		return -EMSGSIZE;

	if (msg->nr_fds) {
		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(msg->nr_fds * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(msg->nr_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), msg->fds, msg->nr_fds * sizeof(int));
	}

	do {
		sent = sendmsg(sock, &header, flags | MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);

	return sent < 0 ? -errno : 0;
}

int message_receive(int sock, struct message *msg, int flags)
{
	union control control;
	struct iovec data = { msg->data, sizeof(msg->data) };
	struct msghdr header = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *part;
	ssize_t got;

	message_begin(msg);
	do {
		got = recvmsg(sock, &header, flags | MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;

	for (part = CMSG_FIRSTHDR(&header); part; part = CMSG_NXTHDR(&header, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		msg->nr_fds = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(msg->fds, CMSG_DATA(part), msg->nr_fds * sizeof(int));
	}

	if (!got && !msg->nr_fds)
		return -EPIPE;
	if (!got || msg->nr_fds > MAX_FDS || (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
	    msg->data[got - 1])
		return -EBADMSG;

	msg->len = got;
	return 0;
}

bool is_valid_name(const char *name)
{
	const char *at;

	for (at = name; *at; at++) {
		if (!isalnum((unsigned char)*at) && !strchr("_.@+-\\", *at))
			return false;
	}

	return *name && *name != '.' && *name != '-';
}

bool parse_uid(const char *text, uid_t *uid)
{
	unsigned long value;
	char *end;

	if (!isdigit((unsigned char)*text))
		return false;

	errno = 0;
	value = strtoul(text, &end, 10);
	*uid = value;
	/* The last one stands for no user. */
	return !errno && !*end && value < UINT32_MAX;
}

const char *keeper_socket(void)
{
	const char *path = getenv(KEEPER_ENV);

	return path && *path ? path : KEEPER_SOCKET;
}

int keeper_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;

	memcpy(address.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (sock < 0)
		return -errno;
	if (connect(sock, (struct sockaddr *)&address, sizeof(address))) {
		err = -errno;
		close(sock);
		return err;
	}

	return sock;
}
