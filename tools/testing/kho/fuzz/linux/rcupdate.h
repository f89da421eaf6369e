/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_RCUPDATE_H
#define _KHO_FUZZ_RCUPDATE_H

/* Has synchronize_rcu(). */
#include <linux/kernel.h>

/* There is one thread. */
static inline void rcu_read_lock(void) {}
static inline void rcu_read_unlock(void) {}

#endif /* _KHO_FUZZ_RCUPDATE_H */
