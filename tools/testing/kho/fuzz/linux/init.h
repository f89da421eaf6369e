/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_INIT_H
#define _KHO_FUZZ_INIT_H

#include "../../linux/init.h"
#include <linux/export.h>

#define __meminit
#define __meminitdata
#define __refdata

/* There is no command line. */
#define early_param(name, fn)						\
	static struct {							\
		const char *str;					\
		int (*setup)(char *value);				\
	} param_##fn __maybe_unused = { name, fn }
#define __setup(name, fn)	early_param(name, fn)

#endif /* _KHO_FUZZ_INIT_H */
