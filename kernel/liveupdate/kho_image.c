// SPDX-License-Identifier: GPL-2.0-only
/*
 * Segments of a handover image, allocated where they will run.
 */

/**
 * DOC: KHO image
 *
 * kexec copies the segments of an image to their destinations when everything else has
 * stopped. purgatory then computes a digest of all of them, because until then a device may
 * have written to the destination, which nobody owned. Both take time in the blackout.
 *
 * An image that hands over lies in scratch. Nothing but movable pages is allocated from
 * scratch, so kexec_file_load() migrates these pages away, allocates the destination of each
 * segment, and loads the segment there. Migration only succeeds if nobody holds a reference
 * to a page, so from then on the memory belongs to the image alone, and the segment is
 * neither copied nor digested in the blackout. Instead a checksum of what was loaded is
 * compared at the beginning of the reboot, which fails if they differ. Corruption after that
 * point goes unnoticed.
 *
 * Some memory in scratch cannot be migrated: the running kernel itself, if it was handed
 * over to, pages that are pinned, and an image that is loaded already. A segment for which no
 * other place can be allocated is copied and digested in the ordinary way. So are all
 * segments under memory encryption, which is a simplification: pages would have to be
 * decrypted, and encrypted again before scratch is given back.
 *
 * ===================== ================= ==============================================
 * kho_image_claim()     kexec_file_load() allocates the destination of a segment
 * kho_image_give_up()   kexec_file_load() frees the last ones, to try other places
 * kho_image_load()      kexec_file_load() loads a segment that is in place
 * kho_image_verify()    kernel_kexec()    compares the checksums
 * kho_image_release()   kimage_free()     frees the destinations
 * ===================== ================= ==============================================
 *
 * All of them are called with the kexec lock held, or for an image that nobody else knows.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/bitmap.h>
#include <linux/bits.h>
#include <linux/cc_platform.h>
#include <linux/crc32.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kexec.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-isolation.h>
#include <linux/random.h>
#include <linux/range.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "../kexec_internal.h"
#include "kho_internal.h"

/* How often a destination is tried: a page of it may be pinned for a moment. */
#define TRIES_PER_PLACE		5

/* How many destinations are tried in an area. */
#define MAX_PLACES		5

/* How many destinations are tried at random. */
#define RANDOM_TRIES		64

#define CHUNK_SIZE		SZ_1M

static unsigned long segment_index(const struct kimage *image,
				   const struct kexec_segment *segment)
{
	return segment - image->segment;
}

/**
 * kho_image_in_place - whether a segment lies where it will run
 * @image: an image of any kind
 * @segment: one of the segments of @image
 *
 * Return: true if kho_image_claim() has allocated the destination of @segment.
 */
bool kho_image_in_place(const struct kimage *image, const struct kexec_segment *segment)
{
	return image->kho.claimed[segment_index(image, segment)].nr_pages;
}

static bool is_claimed(const struct kimage *image, unsigned long pfn)
{
	unsigned long i;

	for (i = 0; image && i < KEXEC_SEGMENT_MAX; i++) {
		if (pfn - image->kho.claimed[i].pfn < image->kho.claimed[i].nr_pages)
			return true;
	}

	return false;
}

/* Of a hugetlb folio in use, only the head page has the flag. */
static bool page_poisoned(struct page *page)
{
	return PageHWPoison(page) ||
	       (PageHuge(page) && PageHWPoison(compound_head(page)));
}

/*
 * Pages that can never be allocated: those of the running kernel, which may lie in scratch,
 * too, those of an image that is loaded already, and poisoned ones. alloc_contig_range()
 * changes the type of whole pageblocks, so all of them must be MIGRATE_CMA.
 */
static bool is_unusable(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	return !page || PageReserved(page) || page_poisoned(page) ||
	       !is_migrate_cma_page(page) || is_claimed(kexec_image, pfn);
}

/* Pages that a segment cannot be copied to either. */
static bool is_poisoned(unsigned long pfn)
{
	struct page *page = pfn_to_online_page(pfn);

	return page && page_poisoned(page);
}

/*
 * If the candidate in @kbuf contains unusable pages, shrink @res so that the next candidate
 * lies beyond them, and return true.
 */
static bool skip_pages(struct resource *res, const struct kexec_buf *kbuf,
		       bool (*unusable)(unsigned long pfn))
{
	unsigned long start = PHYS_PFN(kbuf->mem), end = start + PHYS_PFN(kbuf->memsz);
	unsigned long pfn;

	if (kbuf->top_down) {
		for (pfn = start; pfn < end && !unusable(pfn); pfn++)
			;
		if (pfn == end)
			return false;

		while (PFN_PHYS(pfn) > res->start && unusable(pfn - 1))
			pfn--;
		res->end = PFN_PHYS(pfn) - 1;
	} else {
		for (pfn = end; pfn > start && !unusable(pfn - 1); pfn--)
			;
		if (pfn == start)
			return false;

		while (PFN_PHYS(pfn) < res->end && unusable(pfn))
			pfn++;
		res->start = PFN_PHYS(pfn);
	}

	return true;
}

