// SPDX-License-Identifier: GPL-2.0-only
/*
 * luoctl keeper: a daemon that keeps files of services over updates of the kernel.
 *
 * It is one process and never waits for a client. It runs to the very end of the machine:
 * see keeper-process.c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "keeper.h"

/* Connections: in all, of all users but root, and of each of them. */
#define MAX_CLIENTS	1024
#define MAX_OF_USERS	896
#define MAX_OF_USER	64

/* What stands for the name of a connection when a keeper is replaced. */
#define CLAIM_MARK	'='
#define CONFINED_MARK	'!'

/* Files of each user but root. */
#define DEFAULT_LIMIT	64

/* Files in all, twice which are in the fd store of the unit, and of all users but root. */
#define MAX_FILES		32768
#define MAX_FILES_OF_USERS	16384

/* Memory of each user but root, and of all of them, as parts of all that there is. */
#define DEFAULT_PART_OF_USER	8
#define DEFAULT_PART_OF_USERS	2

/* How often to try again what could not be taken over, and how long to wait for a keeper. */
#define RETRY_MS	5000
#ifndef REPLACE_MS
#define REPLACE_MS	20000
#endif

struct client {
	int sock;
	uid_t uid;
	pid_t pid;
	bool closed;
	/* What it has claimed. */
	bool has_claim;
	uid_t claim_uid;
	char claim[LUO_NAME_SIZE];
	/* It can ask for nothing else. */
	bool confined;
};

static struct client *clients;
static unsigned int nr_clients;
static unsigned int limit = DEFAULT_LIMIT;
static unsigned long long memory_of_user, memory_of_users;
static int listener = -1;
static int lock = -1;
static int signals = -1;

/* Send a reply. One who does not read what was sent before is not waited for. */
static void reply(struct client *client, struct message *msg)
{
	if (message_send(client->sock, msg, MSG_DONTWAIT))
		client->closed = true;
}

static void __printf(3, 4) reply_error(struct client *client, int err, const char *format, ...)
{
	struct message msg;
	char text[384];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	message_begin(&msg);
	message_add_number(&msg, -err);
	message_add(&msg, text);
	reply(client, &msg);
	/* To ask is no error. */
	if (err != -ENOENT)
		keeper_log(LOG_NOTICE, "process %d of user %u: %s", client->pid, client->uid, text);
}

static void reply_done(struct client *client)
{
	struct message msg;

	message_begin(&msg);
	message_add(&msg, "0");
	reply(client, &msg);
}

/* The client that has claimed NAME, if it is another one. */
static struct client *claimed_by_other(const struct client *client, uid_t uid, const char *name)
{
	unsigned int i;

	for (i = 0; i < nr_clients; i++) {
		if (&clients[i] != client && clients[i].has_claim && !clients[i].closed &&
		    clients[i].claim_uid == uid && !strcmp(clients[i].claim, name))
			return &clients[i];
	}

	return NULL;
}

/* The arguments that all verbs but list and replace begin with. */
struct request {
	uid_t uid;
	const char *name;
};

static bool has_claimed(const struct client *client, const struct request *request)
{
	return client->has_claim && client->claim_uid == request->uid &&
	       !strcmp(client->claim, request->name);
}

/*
 * Whether somebody has locked the file of an item who has opened it anew. A lock by way of what
 * the keeper has handed out is one of the keeper's own, and ends here: nobody could tell when
 * whoever took it is gone. Only of a memfd, as to lock another file may do anything.
 */
static bool is_locked(const struct item *item)
{
	if (item->fd < 0 || fcntl(item->fd, F_GET_SEALS) < 0)
		return false;
	if (flock(item->fd, LOCK_EX | LOCK_NB))
		return true;

	flock(item->fd, LOCK_UN);
	return false;
}

/* Whether a file that has come with the request is this one, and nobody else has locked it. */
static bool has_lock(const struct message *msg, const struct item *item)
{
	unsigned int i;

	for (i = 0; i < msg->nr_fds; i++) {
		if (is_same_file(msg->fds[i], item->fd) &&
		    fcntl(msg->fds[i], F_GET_SEALS) >= 0 && !flock(msg->fds[i], LOCK_EX | LOCK_NB))
			return true;
	}

	return false;
}

