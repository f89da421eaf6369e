/* SPDX-License-Identifier: GPL-2.0-only */
/* For hosts that are little-endian. */
#include <string.h>
#include <linux/types.h>

#define UNALIGNED(bits)							\
static inline u##bits get_unaligned_le##bits(const void *p)		\
{									\
	u##bits value;							\
									\
	memcpy(&value, p, sizeof(value));				\
	return value;							\
}									\
									\
static inline void put_unaligned_le##bits(u##bits value, void *p)	\
{									\
	memcpy(p, &value, sizeof(value));				\
}

UNALIGNED(32)
UNALIGNED(64)
