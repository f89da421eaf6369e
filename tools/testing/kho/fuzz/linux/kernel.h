/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_KERNEL_H
#define _KHO_FUZZ_KERNEL_H

#include_next <linux/kernel.h>

#include <linux/errno.h>
#include <linux/kconfig.h>
#include <linux/kstrtox.h>
#include <linux/string.h>

static inline void swap_bytes(void *a, void *b, size_t size)
{
	char tmp[size];

	memcpy(tmp, a, size);
	memcpy(a, b, size);
	memcpy(b, tmp, size);
}

#undef swap
#define swap(a, b)	swap_bytes(&(a), &(b), sizeof(a))

#define min3(a, b, c)	min(min(a, b), c)
#define max3(a, b, c)	max(max(a, b), c)

#define div_u64(dividend, divisor)	((u64)(dividend) / (divisor))

#endif /* _KHO_FUZZ_KERNEL_H */
