/* SPDX-License-Identifier: GPL-2.0-only */
/* What lib/xz/xz_private.h takes for user space. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <linux/types.h>
#include <linux/kernel.h>
#include <linux/unaligned.h>
#include <linux/xz.h>

#define XZ_DEC_X86
#define XZ_EXTERN extern

#define GFP_KERNEL 0
static inline void *kmalloc(size_t size, int flags)
{
	return malloc(size);
}

#define kfree(ptr) free(ptr)
#define vmalloc(size) malloc(size)
#define vfree(ptr) free(ptr)

#define memeq(a, b, size) (memcmp(a, b, size) == 0)
#define memzero(buf, size) memset(buf, 0, size)
#define get_le32(p) get_unaligned_le32(p)
