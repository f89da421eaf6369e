/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_PRINTK_H
#define _KHO_TEST_PRINTK_H

/* shim.c; the formats are those of the kernel, which has more than libc. */
void shim_printk(const char *fmt, ...);

#define pr_err(fmt, ...)	shim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_warn(fmt, ...)	shim_printk(pr_fmt(fmt), ##__VA_ARGS__)
#define pr_info(fmt, ...)	shim_printk(pr_fmt(fmt), ##__VA_ARGS__)

#endif /* _KHO_TEST_PRINTK_H */
