// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decompress the payload of a kernel image when the image is loaded.
 *
 * The decompressors of lib/decompress.c are freed after boot, so the libraries behind them
 * are called. None of them writes beyond the output buffer, whatever the input is.
 */

#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kconfig.h>
#include <linux/lz4.h>
#include <linux/minmax.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/xz.h>
#include <linux/zlib.h>
#include <linux/zstd.h>

#include "kho_unpack.h"

struct unpack_format {
	const char *name;
	u8 magic[4];
	u8 magic_len;
	int (*unpack)(const u8 *in, size_t in_len, u8 *out, size_t out_len);
};

#define GZIP_HEADER_SIZE	10
#define GZIP_TRAILER_SIZE	8
#define GZIP_FLAG_NAME		0x08

static int unpack_gzip(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	size_t pos = GZIP_HEADER_SIZE;
	int len;

	if (!IS_BUILTIN(CONFIG_ZLIB_INFLATE))
		return -EOPNOTSUPP;
	if (in_len < GZIP_HEADER_SIZE + GZIP_TRAILER_SIZE)
		return -EBADMSG;
	if (in[3] & ~GZIP_FLAG_NAME)
		return -EOPNOTSUPP;

	if (in[3] & GZIP_FLAG_NAME)
		pos += strnlen(in + pos, in_len - pos) + 1;
	if (pos + GZIP_TRAILER_SIZE > in_len)
		return -EBADMSG;

	len = zlib_inflate_blob(out, out_len, in + pos, in_len - pos);
	if (len == -ENOMEM)
		return len;
	if (len < 0 || len != out_len)
		return -EBADMSG;

	if (~crc32_le(~0, out, out_len) != get_unaligned_le32(in + in_len - GZIP_TRAILER_SIZE))
		return -EBADMSG;

	return 0;
}

static int unpack_xz(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	struct xz_buf buf = {
		.in = in,
		.in_size = in_len,
		.out = out,
		.out_size = out_len,
	};
	struct xz_dec *dec;
	enum xz_ret ret;

	if (!IS_BUILTIN(CONFIG_XZ_DEC))
		return -EOPNOTSUPP;

	dec = xz_dec_init(XZ_SINGLE, 0);
	if (!dec)
		return -ENOMEM;

	ret = xz_dec_run(dec, &buf);
	xz_dec_end(dec);

	switch (ret) {
	case XZ_STREAM_END:
		return buf.out_pos == out_len ? 0 : -EBADMSG;
	case XZ_DATA_ERROR:
	case XZ_BUF_ERROR:
		return -EBADMSG;
	default:
		return -EOPNOTSUPP;
	}
}

static int zstd_errno(size_t ret)
{
	switch (zstd_get_error_code(ret)) {
	case ZSTD_error_corruption_detected:
	case ZSTD_error_checksum_wrong:
	case ZSTD_error_dstSize_tooSmall:
	case ZSTD_error_srcSize_wrong:
		return -EBADMSG;
	default:
		return -EOPNOTSUPP;
	}
}

static int unpack_zstd(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	size_t size, ret;
	void *workspace;
	zstd_dctx *dctx;

	if (!IS_BUILTIN(CONFIG_ZSTD_DECOMPRESS))
		return -EOPNOTSUPP;

	size = zstd_find_frame_compressed_size(in, in_len);
	if (zstd_is_error(size))
		return zstd_errno(size);

	workspace = kvmalloc(zstd_dctx_workspace_bound(), GFP_KERNEL);
	if (!workspace)
		return -ENOMEM;

	dctx = zstd_init_dctx(workspace, zstd_dctx_workspace_bound());
	if (!dctx) {
		kvfree(workspace);
		return -EOPNOTSUPP;
	}

	ret = zstd_decompress_dctx(dctx, out, out_len, in, size);
	kvfree(workspace);
	if (zstd_is_error(ret))
		return zstd_errno(ret);

	return ret == out_len ? 0 : -EBADMSG;
}

/* What lz4 -l makes: the magic number, and blocks with their length in front of them. */
#define LZ4_MAGIC		0x184c2102
#define LZ4_BLOCK_SIZE		SZ_8M

static int unpack_lz4(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	u32 len;
	int ret;

	if (!IS_BUILTIN(CONFIG_LZ4_DECOMPRESS))
		return -EOPNOTSUPP;

	while (out_len) {
		if (in_len < sizeof(len))
			return -EBADMSG;

		len = get_unaligned_le32(in);
		in += sizeof(len);
		in_len -= sizeof(len);
		if (len == LZ4_MAGIC)
			continue;

		if (!len || len > in_len)
			return -EBADMSG;

		ret = LZ4_decompress_safe(in, out, len, min_t(size_t, out_len, LZ4_BLOCK_SIZE));
		if (ret <= 0)
			return -EBADMSG;

		in += len;
		in_len -= len;
		out += ret;
		out_len -= ret;
	}

	return 0;
}

static const struct unpack_format formats[] = {
	{ "gzip", { 0x1f, 0x8b, 0x08 }, 3, unpack_gzip },
	{ "xz", { 0xfd, '7', 'z', 'X' }, 4, unpack_xz },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, unpack_zstd },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, unpack_lz4 },
};

/**
 * kho_unpack - decompress the payload of a kernel image
 * @in: the payload, with its decompressed length in the last four bytes
 * @in_len: length of @in in bytes
 * @out: receives what is decompressed; anything may be there after an error
 * @out_len: decompressed length in bytes
 * @format: set to the name of the format, or to NULL if it is none that is known
 *
 * Context: May sleep, and takes as long as the decompression does.
 * Return:
 * * 0 - exactly @out_len bytes have been decompressed, and checksums that the format has are
 *   correct
 * * %-EBADMSG - the payload is damaged
 * * %-EOPNOTSUPP - this kernel has no decompressor for the payload
 * * %-ENOMEM - out of memory
 */
int kho_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_len, const char **format)
{
	unsigned int i;

	*format = NULL;
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		if (in_len < formats[i].magic_len ||
		    memcmp(in, formats[i].magic, formats[i].magic_len))
			continue;

		*format = formats[i].name;
		return formats[i].unpack(in, in_len, out, out_len);
	}

	return -EOPNOTSUPP;
}
