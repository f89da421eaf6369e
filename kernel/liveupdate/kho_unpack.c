// SPDX-License-Identifier: GPL-2.0-only
/*
 * Decompress the payload of a kernel image when the image is loaded.
 *
 * The decompressors of lib/decompress.c are freed after boot, so the libraries behind them
 * are called. None of them writes beyond the output buffer, whatever the input is.
 *
 * A kernel of a distribution takes up to a second, so others get their turn between pieces of
 * up to a few MiB. xz has to be called once for all of it, and does so by itself: its other
 * modes need a dictionary as large as the output.
 *
 * What the decompressor in the bzImage would stumble over, too, is damage. All formats but
 * lz4 have a checksum. lz4 that is damaged can unpack to something else, unnoticed.
 *
 * This file is also compiled for user space; see tools/testing/kho/unpack.
 */

#include <linux/crc32.h>
#include <linux/errno.h>
#include <linux/gfp.h>
#include <linux/kconfig.h>
#include <linux/kho_unpack.h>
#include <linux/lz4.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/xz.h>
#include <linux/zlib.h>
#include <linux/zstd.h>

struct unpack_format {
	const char *name;
	u8 magic[4];
	u8 magic_len;
	int (*unpack)(const u8 *in, size_t in_len, u8 *out, size_t out_len);
};

#define GZIP_HEADER_SIZE	10
#define GZIP_TRAILER_SIZE	8
#define GZIP_FLAG_NAME		0x08
#define GZIP_CHUNK_SIZE		SZ_1M

/* Inflate to exactly @out_len bytes. */
static int inflate(struct z_stream_s *stream, u8 *out, size_t out_len, u32 *crc)
{
	size_t size;
	int ret = zlib_inflateInit2(stream, -MAX_WBITS);

	while (ret == Z_OK && out_len) {
		stream->next_out = out;
		stream->avail_out = min_t(size_t, out_len, GZIP_CHUNK_SIZE);
		ret = zlib_inflate(stream, Z_SYNC_FLUSH);

		size = stream->next_out - out;
		*crc = crc32_le(*crc, out, size);
		out += size;
		out_len -= size;
		cond_resched();
	}

	return ret == Z_STREAM_END && !out_len ? 0 : -EBADMSG;
}

static int unpack_gzip(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	struct z_stream_s stream = {};
	size_t pos = GZIP_HEADER_SIZE;
	u32 crc = ~0;
	int err;

	if (!IS_BUILTIN(CONFIG_ZLIB_INFLATE))
		return -EOPNOTSUPP;
	if (in_len < GZIP_HEADER_SIZE + GZIP_TRAILER_SIZE)
		return -EBADMSG;

	/* The decompressor of a bzImage takes no notice of other flags. */
	if (in[3] & GZIP_FLAG_NAME)
		pos += strnlen(in + pos, in_len - pos) + 1;
	if (pos > in_len - GZIP_TRAILER_SIZE)
		return -EBADMSG;

	stream.workspace = kvmalloc(zlib_inflate_workspacesize(), GFP_KERNEL);
	if (!stream.workspace)
		return -ENOMEM;

	stream.next_in = in + pos;
	stream.avail_in = in_len - pos - GZIP_TRAILER_SIZE;
	err = inflate(&stream, out, out_len, &crc);
	kvfree(stream.workspace);
	if (err)
		return err;

	return ~crc == get_unaligned_le32(stream.next_in) ? 0 : -EBADMSG;
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
	case XZ_MEM_ERROR:
		return -ENOMEM;
	case XZ_OPTIONS_ERROR:
		/* Its headers have checksums, so that is no damage. */
		return -EOPNOTSUPP;
	default:
		return -EBADMSG;
	}
}

/* What the format does not allow, newer decompressors do not know either. */
static int zstd_errno(size_t ret)
{
	return zstd_get_error_code(ret) == ZSTD_error_memory_allocation ? -ENOMEM : -EBADMSG;
}

