/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_MUTEX_H
#define _KHO_TEST_MUTEX_H

#include <pthread.h>
#include <linux/cleanup.h>
#include <linux/types.h>

struct mutex {
	pthread_mutex_t lock;
	const char *name;
};

#define __MUTEX_INITIALIZER(name)	{ PTHREAD_MUTEX_INITIALIZER, #name }

static inline void mutex_lock(struct mutex *mutex)
{
	pthread_mutex_lock(&mutex->lock);
}

static inline void mutex_unlock(struct mutex *mutex)
{
	pthread_mutex_unlock(&mutex->lock);
}

DEFINE_GUARD(mutex, struct mutex *, mutex_lock(_T), mutex_unlock(_T))

#endif /* _KHO_TEST_MUTEX_H */
