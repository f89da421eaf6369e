// SPDX-License-Identifier: GPL-2.0-only
/*
 * Put the vmlinux of a bzImage where its decompressor would put it.
 *
 * The payload of a bzImage is an ELF file, and behind it, if the kernel can be relocated,
 * the addresses of what has to be changed. Each of them is the low half of a virtual address
 * in the kernel as it is linked. There are three lists of them up to Linux 6.14 and two
 * since, and each has a zero in front of it:
 *
 *	ELF file | 0 | 64-bit | 0 | 32-bit, to subtract from | 0 | 32-bit |
 *	ELF file | 0 | 64-bit | 0 | 32-bit |
 *
 * No entry of a list is zero, so the number of zeros says which kind it is.
 *
 * Nothing here trusts the file, or changes it before all of it has been checked. A file that
 * the decompressors of all known kernels would stumble over, too, is damaged. A file that is
 * just unlike those of all known kernels is not understood, and left to its decompressor.
 *
 * This file is also compiled for user space; see tools/testing/kho/vmlinux.
 */

#include <linux/align.h>
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include <asm/kexec-vmlinux64.h>

#define START_KERNEL_MAP	0xffffffff80000000ULL
#define MAX_PROGRAM_HEADERS	16
#define RELOC_SIZE		sizeof(u32)

/* The unit of the length in the header of a bzImage */
#define PARAGRAPH_SIZE		16

/**
 * vmlinux64_payload - find the compressed kernel in a bzImage
 * @len: bytes in the bzImage
 * @setup_size: bytes in its real-mode part
 * @syssize: bytes in the rest of it, in units of 16, according to its header
 * @offset: where its header says that the payload is, from the end of the real-mode part on
 * @size: bytes in the payload, according to its header
 * @start: set to the offset of the payload in the bzImage
 *
 * Return:
 * * 0 - the file is complete, and has a payload
 * * %-EBADMSG - the file is truncated
 * * %-EOPNOTSUPP - the header names no payload
 */
int vmlinux64_payload(size_t len, size_t setup_size, u32 syssize, u32 offset, u32 size,
		      size_t *start)
{
	size_t rest;

	if (setup_size > len)
		return -EBADMSG;

	rest = len - setup_size;
	if (syssize > rest / PARAGRAPH_SIZE || offset > rest || size > rest - offset)
		return -EBADMSG;
	if (!offset || size < 2 * RELOC_SIZE)
		return -EOPNOTSUPP;

	*start = setup_size + offset;
	return 0;
}

static int damaged(struct vmlinux64 *vmlinux, const char *problem)
{
	vmlinux->problem = problem;
	return -EBADMSG;
}

static int not_understood(struct vmlinux64 *vmlinux, const char *problem)
{
	vmlinux->problem = problem;
	return -EOPNOTSUPP;
}

/* Program headers need not be aligned. */
static Elf64_Phdr program_header(const struct vmlinux64 *vmlinux, u64 phoff, unsigned int i)
{
	Elf64_Phdr phdr;

	memcpy(&phdr, vmlinux->image + phoff + i * sizeof(phdr), sizeof(phdr));
	return phdr;
}

static int check_segment(struct vmlinux64 *vmlinux, const Elf64_Phdr *phdr)
{
	u64 dest = phdr->p_paddr - vmlinux->link_phys;

	if (phdr->p_align % VMLINUX64_ALIGN)
		return damaged(vmlinux, "a segment is not aligned to 2 MiB");
	if (phdr->p_filesz > phdr->p_memsz)
		return damaged(vmlinux, "a segment is larger than its memory");
	if (phdr->p_offset > vmlinux->len || phdr->p_filesz > vmlinux->len - phdr->p_offset)
		return damaged(vmlinux, "a segment is not in vmlinux");
	if (phdr->p_paddr < vmlinux->link_phys || dest > VMLINUX64_MAX_SIZE ||
	    phdr->p_memsz > VMLINUX64_MAX_SIZE - dest)
		return damaged(vmlinux, "the memory of a segment is out of range");

	if (phdr->p_filesz && vmlinux->size < dest + phdr->p_filesz)
		vmlinux->size = dest + phdr->p_filesz;
	return 0;
}