/*
 * Whether another process has locked a file of NAME with flock(2): it uses the file, even if
 * it has no connection, as QEMU of a luo-vm that was killed. One that has locked it itself, and
 * connects again, passes the file that has the lock.
 */
static bool is_locked_by_other(const struct request *request, const struct message *msg)
{
	struct item *item;
	unsigned int at = 0;

	while ((item = next_item(request->uid, request->name, &at))) {
		if (is_locked(item) && !has_lock(msg, item))
			return true;
	}

	return false;
}

static bool parse_request(struct client *client, struct message *msg, struct request *request)
{
	const char *uid = message_next(msg);
	const struct client *other;

	request->name = message_next(msg);
	if (!request->name || !parse_uid(uid, &request->uid)) {
		reply_error(client, -EINVAL, "a request without UID or NAME");
		return false;
	}
	if (client->uid && client->uid != request->uid) {
		reply_error(client, -EPERM, "files of user %u are asked for", request->uid);
		return false;
	}
	if (!is_valid_name(request->name) || strlen(request->name) >= KEY_SIZE) {
		reply_error(client, -EINVAL,
			    "a name is empty, too long, or has characters that names do not have");
		return false;
	}

	/* What is not known yet is in nobody's way, and then there it is. */
	if (!is_list_known())
		take_over(false);
	if (!is_list_known()) {
		reply_error(client, -EAGAIN,
			    "what is kept as %s is not known yet: the kernel does not list its sessions",
			    request->name);
		return false;
	}

	other = claimed_by_other(client, request->uid, request->name);
	if (other) {
		reply_error(client, -EBUSY, "%s is in use by process %d", request->name,
			    other->pid);
		return false;
	}
	if (has_claimed(client, request))
		return true;
	if (client->confined) {
		reply_error(client, -EPERM, "the connection is for %s only", client->claim);
		return false;
	}
	if (is_locked_by_other(request, msg)) {
		reply_error(client, -EBUSY, "%s is in use by a process that has locked its memory",
			    request->name);
		return false;
	}

	return true;
}

/* Hand out all files of NAME. */
static void handle_get(struct client *client, struct message *msg, bool claim)
{
	struct request request;
	struct message out;
	struct item *item;
	unsigned int at = 0;

	if (!parse_request(client, msg, &request))
		return;

	/* One that cannot be had now must not be taken for one that is not there. */
	if (is_take_over_left())
		take_over(false);
	message_begin(&out);
	message_add(&out, "0");
	while ((item = next_item(request.uid, request.name, &at))) {
		if (item->lost) {
			reply_error(client, -EBADMSG,
				    "%s of %s was damaged on the way from the previous kernel: it is lost, and %s is not handed out before luoctl drop --kept gives up one or both",
				    item->fdname, item->name, item->name);
			return;
		}
		if (item->fd < 0) {
			reply_error(client, item->err ? item->err : -EAGAIN,
				    "%s of %s is kept, but cannot be had now: %s",
				    item->fdname, item->name, strerror(-item->err));
			return;
		}
		message_add(&out, item->fdname);
		message_add_fd(&out, item->fd);
	}
	if (!out.nr_fds && !claim) {
		reply_error(client, -ENOENT, "nothing is kept as %s", request.name);
		return;
	}

	if (claim) {
		client->has_claim = true;
		client->claim_uid = request.uid;
		snprintf(client->claim, sizeof(client->claim), "%s", request.name);
	}
	reply(client, &out);
}

static const char *explain(int err)
{
	switch (err) {
	case -ENOENT:
		return "the kernel cannot preserve files of this kind";
	case -EBUSY:
		return "the file is in a session already, another program has " LUO_DEVICE
		       " open, or the kernel is about to kexec";
	case -EEXIST:
		return "there is one with this name";
	case -ENOSPC:
		return "there are as many files as kernel.liveupdate_max_files allows";
	case -EINVAL:
		return "a name or the number of files is wrong, or the kernel refuses the file";
	case -ENAMETOOLONG:
		return "the names are too long together";
	case -EACCES:
		return "the descriptor cannot be read and written";
	default:
		return strerror(-err);
	}
}

