/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_X86_KEXEC_VMLINUX64_H
#define _ASM_X86_KEXEC_VMLINUX64_H

#include <linux/types.h>

/* The lists behind vmlinux, from the end backwards */
enum vmlinux64_list {
	VMLINUX64_RELOCS_32,
	VMLINUX64_RELOCS_32_INVERSE,
	VMLINUX64_RELOCS_64,
	VMLINUX64_NR_LISTS,
};

/**
 * struct vmlinux64 - a kernel that has been taken out of a bzImage
 * @image: the ELF file and its relocations; after vmlinux64_place(), the kernel as it lies
 *	   in memory
 * @len: bytes in @image
 * @link_phys: physical address that the kernel is linked for, from the header of the bzImage
 * @size: bytes of the kernel that are not zero when it starts
 * @mem_size: bytes of memory from its first byte on that the kernel owns when it starts
 * @entry: offset of its entry point in 64-bit mode
 * @relocs: per list, offset of the entry in @image that comes first, and number of entries
 * @relocatable: whether there are lists of relocations, even if they are empty
 * @problem: why vmlinux64_parse() has not accepted it
 *
 * The caller sets @image, @len and @link_phys, vmlinux64_parse() the rest.
 */
struct vmlinux64 {
	u8 *image;
	size_t len;
	u64 link_phys;

	size_t size;
	size_t mem_size;
	size_t entry;
	struct {
		size_t pos;
		size_t nr;
	} relocs[VMLINUX64_NR_LISTS];
	bool relocatable;
	const char *problem;
};

#define VMLINUX64_ALIGN		0x200000UL
#define VMLINUX64_MAX_SIZE	0x40000000UL

int vmlinux64_payload(size_t len, size_t setup_size, u32 syssize, u32 offset, u32 size,
		      size_t *start);
int vmlinux64_parse(struct vmlinux64 *vmlinux);
void vmlinux64_place(struct vmlinux64 *vmlinux);
void vmlinux64_relocate(struct vmlinux64 *vmlinux, s64 delta);

#endif /* _ASM_X86_KEXEC_VMLINUX64_H */
