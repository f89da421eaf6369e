/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_IO_H
#define _KHO_TEST_IO_H

#include <linux/mm_types.h>

/*
 * Physical addresses of what tests allocate. Following one that was not
 * converted faults.
 */
#define KHO_TEST_PHYS_OFFSET	BIT(47)

static inline phys_addr_t virt_to_phys(const void *virt)
{
	return (unsigned long)virt + KHO_TEST_PHYS_OFFSET;
}

static inline void *phys_to_virt(phys_addr_t phys)
{
	return (void *)(phys - KHO_TEST_PHYS_OFFSET);
}

#define __pa(virt)	virt_to_phys(virt)

/* Addresses like those of vmalloc() in the kernel: not in the direct map. */
static inline bool virt_addr_valid(const void *virt)
{
	return (unsigned long)virt < KHO_TEST_PHYS_OFFSET;
}

#endif /* _KHO_TEST_IO_H */