/* See that a file of a user does not grow. Returns 0 or -errno. */
static int seal_size(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	/* The kernel refuses others. */
	if (seals < 0 || (seals & F_SEAL_GROW))
		return 0;

	return fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) ? -errno : 0;
}

/* What is to be put, and is not there yet. */
struct added {
	unsigned int nr;
	unsigned long long bytes;
};

/* Why it cannot be put, or NULL. */
static const char *full(const struct request *request, const struct added *new)
{
	unsigned int at = 0, there = 0;
	uid_t uid = request->uid;

	while (next_item(uid, request->name, &at))
		there++;
	if (there + new->nr > MAX_FDS)
		return "a name can have no more than 64 files";
	if (nr_items + new->nr > MAX_FILES)
		return "the keeper can have no more files";
	if (!uid)
		return NULL;
	if (count_items(uid, false) + new->nr > limit)
		return "the user can have no more files: see --limit of luoctl keeper";
	if (count_items(0, true) + new->nr > MAX_FILES_OF_USERS)
		return "users other than root can have no more files";
	if (add_bytes(count_bytes(uid, false), new->bytes) > memory_of_user)
		return "the user can have no more memory: see --memory of luoctl keeper";
	if (add_bytes(count_bytes(0, true), new->bytes) > memory_of_users)
		return "users other than root can have no more memory: see --memory-of-all";

	return NULL;
}

/* Learn what a request to put files adds. Returns 0, or -errno after the reply. */
static int find_added(struct client *client, const struct request *request,
		      const struct message *msg, const char **names, struct added *new)
{
	unsigned int i;
	int err;

	*new = (struct added){};
	for (i = 0; i < msg->nr_fds; i++) {
		if (find_item(request->uid, request->name, names[i]))
			continue;
		err = request->uid ? seal_size(msg->fds[i]) : 0;
		if (err) {
			reply_error(client, err,
				    "%s of %s cannot be kept, as it can grow: make it with MFD_ALLOW_SEALING",
				    names[i], request->name);
			return err;
		}
		new->nr++;
		new->bytes = add_bytes(new->bytes, bytes_of_file(msg->fds[i]));
	}

	return 0;
}

/* Keep files, all or none. Returns 0, or -errno and the name of the one that cannot be. */
static int put_all(const struct request *request, struct message *msg, const char **names,
		   unsigned int nr, const char **failed)
{
	struct item *added[MAX_FDS];
	unsigned int i, nr_added = 0;
	int ret = 0;

	for (i = 0; i < nr && ret >= 0; i++) {
		*failed = names[i];
		ret = put_item(request->uid, request->name, names[i], msg->fds[i]);
		if (ret)
			continue;
		/* It is the item's now. */
		msg->fds[i] = -1;
		added[nr_added++] = find_item(request->uid, request->name, names[i]);
	}
	if (ret < 0)
		drop_items(added, nr_added);

	return ret < 0 ? ret : 0;
}

static void handle_put(struct client *client, struct message *msg)
{
	const char *names[MAX_FDS], *name, *why;
	struct request request;
	unsigned int nr = 0;
	struct added new;
	int err;

	if (!parse_request(client, msg, &request))
		return;

	while (nr < msg->nr_fds && (name = message_next(msg))) {
		if (!is_valid_name(name)) {
			reply_error(client, -EINVAL, "%s: a file of it has no valid name",
				    request.name);
			return;
		}
		names[nr++] = name;
	}
	if (!nr || nr < msg->nr_fds || message_next(msg)) {
		reply_error(client, -EINVAL, "%s: not as many names as files", request.name);
		return;
	}
	if (find_added(client, &request, msg, names, &new))
		return;
	why = full(&request, &new);
	if (why) {
		reply_error(client, -EDQUOT, "%s: %s", request.name, why);
		return;
	}

	err = put_all(&request, msg, names, nr, &name);
	if (err) {
		reply_error(client, err, "%s of %s cannot be kept: %s", name, request.name,
			    explain(err));
		return;
	}

	keeper_log(LOG_INFO, "%s of user %u: %u files are put by process %d", request.name,
		   request.uid, nr, client->pid);
	reply_done(client);
}

