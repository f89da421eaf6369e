// SPDX-License-Identifier: GPL-2.0-only
/*
 * What libFuzzer calls: unpack something that was packed, and then damaged. The buffers have
 * exactly the sizes that the kernel passes, so AddressSanitizer sees what is read or written
 * beyond them.
 *
 * Before that all formats have to be unpacked correctly. No truncation of them, and no change
 * of one byte, may give something else, unless it is lz4, which has no checksum.
 */

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kho_unpack.h>
#include <linux/lz4.h>
#include <linux/xz.h>

#include "../expect.h"

#define MAX_LEN		65536
#define LZ4_BLOCK_SIZE	(8 << 20)

static const char * const formats[] = { "gzip", "xz", "zstd", "lz4" };
static unsigned long nr_unpacked, nr_damaged, nr_not_known;
static bool timed;

/* As in lib/crc32.c, bit by bit. */
u32 crc32_le(u32 crc, const unsigned char *p, size_t len)
{
	unsigned int i;

	while (len--) {
		crc ^= *p++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}

	return crc;
}

/* What kho_unpack.c calls in place of the other one, which takes lengths as int. */
int checked_lz4_decompress_safe(const char *source, char *dest, int len, int max_len);
int checked_lz4_decompress_safe(const char *source, char *dest, int len, int max_len)
{
	EXPECT(len > 0 && max_len > 0 && max_len <= LZ4_BLOCK_SIZE);
	return LZ4_decompress_safe(source, dest, len, max_len);
}

/* Returns as kho_unpack(); what was unpacked is compared with @plain, if that is not NULL. */
static int unpack(const u8 *data, size_t size, size_t out_len, const u8 *plain, bool *same)
{
	u8 *in = malloc(size), *out = malloc(out_len);
	const char *format;
	int err;

	EXPECT(in && out);
	memcpy(in, data, size);
	format = kho_unpack_format(in, size);
	err = kho_unpack(in, size, out, out_len);
	EXPECT(!err || err == -EBADMSG || err == -EOPNOTSUPP || err == -ENOMEM);
	EXPECT(!memcmp(in, data, size));
	if (!format)
		EXPECT(err == -EOPNOTSUPP);
	if (plain)
		*same = !err && !memcmp(out, plain, out_len);

	free(in);
	free(out);
	return err;
}

static size_t read_file(const char *dir, const char *name, u8 *data, size_t max)
{
	char path[4096];
	FILE *file;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	if (!file) {
		perror(path);
		exit(1);
	}
	len = fread(data, 1, max, file);
	fclose(file);
	EXPECT(len > 0 && len < max);
	return len;
}

static void try_format(const char *dir, const char *name)
{
	static u8 data[MAX_LEN], plain[MAX_LEN];
	size_t plain_len = read_file(dir, "../plain", plain, sizeof(plain));
	size_t len = read_file(dir, name, data, sizeof(data)), i;
	bool has_checksum = strcmp(name, "lz4");
	bool same;

	EXPECT(!strcmp(kho_unpack_format(data, len), name));
	EXPECT(!unpack(data, len, plain_len, plain, &same) && same);

	/* One that is longer or shorter than it says. */
	EXPECT(unpack(data, len, plain_len - 1, NULL, NULL) == -EBADMSG);
	EXPECT(unpack(data, len, plain_len + 1, NULL, NULL) == -EBADMSG);

	for (i = 0; i < len; i++) {
		int err = unpack(data, i, plain_len, plain, &same);

		EXPECT(err == -EBADMSG || same || !kho_unpack_format(data, i));
	}

	for (i = 0; i < len * 256; i++) {
		u8 old = data[i / 256];

		data[i / 256] = i;
		EXPECT(unpack(data, len, plain_len, plain, &same) || same || !has_checksum);
		data[i / 256] = old;
	}
}

/* The length of a block does not fit into an int, and the block is there. */
static void try_huge_lz4(void)
{
	static const u8 header[] = { 0x02, 0x21, 0x4c, 0x18, 0x01, 0x00, 0x00, 0x80 };
	size_t size = sizeof(header) + 0x80000001UL + 4;
	u8 *data = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	static u8 out[4096];

	EXPECT(data != MAP_FAILED);
	memcpy(data, header, sizeof(header));
	EXPECT(kho_unpack(data, size, out, sizeof(out)) == -EBADMSG);
	munmap(data, size);
}

static void report(void)
{
	fprintf(stderr, "%lu unpacked, %lu damaged, %lu of no known format\n", nr_unpacked,
		nr_damaged, nr_not_known);
	if (timed && (!nr_unpacked || !nr_damaged || !nr_not_known)) {
		fprintf(stderr, "not ok: the run proves nothing\n");
		_exit(1);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *seeds = getenv("SEEDS");
	int i;

	for (i = 1; i < *argc; i++)
		timed |= !strncmp((*argv)[i], "-max_total_time=", 16);

	xz_crc32_init();
	try_huge_lz4();
	for (i = 0; seeds && i < (int)(sizeof(formats) / sizeof(*formats)); i++)
		try_format(seeds, formats[i]);

	atexit(report);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	u32 out_len;
	int err;

	if (size < sizeof(out_len))
		return 0;

	memcpy(&out_len, data + size - sizeof(out_len), sizeof(out_len));
	if (!out_len || out_len > MAX_LEN)
		out_len = out_len % MAX_LEN + 1;
	err = unpack(data, size, out_len, NULL, NULL);
	if (err == -EOPNOTSUPP)
		nr_not_known++;
	else if (err)
		nr_damaged++;
	else
		nr_unpacked++;

	return 0;
}
