/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_BITOPS_H
#define _KHO_TEST_BITOPS_H

#include <linux/kernel.h>

/* In a way that ThreadSanitizer understands, unlike the assembly of tools/. */
#define test_and_set_bit	test_and_set_bit
static inline bool test_and_set_bit(unsigned long nr, unsigned long *addr)
{
	unsigned long bits = 8 * sizeof(*addr), mask = 1UL << (nr % bits);

	return __atomic_fetch_or(addr + nr / bits, mask, __ATOMIC_SEQ_CST) & mask;
}

#define test_and_clear_bit	test_and_clear_bit
static inline bool test_and_clear_bit(unsigned long nr, unsigned long *addr)
{
	unsigned long bits = 8 * sizeof(*addr), mask = 1UL << (nr % bits);

	return __atomic_fetch_and(addr + nr / bits, ~mask, __ATOMIC_SEQ_CST) & mask;
}

#include_next <linux/bitops.h>

#undef set_bit
#define set_bit		kho_test_set_bit
static inline void set_bit(unsigned long nr, unsigned long *addr)
{
	test_and_set_bit(nr, addr);
}

#undef test_bit
static inline bool test_bit(unsigned long nr, const unsigned long *addr)
{
	unsigned long bits = 8 * sizeof(*addr);

	return __atomic_load_n(addr + nr / bits, __ATOMIC_RELAXED) >> (nr % bits) & 1;
}

#endif /* _KHO_TEST_BITOPS_H */
