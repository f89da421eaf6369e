/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_RCUPDATE_H
#define _KHO_TEST_RCUPDATE_H

#include <pthread.h>
#include <linux/cleanup.h>
#include <linux/kernel.h>

/* As slow as can be, but ThreadSanitizer understands it. Readers may be nested. */
extern pthread_rwlock_t shim_rcu;

static inline void rcu_read_lock(void)
{
	pthread_rwlock_rdlock(&shim_rcu);
}

static inline void rcu_read_unlock(void)
{
	pthread_rwlock_unlock(&shim_rcu);
}

#undef synchronize_rcu
static inline void synchronize_rcu(void)
{
	pthread_rwlock_wrlock(&shim_rcu);
	pthread_rwlock_unlock(&shim_rcu);
}

DEFINE_LOCK_GUARD_0(rcu, rcu_read_lock(), rcu_read_unlock())

#endif /* _KHO_TEST_RCUPDATE_H */
