/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_PERCPU_H
#define _KHO_TEST_PERCPU_H

#include <linux/rcupdate.h>

/* Each thread has a CPU of its own; DEFINE_PER_CPU() is in the Makefile. */
#define get_cpu_ptr(ptr)		(rcu_read_lock(), (ptr))
#define put_cpu_ptr(ptr)		((void)(ptr), rcu_read_unlock())

#endif /* _KHO_TEST_PERCPU_H */
