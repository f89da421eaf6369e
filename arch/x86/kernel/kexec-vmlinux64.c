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
 * Nothing here trusts the file, or changes it before all of it has been checked. This file
 * is also compiled for user space; see tools/testing/kho/fuzz.
 */

#include <linux/align.h>
#include <linux/elf.h>
#include <linux/string.h>
#include <linux/types.h>
#include <linux/unaligned.h>

#include <asm/kexec-vmlinux64.h>

#define START_KERNEL_MAP	0xffffffff80000000ULL
#define MAX_PROGRAM_HEADERS	16
#define RELOC_SIZE		sizeof(u32)

/**
 * vmlinux64_payload - find the compressed kernel in a bzImage
 * @len: bytes in the bzImage
 * @setup_size: bytes in its real-mode part
 * @offset: where its header says that the payload is, from the end of that part on
 * @size: bytes in the payload, according to its header
 * @start: set to the offset of the payload in the bzImage
 *
 * Return: NULL, or what is wrong.
 */
const char *vmlinux64_payload(size_t len, size_t setup_size, u32 offset, u32 size,
			      size_t *start)
{
	if (!offset || size < 2 * RELOC_SIZE)
		return "it has no payload";
	if (setup_size > len || offset > len - setup_size || size > len - setup_size - offset)
		return "its payload is not in the file";

	*start = setup_size + offset;
	return NULL;
}

/* Program headers need not be aligned. */
static Elf64_Phdr program_header(const struct vmlinux64 *vmlinux, u64 phoff, unsigned int i)
{
	Elf64_Phdr phdr;

	memcpy(&phdr, vmlinux->image + phoff + i * sizeof(phdr), sizeof(phdr));
	return phdr;
}

static bool is_vmlinux(const Elf64_Ehdr *ehdr)
{
	return !memcmp(ehdr->e_ident, ELFMAG, SELFMAG) &&
	       ehdr->e_ident[EI_CLASS] == ELFCLASS64 &&
	       ehdr->e_ident[EI_DATA] == ELFDATA2LSB &&
	       ehdr->e_type == ET_EXEC && ehdr->e_machine == EM_X86_64 &&
	       ehdr->e_phentsize == sizeof(Elf64_Phdr) &&
	       ehdr->e_shentsize == sizeof(Elf64_Shdr);
}

/* objcopy puts the section headers at the end. */
static const char *find_elf_end(const struct vmlinux64 *vmlinux, const Elf64_Ehdr *ehdr,
				size_t *end)
{
	size_t size = ehdr->e_shnum * sizeof(Elf64_Shdr);

	if (!size || ehdr->e_shoff > vmlinux->len || size > vmlinux->len - ehdr->e_shoff)
		return "its section headers are not in the file";

	*end = ehdr->e_shoff + size;
	return NULL;
}

/*
 * Segments are moved towards the beginning of the buffer, in the order of the headers, so
 * none may be moved to where a later one still is.
 */
