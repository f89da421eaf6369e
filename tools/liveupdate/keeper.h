/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Definitions shared by the keeper and its clients.
 *
 * The keeper has one session for each file that it keeps. The name of the session says
 * what the file is, so that it is all that has to survive a kexec:
 *
 *	keeper/UID/NAME/FD
 *
 * UID owns the file, NAME is a set of files that belong together, and FD tells them apart.
 *
 * Clients use a SOCK_SEQPACKET socket. A request is one packet of strings, each with a NUL
 * at its end: KEEPER_PROTOCOL, a verb, and its arguments. So is the reply: an errno in
 * decimal, 0 for success. If there is an error, a text follows. Files are passed as
 * SCM_RIGHTS, in the order of their names.
 *
 *	claim UID NAME		make NAME this connection's until it is closed
 *				reply: the names of its files, which may be none; the files
 *				Files that come with it have locks, see below
 *	confine			from now on, have the connection ask only for what it has
 *				claimed, as it is passed to a program that need not ask
 *	get UID NAME		the same without a claim, and there must be files
 *	put UID NAME FD...	keep the files that come with the packet, all or none. One
 *				that is kept under this name already is no error: who has
 *				got no reply can ask again
 *	drop UID NAME [FD]...	give files up, or all of NAME
 *	list			reply: a memfd with a line for each file,
 *				"UID NAME FD SIZE STATE ERRNO"
 *	replace			pass everything on to a new keeper, and exit. When it has all
 *				of it, it says "done" instead of a request, and is its own
 *				after the reply "bye"
 *
 * UID is that of the client, unless it is root.
 *
 * A memfd that is locked with flock(2) is in use as well: a process that has opened it again
 * and locked it need not have a connection. If the keeper dies, and the same process claims
 * NAME again, it passes the files that it has locked, which shows that they are its own.
 *
 * A client whose connection ends before a reply has come does not know whether the request was
 * done. To ask again does no harm: to put a file twice is no error, and ENOENT says that what
 * is to be dropped is not there.
 */
#ifndef KEEPER_H
#define KEEPER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "luoctl.h"

#define KEEPER_PROTOCOL		"luo-keeper 1"
#define KEEPER_DIR		"/run/luo-keeper"
#define KEEPER_SOCKET		KEEPER_DIR "/socket"

/* Names the socket instead of KEEPER_SOCKET. */
#define KEEPER_ENV		"LUO_KEEPER"

/* Behind the path of the socket. */
#define KEEPER_DROPPED		".dropped"

#define SESSION_PREFIX		"keeper/"

/* Files of one NAME, and so files in a packet. */
#define MAX_FDS			64

/* As many as the kernel allows. One that has no room is closed by the kernel, which may wait. */
#define MAX_PACKET_FDS		253

/* Name of a session without its prefix: UID/NAME/FD. */
#define KEY_SIZE		(LUO_NAME_SIZE - sizeof(SESSION_PREFIX) + 1)

/* keeper-message.c */

struct message {
	char data[8192];
	size_t len;
	size_t at;		/* of the next string to read */
	int fds[MAX_PACKET_FDS];
	unsigned int nr_fds;
	bool overflow;		/* a string or a file did not fit */
};

void message_begin(struct message *msg);
void message_add(struct message *msg, const char *string);
void message_add_number(struct message *msg, long long number);
void message_add_fd(struct message *msg, int fd);

/* The next string, or NULL. */
const char *message_next(struct message *msg);

/* Returns 0 or -errno. The files are still open. */
int message_send(int sock, const struct message *msg, int flags);

/*
 * Returns 0 or -errno; -EPIPE at the end of the connection, and then there are no files.
 * After -EBADMSG, which is for a packet that is no message, there may be some.
 */
int message_receive(int sock, struct message *msg, int flags);

/* Whether @name can be NAME or FD. */
bool is_valid_name(const char *name);

/* Whether @text is a UID, and which. */
bool parse_uid(const char *text, uid_t *uid);

/* Path of the socket. */
const char *keeper_socket(void);

/* Returns a socket that is connected to it, or -errno. */
int keeper_connect(const char *path);

/* keeper-client.c */

/* A set of files that the keeper has handed out. */
struct kept {
	char *names[MAX_FDS];
	int fds[MAX_FDS];
	unsigned int nr;
};

/* Milliseconds, of a clock that only goes on. */
long long now_ms(void);

/* Connect to the keeper, or exit. */
int need_keeper(void);

/*
 * Send a request and wait for the reply. Returns 0 or -errno; the text of the error is
 * in @text then, which may be NULL.
 */
int keeper_call(int keeper, struct message *msg, char **text);

/* A request with KEEPER_PROTOCOL, the verb, UID and NAME. */
void keeper_request(struct message *msg, const char *verb, uid_t uid, const char *name);

/* Read the names and files of a reply to claim or get. */
void keeper_take_files(struct message *msg, struct kept *kept);

/* The file that is called so. Returns -1 if there is none. */
int kept_fd(const struct kept *kept, const char *name);

/* The arguments of a --memfd option, FD=SIZE[,huge=SIZE]. */
struct memory {
	char *name;
	unsigned long long size;
	unsigned long long huge;	/* 0: pages of any size */
};

