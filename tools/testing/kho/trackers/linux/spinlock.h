/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Locks that cost what those of the kernel do when nobody waits: one atomic
 * operation. A mutex of the C library does without when there is one thread.
 */
#ifndef _KHO_TRACKER_SPINLOCK_H
#define _KHO_TRACKER_SPINLOCK_H

#include <stdbool.h>

struct spinlock {
	bool locked;
};

#define spinlock_t			struct spinlock
#define spin_lock_init(lock)		((lock)->locked = false)

static inline void spin_lock(struct spinlock *lock)
{
	while (__atomic_test_and_set(&lock->locked, __ATOMIC_ACQUIRE))
		;
}

static inline void spin_unlock(struct spinlock *lock)
{
	__atomic_clear(&lock->locked, __ATOMIC_RELEASE);
}

#define SINGLE_DEPTH_NESTING		1

static inline void spin_lock_nested(struct spinlock *lock, int class)
{
	spin_lock(lock);
}

#define spin_lock_bh(lock)			spin_lock(lock)
#define spin_unlock_bh(lock)			spin_unlock(lock)
#define spin_lock_irq(lock)			spin_lock(lock)
#define spin_unlock_irq(lock)			spin_unlock(lock)
#define spin_lock_irqsave(lock, flags)		((void)(flags), spin_lock(lock))
#define spin_unlock_irqrestore(lock, flags)	((void)(flags), spin_unlock(lock))

#endif /* _KHO_TRACKER_SPINLOCK_H */
