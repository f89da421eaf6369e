/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_BITMAP_H
#define _KHO_FUZZ_BITMAP_H

#include_next <linux/bitmap.h>

/* What <linux/bitmap.h> of tools/ has not. */

static inline void bitmap_copy(unsigned long *dst, const unsigned long *src,
			       unsigned int nbits)
{
	memcpy(dst, src, bitmap_size(nbits));
}

static inline void bitmap_andnot(unsigned long *dst, const unsigned long *src1,
				 const unsigned long *src2, unsigned int nbits)
{
	unsigned int i;

	for (i = 0; i < BITS_TO_LONGS(nbits); i++)
		dst[i] = src1[i] & ~src2[i];
}

#endif /* _KHO_FUZZ_BITMAP_H */