/* The candidate cannot be allocated: go on with other pageblocks. */
static void skip_candidate(struct resource *res, const struct kexec_buf *kbuf)
{
	unsigned long pfn = PHYS_PFN(kbuf->mem);

	if (kbuf->top_down)
		res->end = PFN_PHYS(pageblock_start_pfn(pfn)) - 1;
	else
		res->start = PFN_PHYS(pageblock_end_pfn(pfn + PHYS_PFN(kbuf->memsz) - 1));
}

static int claim_range(unsigned long pfn, unsigned long nr_pages)
{
	unsigned int tries;
	int err;

	for (tries = 0; tries < TRIES_PER_PLACE; tries++) {
		err = alloc_contig_range(pfn, pfn + nr_pages, MIGRATE_CMA,
					 GFP_KERNEL | __GFP_NOWARN);
		if (err != -EBUSY)
			break;
		cond_resched();
	}

	return err;
}

static void release_segments(struct kimage *image, unsigned long first)
{
	unsigned long i;

	for (i = first; i < KEXEC_SEGMENT_MAX; i++) {
		if (!image->kho.claimed[i].nr_pages)
			continue;

		free_contig_range(image->kho.claimed[i].pfn, image->kho.claimed[i].nr_pages);
		image->kho.claimed[i].nr_pages = 0;
	}

	image->kho.copied &= BIT(first) - 1;
}

/**
 * kho_image_give_up - take the last segments of an image back
 * @image: an image that is being loaded
 * @nr_segments: how many segments it keeps
 *
 * For the architecture, to place them in another way. Does nothing else for an image that
 * carries no handover.
 *
 * Context: kexec_file_load(). May sleep.
 */
void kho_image_give_up(struct kimage *image, unsigned long nr_segments)
{
	release_segments(image, nr_segments);
	image->nr_segments = nr_segments;
}

/**
 * kho_image_claim - allocate a segment where it will run
 * @kbuf: the segment, which is going to be the next one of its image
 * @area: where to look for a place
 * @func: looks for room in a resource; returns 1 if it has found some
 *
 * What segments from the next one on have allocated is freed: an architecture may give up
 * its last segments, and place them again.
 *
 * Context: kexec_file_load(), with the kexec lock held. May sleep: movable pages are
 * migrated.
 * Return:
 * * 0 - the place is in @kbuf->mem, and belongs to the image
 * * %-EADDRNOTAVAIL - there is none in this area
 * * %-EBUSY - there is none in this area, and pages were tried that could not be migrated
 * * %-EOPNOTSUPP - this segment cannot be in place, wherever that is
 */
int kho_image_claim(struct kexec_buf *kbuf, const struct resource *area,
		    int (*func)(struct resource *, void *))
{
	struct kimage *image = kbuf->image;
	struct resource res = *area;
	unsigned int nr_places = 0;

	/* kimage_file_alloc_init() refuses bad sizes, but only when all are placed. */
	if (image->nr_segments >= KEXEC_SEGMENT_MAX || !kbuf->memsz ||
	    kbuf->bufsz > kbuf->memsz)
		return -EOPNOTSUPP;

	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return -EOPNOTSUPP;

	/* A segment that was added before kho_fill_kimage() is IMA's, which IMA changes. */
	if (!image->kho.fdt_phys)
		return -EOPNOTSUPP;

	release_segments(image, image->nr_segments);

	while (res.start < res.end && nr_places < MAX_PLACES && func(&res, kbuf) == 1) {
		unsigned long pfn = PHYS_PFN(kbuf->mem), nr_pages = PHYS_PFN(kbuf->memsz);

		if (skip_pages(&res, kbuf, is_unusable))
			continue;

		if (!claim_range(pfn, nr_pages)) {
			image->kho.claimed[image->nr_segments].pfn = pfn;
			image->kho.claimed[image->nr_segments].nr_pages = nr_pages;
			return 0;
		}

		/* Some page could not be migrated. */
		skip_candidate(&res, kbuf);
		nr_places++;
	}

	kbuf->mem = KEXEC_BUF_MEM_UNKNOWN;
	return nr_places ? -EBUSY : -EADDRNOTAVAIL;
}

/**
 * kho_image_find_hole - find a place that a segment can be copied to
 * @kbuf: the segment
 * @area: a scratch area
 * @func: finds candidates in a resource, and returns 1 if it has found one
 * @poisoned: set to true if a candidate was skipped because it contains a poisoned page;
 *	      unchanged otherwise
 *
 * Context: kexec_file_load(), with the kexec lock held.
 * Return: true if the place is in @kbuf->mem.
 */
