/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_MEMORY_H
#define _KHO_TEST_MEMORY_H

/* No memory comes or goes. */
struct notifier_block;

#define MEM_GOING_ONLINE	1
#define NOTIFY_OK		1
#define DEFAULT_CALLBACK_PRI	0

static inline int
hotplug_memory_notifier(int (*fn)(struct notifier_block *, unsigned long, void *), int pri)
{
	return 0;
}

#endif /* _KHO_TEST_MEMORY_H */
