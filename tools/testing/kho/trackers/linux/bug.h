/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Warnings of the kernel are counted: the test that causes one fails.
 */
#ifndef _KHO_TRACKER_BUG_H
#define _KHO_TRACKER_BUG_H

#include_next <linux/bug.h>

void shim_warn(void);

#undef __WARN_printf
#define __WARN_printf(arg...)						\
do {									\
	fprintf(stderr, arg);						\
	shim_warn();							\
} while (0)

#endif /* _KHO_TRACKER_BUG_H */
