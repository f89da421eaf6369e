/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_BITMAP_H
#define _KHO_TEST_BITMAP_H

#include_next <linux/bitmap.h>

#ifndef bitmap_set
#define bitmap_set	kho_test_bitmap_set
static inline void bitmap_set(unsigned long *map, unsigned int start, unsigned int nr)
{
	unsigned int end = start + nr;

	for (; start < end && start % BITS_PER_LONG; start++)
		map[start / BITS_PER_LONG] |= 1UL << start % BITS_PER_LONG;
	for (; end - start >= BITS_PER_LONG; start += BITS_PER_LONG)
		map[start / BITS_PER_LONG] = ~0UL;
	for (; start < end; start++)
		map[start / BITS_PER_LONG] |= 1UL << start % BITS_PER_LONG;
}
#endif

#endif /* _KHO_TEST_BITMAP_H */
