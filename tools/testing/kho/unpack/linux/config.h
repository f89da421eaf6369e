/* SPDX-License-Identifier: GPL-2.0-only */
/* The configuration, and what the files have from headers that are not for user space. */
#define CONFIG_HAVE_EFFICIENT_UNALIGNED_ACCESS 1
#define CONFIG_LZ4_DECOMPRESS 1
#define CONFIG_XZ_DEC 1
#define CONFIG_ZLIB_INFLATE 1
#define CONFIG_ZSTD_DECOMPRESS 1

#include <linux/compiler.h>
#include <linux/export.h>
#include <linux/kconfig.h>
#include <linux/kernel.h>
#include <linux/types.h>

#define MODULE_DESCRIPTION(text)	_Static_assert(1, text)
#define MODULE_LICENSE(text)		_Static_assert(1, text)
