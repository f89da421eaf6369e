/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_SLAB_H
#define _LINUX_SLAB_H

#include <stdlib.h>

#define GFP_KERNEL	0
#define kvfree(ptr)	free(ptr)

static inline void *kvmalloc(size_t size, int flags)
{
	return malloc(size);
}

#endif /* _LINUX_SLAB_H */
