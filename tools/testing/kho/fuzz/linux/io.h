/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_FUZZ_IO_H
#define _KHO_FUZZ_IO_H

#include <linux/mm_types.h>

/* memory.c */
phys_addr_t virt_to_phys(const void *virt);
void *phys_to_virt(phys_addr_t phys);
void *early_memremap(phys_addr_t phys, unsigned long size);
void early_memunmap(void *virt, unsigned long size);

#define __pa(virt)	virt_to_phys(virt)
#define __va(phys)	phys_to_virt(phys)

static inline bool virt_addr_valid(const void *virt)
{
	return true;
}

#endif /* _KHO_FUZZ_IO_H */
