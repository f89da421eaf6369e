/* SPDX-License-Identifier: GPL-2.0-only */
extern char _text[], _end[];
