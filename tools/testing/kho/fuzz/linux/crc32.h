/* SPDX-License-Identifier: GPL-2.0-only */
#include <linux/types.h>

/* shim.c */
u32 __crc32c_le(u32 crc, const u8 *data, size_t len);