static void handle_drop(struct client *client, struct message *msg)
{
	struct item *dropped[MAX_FDS];
	struct request request;
	const char *fdname;
	unsigned int i, nr = 0, at = 0;
	struct item *item;
	int err;

	if (!parse_request(client, msg, &request))
		return;

	fdname = message_next(msg);
	if (!fdname) {
		while (nr < MAX_FDS && (item = next_item(request.uid, request.name, &at)))
			dropped[nr++] = item;
	}
	for (; fdname && nr < MAX_FDS; fdname = message_next(msg)) {
		item = find_item(request.uid, request.name, fdname);
		for (i = 0; item && i < nr; i++) {
			if (dropped[i] == item)
				item = NULL;
		}
		if (!item) {
			reply_error(client, -ENOENT, "nothing is kept as %s of %s", fdname,
				    request.name);
			return;
		}
		dropped[nr++] = item;
	}
	if (!nr) {
		reply_error(client, -ENOENT, "nothing is kept as %s", request.name);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (dropped[i]->unfinished) {
			reply_error(client, -EBUSY,
				    "%s of %s is not taken over from the previous kernel: to give it up, luoctl drop %s%s",
				    dropped[i]->fdname, request.name, SESSION_PREFIX,
				    dropped[i]->key);
			return;
		}
	}

	err = drop_items(dropped, nr);
	if (err) {
		reply_error(client, err, "a file of %s cannot be given up for good: %s",
			    request.name, strerror(-err));
		return;
	}
	keeper_log(LOG_INFO, "%s of user %u: %u files are dropped by process %d", request.name,
		   request.uid, nr, client->pid);
	reply_done(client);
}

static const char *state_of(const struct item *item)
{
	if (item->lost)
		return "lost";
	if (item->fd < 0)
		return "missing";
	return item->session < 0 || item->unfinished ? "unprotected" : "kept";
}

static void handle_confine(struct client *client)
{
	if (!client->has_claim) {
		reply_error(client, -EINVAL, "a connection that has claimed nothing");
		return;
	}

	client->confined = true;
	reply_done(client);
}

static void handle_list(struct client *client)
{
	int fd = memfd_create("luo-keeper-list", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	FILE *list = fd < 0 ? NULL : fdopen(fd, "w");
	struct message out;
	unsigned int i;
	struct stat st;

	if (!list) {
		reply_error(client, -errno, "list: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return;
	}

	for (i = 0; i < nr_items; i++) {
		const struct item *item = items[i];

		if (client->uid && item->uid != client->uid)
			continue;
		if (client->confined &&
		    (item->uid != client->claim_uid || strcmp(item->name, client->claim)))
			continue;
		st.st_size = 0;
		if (item->fd >= 0 && fstat(item->fd, &st))
			st.st_size = 0;
		fprintf(list, "%u %s %s %lld %s %d\n", item->uid, item->name, item->fdname,
			(long long)st.st_size, state_of(item), -item->err);
	}
	message_begin(&out);
	message_add(&out, "0");
	message_add_fd(&out, fd);
	if (fflush(list))
		reply_error(client, -errno, "list: %s", strerror(errno));
	else
		reply(client, &out);
	fclose(list);
}

static bool wait_for(int fd, int ms)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };
	int ret;

	do {
		ret = poll(&ready, 1, ms);
	} while (ret < 0 && errno == EINTR);

	return ret > 0;
}

static int send_item(int sock, const struct item *item)
{
	struct message msg;

	message_begin(&msg);
	message_add(&msg, "0");
	if (item->fd >= 0) {
		message_add(&msg, item->key);
		message_add_fd(&msg, item->fd);
	}
	if (item->session >= 0) {
		message_add(&msg, "");
		message_add_fd(&msg, item->session);
	}

	/* What has neither is in a session of the previous kernel only. */
	return msg.nr_fds ? message_send(sock, &msg, 0) : 0;
}

static int send_claim(int sock, const struct client *client)
{
	char text[LUO_NAME_SIZE + 16];
	struct message msg;

	if (!client->has_claim || client->closed)
		return 0;

	snprintf(text, sizeof(text), "%c%u/%s", client->confined ? CONFINED_MARK : CLAIM_MARK,
		 client->claim_uid, client->claim);
	message_begin(&msg);
	message_add(&msg, "0");
	message_add(&msg, text);
	message_add_fd(&msg, client->sock);
	return message_send(sock, &msg, 0);
}

