// SPDX-License-Identifier: GPL-2.0-only
/*
 * A checksum over a loaded image that costs next to nothing.
 */

#include <linux/align.h>
#include <linux/cpufeature.h>
#include <linux/crc32.h>
#include <linux/kexec.h>
#include <linux/types.h>

static u64 crc_word(u64 crc, u64 word)
{
	asm("crc32q %1, %q0" : "+r" (crc) : "rm" (word));
	return crc;
}

/*
 * Four checksums, each over every fourth word, as the instruction takes three cycles but
 * need not wait for one that it does not depend on. Then one over these.
 */
static u32 crc_words(u32 crc, const u8 *data, size_t len)
{
	u64 lanes[4] = { crc, 1, 2, 3 };
	const u64 *word = (const u64 *)data;
	size_t nr;

	for (nr = len / sizeof(*word) / 8; nr; nr--, word += 8) {
		lanes[0] = crc_word(crc_word(lanes[0], word[0]), word[4]);
		lanes[1] = crc_word(crc_word(lanes[1], word[1]), word[5]);
		lanes[2] = crc_word(crc_word(lanes[2], word[2]), word[6]);
		lanes[3] = crc_word(crc_word(lanes[3], word[3]), word[7]);
	}

	return crc_word(crc_word(crc_word(lanes[0], lanes[1]), lanes[2]), lanes[3]);
}

/**
 * arch_kho_image_crc - compute a checksum over a part of a segment
 * @crc: the checksum of the part before
 * @data: the part, aligned to a page
 * @len: its length in bytes
 *
 * Return: the checksum, which is not the same on other CPUs.
 */
u32 arch_kho_image_crc(u32 crc, const u8 *data, size_t len)
{
	size_t words = boot_cpu_has(X86_FEATURE_XMM4_2) ? ALIGN_DOWN(len, 8 * sizeof(u64)) : 0;

	if (words)
		crc = crc_words(crc, data, words);
	return __crc32c_le(crc, data + words, len - words);
}
