/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests write to whole pages, and find again in the next kernel: other words
 * in each page, and other ones for each seed.
 */
#ifndef _KHO_FILL_H
#define _KHO_FILL_H

#include <linux/mm.h>
#include <linux/types.h>

static inline u64 kho_fill_word(unsigned long pfn, u64 seed)
{
	return (pfn + seed) * 0x9e3779b97f4a7c15ULL;
}

/* Write the first @nr_words words of a page. */
static inline void kho_fill(unsigned long pfn, u64 seed, unsigned int nr_words)
{
	u64 *word = pfn_to_kaddr(pfn), value = kho_fill_word(pfn, seed);
	unsigned int i;

	for (i = 0; i < nr_words; i++)
		word[i] = value + i;
}

/* Whether they are what kho_fill() wrote. */
static inline bool kho_filled(unsigned long pfn, u64 seed, unsigned int nr_words)
{
	const u64 *word = pfn_to_kaddr(pfn);
	u64 value = kho_fill_word(pfn, seed);
	unsigned int i;

	for (i = 0; i < nr_words; i++) {
		if (word[i] != value + i)
			return false;
	}

	return true;
}

#define KHO_FILL_PAGE	(PAGE_SIZE / sizeof(u64))

#endif /* _KHO_FILL_H */
