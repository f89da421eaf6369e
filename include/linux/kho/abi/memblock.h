/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of reserve_mem= regions: the subtree "memblock".
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_MEMBLOCK_H
#define _LINUX_KHO_ABI_MEMBLOCK_H

/**
 * DOC: reserve_mem handover ABI
 *
 * The blob of the subtree "memblock" is an FDT of one page::
 *
 *	/ {
 *		compatible = "memblock-v1";
 *
 *		NAME {				one node per reserve_mem region
 *			compatible = "reserve-mem-v1";
 *			start = <u64>;		physical address
 *			size = <u64>;		length in bytes
 *		};
 *	};
 *
 * NAME is the name from the command line and the values are native-endian.
 * The memory of the regions is preserved as runs of order-0 pages.
 */
#define MEMBLOCK_KHO_SUBTREE		"memblock"
#define MEMBLOCK_KHO_COMPATIBLE		"memblock-v1"
#define RESERVE_MEM_KHO_COMPATIBLE	"reserve-mem-v1"
#define RESERVE_MEM_KHO_START_PROP	"start"
#define RESERVE_MEM_KHO_SIZE_PROP	"size"

#endif /* _LINUX_KHO_ABI_MEMBLOCK_H */
