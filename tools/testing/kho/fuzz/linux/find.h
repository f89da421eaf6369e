/* SPDX-License-Identifier: GPL-2.0-only */
/* That of tools/ has no ranges of bits. */
#ifndef _KHO_FUZZ_FIND_H
#define _KHO_FUZZ_FIND_H

#include <linux/bitops.h>

#undef for_each_set_bit
#undef for_each_set_bit_from
#undef for_each_clear_bit

#define __LINUX_BITMAP_H
#include "../../../../../include/linux/find.h"

#endif /* _KHO_FUZZ_FIND_H */
