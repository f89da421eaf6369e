/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection: have a certain allocation of this thread fail.
 */
#ifndef _SELFTESTS_LIVEUPDATE_LUO_FAULTS_H
#define _SELFTESTS_LIVEUPDATE_LUO_FAULTS_H

#include <stdbool.h>

#include "luo.h"

static inline int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), rc;

	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* Have the @nr-th allocation fail from now on, or no one more when it is 0. */
static inline void fail_nth(int fd, int nr)
{
	char text[16];

	sprintf(text, "%d", nr);
	pwrite(fd, text, strlen(text), 0);
}

/* Whether there were so many, and one has failed. */
static inline bool has_failed(int fd)
{
	char text[16] = "";

	pread(fd, text, sizeof(text) - 1, 0);
	return !atoi(text);
}

/* Let any allocation fail, without a word. 0 or -errno. */
static inline int prepare_faults(void)
{
	return write_text("/sys/kernel/debug/failslab/verbose", "0") ?:
	       write_text("/sys/kernel/debug/failslab/ignore-gfp-wait", "N") ?:
	       write_text("/sys/kernel/debug/fail_page_alloc/verbose", "0") ?:
	       write_text("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N") ?:
	       write_text("/sys/kernel/debug/fail_page_alloc/min-order", "0");
}

#endif /* _SELFTESTS_LIVEUPDATE_LUO_FAULTS_H */