/* Whether a packet has come from the other keeper that is this word. */
static bool receive_word(int sock, const char *word)
{
	struct message msg;
	const char *got;
	unsigned int i;
	int err = message_receive(sock, &msg, MSG_DONTWAIT);

	for (i = 0; i < msg.nr_fds; i++)
		close_foreign(msg.fds[i], 0);
	got = err ? NULL : message_next(&msg);
	return got && !strcmp(got, word) && !message_next(&msg);
}

static int send_word(int sock, const char *word)
{
	struct message msg;

	message_begin(&msg);
	message_add(&msg, word);
	return message_send(sock, &msg, MSG_DONTWAIT);
}

/*
 * Pass everything on to a new keeper: the lock, the socket that clients connect to, then the
 * files, and the connections that have claimed some. At any time there is one keeper that has
 * all of them. The new one says "done" when it has; this one says "bye", changes nothing from
 * then on, and exits. If either word does not arrive, the new one has closed the connection or
 * sees it closed: it exits, and this one goes on.
 */
static void handle_replace(struct client *client)
{
	/* A root's program that does not read what it has asked for is not waited for long. */
	const struct timeval wait = { .tv_sec = REPLACE_MS / 1000 };
	int sock = client->sock, pidfd, err;
	struct message msg;
	unsigned int i;

	if (client->uid || client->confined) {
		reply_error(client, -EPERM, "only root can replace the keeper");
		return;
	}
	/* The socket tells the new keeper which process has begun to listen, maybe another one. */
	pidfd = syscall(SYS_pidfd_open, getpid(), 0);
	if (pidfd < 0) {
		reply_error(client, -errno, "pidfd_open(): %s", strerror(errno));
		return;
	}

	fcntl(sock, F_SETFL, 0);
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	message_begin(&msg);
	message_add(&msg, "0");
	message_add_fd(&msg, lock);
	message_add_fd(&msg, listener);
	message_add_fd(&msg, pidfd);
	err = message_send(sock, &msg, 0);
	close(pidfd);
	for (i = 0; !err && i < nr_items; i++)
		err = send_item(sock, items[i]);
	for (i = 0; !err && i < nr_clients; i++)
		err = send_claim(sock, &clients[i]);
	message_begin(&msg);
	message_add(&msg, "0");
	message_add(&msg, "end");
	if (!err)
		err = message_send(sock, &msg, 0);

	if (!err && wait_for(sock, REPLACE_MS) && receive_word(sock, "done") &&
	    !send_word(sock, "bye")) {
		keeper_log(LOG_INFO, "replaced by process %d", client->pid);
		exit(EXIT_OK);
	}

	keeper_log(LOG_ERR, "process %d has not replaced this keeper", client->pid);
	client->closed = true;
}

static void handle_request(struct client *client, struct message *msg)
{
	const char *protocol = message_next(msg), *verb = message_next(msg);

	if (!verb || strcmp(protocol, KEEPER_PROTOCOL))
		reply_error(client, -EPROTO, "a request that is none of " KEEPER_PROTOCOL);
	else if (!strcmp(verb, "claim"))
		handle_get(client, msg, true);
	else if (!strcmp(verb, "get"))
		handle_get(client, msg, false);
	else if (!strcmp(verb, "put"))
		handle_put(client, msg);
	else if (!strcmp(verb, "drop"))
		handle_drop(client, msg);
	else if (!strcmp(verb, "confine"))
		handle_confine(client);
	else if (!strcmp(verb, "list"))
		handle_list(client);
	else if (!strcmp(verb, "replace"))
		handle_replace(client);
	else
		reply_error(client, -EOPNOTSUPP, "a request that this keeper does not know");
}

static void serve(struct client *client)
{
	struct message msg;
	unsigned int i;
	int err;

	/* One that was marked in this round, or that may send files that nobody can close. */
	if (client->closed || has_too_many_closing(client->uid)) {
		client->closed = true;
		return;
	}

	err = message_receive(client->sock, &msg, MSG_DONTWAIT);
	if (err == -EAGAIN)
		return;
	if (!err)
		handle_request(client, &msg);
	else if (err == -EBADMSG)
		reply_error(client, err, "a packet that is no request, or is too long");
	else
		client->closed = true;

	for (i = 0; i < msg.nr_fds; i++) {
		if (msg.fds[i] >= 0)
			close_foreign(msg.fds[i], client->uid);
	}
}

