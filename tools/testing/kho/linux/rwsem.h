/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_RWSEM_H
#define _KHO_TEST_RWSEM_H

#include <pthread.h>
#include <linux/cleanup.h>

struct rw_semaphore {
	pthread_rwlock_t lock;
	const char *name;
};

#define __RWSEM_INITIALIZER(name)	{ PTHREAD_RWLOCK_INITIALIZER, #name }

static inline int down_write_trylock(struct rw_semaphore *sem)
{
	return !pthread_rwlock_trywrlock(&sem->lock);
}

static inline void up_write(struct rw_semaphore *sem)
{
	pthread_rwlock_unlock(&sem->lock);
}

DEFINE_GUARD(rwsem_read, struct rw_semaphore *, pthread_rwlock_rdlock(&_T->lock),
	     pthread_rwlock_unlock(&_T->lock))

#endif /* _KHO_TEST_RWSEM_H */
