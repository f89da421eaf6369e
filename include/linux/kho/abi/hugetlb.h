/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of hugetlb memfds: what "data" of a file in a session of the Live Update
 * Orchestrator refers to.
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_HUGETLB_H
#define _LINUX_KHO_ABI_HUGETLB_H

#include <linux/build_bug.h>
#include <linux/types.h>
#include <linux/kho/abi/kexec_handover.h>

/**
 * DOC: hugetlb memfd handover ABI
 *
 * For a memfd of hugetlb, &luo_file_ser.data is the physical address of a struct
 * hugetlb_luo_ser, which has an order-0 folio to itself. That refers to two arrays, each
 * handed over like a vmalloc area so that it can be of any length: one with a struct
 * hugetlb_luo_page_ser for each huge page of the file, and one with a struct
 * hugetlb_luo_run_ser for each run of huge pages that the file has reserved and does not
 * have. Both are in any order. An array without entries is not there. What is in neither
 * is a hole.
 *
 * A huge page is preserved as one folio of its order, also if that is larger than any the
 * page allocator has.
 *
 * The format can be extended. A new field comes at the end of struct hugetlb_luo_ser, and
 * raises &hugetlb_luo_ser.size, which is at least %HUGETLB_LUO_MIN_SIZE. What is behind that in
 * the page is 0, so a field that is missing reads as 0. A reader ignores fields that it does not
 * know, unless one of &hugetlb_luo_ser.incompat says that the file would not be what it was
 * without them: a reader refuses a file with a bit there that it does not know. Such a file
 * cannot be handed on, only given up, so a bit is set only for a file that needs it. A change
 * that cannot be expressed so needs another compatible string.
 *
 * The table of struct hugetlb_pool_ser is a subtree of KHO. It says how many huge pages are
 * handed over, so that the next kernel allocates fewer. It is a hint: what counts is what the
 * files refer to.
 *
 * This is not the format of mainline, which has none, and does not claim its names.
 */
#define HUGETLB_LUO_COMPATIBLE	"hugetlb-memfd-lts1"

/**
 * struct hugetlb_luo_page_ser - a huge page of a memfd
 * @pfn: its first page, in units of PAGE_SIZE
 * @index: where it is in the file, in huge pages
 */
struct hugetlb_luo_page_ser {
	u64 pfn;
	u64 index;
} __packed;

/**
 * struct hugetlb_luo_run_ser - huge pages that a memfd has reserved
 * @index: where they begin in the file, in huge pages
 * @nr: number of huge pages
 */
struct hugetlb_luo_run_ser {
	u64 index;
	u64 nr;
} __packed;

/**
 * struct hugetlb_luo_ser - a memfd of hugetlb
 * @size: of this struct, in bytes
 * @incompat: 0; bits for extensions that a reader must know
 * @seals: F_SEAL_*
 * @order: of the huge pages
 * @pos: file position
 * @length: of the file, in bytes
 * @nr_pages: number of huge pages
 * @nr_runs: number of runs of reserved huge pages
 * @pages: the array of &struct hugetlb_luo_page_ser
 * @runs: the array of &struct hugetlb_luo_run_ser
 */
struct hugetlb_luo_ser {
	u32 size;
	u32 incompat;
	u32 seals;
	u32 order;
	u64 pos;
	u64 length;
	u64 nr_pages;
	u64 nr_runs;
	struct kho_vmalloc pages;
	struct kho_vmalloc runs;
} __packed;

static_assert(sizeof(struct hugetlb_luo_page_ser) == 16);
static_assert(sizeof(struct hugetlb_luo_run_ser) == 16);
static_assert(sizeof(struct hugetlb_luo_ser) == 80);

/* Of a struct hugetlb_luo_ser of the first version. */
#define HUGETLB_LUO_MIN_SIZE	80

/* The subtree of KHO with a struct hugetlb_pool_ser. */
#define HUGETLB_POOL_SUBTREE	"hugetlb-lts1"

/**
 * struct hugetlb_pool_count_ser - how many huge pages of a size are on a node
 * @order: their order
 * @nid: the node
 * @nr: how many
 */
struct hugetlb_pool_count_ser {
	u32 order;
	u32 nid;
	u64 nr;
} __packed;

/**
 * struct hugetlb_pool_ser - how many huge pages are handed over
 * @nr: number of entries
 * @reserved: 0
 * @counts: the numbers; those that are missing are 0
 */
struct hugetlb_pool_ser {
	u32 nr;
	u32 reserved;
	struct hugetlb_pool_count_ser counts[];
} __packed;

static_assert(sizeof(struct hugetlb_pool_count_ser) == 16);
static_assert(sizeof(struct hugetlb_pool_ser) == 8);

#endif /* _LINUX_KHO_ABI_HUGETLB_H */
