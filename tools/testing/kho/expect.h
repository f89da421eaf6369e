/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For programs that are fuzzed: what does not hold ends the program, as a finding.
 */
#ifndef _KHO_EXPECT_H
#define _KHO_EXPECT_H

#include <stdio.h>
#include <stdlib.h>

#define EXPECT(condition)						\
do {									\
	if (!(condition)) {						\
		fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__,	\
			#condition);					\
		abort();						\
	}								\
} while (0)

#endif /* _KHO_EXPECT_H */