/* What a decompressor would fail at. */
static int check_damage(struct vmlinux64 *vmlinux, const Elf64_Ehdr *ehdr)
{
	unsigned int i;
	int err;

	if (memcmp(ehdr->e_ident, ELFMAG, SELFMAG) ||
	    ehdr->e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr->e_ident[EI_DATA] != ELFDATA2LSB || ehdr->e_machine != EM_X86_64)
		return damaged(vmlinux, "what is packed is no vmlinux for x86-64");
	if (ehdr->e_phoff > vmlinux->len ||
	    ehdr->e_phnum * sizeof(Elf64_Phdr) > vmlinux->len - ehdr->e_phoff)
		return damaged(vmlinux, "its program headers are not in vmlinux");

	for (i = 0; i < ehdr->e_phnum; i++) {
		Elf64_Phdr phdr = program_header(vmlinux, ehdr->e_phoff, i);

		err = phdr.p_type == PT_LOAD ? check_segment(vmlinux, &phdr) : 0;
		if (err)
			return err;
	}

	if (ehdr->e_entry < vmlinux->link_phys ||
	    ehdr->e_entry - vmlinux->link_phys >= vmlinux->size)
		return damaged(vmlinux, "its entry point is outside of the kernel");

	vmlinux->entry = ehdr->e_entry - vmlinux->link_phys;
	return 0;
}

/*
 * Segments are moved towards the beginning of the buffer, in the order of the headers, so
 * none may be moved to where a later one still is.
 */
static int check_order(struct vmlinux64 *vmlinux, const Elf64_Ehdr *ehdr, size_t elf_end)
{
	u64 mem_end = 0, file_end = 0, dest;
	unsigned int i;

	for (i = 0; i < ehdr->e_phnum; i++) {
		Elf64_Phdr phdr = program_header(vmlinux, ehdr->e_phoff, i);

		if (phdr.p_type != PT_LOAD)
			continue;

		dest = phdr.p_paddr - vmlinux->link_phys;
		if (phdr.p_offset < file_end || phdr.p_offset + phdr.p_filesz > elf_end)
			return not_understood(vmlinux, "a segment overlaps something in vmlinux");
		if (dest < mem_end)
			return not_understood(vmlinux, "a segment overlaps another in memory");
		if (!mem_end && dest)
			return not_understood(vmlinux, "its first segment is not the lowest");
		if (dest > phdr.p_offset)
			return not_understood(vmlinux, "a segment lies higher than in vmlinux");

		file_end = phdr.p_offset + phdr.p_filesz;
		mem_end = dest + phdr.p_memsz;
	}

	vmlinux->mem_size = mem_end;
	return 0;
}

/* objcopy puts the section headers at the end. */
static int check_layout(struct vmlinux64 *vmlinux, const Elf64_Ehdr *ehdr, size_t *elf_end)
{
	size_t size = ehdr->e_shnum * sizeof(Elf64_Shdr);

	if (ehdr->e_type != ET_EXEC || ehdr->e_phentsize != sizeof(Elf64_Phdr) ||
	    ehdr->e_shentsize != sizeof(Elf64_Shdr))
		return not_understood(vmlinux, "its vmlinux is of another kind");
	if (ehdr->e_phnum > MAX_PROGRAM_HEADERS)
		return not_understood(vmlinux, "it has too many program headers");
	if (!size || ehdr->e_shoff > vmlinux->len || size > vmlinux->len - ehdr->e_shoff)
		return not_understood(vmlinux, "its section headers are not in vmlinux");

	*elf_end = ehdr->e_shoff + size;
	return check_order(vmlinux, ehdr, *elf_end);
}

static u32 reloc_at(const struct vmlinux64 *vmlinux, size_t pos)
{
	return get_unaligned_le32(vmlinux->image + pos);
}

/* Offset of what a relocation changes. */
static size_t reloc_target(const struct vmlinux64 *vmlinux, size_t pos)
{
	return (u64)(s64)(s32)reloc_at(vmlinux, pos) - START_KERNEL_MAP - vmlinux->link_phys;
}

static bool targets_valid(const struct vmlinux64 *vmlinux, enum vmlinux64_list list)
{
	size_t width = list == VMLINUX64_RELOCS_64 ? sizeof(u64) : sizeof(u32);
	size_t i, target;

	for (i = 0; i < vmlinux->relocs[list].nr; i++) {
		target = reloc_target(vmlinux, vmlinux->relocs[list].pos + i * RELOC_SIZE);
		if (target > vmlinux->size - width)
			return false;
	}

	return true;
}

