// SPDX-License-Identifier: GPL-2.0-only
/*
 * What libFuzzer calls: build a vmlinux with relocations as the input wants it, damage it,
 * and see what becomes of it. One that is not damaged has to be accepted. One that is
 * accepted is placed and relocated, and compared with what a decompressor makes of it, which
 * is written here without a look at the kernel code. AddressSanitizer sees writes beyond it.
 *
 * A run for some time must have seen kernels that are accepted, that are refused, and that
 * are not understood, or it says nothing.
 */

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <asm/kexec-vmlinux64.h>

#include "../expect.h"

#define LINK_PHYS	0x1000000ULL
#define LINK_VIRT	(0xffffffff80000000ULL + LINK_PHYS)
#define MAX_SEGMENTS	5
#define MAX_LEN		131072

/* What a decompressor does with it depends on where it puts the kernel. */
#define BAD_RELOC	"a relocation is outside of the kernel"

static unsigned long nr_accepted, nr_damaged_accepted, nr_refused, nr_not_understood;
static bool timed;

static const u8 *input;
static size_t input_left;

/* What is beyond the end of the input is 0. */
static u64 take(unsigned int nr_bytes)
{
	u64 value = 0;

	for (; nr_bytes; nr_bytes--) {
		value <<= 8;
		if (input_left) {
			value |= *input++;
			input_left--;
		}
	}

	return value;
}

/* A file, without and with what was done to it. */
static u8 file[MAX_LEN];
static size_t file_len;
static size_t headers_end, relocs_start;
static bool two_lists, has_relocs;

static void add_reloc(u32 value)
{
	memcpy(file + file_len, &value, sizeof(value));
	file_len += sizeof(value);
}

/* Somewhere in the kernel, in ascending order. */
static void add_list(u64 size)
{
	unsigned int nr = take(1) % 32;
	u64 at = 0;

	add_reloc(0);
	while (nr--) {
		at += 8 + take(1);
		if (at + 8 > size)
			break;
		add_reloc(LINK_VIRT + at);
	}
}

static void build(void)
{
	typeof(Elf64_Ehdr) *ehdr = (void *)file;
	typeof(Elf64_Phdr) *phdr = (void *)(ehdr + 1);
	unsigned int nr = 1 + take(1) % MAX_SEGMENTS, i;
	u64 pos = sizeof(*ehdr) + (nr + 1) * sizeof(*phdr);
	u64 dest = 0, mem, size = 0;

	memset(file, 0, sizeof(file));
	headers_end = pos;
	ehdr->e_type = ET_EXEC;
	ehdr->e_machine = EM_X86_64;
	ehdr->e_version = EV_CURRENT;
	ehdr->e_phoff = sizeof(*ehdr);
	ehdr->e_phentsize = sizeof(*phdr);
	ehdr->e_phnum = nr + 1;
	ehdr->e_shentsize = sizeof(Elf64_Shdr);
	ehdr->e_shnum = 2;
	memcpy(ehdr->e_ident, ELFMAG, SELFMAG);
	ehdr->e_ident[EI_CLASS] = ELFCLASS64;
	ehdr->e_ident[EI_DATA] = ELFDATA2LSB;

	for (i = 0; i < nr; i++) {
		phdr[i] = (typeof(*phdr)){
			.p_type = PT_LOAD, .p_align = VMLINUX64_ALIGN,
			.p_offset = pos, .p_paddr = LINK_PHYS + dest,
			.p_filesz = 64 + take(2) % 4096,
		};
		mem = i == nr - 1 ? take(2) : take(1) % 64;
		phdr[i].p_memsz = phdr[i].p_filesz + mem;
		for (mem = 0; mem < phdr[i].p_filesz; mem++)
			file[pos + mem] = pos + mem * 7;

		pos += phdr[i].p_filesz;
		size = dest + phdr[i].p_filesz;
		dest += phdr[i].p_memsz + take(1) % 64;
		if (pos < dest)
			pos = dest;
	}
	phdr[nr].p_type = PT_NOTE;
	ehdr->e_entry = LINK_PHYS + take(2) % size;
	ehdr->e_shoff = pos;
	file_len = pos + 2 * sizeof(Elf64_Shdr);

	relocs_start = file_len;
	has_relocs = take(1) % 4;
	if (!has_relocs)
		return;
	two_lists = take(1) & 1;
	add_list(size);
	if (!two_lists)
		add_list(size);
	add_list(size);
}

