/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tracker: what remembers which blocks of memory are preserved, and tells the
 * next kernel.
 *
 * Nothing here depends on headers of the kernel, because those of the radix
 * tree and those of xarray and maple tree come from different places.
 */
#ifndef _KHO_TRACKER_H
#define _KHO_TRACKER_H

#include <stdbool.h>
#include <stddef.h>

struct tracker;

/* @nr blocks of 2^@order pages, one after the other. Not 0 ends the reading. */
typedef int (*tracker_fn)(unsigned long pfn, unsigned int order,
			  unsigned long nr, void *data);

/*
 * A block is 2^order pages, and aligned to as many. Blocks that overlap are a
 * bug of the caller; to add the same block again is none.
 */
struct tracker_ops {
	const char *name;
	bool by_address;	/* read() goes by address, not order by order */

	/* In the kernel that hands over. NULL, -ENOMEM: without memory. */
	struct tracker *(*create)(void);
	int (*add)(struct tracker *tracker, unsigned long pfn,
		   unsigned int order);
	/* -ENOENT: the block was not added. */
	int (*del)(struct tracker *tracker, unsigned long pfn,
		   unsigned int order);
	/*
	 * The last step before the kexec. It may be done again, after more was
	 * added; the address it gave before is then of no use any more.
	 */
	int (*finalize)(struct tracker *tracker, unsigned long *phys);
	void (*destroy)(struct tracker *tracker);

	/*
	 * In the kernel that takes over, which has nothing but the address and
	 * the memory that was handed over. -EINVAL: a number there is wrong.
	 */
	int (*read)(unsigned long phys, tracker_fn fn, void *data);
};

extern const struct tracker_ops tracker_radix;
extern const struct tracker_ops tracker_xarray;
extern const struct tracker_ops tracker_maple;

#endif /* _KHO_TRACKER_H */