static const char *check_segments(struct vmlinux64 *vmlinux, const Elf64_Ehdr *ehdr,
				  size_t elf_end)
{
	u64 mem_end = 0, file_end = 0, dest;
	unsigned int i;

	for (i = 0; i < ehdr->e_phnum; i++) {
		Elf64_Phdr phdr = program_header(vmlinux, ehdr->e_phoff, i);

		if (phdr.p_type != PT_LOAD)
			continue;
		if (phdr.p_align % VMLINUX64_ALIGN)
			return "a segment is not aligned to 2 MiB";
		if (phdr.p_filesz > phdr.p_memsz)
			return "a segment is larger than its memory";
		if (phdr.p_offset < file_end || phdr.p_offset > elf_end ||
		    phdr.p_filesz > elf_end - phdr.p_offset)
			return "a segment is not in the file, or overlaps another one";

		dest = phdr.p_paddr - vmlinux->link_phys;
		if (phdr.p_paddr < vmlinux->link_phys || dest < mem_end ||
		    dest > VMLINUX64_MAX_SIZE || phdr.p_memsz > VMLINUX64_MAX_SIZE - dest)
			return "the memory of a segment is out of range, or overlaps another one";
		if (!mem_end && dest)
			return "its first segment is not at its beginning";
		if (dest > phdr.p_offset)
			return "a segment lies further from the beginning than in the file";

		file_end = phdr.p_offset + phdr.p_filesz;
		mem_end = dest + phdr.p_memsz;
		if (phdr.p_filesz)
			vmlinux->size = dest + phdr.p_filesz;
	}

	if (!vmlinux->size)
		return "it has no segments";

	vmlinux->mem_size = mem_end;
	return NULL;
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

static const char *check_relocs(struct vmlinux64 *vmlinux, size_t start)
{
	size_t len = vmlinux->len - start, zeros[VMLINUX64_NR_LISTS], pos, end;
	unsigned int nr_zeros = 0, i;

	if (!len)
		return NULL;
	if (len % RELOC_SIZE || reloc_at(vmlinux, start))
		return "what is behind its ELF file is no list of relocations";

	for (pos = start; pos < vmlinux->len; pos += RELOC_SIZE) {
		if (reloc_at(vmlinux, pos))
			continue;
		if (nr_zeros == VMLINUX64_NR_LISTS)
			return "it has more lists of relocations than are known";
		zeros[nr_zeros++] = pos;
	}
	if (nr_zeros < 2)
		return "it has fewer lists of relocations than are known";

	vmlinux->relocatable = true;
	end = vmlinux->len;
	for (i = 0; i < VMLINUX64_NR_LISTS; i++) {
		if (i == VMLINUX64_RELOCS_32_INVERSE && nr_zeros == 2)
			continue;

		/* From the end backwards. */
		pos = zeros[i == VMLINUX64_RELOCS_64 ? 0 : nr_zeros - 1 - i];
		vmlinux->relocs[i].pos = pos + RELOC_SIZE;
		vmlinux->relocs[i].nr = (end - pos) / RELOC_SIZE - 1;
		if (vmlinux->relocs[i].nr && vmlinux->size < sizeof(u64))
			return "a relocation is outside of the kernel";
		if (!targets_valid(vmlinux, i))
			return "a relocation is outside of the kernel";
		end = pos;
	}

	return NULL;
}

/**
 * vmlinux64_parse - see whether a vmlinux is as expected
 * @vmlinux: with image, len and link_phys set
 *
 * Changes nothing in the image. If there is nothing wrong, the other members are set, and the
 * image can be passed to vmlinux64_place().
 *
 * Return: NULL, or what is not as expected.
 */
const char *vmlinux64_parse(struct vmlinux64 *vmlinux)
{
	const char *problem;
	Elf64_Ehdr ehdr;
	size_t elf_end;

	if (vmlinux->len < sizeof(ehdr))
		return "it is no vmlinux";

	memcpy(&ehdr, vmlinux->image, sizeof(ehdr));
	if (!is_vmlinux(&ehdr))
		return "it is no vmlinux";
	if (ehdr.e_phnum > MAX_PROGRAM_HEADERS || ehdr.e_phoff > vmlinux->len ||
	    ehdr.e_phnum * sizeof(Elf64_Phdr) > vmlinux->len - ehdr.e_phoff)
		return "its program headers are not in the file, or too many";

	problem = find_elf_end(vmlinux, &ehdr, &elf_end);
	if (problem)
		return problem;

	problem = check_segments(vmlinux, &ehdr, elf_end);
	if (problem)
		return problem;

	if (ehdr.e_entry < vmlinux->link_phys ||
	    ehdr.e_entry - vmlinux->link_phys >= vmlinux->size)
		return "its entry point is outside of the kernel";
	vmlinux->entry = ehdr.e_entry - vmlinux->link_phys;

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
