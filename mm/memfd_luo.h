/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two sides of memfds in live update share.
 */
#ifndef _MM_MEMFD_LUO_H
#define _MM_MEMFD_LUO_H

#include <linux/kho/abi/memfd.h>

struct liveupdate_file_op_args;

/* Entries in a page of the list of folios. */
#define FOLIOS_PER_PAGE	(PAGE_SIZE / sizeof(struct memfd_luo_folio_ser))

/* memfd_luo_preserve.c */
int memfd_luo_preserve(struct liveupdate_file_op_args *args);
void memfd_luo_unpreserve(struct liveupdate_file_op_args *args);
int memfd_luo_freeze_prepare(struct liveupdate_file_op_args *args);
void memfd_luo_freeze_begin(struct liveupdate_file_op_args *args);
bool memfd_luo_freeze_ready(struct liveupdate_file_op_args *args);
int memfd_luo_freeze(struct liveupdate_file_op_args *args);
void memfd_luo_unfreeze(struct liveupdate_file_op_args *args);

#endif /* _MM_MEMFD_LUO_H */