static int check_relocs(struct vmlinux64 *vmlinux, size_t start)
{
	size_t len = vmlinux->len - start, zeros[VMLINUX64_NR_LISTS], pos, end;
	unsigned int nr_zeros = 0, i;

	if (!len)
		return 0;
	if (len % RELOC_SIZE || reloc_at(vmlinux, start))
		return not_understood(vmlinux, "what follows vmlinux is no list of relocations");

	for (pos = start; pos < vmlinux->len; pos += RELOC_SIZE) {
		if (reloc_at(vmlinux, pos))
			continue;
		if (nr_zeros == VMLINUX64_NR_LISTS)
			return not_understood(vmlinux, "it has too many lists of relocations");
		zeros[nr_zeros++] = pos;
	}
	if (nr_zeros < 2)
		return not_understood(vmlinux, "it has too few lists of relocations");

	vmlinux->relocatable = true;
	end = vmlinux->len;
	for (i = 0; i < VMLINUX64_NR_LISTS; i++) {
		if (i == VMLINUX64_RELOCS_32_INVERSE && nr_zeros == 2)
			continue;

		/* From the end backwards. */
		pos = zeros[i == VMLINUX64_RELOCS_64 ? 0 : nr_zeros - 1 - i];
		vmlinux->relocs[i].pos = pos + RELOC_SIZE;
		vmlinux->relocs[i].nr = (end - pos) / RELOC_SIZE - 1;
		if ((vmlinux->relocs[i].nr && vmlinux->size < sizeof(u64)) ||
		    !targets_valid(vmlinux, i))
			return damaged(vmlinux, "a relocation is outside of the kernel");
		end = pos;
	}

	return 0;
}

/**
 * vmlinux64_parse - see whether a vmlinux is as expected
 * @vmlinux: with image, len and link_phys set
 *
 * Changes nothing in the image. If there is nothing wrong, the other members are set, and the
 * image can be passed to vmlinux64_place(). Otherwise @vmlinux->problem says what it is.
 *
 * Return:
 * * 0 - it is as expected
 * * %-EBADMSG - it is damaged: the decompressor would not start it either
 * * %-EOPNOTSUPP - it is not understood: the decompressor may start it
 */
int vmlinux64_parse(struct vmlinux64 *vmlinux)
{
	Elf64_Ehdr ehdr;
	size_t elf_end;
	int err;

	if (vmlinux->len < sizeof(ehdr))
		return damaged(vmlinux, "what is packed is no vmlinux for x86-64");

	memcpy(&ehdr, vmlinux->image, sizeof(ehdr));
	err = check_damage(vmlinux, &ehdr) ?: check_layout(vmlinux, &ehdr, &elf_end);
	if (err)
		return err;

	return check_relocs(vmlinux, elf_end);
}

/**
 * vmlinux64_place - lay the kernel out as it runs
 * @vmlinux: accepted by vmlinux64_parse()
 *
 * What follows the kernel in the image stays there: the relocations.
 */
void vmlinux64_place(struct vmlinux64 *vmlinux)
{
	Elf64_Phdr phdrs[MAX_PROGRAM_HEADERS];
	Elf64_Ehdr ehdr;
	size_t end = 0, dest;
	unsigned int i;

	/* The first segment overwrites these. */
	memcpy(&ehdr, vmlinux->image, sizeof(ehdr));
	memcpy(phdrs, vmlinux->image + ehdr.e_phoff, ehdr.e_phnum * sizeof(*phdrs));

	for (i = 0; i < ehdr.e_phnum; i++) {
		if (phdrs[i].p_type != PT_LOAD || !phdrs[i].p_filesz)
			continue;

		dest = phdrs[i].p_paddr - vmlinux->link_phys;
		memset(vmlinux->image + end, 0, dest - end);
		memmove(vmlinux->image + dest, vmlinux->image + phdrs[i].p_offset,
			phdrs[i].p_filesz);
		end = dest + phdrs[i].p_filesz;
	}
}

/**
 * vmlinux64_relocate - let the kernel run at another virtual address
 * @vmlinux: a kernel that has been placed
 * @delta: how much higher than it was linked for
 *
 * Context: Once for each image.
 */
void vmlinux64_relocate(struct vmlinux64 *vmlinux, s64 delta)
{
	unsigned int list;
	size_t i;
	u8 *at;

	for (list = 0; list < VMLINUX64_NR_LISTS; list++) {
		for (i = 0; i < vmlinux->relocs[list].nr; i++) {
			at = vmlinux->image + reloc_target(vmlinux, vmlinux->relocs[list].pos +
							   i * RELOC_SIZE);

			if (list == VMLINUX64_RELOCS_64)
				put_unaligned_le64(get_unaligned_le64(at) + delta, at);
			else if (list == VMLINUX64_RELOCS_32)
				put_unaligned_le32(get_unaligned_le32(at) + delta, at);
			else
				put_unaligned_le32(get_unaligned_le32(at) - delta, at);
		}
	}
}
