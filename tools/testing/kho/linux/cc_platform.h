/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TEST_LINUX_CC_PLATFORM_H
#define _TEST_LINUX_CC_PLATFORM_H
/* Memory is not encrypted: nobody asks. */
#endif
