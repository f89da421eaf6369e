/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_UNPACK_H
#define _KHO_UNPACK_H

#include <linux/types.h>

int kho_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_len, const char **format);

#endif /* _KHO_UNPACK_H */