static void remove_closed(void)
{
	unsigned int i, nr = 0;

	for (i = 0; i < nr_clients; i++) {
		if (clients[i].closed)
			close_connection(clients[i].sock, clients[i].uid);
		else
			clients[nr++] = clients[i];
	}
	nr_clients = nr;
}

static unsigned int count_clients(uid_t uid)
{
	unsigned int i, nr = 0;

	for (i = 0; i < nr_clients; i++)
		nr += clients[i].uid == uid;

	return nr;
}

/* The user other than root who has most connections. */
static uid_t busiest_user(void)
{
	unsigned int i, nr, most = 0;
	uid_t uid = 0;

	for (i = 0; i < nr_clients; i++) {
		nr = clients[i].uid ? count_clients(clients[i].uid) : 0;
		if (nr > most) {
			most = nr;
			uid = clients[i].uid;
		}
	}

	return uid;
}

/* Close the oldest connection of a user that has claimed nothing. Returns whether there is one. */
static bool close_idle(uid_t uid)
{
	unsigned int i;

	for (i = 0; i < nr_clients; i++) {
		if (clients[i].uid == uid && !clients[i].has_claim) {
			clients[i].closed = true;
			remove_closed();
			return true;
		}
	}

	return false;
}

/*
 * Have room for one more connection of a user. Those who hang, or only fill the table, harm none
 * but themselves, and root has places of its own.
 */
static bool make_room(uid_t uid)
{
	if (uid && count_clients(uid) >= MAX_OF_USER)
		return close_idle(uid);
	if (uid && nr_clients - count_clients(0) >= MAX_OF_USERS)
		return close_idle(busiest_user());
	if (nr_clients == MAX_CLIENTS)
		return close_idle(uid);
	return true;
}

/* Add a connection. Returns NULL, and closes it, if there are too many. */
static struct client *add_client(int sock)
{
	socklen_t len = sizeof(struct ucred);
	struct client *client;
	struct ucred peer;

	if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		close_connection(sock, 0);
		return NULL;
	}
	if (has_too_many_closing(peer.uid) || !make_room(peer.uid)) {
		close_connection(sock, peer.uid);
		return NULL;
	}

	client = &clients[nr_clients++];
	memset(client, 0, sizeof(*client));
	client->sock = sock;
	client->uid = peer.uid;
	client->pid = peer.pid;
	return client;
}

static void accept_clients(void)
{
	int sock = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (sock >= 0)
		add_client(sock);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM)
		/* Not again at once, as it is still there. */
		usleep(100000);
}

/* A signal asks it to end. Something would be lost if it did while it keeps something. */
static void end_if_empty(void)
{
	struct signalfd_siginfo info;

	if (read(signals, &info, sizeof(info)) != sizeof(info))
		return;
	if (!nr_items) {
		notify("STOPPING=1");
		exit(EXIT_OK);
	}
	keeper_log(LOG_WARNING, "does not end by this signal, as files are kept");
}

static _Noreturn void run(void)
{
	static struct pollfd polled[MAX_CLIENTS + 2];
	long long retry_at = now_ms() + RETRY_MS;

	while (1) {
		unsigned int i, nr = nr_clients;
		bool left = is_take_over_left();

		polled[0] = (struct pollfd){ .fd = listener, .events = POLLIN };
		polled[1] = (struct pollfd){ .fd = signals, .events = POLLIN };
		for (i = 0; i < nr; i++)
			polled[i + 2] = (struct pollfd){ .fd = clients[i].sock, .events = POLLIN };
		if (poll(polled, nr + 2, left ? 1000 : -1) < 0) {
			/* There is no memory for the moment. */
			if (errno != EINTR)
				sleep(1);
			continue;
		}

		for (i = 0; i < nr; i++) {
			if (polled[i + 2].revents)
				serve(&clients[i]);
		}
		if (polled[1].revents)
			end_if_empty();
		if (polled[0].revents)
			accept_clients();
		remove_closed();
		if (left && now_ms() >= retry_at) {
			take_over(false);
			retry_at = now_ms() + RETRY_MS;
		}
	}
}

