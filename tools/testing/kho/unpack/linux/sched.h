/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SCHED_H
#define _LINUX_SCHED_H

static inline void cond_resched(void) {}

#endif /* _LINUX_SCHED_H */
