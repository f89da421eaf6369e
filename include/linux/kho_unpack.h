/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KHO_UNPACK_H
#define _LINUX_KHO_UNPACK_H

#include <linux/types.h>

const char *kho_unpack_format(const u8 *in, size_t in_len);
int kho_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_len);

#endif /* _LINUX_KHO_UNPACK_H */
