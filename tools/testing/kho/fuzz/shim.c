// SPDX-License-Identifier: GPL-2.0-only
/*
 * What early boot calls of the rest of the kernel.
 */

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/memblock.h>
#include <linux/slab.h>

#include "fuzz.h"

const char *shim_last_message;
bool shim_verbose;

/* kho_preserve.c, which kho_fdt.c knows. Nothing is preserved here. */
struct kho_out kho_out;

static unsigned int nr_messages;

void fuzz_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	fprintf(stderr, "%s:%d: ", file, line);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nlast message of the kernel: %s\n",
		shim_last_message ?: "none");
	abort();
}

/* One conversion of a format. The kernel has %pa, and 0x in front of 0, too. */
static void print_value(const char *conversion, size_t len, va_list *args)
{
	char spec[16] = {};

	EXPECT(len < sizeof(spec));
	memcpy(spec, conversion, len);
	if (!strncmp(spec, "%#", 2)) {
		memmove(spec + 1, spec + 2, sizeof(spec) - 2);
		fputs("0x", stdout);
	}

	switch (spec[strlen(spec) - 1]) {
	case '%':
		putchar('%');
		break;
	case 's':
		printf(spec, va_arg(*args, const char *));
		break;
	case 'a':
		EXPECT(!strcmp(spec, "%pa"));
		printf("0x%016llx", (unsigned long long)*va_arg(*args, phys_addr_t *));
		break;
	default:
		if (strpbrk(spec, "lz"))
			printf(spec, va_arg(*args, unsigned long));
		else
			printf(spec, va_arg(*args, unsigned int));
	}
}

static void print(const char *fmt, va_list *args)
{
	size_t len;

	for (; *fmt; fmt += len) {
		len = strcspn(fmt, "%");
		fwrite(fmt, 1, len, stdout);
		fmt += len;
		if (!*fmt)
			break;

		len = strcspn(fmt + 1, "%acdisux") + 2;
		print_value(fmt, len, args);
	}
}

void shim_printk(const char *fmt, ...)
{
	va_list args;

	/* memblock has something to say, too, when memory is short. */
	if (!strncmp(fmt, "kho: ", 5)) {
		nr_messages++;
		shim_last_message = fmt;
	}
	if (!shim_verbose)
		return;

	va_start(args, fmt);
	print(fmt, &args);
	va_end(args);
}

unsigned int shim_take_messages(void)
{
	unsigned int nr = nr_messages;

	nr_messages = 0;
	return nr;
}

void shim_warn(void)
{
	FAIL("a warning");
}

bool slab_is_available(void)
{
	return false;
}

/* Eight bytes at a time; the reference uses it, too. */
u32 __crc32c_le(u32 crc, const u8 *data, size_t len)
{
	static u32 table[8][256];
	unsigned int i, n;
	u64 word;
	u32 value;

	for (i = table[0][1] ? 256 : 0; i < 256; i++) {
		for (value = i, n = 0; n < 8; n++)
			value = value >> 1 ^ (value & 1 ? 0x82f63b78 : 0);
		table[0][i] = value;
	}
	for (i = table[1][1] ? 256 : 0; i < 256; i++) {
		for (n = 1; n < 8; n++)
			table[n][i] = table[n - 1][i] >> 8 ^
				      table[0][table[n - 1][i] & 0xff];
	}

	for (; len >= 8; len -= 8, data += 8) {
		memcpy(&word, data, 8);
		word ^= crc;
		for (crc = 0, n = 0; n < 8; n++)
			crc ^= table[7 - n][word >> (8 * n) & 0xff];
	}
	for (; len; len--)
		crc = crc >> 8 ^ table[0][(crc ^ *data++) & 0xff];

	return crc;
}

/* Nobody calls these. */
char _text[1], _end[1];

unsigned long long memparse(const char *ptr, char **retptr)
{
	FAIL("nobody calls this");
}

phys_addr_t kho_reserve_mem_revive(const char *name, phys_addr_t size,
				   phys_addr_t align)
{
	FAIL("nobody calls this");
}

void kho_init_pages_exact(void)
{
	FAIL("nobody calls this");
}

void kho_init_scratch_pageblocks(unsigned long pfn, unsigned long end_pfn)
{
	FAIL("nobody calls this");
}

int kho_out_not_ready(void)
{
	return -EOPNOTSUPP;
}

void *kho_alloc_preserve(size_t size)
{
	return ERR_PTR(-ENOMEM);
}

void kho_unpreserve_free(void *mem)
{
}

void *kmalloc(size_t size, gfp_t gfp)
{
	return NULL;
}

void kfree(void *mem)
{
}

unsigned long get_zeroed_page(gfp_t gfp)
{
	return 0;
}

void free_page(unsigned long addr)
{
}

/* Of kho_scratch_size.c: a kernel that takes over a handover has its scratch areas. */
int kho_scratch_reserve(void)
{
	return -ENOMEM;
}

void kho_scratch_note_early_use(void)
{
}

phys_addr_t kho_boot_memory(void)
{
	return 0;
}

void kho_scratch_note_use(void)
{
}
