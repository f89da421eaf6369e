/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_RANDOM_H
#define _KHO_TEST_RANDOM_H

static inline unsigned long get_random_long(void)
{
	return 0x9e3779b97f4a7c15;
}

#endif /* _KHO_TEST_RANDOM_H */
