/* SPDX-License-Identifier: GPL-2.0-only */
#define is_kdump_kernel()	false