bool kho_image_find_hole(struct kexec_buf *kbuf, const struct resource *area,
			 int (*func)(struct resource *, void *), bool *poisoned)
{
	struct resource res = *area;

	while (res.start < res.end && func(&res, kbuf) == 1) {
		if (!skip_pages(&res, kbuf, is_poisoned))
			return true;

		*poisoned = true;
	}

	kbuf->mem = KEXEC_BUF_MEM_UNKNOWN;
	return false;
}

static unsigned long nr_slots(const struct kexec_buf *kbuf, const struct kho_scratch *area,
			      phys_addr_t *first)
{
	phys_addr_t last = area->addr + area->size - 1;

	*first = ALIGN(max_t(phys_addr_t, area->addr, kbuf->buf_min), kbuf->buf_align);
	last = min_t(phys_addr_t, last, kbuf->buf_max);
	if (*first > last || last - *first < kbuf->memsz - 1)
		return 0;

	return (last - *first - (kbuf->memsz - 1)) / kbuf->buf_align + 1;
}

/*
 * Have @place try places in scratch that are chosen at random, until one will do. Places that
 * will not are skipped, which leaves the same probability to all others. To find out that
 * pages cannot be migrated takes long, so that is done a few times only.
 */
static int place_at_random(struct kexec_buf *kbuf, int (*func)(struct resource *, void *),
			   int (*place)(struct kexec_buf *kbuf, const struct resource *area,
					int (*func)(struct resource *, void *)))
{
	unsigned int tries, nr_busy = 0, i;
	unsigned long total = 0, nr, slot;
	phys_addr_t first;
	int err;

	for (i = 0; i < kho_scratch_cnt; i++)
		total += nr_slots(kbuf, &kho_scratch[i], &first);

	for (tries = 0; total && tries < RANDOM_TRIES && nr_busy < MAX_PLACES; tries++) {
		struct resource res;

		slot = get_random_u32_below(total);
		for (i = 0; i < kho_scratch_cnt; i++, slot -= nr) {
			nr = nr_slots(kbuf, &kho_scratch[i], &first);
			if (slot < nr)
				break;
		}

		res = DEFINE_RES_MEM(first + slot * kbuf->buf_align, kbuf->memsz);
		err = place(kbuf, &res, func);
		if (err != -EADDRNOTAVAIL && err != -EBUSY)
			return err;

		nr_busy += err == -EBUSY;
		cond_resched();
	}

	return -EADDRNOTAVAIL;
}

/**
 * kho_image_claim_random - allocate a segment at a place that is chosen at random
 * @kbuf: the segment, which is going to be the next one of its image
 * @func: looks for room in a resource; returns 1 if it has found some
 *
 * Context: as for kho_image_claim()
 * Return:
 * * 0 - the place is in @kbuf->mem, and belongs to the image
 * * %-EADDRNOTAVAIL - no place was found in a number of attempts
 * * %-EOPNOTSUPP - as for kho_image_claim()
 */
int kho_image_claim_random(struct kexec_buf *kbuf, int (*func)(struct resource *, void *))
{
	return place_at_random(kbuf, func, kho_image_claim);
}

static int find_hole_at(struct kexec_buf *kbuf, const struct resource *area,
			int (*func)(struct resource *, void *))
{
	bool poisoned;

	return kho_image_find_hole(kbuf, area, func, &poisoned) ? 0 : -EADDRNOTAVAIL;
}

/**
 * kho_image_find_random_hole - choose a place at random that a segment can be copied to
 * @kbuf: the segment
 * @func: finds candidates in a resource, and returns 1 if it has found one
 *
 * Context: kexec_file_load(), with the kexec lock held.
 * Return: true if the place is in @kbuf->mem, false if none was found in a number of attempts.
 */
bool kho_image_find_random_hole(struct kexec_buf *kbuf,
				int (*func)(struct resource *, void *))
{
	return !place_at_random(kbuf, func, find_hole_at);
}

/* Only this kernel compares it, so it need not be the same everywhere. */
#ifndef arch_kho_image_crc
static u32 arch_kho_image_crc(u32 crc, const u8 *data, size_t len)
{
	return __crc32c_le(crc, data, len);
}
#endif

static u32 segment_crc(const struct kexec_segment *segment)
{
	const u8 *data = phys_to_virt(segment->mem);
	size_t left = segment->bufsz, size;
	u32 crc = ~0;

	for (; left; left -= size, data += size) {
		size = min_t(size_t, left, CHUNK_SIZE);
		crc = arch_kho_image_crc(crc, data, size);
		cond_resched();
	}

	return crc;
}

/**
 * kho_image_report - log which segments are not in place although they could be
 * @image: an image whose segments are placed
 */
