/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_DELAY_H
#define _KHO_TEST_DELAY_H

/* shim.c */
void msleep(unsigned int msecs);

#endif /* _KHO_TEST_DELAY_H */
