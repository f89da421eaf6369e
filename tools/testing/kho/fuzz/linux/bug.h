/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_BUG_H
#define _KHO_FUZZ_BUG_H

#include "../../linux/bug.h"

#define WARN_ON(condition)	WARN_ONCE(condition, "%s\n", #condition)
#define WARN_ON_ONCE(condition)	WARN_ON(condition)

#endif /* _KHO_FUZZ_BUG_H */