/* One header or block at a time; what was unpacked before is the window. */
static int unpack_zstd_frame(zstd_dctx *dctx, const u8 *in, size_t in_len, u8 *out,
			     size_t out_len)
{
	size_t size, ret = ZSTD_decompressBegin(dctx);

	while (!zstd_is_error(ret)) {
		size = ZSTD_nextSrcSizeToDecompress(dctx);
		if (!size)
			return out_len ? -EBADMSG : 0;
		if (size > in_len)
			return -EBADMSG;

		ret = ZSTD_decompressContinue(dctx, out, out_len, in, size);
		if (zstd_is_error(ret))
			break;

		in += size;
		in_len -= size;
		out += ret;
		out_len -= ret;
		cond_resched();
	}

	return zstd_errno(ret);
}

static int unpack_zstd(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	void *workspace;
	zstd_dctx *dctx;
	int err = -EOPNOTSUPP;

	if (!IS_BUILTIN(CONFIG_ZSTD_DECOMPRESS))
		return -EOPNOTSUPP;

	workspace = kvmalloc(zstd_dctx_workspace_bound(), GFP_KERNEL);
	if (!workspace)
		return -ENOMEM;

	dctx = zstd_init_dctx(workspace, zstd_dctx_workspace_bound());
	if (dctx)
		err = unpack_zstd_frame(dctx, in, in_len, out, out_len);

	kvfree(workspace);
	return err;
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

		if (!len || len > in_len || len > LZ4_COMPRESSBOUND(LZ4_BLOCK_SIZE))
			return -EBADMSG;

		ret = LZ4_decompress_safe(in, out, len, min_t(size_t, out_len, LZ4_BLOCK_SIZE));
		if (ret <= 0)
			return -EBADMSG;

		in += len;
		in_len -= len;
		out += ret;
		out_len -= ret;
		cond_resched();
	}

	return 0;
}

static const struct unpack_format formats[] = {
	{ "gzip", { 0x1f, 0x8b, 0x08 }, 3, unpack_gzip },
	{ "xz", { 0xfd, '7', 'z', 'X' }, 4, unpack_xz },
	{ "zstd", { 0x28, 0xb5, 0x2f, 0xfd }, 4, unpack_zstd },
	{ "lz4", { 0x02, 0x21, 0x4c, 0x18 }, 4, unpack_lz4 },
};

static const struct unpack_format *find_format(const u8 *in, size_t in_len)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		if (in_len >= formats[i].magic_len &&
		    !memcmp(in, formats[i].magic, formats[i].magic_len))
			return &formats[i];
	}

	return NULL;
}

/**
 * kho_unpack_format - name the format of the payload of a kernel image
 * @in: the payload
 * @in_len: length of @in in bytes
 *
 * Return: the name, or NULL if the format is none that kho_unpack() knows.
 */
const char *kho_unpack_format(const u8 *in, size_t in_len)
{
	const struct unpack_format *format = find_format(in, in_len);

	return format ? format->name : NULL;
}

/**
 * kho_unpack - decompress the payload of a kernel image
 * @in: the payload, with its decompressed length in the last four bytes
 * @in_len: length of @in in bytes
 * @out: receives what is decompressed; anything may be there after an error
 * @out_len: decompressed length in bytes
 *
 * Context: May sleep, and takes as long as the decompression does.
 * Return:
 * * 0 - exactly @out_len bytes have been decompressed, and checksums that the format has are
 *   correct
 * * %-EBADMSG - the payload is damaged
 * * %-EOPNOTSUPP - this kernel has no decompressor for the payload
 * * %-ENOMEM - out of memory
 */
int kho_unpack(const u8 *in, size_t in_len, u8 *out, size_t out_len)
{
	const struct unpack_format *format = find_format(in, in_len);

	return format ? format->unpack(in, in_len, out, out_len) : -EOPNOTSUPP;
}
