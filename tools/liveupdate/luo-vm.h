/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internal definitions of luo-vm.
 */
#ifndef LUO_VM_H
#define LUO_VM_H

#include <stdbool.h>
#include <stddef.h>

/* luo-vm-qmp.c: QEMU's monitor, see qemu-qmp-ref(7) */

struct qmp {
	int sock;
	unsigned int nr_commands;
	char *reply;		/* that of the last command */
	char *buffer;		/* what was received and is no whole line yet */
	size_t len;
};

/* Read the greeting, and begin. Returns 0 or -errno. */
int qmp_begin(struct qmp *qmp, int sock);

/*
 * Run a command, "NAME" or "NAME", "arguments": {...}. Returns 0; -EPROTO if QEMU says that
 * it has failed, and qmp->reply has its words; -EPIPE if there is no QEMU any more;
 * -ETIMEDOUT if it does not answer.
 */
int qmp_command(struct qmp *qmp, const char *command);

/* Read and forget events. Returns -EPIPE at the end. */
int qmp_drain(struct qmp *qmp);

/* Copy the value of a string in the last reply. Returns false if there is none. */
bool qmp_string(const struct qmp *qmp, const char *key, char *value, size_t size);

/*
 * Wait until a migration in either direction ends. Returns 0, or as qmp_command(); -ETIMEDOUT
 * also if it does not end.
 */
int qmp_wait_migrated(struct qmp *qmp);

/* Cancel a migration that may go on, and wait for that, for as long as QEMU answers. */
void qmp_cancel_migration(struct qmp *qmp);

#endif /* LUO_VM_H */