/* Parse a size such as 4G. Returns where it ends, or NULL. */
const char *parse_size(const char *text, unsigned long long *size);

/* Returns false if it is malformed. */
bool parse_memory(const char *option, struct memory *memory);

/* Returns a new memfd, or -errno. */
int create_memory(const struct memory *memory);

/*
 * Claim NAME, see that all of @memory is among its files, with the right size, and create
 * and put what is not. Exits if that fails. Returns whether some of it was there before.
 */
bool claim_memory(int keeper, uid_t uid, const char *name, const struct memory *memory,
		  unsigned int nr, struct kept *kept);

/* keeper-notify.c */

/* Write a line to the log. @level is that of syslog(3). It never waits. */
void __printf(2, 3) keeper_log(int level, const char *format, ...);

/* Have the lines begin with this. */
void log_as(const char *name);

/* Learn where the service manager is told something. */
void notify_open(void);

/* Whether there is one. */
bool is_managed(void);

/* Tell it. Returns whether it was told. */
bool notify_with_fds(const char *text, const int *fds, unsigned int nr);
void notify(const char *text);

/* keeper-store.c */

/* Have @fds put into the fd store of the service manager, if there is one. */
void store_fds(const char *name, const int *fds, unsigned int nr);

/* Have what is called so removed from there. store_barrier() waits until that has begun. */
void unstore_fds(const char *name);
void store_barrier(void);

/* Files that the service manager has open, as far as that can be seen. */
struct stored {
	struct {
		dev_t dev;
		ino_t ino;
		unsigned int nr_before;	/* descriptors of it */
		unsigned int nr;
	} files[MAX_FDS];
	unsigned int nr;
};

/* Note a file, -1 for none. All are noted, then stored_begin() looks, and they are removed. */
void stored_add(struct stored *stored, int fd);
void stored_begin(struct stored *stored);

/* Whether one is still open that was to be removed. */
bool stored_left(struct stored *stored);

/* Add what the service manager has given back to the files that are kept. */
void add_stored(void);

/* keeper-items.c */

/* A file that is kept, or that could not be taken over yet. */
struct item {
	uid_t uid;
	const char *name;
	const char *fdname;
	char key[KEY_SIZE];	/* UID/NAME/FD */
	char buffer[KEY_SIZE];	/* of name and fdname */
	int fd;			/* -1 if it is not there yet */
	unsigned long long bytes;	/* of memory that it can have */
	int session;		/* that is for the next kernel, or -1 */
	int err;		/* why it is not */
	bool unfinished;	/* the session of the previous kernel is left to finish */
	bool lost;		/* it was damaged: there is no file, and never will be */
};

extern struct item **items;
extern unsigned int nr_items;

/*
 * Take over what the previous kernel has left. Can be called again. Unless @patient, it does
 * not wait for another program that has the device open.
 */
void take_over(bool patient);

/* Whether something is left to be taken over. */
bool is_take_over_left(void);

/*
 * Whether all sessions of the previous kernel are known. If not, some files of a NAME may be
 * known and others not, and nobody must take the others for files that are not there.
 */
bool is_list_known(void);

/* Files that the service manager or another keeper has kept. Takes ownership of @fd. */
void add_kept_fd(int fd, const char *key);
void add_kept_session(int session);

/* When all of those are known: have the service manager keep them, and say what is missing. */
void settle_kept(void);

/* Visit the files of NAME: start with @at 0. */
struct item *next_item(uid_t uid, const char *name, unsigned int *at);

struct item *find_item(uid_t uid, const char *name, const char *fdname);

/*
 * Keep a file. Returns 0, and takes ownership of @fd; 1 if this file is kept under this name
 * already; or -errno.
 */
int put_item(uid_t uid, const char *name, const char *fdname, int fd);

/*
 * Forget up to MAX_FDS of them, and what the kernel keeps for them. Their memory is free then,
 * unless something other than the keeper has it. Returns 0, or -errno if a lost file would come
 * back; then all are still there.
 */
int drop_items(struct item **dropped, unsigned int nr);

/* Where to remember which lost files were given up. @path is not copied. */
void remember_dropped_at(const char *path);

/* Whether two descriptors are of the same file, if maybe not of the same open one. */
bool is_same_file(int a, int b);

/* How many files and bytes of @uid there are, or of all users but root. */
unsigned int count_items(uid_t uid, bool all_but_root);
unsigned long long count_bytes(uid_t uid, bool all_but_root);

/* What an open file takes, if it cannot grow. */
unsigned long long bytes_of_file(int fd);

/* keeper-process.c */

/*
 * Go on as a copy in memory, under a name that begins with an @. If there is none, go on as
 * it is: then systemd may not be able to unmount a file system.
 */
void move_to_memory(int argc, char **argv);

/* Have nothing of a file system open, if that can be. */
void leave_file_systems(void);

/* Let as many files be open as may be. */
void raise_limits(void);

/* keeper-close.c */

/* Close a file of a client, which may be of a kind that makes close() wait. */
void close_foreign(int fd, uid_t uid);

/* Close a connection with what was sent and not read. */
void close_connection(int sock, uid_t uid);

/* Whether a user has so many files that closing waits for that no more are accepted. */
bool has_too_many_closing(uid_t uid);

#endif /* KEEPER_H */
