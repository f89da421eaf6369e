/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_WORKQUEUE_H
#define _KHO_TEST_WORKQUEUE_H

#include <linux/types.h>

#define HZ	100

struct work_struct {
	void (*func)(struct work_struct *work);
};

/* Done when a test calls shim_run_work(). */
struct delayed_work {
	struct work_struct work;
	bool pending;
};

#define DECLARE_DELAYED_WORK(name, fn)	\
	struct delayed_work name = { .work = { .func = fn } }

static inline bool delayed_work_pending(struct delayed_work *work)
{
	return __atomic_load_n(&work->pending, __ATOMIC_RELAXED);
}

/* shim.c */
void schedule_delayed_work(struct delayed_work *work, unsigned long delay);
void shim_run_work(void);

#define system_wq	NULL

static inline void mod_delayed_work(void *wq, struct delayed_work *work,
				    unsigned long delay)
{
	schedule_delayed_work(work, delay);
}

static inline void flush_delayed_work(struct delayed_work *work)
{
	shim_run_work();
}

#endif /* _KHO_TEST_WORKQUEUE_H */
