/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests that register themselves, reported as TAP.
 *
 *	TEST(name)
 *	{
 *		EXPECT(condition);
 *		EXPECT_EQ(actual, expected);
 *	}
 *
 * Each test runs in a process of its own, which the first check that fails
 * ends. A test also fails when it leaves pages allocated, or causes warnings or
 * messages that it does not take.
 */
#ifndef _KHO_TEST_HARNESS_H
#define _KHO_TEST_HARNESS_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "shim.h"

void test_register(const char *name, void (*fn)(void));
__printf(3, 4) __noreturn
void test_fail(const char *file, int line, const char *fmt, ...);

/* Called first when a check fails, to say what was going on. */
extern void (*test_on_failure)(void);

#define TEST(name)							\
	static void test_##name(void);					\
	static void __attribute__((constructor)) register_##name(void)	\
	{								\
		test_register(#name, test_##name);			\
	}								\
	static void test_##name(void)

#define EXPECT(condition)						\
do {									\
	if (!(condition))						\
		test_fail(__FILE__, __LINE__, "%s", #condition);	\
} while (0)

#define EXPECT_EQ(actual, expected)					\
do {									\
	unsigned long long __actual = (actual), __expected = (expected); \
									\
	if (__actual != __expected)					\
		test_fail(__FILE__, __LINE__,				\
			  "%s is %#llx (%lld), expected %s = %#llx (%lld)", \
			  #actual, __actual, (long long)__actual,	\
			  #expected, __expected, (long long)__expected); \
} while (0)

/* Options -s and -n, for tests that are random. */
extern u64 test_seed;
extern unsigned long test_nr_ops;

/* Random numbers, the same ones after the same test_srand(). */
void test_srand(u64 seed);
u64 test_rand(void);

/* Below @n, which is not 0. */
static inline u64 test_rand_below(u64 n)
{
	return test_rand() % n;
}

#endif /* _KHO_TEST_HARNESS_H */