void kho_image_report(const struct kimage *image)
{
	unsigned long i;

	for_each_set_bit(i, &image->kho.copied, KEXEC_SEGMENT_MAX)
		pr_info("segment of %zu KiB will be copied into place: memory in scratch is in use\n",
			image->segment[i].memsz >> 10);
}

/**
 * kho_image_load - load a segment that is in place
 * @image: a handover image
 * @segment: a segment for which kho_image_in_place() is true
 *
 * The memory is written to through the direct map. An architecture that enters the next kernel
 * with caches off would have to clean them afterwards; x86 does not do that.
 *
 * Context: May sleep.
 */
void kho_image_load(struct kimage *image, const struct kexec_segment *segment)
{
	u8 *data = phys_to_virt(segment->mem);
	size_t pos, size;

	for (pos = 0; pos < segment->bufsz; pos += size) {
		size = min_t(size_t, segment->bufsz - pos, CHUNK_SIZE);
		memcpy(data + pos, segment->kbuf + pos, size);
		cond_resched();
	}

	for (; pos < segment->memsz; pos += size) {
		size = min_t(size_t, segment->memsz - pos, CHUNK_SIZE);
		memset(data + pos, 0, size);
		cond_resched();
	}

	image->kho.crc[segment_index(image, segment)] = segment_crc(segment);
}

static bool segment_poisoned(const struct kexec_segment *segment)
{
	unsigned long pfn = PHYS_PFN(segment->mem), nr = PHYS_PFN(segment->memsz);

	while (nr--) {
		if (is_poisoned(pfn + nr))
			return true;
	}

	return false;
}

/**
 * kho_image_verify - see that segments in place are as they were loaded
 * @image: the image that is about to be started
 *
 * Context: kernel_kexec(), while everything runs. May sleep.
 * Return:
 * * 0 - nothing has changed
 * * %-EIO - the content of a segment has changed, or memory that it lies in, or will be
 *   copied to, is poisoned
 */
int kho_image_verify(struct kimage *image)
{
	unsigned long i;

	for (i = 0; i < image->nr_segments; i++) {
		const struct kexec_segment *segment = &image->segment[i];

		/* An image that lost its handover while it was loaded has such segments, too. */
		if (!image->kho.fdt_phys && !kho_image_in_place(image, segment))
			continue;

		/* Poisoned memory must be neither read nor written to. */
		if (segment_poisoned(segment)) {
			pr_err("memory at %#lx to %#lx, for the loaded image, is poisoned; load it again\n",
			       segment->mem, segment->mem + segment->memsz);
			return -EIO;
		}

		if (!kho_image_in_place(image, segment) ||
		    segment_crc(segment) == image->kho.crc[i])
			continue;

		pr_err("the loaded image has changed in memory at %#lx to %#lx; load it again\n",
		       segment->mem, segment->mem + segment->memsz);
		return -EIO;
	}

	return 0;
}

/**
 * kho_image_add_ram - note memory that the next kernel knows to be RAM
 * @image: an image that is being loaded
 * @start: physical address of the first byte
 * @end: physical address after the last byte
 *
 * For the architecture, which calls this for each range of RAM in the map that it passes
 * to the next kernel, in ascending order. See kho_check_out(). Does nothing for an image
 * that carries no handover.
 *
 * Context: kexec_file_load(). May sleep.
 * Return:
 * * 0 - the range is noted until kho_image_release()
 * * %-ENOMEM - there is no memory
 * * %-EPROTO - the range overlaps the last one, or lies below it
 */
int kho_image_add_ram(struct kimage *image, phys_addr_t start, phys_addr_t end)
{
	unsigned int nr = image->kho.nr_ram;
	struct range *ram;

	start = PAGE_ALIGN(start);
	end = PAGE_ALIGN_DOWN(end);
	if (start >= end || !image->kho.fdt_phys)
		return 0;

	if (nr && start < image->kho.ram[nr - 1].end) {
		pr_err("kexec refused: the memory map is not in ascending order at %pa\n",
		       &start);
		return -EPROTO;
	}

	if (nr && start == image->kho.ram[nr - 1].end) {
		image->kho.ram[nr - 1].end = end;
		return 0;
	}

	ram = krealloc_array(image->kho.ram, nr + 1, sizeof(*ram), GFP_KERNEL);
	if (!ram)
		return -ENOMEM;

	ram[nr] = (struct range){ start, end };
	image->kho.ram = ram;
	image->kho.nr_ram++;
	return 0;
}

/**
 * kho_image_release - free what an image has beside its segments
 * @image: an image that is never going to be started
 *
 * Context: May sleep.
 */
void kho_image_release(struct kimage *image)
{
	release_segments(image, 0);
	kfree(image->kho.ram);
	image->kho.ram = NULL;
	image->kho.nr_ram = 0;
}
