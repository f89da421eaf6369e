/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal definitions shared by the source files of luoctl.
 */
#ifndef LUOCTL_H
#define LUOCTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "libluo.h"

#define __printf(format, first)	__attribute__((__format__(printf, format, first)))

/* Exit statuses. The manual page explains them. */
enum {
	EXIT_OK,
	EXIT_FAILED,	/* and nothing was changed by it */
	EXIT_USAGE,
	EXIT_NO_KERNEL,	/* there is no live update in this kernel, or it is off */
};

/**
 * struct verb - a command of luoctl
 * @name: first word of the command line
 * @usage: the words that follow it
 * @help: text for --help
 * @run: the command; its arguments begin with the name. Returns an exit status
 */
struct verb {
	const char *name;
	const char *usage;
	const char *help;
	int (*run)(int argc, char **argv);
};

extern const struct verb status_verb, list_verb, check_verb, map_verb, save_verb,
	restore_verb, drop_verb, unclaimed_verb, kexec_verb, keeper_verb, run_verb, put_verb;

/* luoctl.c */

/* --json was given. */
extern bool json;

/*
 * Parse options. @own are those of the verb, or NULL. --json and --help are dealt with here;
 * others are returned as getopt_long() does, -1 at the end. A wrong one ends luoctl.
 */
int next_option(int argc, char **argv, const struct option *own);

/* Parse the options of a verb that has none of its own, and count the arguments. */
void only_arguments(int argc, char **argv, int min, int max);

/* Print how the verb is used, and exit. */
_Noreturn void fail_usage(void);

/* Print a reason, and exit. @err is an errno, or 0. */
_Noreturn void __printf(3, 4) fail(int status, int err, const char *format, ...);

/* Open the device, or exit. Only one program can have it open. */
int need_device(void);

/* Exit if there is no live update. The device may be in use. */
void need_live_update(void);

/* Have SIGHUP, SIGINT, SIGQUIT and SIGTERM wait, unless they are ignored. */
void hold_signals(void);

/* Undo hold_signals(): a signal that has come meanwhile ends luoctl now. */
void release_signals(void);

/* Whether one of the signals that wait has come. */
bool is_interrupted(void);

/* luoctl-output.c */

/* A word for a number: @one for 1, else @many. */
const char *plural(unsigned long long nr, const char *one, const char *many);

/* Bytes for people, such as "3.5 MiB". Valid until the eighth call from now on. */
const char *human(unsigned long long bytes);

/*
 * A string as it can go to a terminal: what is no printable UTF-8 comes as a backslash
 * and three octal digits. Valid until the eighth call from now on.
 */
const char *printable(const char *string);

/* Undo the escapes of the kernel: a backslash and three octal digits. */
void unescape(char *string);

/*
 * Build the one JSON value that luoctl prints. @key is NULL inside of an array. Nothing
 * is printed before json_print(), so that an error can be an object of its own.
 */
void json_open(const char *key, char bracket);
void json_close(void);
void json_string(const char *key, const char *value);
void json_number(const char *key, long long value);
void json_bool(const char *key, bool value);
void json_print(void);
void json_discard(void);

/* "name" or @key, and if it is not UTF-8 in addition the same with "_hex" behind it. */
void json_name(const char *key, const char *name);

/* Show how far something is that takes long, on a terminal. @total may be 0. */
void progress_begin(const char *what, unsigned long long total);
void progress(unsigned long long done);
void progress_end(void);

/* luoctl-sysfs.c */

#define KHO_DIR	"/sys/kernel/kho/"
/* Tests have another one. */
#ifndef LUO_DIR
#define LUO_DIR	"/sys/kernel/liveupdate/"
#endif

/* Read a number from sysfs. Returns -1 if the file is not there. */
long long sysfs_number(const char *path);

/*
 * Whether the image that is loaded is "none", or carries a "handover", or is a "plain" one
 * without. False if the kernel does not tell.
 */
bool is_image(const char *kind);

/* A file of a session. */
struct listed_file {
	uint64_t token;
	long long size;		/* -1 if the kernel does not know it */
	char state[16];		/* empty for a file that is for the next kernel */
	const char *kind;
};

/*
 * A session. Its state is "busy" while it changes, and then files may be missing. Else it is
 * empty for a session that is for the next kernel.
 */
struct listed {
	char *name;
	bool incoming;
	unsigned long nr_files;
	unsigned long nr_retrieved;
	char state[16];
	unsigned long long bytes;	/* of the files whose size is known */
	struct listed_file *files;
	size_t nr_listed;
	bool survives;		/* a shutdown by systemd; set by luoctl check */
};

struct session_list {
	struct listed *sessions;
	size_t nr;
	bool incoming;
};

/*
 * Read the sessions of one side. Returns false, with errno set, if the kernel does not
 * list them for us; EBADMSG if the list cannot be understood. There is nothing to free then.
 */
bool read_sessions(bool incoming, struct session_list *list);

/* Free the list. */
void forget_sessions(struct session_list *list);

/* Add sizes. A sum that is too large for JSON and strtoll() becomes LLONG_MAX. */
unsigned long long add_bytes(unsigned long long a, unsigned long long b);

/* Whether a process has a session of the previous kernel. */
bool is_in_use(const struct listed *session);

/* Whether a kexec would lose a session of the previous kernel. */
bool is_unfinished(const struct listed *session);

/* luoctl-holders.c */

/* Name the processes that have a session open, or the device if @name is NULL. */
const char *holders(const char *name, bool incoming);

/* Call @found for each session for the next kernel of a process that systemd does not end. */
void visit_survivors(void *data, void (*found)(void *data, const char *name));

/* luoctl-drop.c */

/* Exit if there are sessions of the previous kernel that a kexec would lose. */
void check_unfinished(void);

/* Give all of those up, or exit. */
void discard_sessions(void);

/* luoctl-kept.c */

/* List what the keeper keeps, or what is called @name. Returns an exit status. */
int list_kept(const char *name);

/* Give up files of @name, all if there are no names in @fds. Returns an exit status. */
int drop_kept(uid_t uid, const char *name, char **fds);

/* luoctl-status.c */
void print_status(void);

/* luoctl-check.c */

/* A kernel that is to be loaded. */
struct image {
	const char *kernel;
	const char *initrd;
	const char *cmdline;
	bool reused;		/* @cmdline is that of this kernel */
};

/* Handle one of the options --initrd, --reuse-cmdline and --command-line. */
void image_option(struct image *image, int option);

/* Name what is wrong with the command line of the next kernel. NULL if nothing is. */
const char *check_cmdline(const struct image *image);

/*
 * Wait until no other luoctl has the device, and open it, so that luoctl check loads and
 * unloads no kernel meanwhile. Returns -errno if another program has the device.
 */
int exclude_check(void);

/* Load it. Returns 0 or an errno. */
int load_image(const struct image *image);

#endif /* LUOCTL_H */
