/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Fault injection: have a certain allocation of this thread fail.
 */
#ifndef _SELFTESTS_LIVEUPDATE_LUO_FAULTS_H
#define _SELFTESTS_LIVEUPDATE_LUO_FAULTS_H

#include <stdbool.h>

#include "luo.h"

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

#define FAILSLAB	"/sys/kernel/debug/failslab/"

/*
 * Have all slab allocations of this process fail when they have got so many bytes, or
 * none if it is negative: some are tried again in another way. Dies if that cannot be.
 */
static inline void fail_after_bytes(long bytes)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/proc/self/make-it-fail", O_RDWR);
	/* Nothing that follows must have to be allocated. */
	if (pwrite(fd, "0", 1, 0) == 1 &&
	    (bytes < 0 || (!write_number(FAILSLAB "space", bytes) &&
			   !write_number(FAILSLAB "times", -1) &&
			   !write_text(FAILSLAB "task-filter", "Y") &&
			   !write_number(FAILSLAB "probability", 100) &&
			   pwrite(fd, "1", 1, 0) == 1)))
		return;

	printf("not ok fault injection: %m\n");
	exit(1);
}

#define FAIL_PAGE_ALLOC	"/sys/kernel/debug/fail_page_alloc/"

/*
 * Have all page allocations of this process fail when it has got so many pages, or none if it
 * is negative. Dies if that cannot be.
 */
static inline void fail_after_pages(long nr)
{
	static int fd = -1;

	if (fd < 0)
		fd = open("/proc/self/make-it-fail", O_RDWR);
	if (pwrite(fd, "0", 1, 0) == 1 &&
	    (nr < 0 || (!write_number(FAIL_PAGE_ALLOC "space", nr) &&
			!write_number(FAIL_PAGE_ALLOC "times", -1) &&
			!write_text(FAIL_PAGE_ALLOC "task-filter", "Y") &&
			!write_number(FAIL_PAGE_ALLOC "probability", 100) &&
			pwrite(fd, "1", 1, 0) == 1)))
		return;

	printf("not ok fault injection: %m\n");
	exit(1);
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
