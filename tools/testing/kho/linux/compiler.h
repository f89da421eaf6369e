/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_COMPILER_H
#define _KHO_TEST_COMPILER_H

#include_next <linux/compiler.h>
#include <linux/kconfig.h>

/*
 * Volatile accesses are data races to ThreadSanitizer, so these are atomic
 * ones. Who reads an address and follows it sees what was there when it was
 * published: the kernel relies on address dependencies for that.
 */
#undef READ_ONCE
#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_CONSUME)
#undef WRITE_ONCE
#define WRITE_ONCE(x, val)	__atomic_store_n(&(x), val, __ATOMIC_RELAXED)

/* Ordered like those of the kernel, in a way that ThreadSanitizer understands. */
#define smp_load_acquire(p)	__atomic_load_n(p, __ATOMIC_ACQUIRE)
/* The other side. */
#define smp_store_release(p, v)	__atomic_store_n(p, v, __ATOMIC_RELEASE)

#undef smp_rmb
/* For x86, which has no others to pair with. */
#define smp_rmb()		barrier()

/* For KCSAN, which is not here. */
#define data_race(expr)		(expr)

#define __no_kcsan		__attribute__((no_sanitize("thread")))

#define __initdata
#define __ro_after_init

#ifndef __UNIQUE_ID
#define __KHO_TEST_PASTE(a, b)	a##b
#define __KHO_TEST_ID(a, b)	__KHO_TEST_PASTE(a, b)
#define __UNIQUE_ID(prefix)	__KHO_TEST_ID(prefix, __COUNTER__)
#endif
#ifndef __cleanup
#define __cleanup(fn)		__attribute__((__cleanup__(fn)))
#endif

#endif /* _KHO_TEST_COMPILER_H */