/* A socket at @path, where there may be one that a keeper has left. */
static int listen_at(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int sock;

	if (strlen(path) >= sizeof(address.sun_path))
		fail(EXIT_FAILED, ENAMETOOLONG, "%s", printable(path));

	memcpy(address.sun_path, path, strlen(path) + 1);
	sock = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(path);
	/* What a user can do is decided by who it is. */
	if (sock < 0 || bind(sock, (struct sockaddr *)&address, sizeof(address)) ||
	    chmod(path, 0666) || listen(sock, SOMAXCONN))
		fail(EXIT_FAILED, errno, "%s", printable(path));
	return sock;
}

static void add_claim(int sock, const char *text, bool confined)
{
	struct client *client = add_client(sock);
	const char *slash = strchr(text, '/');

	if (!client || !slash)
		return;

	client->claim_uid = strtoul(text, NULL, 10);
	snprintf(client->claim, sizeof(client->claim), "%s", slash + 1);
	client->has_claim = true;
	client->confined = confined;
}

static void add_replaced(struct message *msg)
{
	unsigned int i;
	const char *key;

	for (i = 0; i < msg->nr_fds; i++) {
		key = message_next(msg);
		if (!key)
			close(msg->fds[i]);
		else if (*key == CLAIM_MARK || *key == CONFINED_MARK)
			add_claim(msg->fds[i], key + 1, *key == CONFINED_MARK);
		else if (*key)
			add_kept_fd(msg->fds[i], key);
		else
			add_kept_session(msg->fds[i]);
	}
}

/*
 * Wait until the keeper before this one has said "bye", or is dead. If it says something else,
 * or nothing, it goes on. It cannot say it any more when this has returned.
 */
static bool is_handed_over(int sock, int pidfd)
{
	struct pollfd ready[] = {
		{ .fd = sock, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN },
	};
	int nr;

	do {
		nr = poll(ready, 2, REPLACE_MS);
	} while (nr < 0 && errno == EINTR);

	/* What was said before can still be read. */
	shutdown(sock, SHUT_RDWR);
	if (receive_word(sock, "bye"))
		return true;
	/* One that dies closes the connection first. */
	return wait_for(pidfd, nr > 0 ? 1000 : 0);
}

/* Take everything over from the keeper that runs. False if it is gone, or going. */
static bool replace(const char *path)
{
	int sock = keeper_connect(path), pidfd, err;
	struct message msg;
	const char *word;

	if (sock < 0)
		return false;

	message_begin(&msg);
	message_add(&msg, KEEPER_PROTOCOL);
	message_add(&msg, "replace");
	err = message_send(sock, &msg, 0);
	if (!err && !wait_for(sock, REPLACE_MS))
		fail(EXIT_FAILED, 0,
		     "there is a keeper that does not answer: nothing was changed");
	if (!err)
		err = message_receive(sock, &msg, 0);
	if (err) {
		close(sock);
		return false;
	}
	if (msg.nr_fds != 3) {
		message_next(&msg);
		word = message_next(&msg);
		fail(EXIT_FAILED, 0, "the keeper that runs cannot be replaced: %s",
		     word ? word : "it does not say why");
	}

	/* As the lock is that of the file, it is held by both. */
	close(lock);
	lock = msg.fds[0];
	listener = msg.fds[1];
	pidfd = msg.fds[2];
	do {
		if (!wait_for(sock, REPLACE_MS) || message_receive(sock, &msg, 0))
			fail(EXIT_FAILED, 0,
			     "the keeper that runs has not passed on all: it still has it");
		message_next(&msg);
		if (!msg.nr_fds) {
			word = message_next(&msg);
			break;
		}
		add_replaced(&msg);
	} while (1);
	if (!word || strcmp(word, "end"))
		fail(EXIT_FAILED, 0, "the keeper that runs has not passed on all: it still has it");

	if (send_word(sock, "done") || !is_handed_over(sock, pidfd))
		fail(EXIT_FAILED, 0, "the keeper that runs does not end: it still has all");
	/* It must not hold what is dropped from now on. */
	if (!wait_for(pidfd, REPLACE_MS)) {
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		wait_for(pidfd, REPLACE_MS);
	}
	close(pidfd);
	close(sock);
	return true;
}

