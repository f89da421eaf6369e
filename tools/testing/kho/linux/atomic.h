/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_ATOMIC_H
#define _KHO_TEST_ATOMIC_H

#include <linux/compiler.h>
#include <linux/types.h>

#define cmpxchg64(ptr, old, new)					\
({									\
	typeof(ptr) __ptr = (ptr);					\
	typeof(*__ptr) __old = (old);					\
									\
	__atomic_compare_exchange_n(__ptr, &__old, new, false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
	__old;								\
})

#undef xchg
#define xchg(ptr, val)		__atomic_exchange_n(ptr, val, __ATOMIC_SEQ_CST)

static inline long atomic_long_read(const atomic_long_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_long_set(atomic_long_t *v, long i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_long_add(long i, atomic_long_t *v)
{
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_long_sub(long i, atomic_long_t *v)
{
	__atomic_fetch_sub(&v->counter, i, __ATOMIC_RELAXED);
}

#endif /* _KHO_TEST_ATOMIC_H */
