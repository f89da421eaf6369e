/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver: what one kernel leaves for the next.
 *
 * Everything in this file crosses kernels. A change that an older or newer
 * kernel could not read needs a new compatible string; see "DOC: KHO ABI".
 */
#ifndef _LINUX_KHO_ABI_KEXEC_HANDOVER_H
#define _LINUX_KHO_ABI_KEXEC_HANDOVER_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/mm_types.h>
#include <linux/types.h>

/**
 * DOC: KHO ABI
 *
 * The handover is described by one page that holds a flattened device tree,
 * the root FDT. The new kernel finds its physical address in a way that its
 * architecture defines (on x86-64 a setup_data node of type
 * %SETUP_KEXEC_KHO)::
 *
 *	/ {
 *		compatible = "kho-v4";
 *		preserved-memory-map = <u64>;	root table of the radix tree
 *		crc32c = <u64>;			checksum; may be missing
 *		boot-memory = <u64>;		bytes that a boot takes; may be missing
 *
 *		NAME {				one node per producer
 *			preserved-data = <u64>;	physical address of its blob
 *			blob-size = <u64>;	length of the blob in bytes
 *		};
 *	};
 *
 * The values inside the properties are native-endian u64; only the structure
 * of the FDT itself is big-endian. A blob may have any format. Whoever
 * registers it preserves its pages. The page of the root FDT is preserved
 * like any other, as an order-0 folio.
 *
 * The radix tree is described in "DOC: KHO radix tree". Beside the FDT, the
 * new kernel is given an array of struct kho_scratch. All segments of the
 * kexec image lie inside these areas and no preserved page does, so that the
 * new kernel can run there until it has learnt what is preserved.
 *
 * The checksum is 0 or has bit 32 set, and in its lower half the CRC32C of the
 * root FDT, from its first to its last byte with 0 for the value of the checksum,
 * followed by all nodes of the tree, a table before what it refers to and that in
 * the order of its entries. Of a node it covers a bitmap, in the order of set_bit() on
 * unsigned long, that tells which lines of %KHO_CHECKSUM_LINE_SIZE bytes are not all
 * zero, followed by those lines. It is written when nothing runs any more but the
 * kexec. Kernels that do not know it ignore it, and hand over without.
 *
 * The memory that a boot takes is what the previous kernel needed outside of scratch until all
 * memory was there, and some more. The new kernel needs as much for struct pages, for each CPU
 * and so on, and refuses a handover that leaves less.
 *
 * Both kernels must use the same page size.
 */

/* Value of "compatible" in the root FDT. */
#define KHO_FDT_COMPATIBLE		"kho-v4"

/* Root property: physical address of the root of the radix tree. */
#define KHO_FDT_MEMORY_MAP_PROP		"preserved-memory-map"

/* Root property: checksum of the root FDT and the tree. */
#define KHO_FDT_CHECKSUM_PROP		"crc32c"
#define KHO_FDT_CHECKSUM_VALID		BIT_ULL(32)
#define KHO_CHECKSUM_LINE_SIZE		64

/* Root property: bytes that a boot takes outside of scratch. */
#define KHO_FDT_BOOT_MEMORY_PROP	"boot-memory"

/* Subtree property: physical address of the producer's blob. */
#define KHO_FDT_SUBTREE_DATA_PROP	"preserved-data"

/* Subtree property: size of the producer's blob in bytes. */
#define KHO_FDT_SUBTREE_SIZE_PROP	"blob-size"

/* Alignment of the kexec segment that carries the scratch array. */
#define KHO_SCRATCH_SEGMENT_ALIGN	0x10000UL

/* No kernel passes a longer array of scratch areas, in bytes. */
#define KHO_SCRATCH_LEN_MAX		0x10000UL

/**
 * struct kho_scratch - one scratch area, as it is handed over
 * @addr: physical address of the first byte
 * @size: length in bytes
 *
 * Crosses kernels: element of the array that travels as a kexec segment.
 */
struct kho_scratch {
	phys_addr_t addr;
	phys_addr_t size;
};

/* struct kho_vmalloc.flags: the area was made with VM_ALLOC. */
#define KHO_VMALLOC_ALLOC	BIT(0)
/* struct kho_vmalloc.flags: the area may be mapped with huge pages. */
#define KHO_VMALLOC_HUGE_VMAP	BIT(1)

/**
 * struct kho_vmalloc - descriptor of a preserved vmalloc area
 * @first: physical address of the first &struct kho_vmalloc_chunk
 * @total_pages: number of PAGE_SIZE pages in the area
 * @flags: KHO_VMALLOC_* flags
 * @order: each slot of a chunk stands for 1 << @order contiguous pages
 *
 * Crosses kernels: a producer stores it in its own preserved data.
 */
struct kho_vmalloc {
	u64 first;
	u32 total_pages;
	u16 flags;
	u16 order;
};

/* Number of slots in one &struct kho_vmalloc_chunk. */
#define KHO_VMALLOC_SLOTS	((PAGE_SIZE - sizeof(u64)) / sizeof(u64))

/**
 * struct kho_vmalloc_chunk - one page of a preserved vmalloc area's page list
 * @next: physical address of the next chunk, 0 in the last one
 * @phys: physical addresses of the blocks; ends at the first 0 or when full
 *
 * Crosses kernels. Each chunk is preserved as an order-0 page.
 */
struct kho_vmalloc_chunk {
	u64 next;
	u64 phys[KHO_VMALLOC_SLOTS];
};

static_assert(sizeof(struct kho_scratch) == 16);
static_assert(sizeof(struct kho_vmalloc) == 16);
static_assert(sizeof(struct kho_vmalloc_chunk) == PAGE_SIZE);

#endif /* _LINUX_KHO_ABI_KEXEC_HANDOVER_H */