/* Most of what matters is in the headers and in the lists. */
static bool damage(void)
{
	unsigned int nr = take(1) % 8;
	static u8 before[MAX_LEN];
	size_t before_len = file_len, pos, width;
	u64 value;

	memcpy(before, file, file_len);
	while (nr--) {
		switch (take(1) % 5) {
		case 0:
			pos = take(1);
			break;
		case 1:
			pos = take(2) % headers_end;
			break;
		case 2:
			pos = relocs_start + take(1);
			break;
		case 3:
			file_len = take(2) % file_len + 1;
			continue;
		default:
			pos = take(2);
			break;
		}
		width = 1 << take(1) % 4;
		value = take(width);
		if (file_len >= width && pos <= file_len - width)
			memcpy(file + pos, &value, width);
	}

	return file_len != before_len || memcmp(before, file, file_len);
}

/* The kernel as a decompressor lays it out. */
static u8 *reference(size_t size, s64 delta)
{
	const typeof(Elf64_Ehdr) *ehdr = (void *)file;
	const u8 *end = file + file_len, *lists;
	u8 *out = calloc(1, size);
	Elf64_Phdr phdr;
	unsigned int i, nr_zeros = 0, list = 0;
	u32 reloc, value32;
	u64 value;

	for (i = 0; i < ehdr->e_phnum; i++) {
		memcpy(&phdr, file + ehdr->e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type == PT_LOAD)
			memcpy(out + (phdr.p_paddr - LINK_PHYS), file + phdr.p_offset,
			       phdr.p_filesz);
	}

	lists = file + ehdr->e_shoff + ehdr->e_shnum * sizeof(Elf64_Shdr);
	if (lists == end)
		return out;

	for (; lists < end; lists += 4) {
		memcpy(&reloc, lists, 4);
		nr_zeros += !reloc;
	}
	EXPECT(nr_zeros == 2 || nr_zeros == 3);

	while (list < nr_zeros) {
		end -= 4;
		memcpy(&reloc, end, 4);
		if (!reloc) {
			list++;
			continue;
		}

		value = (u64)(s64)(s32)reloc - LINK_VIRT;
		EXPECT(value < size);
		if (list == nr_zeros - 1) {
			u64 old;

			memcpy(&old, out + value, 8);
			old += delta;
			memcpy(out + value, &old, 8);
			continue;
		}
		memcpy(&value32, out + value, 4);
		value32 += list == 1 ? -delta : delta;
		memcpy(out + value, &value32, 4);
	}

	return out;
}

