/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of memfds: what "data" of a file in a session of the Live Update
 * Orchestrator refers to.
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_MEMFD_H
#define _LINUX_KHO_ABI_MEMFD_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/types.h>
#include <linux/kho/abi/kexec_handover.h>

/**
 * DOC: memfd handover ABI
 *
 * For a memfd, &luo_file_ser.data is the physical address of a struct
 * memfd_luo_ser, which has an order-0 folio to itself. That refers to an array
 * with one struct memfd_luo_folio_ser for each folio of the file, in any order.
 * The array is handed over like a vmalloc area, so that it can be of any length.
 * The folios are preserved as such, with their order. What is not in the array is
 * a hole. Without folios there is no array: so it is with a file of size 0, unless
 * memory was allocated beyond its end.
 */
#define MEMFD_LUO_COMPATIBLE	"memfd-v2"

/* struct memfd_luo_folio_ser.flags: the folio is dirty, as if it always was. */
#define MEMFD_LUO_FOLIO_DIRTY		BIT(0)
/* struct memfd_luo_folio_ser.flags: it has content; otherwise it reads as zeroes. */
#define MEMFD_LUO_FOLIO_UPTODATE	BIT(1)

/**
 * struct memfd_luo_folio_ser - a folio of a memfd
 * @pfn: its first page
 * @flags: MEMFD_LUO_FOLIO_*
 * @index: index in the file of its first page
 */
struct memfd_luo_folio_ser {
	u64 pfn:52;
	u64 flags:12;
	u64 index;
} __packed;

/**
 * struct memfd_luo_ser - a memfd
 * @pos: file position
 * @size: in bytes
 * @seals: F_SEAL_*
 * @flags: 0
 * @nr_folios: number of folios
 * @folios: the array of &struct memfd_luo_folio_ser
 */
struct memfd_luo_ser {
	u64 pos;
	u64 size;
	u32 seals;
	u32 flags;
	u64 nr_folios;
	struct kho_vmalloc folios;
} __packed;

static_assert(sizeof(struct memfd_luo_folio_ser) == 16);
static_assert(sizeof(struct memfd_luo_ser) == 48);

#endif /* _LINUX_KHO_ABI_MEMFD_H */
