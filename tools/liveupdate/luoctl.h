/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the commands of luoctl share.
 */
#ifndef LUOCTL_H
#define LUOCTL_H

#include <stdbool.h>
#include <stdio.h>

/* What luoctl exits with. */
enum {
	EXIT_OK,
	EXIT_FAILED,	/* and nothing was changed by it */
	EXIT_USAGE,
	EXIT_NO_KERNEL,	/* there is no live update in this kernel, or it is off */
};

extern bool json;

/* Print why, and exit. @err is an errno, or 0. */
_Noreturn void fail(int status, int err, const char *format, ...);

/* A string in quotes, whatever is in it. */
void print_json_string(FILE *to, const char *string);

/* The device, or exit. Only one program can have it. */
int need_device(void);

/* Who has it, in words. */
const char *device_holders(void);

/* Exit when there is no live update, whoever has the device. */
void need_live_update(void);

#define LUO_DIR	"/sys/kernel/debug/liveupdate/"

/* A session in a list of debugfs. */
struct listed {
	char *name;		/* as it is there; see unescape() */
	unsigned long files;
	unsigned long retrieved;
	char state[32];		/* empty for one that is for the next kernel */
};

/* Parse a line of such a list, which becomes part of @session. */
bool parse_listed(char *line, struct listed *session);

/* The kernel writes characters that cannot be printed, and backslashes, as "\012". */
void unescape(char *string);

/* Exit when there are sessions of the previous kernel that a kexec would lose. */
void check_unfinished(void);

/* Give all of those up, or exit. */
void discard_sessions(void);

int cmd_drop(int argc, char **argv);
int cmd_status(int argc, char **argv);
int cmd_save(int argc, char **argv);
int cmd_restore(int argc, char **argv);
int cmd_kexec(int argc, char **argv);

#endif /* LUOCTL_H */
