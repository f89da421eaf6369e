/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_BUG_H
#define _KHO_TEST_BUG_H

#include <linux/printk.h>

/* shim.c */
void shim_warn(void);

/* Each time and not only once, so that every test sees its warnings. */
#define WARN_ONCE(condition, ...)					\
({									\
	bool __warn = (condition);					\
									\
	if (__warn) {							\
		shim_warn();						\
		shim_printk(__VA_ARGS__);				\
	}								\
	__warn;								\
})

#endif /* _KHO_TEST_BUG_H */
