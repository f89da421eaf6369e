/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_SCHED_H
#define _KHO_TEST_SCHED_H

#define cond_resched()	do { } while (0)

#endif /* _KHO_TEST_SCHED_H */