/* Be the one keeper: the first, or the one that replaces it. */
static void become_keeper(const char *path)
{
	char *lock_path;
	int tries;

	if (asprintf(&lock_path, "%s.lock", path) < 0)
		fail(EXIT_FAILED, ENOMEM, "%s", printable(path));

	for (tries = 0; tries < 100; tries++) {
		lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		if (lock < 0)
			fail(EXIT_FAILED, errno, "%s", printable(lock_path));
		if (!flock(lock, LOCK_EX | LOCK_NB)) {
			listener = listen_at(path);
			free(lock_path);
			return;
		}
		if (replace(path)) {
			free(lock_path);
			return;
		}
		/* It has not begun to listen yet, or ends. */
		close(lock);
		usleep(100000);
	}

	fail(EXIT_FAILED, 0, "there is a keeper, and it cannot be reached");
}

static void handle_signals(void)
{
	sigset_t taken;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGINT);
	sigprocmask(SIG_BLOCK, &taken, NULL);
	signals = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signals < 0)
		fail(EXIT_FAILED, errno, "signals");
}

static unsigned long long all_memory(void)
{
	long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);

	return pages > 0 && size > 0 ? (unsigned long long)pages * size : 0;
}

static int cmd_keeper(int argc, char **argv)
{
	static const struct option options[] = {
		{ "limit", required_argument, NULL, 'l' },
		{ "memory", required_argument, NULL, 'm' },
		{ "memory-of-all", required_argument, NULL, 'a' },
		{}
	};
	const char *path = keeper_socket();
	char *dropped, *end;
	int option, device;

	memory_of_user = all_memory() / DEFAULT_PART_OF_USER;
	memory_of_users = all_memory() / DEFAULT_PART_OF_USERS;
	while ((option = next_option(argc, argv, options)) != -1) {
		if (option == 'l') {
			limit = strtoul(optarg, &end, 10);
			if (!*optarg || *end)
				fail_usage();
		} else {
			const char *rest = parse_size(optarg, option == 'm' ? &memory_of_user :
								       &memory_of_users);

			if (!rest || *rest)
				fail_usage();
		}
	}
	if (optind != argc)
		fail_usage();
	log_as("luo-keeper");
	device = luo_open();
	/* To be in use it has to be there. */
	if (device < 0 && device != -EBUSY)
		device = need_device();
	if (device >= 0)
		close(device);

	move_to_memory(argc, argv);
	/* Other commands of luoctl know that it has the device open for a moment only. */
	prctl(PR_SET_NAME, "luoctl");
	clients = calloc(MAX_CLIENTS, sizeof(*clients));
	if (!clients)
		fail(EXIT_FAILED, ENOMEM, "clients");
	raise_limits();
	handle_signals();
	notify_open();
	if (!strcmp(path, KEEPER_SOCKET) && mkdir(KEEPER_DIR, 0755) && errno != EEXIST)
		fail(EXIT_FAILED, errno, KEEPER_DIR);

	if (asprintf(&dropped, "%s" KEEPER_DROPPED, path) < 0)
		fail(EXIT_FAILED, ENOMEM, "%s", printable(path));
	remember_dropped_at(dropped);

	/* The first: a keeper that runs may have newer ones. */
	add_stored();
	become_keeper(path);
	settle_kept();
	take_over(true);
	leave_file_systems();
	notify("READY=1");
	keeper_log(LOG_INFO, "keeps %u files", nr_items);
	run();
}

const struct verb keeper_verb = {
	.name = "keeper",
	.usage = "[--limit N] [--memory SIZE] [--memory-of-all SIZE]",
	.help =
	"Keep files of services over updates of the kernel, as a daemon. Takes over what the\n"
	"previous kernel has left, and what a keeper that runs has.\n"
	"\n"
	"  --limit N                   how many files each user but root can have kept,\n"
	"                              64 by default\n"
	"  --memory SIZE               how much memory each of them can have kept, such as 4G, an\n"
	"                              eighth of all by default\n"
	"  --memory-of-all SIZE        and all of them together, half of it by default\n",
	.run = cmd_keeper,
};
