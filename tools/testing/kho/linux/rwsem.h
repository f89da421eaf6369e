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

DEFINE_GUARD(rwsem_read, struct rw_semaphore *, pthread_rwlock_rdlock(&_T->lock),
	     pthread_rwlock_unlock(&_T->lock))
DEFINE_GUARD(rwsem_write, struct rw_semaphore *, pthread_rwlock_wrlock(&_T->lock),
	     pthread_rwlock_unlock(&_T->lock))

#endif /* _KHO_TEST_RWSEM_H */
