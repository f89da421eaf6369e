/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_INIT_H
#define _KHO_TEST_INIT_H

#include <linux/compiler.h>

#ifndef __init
#define __init
#endif

/* Tests call these as initcall_NAME(). */
#define core_initcall(fn)	int initcall_##fn(void) { return fn(); }

#endif /* _KHO_TEST_INIT_H */