static void report(void)
{
	fprintf(stderr,
		"%lu kernels accepted, %lu of them damaged; %lu refused; %lu not understood\n",
		nr_accepted, nr_damaged_accepted, nr_refused, nr_not_understood);
	if (timed && (!nr_accepted || !nr_refused || !nr_not_understood)) {
		fprintf(stderr, "not ok: the run proves nothing\n");
		_exit(1);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	for (i = 1; i < *argc; i++)
		timed |= !strncmp((*argv)[i], "-max_total_time=", 16);
	atexit(report);
	return 0;
}

static void try_payload(void)
{
	u64 len = take(4), setup_size = take(2), syssize = take(4), offset = take(4);
	u64 size = take(4), end = len > setup_size ? len - setup_size : 0;
	size_t start;

	switch (vmlinux64_payload(len, setup_size, syssize, offset, size, &start)) {
	case 0:
		EXPECT(start == setup_size + offset && offset && size >= 8);
		break;
	case -EBADMSG:
		EXPECT(len < setup_size || syssize * 16 > end || offset + size > end);
		return;
	case -EOPNOTSUPP:
		EXPECT(!offset || size < 8);
		break;
	default:
		EXPECT(false);
	}
	EXPECT(len >= setup_size && syssize * 16 <= end && offset + size <= end);
}

/*
 * Whether the decompressors of Linux 6.12 and 7.3 would fail, or copy something from or to
 * where it is not theirs. They look at relocations only if the kernel is to be moved.
 */
static bool decompressor_fails(void)
{
	const typeof(Elf64_Ehdr) *ehdr = (void *)file;
	Elf64_Phdr phdr;
	unsigned int i;
	u64 end = 0;

	if (file_len < sizeof(*ehdr) || memcmp(ehdr->e_ident, ELFMAG, SELFMAG) ||
	    ehdr->e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr->e_ident[EI_DATA] != ELFDATA2LSB || ehdr->e_machine != EM_X86_64)
		return true;

	for (i = 0; i < ehdr->e_phnum; i++) {
		u64 pos = ehdr->e_phoff + i * sizeof(phdr);

		if (pos < ehdr->e_phoff || pos > file_len || file_len - pos < sizeof(phdr))
			return true;
		memcpy(&phdr, file + pos, sizeof(phdr));
		if (phdr.p_type != PT_LOAD)
			continue;
		if (phdr.p_align % 0x200000 || phdr.p_filesz > phdr.p_memsz ||
		    phdr.p_paddr < LINK_PHYS || phdr.p_offset > file_len ||
		    phdr.p_filesz > file_len - phdr.p_offset)
			return true;
		phdr.p_paddr -= LINK_PHYS;
		if (phdr.p_paddr > 1 << 30 || phdr.p_memsz > (1 << 30) - phdr.p_paddr)
			return true;
		if (phdr.p_filesz && end < phdr.p_paddr + phdr.p_filesz)
			end = phdr.p_paddr + phdr.p_filesz;
	}

	return ehdr->e_entry < LINK_PHYS || ehdr->e_entry - LINK_PHYS >= end;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct vmlinux64 vmlinux = { .link_phys = LINK_PHYS };
	bool damaged;
	s64 delta;
	u8 *want;
	int err;

	input = data;
	input_left = size;
	try_payload();
	build();
	delta = take(1) * VMLINUX64_ALIGN;
	damaged = damage();

	vmlinux.len = file_len;
	vmlinux.image = malloc(file_len);
	memcpy(vmlinux.image, file, file_len);
	err = vmlinux64_parse(&vmlinux);
	EXPECT(!memcmp(vmlinux.image, file, file_len));
	EXPECT(!err == !vmlinux.problem);
	if (err) {
		EXPECT(err == -EBADMSG || err == -EOPNOTSUPP);
		nr_refused += err == -EBADMSG;
		nr_not_understood += err == -EOPNOTSUPP;
		if (!damaged)
			fprintf(stderr, "not damaged, but %s\n", vmlinux.problem);
		EXPECT(damaged);
		if (!strcmp(vmlinux.problem, BAD_RELOC))
			EXPECT(err == -EBADMSG);
		else
			EXPECT(decompressor_fails() == (err == -EBADMSG));
		free(vmlinux.image);
		return 0;
	}

	EXPECT(!decompressor_fails());
	nr_accepted++;
	nr_damaged_accepted += damaged;
	if (!damaged)
		EXPECT(vmlinux.relocatable == has_relocs);
	EXPECT(vmlinux.size <= vmlinux.len && vmlinux.size <= vmlinux.mem_size);
	EXPECT(vmlinux.entry < vmlinux.size);

	vmlinux64_place(&vmlinux);
	vmlinux64_relocate(&vmlinux, delta);
	want = reference(vmlinux.size, delta);
	EXPECT(!memcmp(vmlinux.image, want, vmlinux.size));
	free(want);
	free(vmlinux.image);
	return 0;
}
