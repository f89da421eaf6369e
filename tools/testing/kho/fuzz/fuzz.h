/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A handover that is built, damaged, and given to the real kernel code.
 *
 *	memory.c	physical memory, and what firmware says about it
 *	sender.c	a valid handover, as the fuzzer's input wants it
 *	damage.c	what may become of it
 *	reference.c	is it in order? Written without a look at the kernel code
 *	judge.c		does the kernel agree, and has it done what it should?
 *	check-out.c	what the kernel that hands over says, beforehand
 *	target.c	what libFuzzer calls
 *
 * All but sender.c, damage.c and target.c is used by ../damage/, too.
 */
#ifndef _KHO_FUZZ_H
#define _KHO_FUZZ_H

#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/types.h>

#include "../../../../kernel/liveupdate/kho_internal.h"

/* Ends the program, as something that has been found. */
__printf(3, 4) __noreturn
void fuzz_fail(const char *file, int line, const char *fmt, ...);

#define FAIL(...)	fuzz_fail(__FILE__, __LINE__, __VA_ARGS__)
#define EXPECT(condition)						\
do {									\
	if (!(condition))						\
		FAIL("%s", #condition);					\
} while (0)

/* The input of the fuzzer. What is beyond its end is 0. */
struct input {
	const u8 *data;
	size_t size;
};

static inline u64 take(struct input *in, unsigned int nr_bytes)
{
	u64 value = 0;

	for (; nr_bytes; nr_bytes--) {
		value <<= 8;
		if (in->size) {
			value |= *in->data++;
			in->size--;
		}
	}

	return value;
}

/*
 * Memory. Pages are counted from mem_base on, where the first of them may be.
 */
#define MEM_PAGES	65536UL

/* What firmware said about a page, and what the sender uses it for. */
#define PAGE_RAM	BIT(0)
#define PAGE_NOMAP	BIT(1)
#define PAGE_RESERVED	BIT(2)	/* this kernel's image, and firmware */
#define PAGE_SCRATCH	BIT(3)
#define PAGE_NODE	BIT(4)
#define PAGE_KEY	BIT(5)

extern phys_addr_t mem_base;
extern unsigned long mem_end;		/* page after the last that is RAM */
extern u8 mem_flags[MEM_PAGES];
extern unsigned long mem_nr_lookups;	/* how often an address was followed */

void mem_init(void);
void mem_reset(phys_addr_t base, unsigned long end);
void mem_begin(struct input *in);
void mem_add_ram(unsigned long page, unsigned long end);
void mem_reserve(unsigned long page, unsigned long nr_pages);
void mem_note(void);
void mem_expect_unmapped(void);
void mem_expect_unchanged(void);

/* Where things are in mem_begin()'s layout, if they are there. */
#define MEM_SCRATCH	4096UL
#define MEM_IMAGE	(MEM_SCRATCH + 128)
#define MEM_IMAGE_PAGES	256
#define MEM_SCRATCH2	8000UL
#define MEM_HOLE	10000UL
#define MEM_NOMAP	12000UL
#define MEM_FIRMWARE	14000UL

static inline phys_addr_t page_phys(unsigned long page)
{
	return mem_base + PFN_PHYS(page);
}

/* The page of an address, or MEM_PAGES when it is nowhere. */
static inline unsigned long phys_page(phys_addr_t phys)
{
	return phys >= mem_base && phys - mem_base < PFN_PHYS(MEM_PAGES) ?
	       PHYS_PFN(phys - mem_base) : MEM_PAGES;
}

/* Page @page, as this program sees it. */
void *mem_virt(unsigned long page);

/* All pages of a range have exactly these of the flags in @mask. */
bool mem_is(unsigned long page, unsigned long nr_pages, u8 mask, u8 flags);

/*
 * What is handed over.
 */
#define MAX_NODES	512
#define MAX_KEYS	4096
#define MAX_AREAS	8

struct handover {
	/* What the architecture passes. */
	phys_addr_t fdt;
	u64 fdt_len;
	phys_addr_t scratch;
	u64 scratch_len;

	/* Where it is; not all that damage.c has done is known here. */
	unsigned long fdt_page;
	phys_addr_t nodes[MAX_NODES];
	unsigned int nr_nodes;
	u64 keys[MAX_KEYS];
	unsigned int nr_keys;
	unsigned long nr_pages;

	bool damaged;
};

extern struct handover handover;

void sender_build(struct input *in);
void sender_seal(void);
u64 *sender_add_leaf(u64 key);
void sender_add_key(u64 key);
void damage(struct input *in);

/*
 * What the reference thinks of it.
 */
#define MAX_SUBTREES	128

struct ref_subtree {
	const char *name;
	u64 phys, size;
};

struct ref_fdt {
	u64 root;
	u64 checksum;			/* 0 when there is none */
	unsigned int checksum_pos;	/* of its value */
	unsigned int totalsize;
	unsigned int nr_subtrees;
	struct ref_subtree subtrees[MAX_SUBTREES];
};

struct verdict {
	const char *problem;		/* NULL when all is in order */
	struct ref_fdt fdt;
	unsigned long nr_nodes;
	unsigned long nr_keys;
	unsigned long nr_pages;
	u32 crc;
	u8 keep[MEM_PAGES];		/* PAGE_NODE, PAGE_KEY, PAGE_SCRATCH */
};

/* reference-fdt.c */
const char *ref_parse(const void *fdt, unsigned int len, struct ref_fdt *out);

/* reference.c */
void ref_check(const struct handover *handover, struct verdict *verdict);
u64 ref_checksum(const struct verdict *verdict);
unsigned long ref_max_nodes(void);

/*
 * The rest.
 */

/* judge.c: true when the handover was accepted. */
bool judge(const struct verdict *verdict);

/* check-out.c */
void check_out_note(const struct handover *h);
void check_out_compare(const struct handover *h, const struct verdict *verdict);

/* shim.c */
unsigned int shim_take_messages(void);
extern const char *shim_last_message;
extern bool shim_verbose;

/* target.c, ../damage/replay.c: what the architecture does with a handover */
void take_over(void);

/* target.c */
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

/* memblock.c, boot.c */
void fuzz_reset_memblock(void);
struct memblock_type;
bool fuzz_memblock_grown(const struct memblock_type *type);
bool fuzz_memblock_restricted(void);
void fuzz_reset_boot(void);

#endif /* _KHO_FUZZ_H */
