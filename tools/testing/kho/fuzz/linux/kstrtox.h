/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_KSTRTOX_H
#define _KHO_FUZZ_KSTRTOX_H

#include <linux/errno.h>
#include <linux/types.h>

/* For parameters, of which there are none. */
static inline int kstrtobool(const char *s, bool *res)
{
	return -EINVAL;
}

static inline int kstrtouint(const char *s, unsigned int base, unsigned int *res)
{
	return -EINVAL;
}

#endif /* _KHO_FUZZ_KSTRTOX_H */
