// SPDX-License-Identifier: GPL-2.0-only
/*
 * What kexec needs: segments placed in scratch, the scratch array as a segment
 * of its own, and a last look before the reboot.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/bits.h>
#include <linux/ioport.h>
#include <linux/irqflags.h>
#include <linux/kexec.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/rcupdate.h>

#include "../kexec_internal.h"
#include "kho_internal.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "kho."

/* Where kexec_load() is forbidden, this is the way to reboot without a handover. */
static bool handover = true;

/* All segments of an image see the same value. */
static int set_handover(const char *val, const struct kernel_param *kp)
{
	int err;

	if (!kexec_trylock())
		return -EBUSY;

	err = param_set_bool(val, kp);
	kexec_unlock();
	return err;
}

static const struct kernel_param_ops handover_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = set_handover,
	.get = param_get_bool,
};

module_param_cb(handover, &handover_ops, &handover, 0644);
MODULE_PARM_DESC(handover, "images that are loaded with kexec_file_load() carry a handover");

/* Crash images live in their own reservation and never carry a handover. */
static bool image_hands_over(const struct kimage *image)
{
	return handover && kho_is_enabled() && kho_out.fdt &&
	       image->type != KEXEC_TYPE_CRASH && !image->kho.dropped;
}

/* Pages that are preserved on behalf of others than KHO itself. */
static unsigned long nr_pages_of_others(void)
{
	guard(rcu)();

	return kho_nr_pages(&kho_out.tree) - kho_out.nr_own_pages;
}

/*
 * An image that does not fit into scratch cannot hand over. If there is nothing to hand over,
 * let it be loaded like any other image.
 */
static bool drop_handover(struct kimage *image)
{
	/*
	 * What the previous kernel preserved may be preserved again once it is claimed. The
	 * count of preserved pages ends where damage is found, so look for that afterwards.
	 */
	if (kho_out_not_ready() || kho_unclaimed_pages() || nr_pages_of_others() ||
	    kho_out_damaged())
		return false;

	image->kho.fdt_phys = 0;
	image->kho.dropped = true;
	return true;
}

/**
 * kho_fill_kimage - make an image carry the handover
 * @image: an image of kexec_file_load() before its kernel is placed
 *
 * Adds the scratch array as a segment. The architecture passes image->kho to
 * the next kernel. The root FDT is not copied, so that what is preserved after
 * loading the image is handed over as well.
 *
 * With kho.handover=N the image carries no handover.
 *
 * Context: kexec_file_load(), with the kexec lock held.
 * Return: 0, also when there is nothing to add; or why no segment was added.
 */
int kho_fill_kimage(struct kimage *image)
{
	struct kexec_buf kbuf = {
		.image = image,
		.buffer = kho_scratch,
		.bufsz = kho_scratch_cnt * sizeof(*kho_scratch),
		.memsz = kho_scratch_cnt * sizeof(*kho_scratch),
		.buf_align = KHO_SCRATCH_SEGMENT_ALIGN,
		.buf_max = ULONG_MAX,
		.mem = KEXEC_BUF_MEM_UNKNOWN,
		.top_down = true,
	};
	int err;

	if (!image_hands_over(image))
		return 0;

	image->kho.fdt_phys = virt_to_phys(kho_out.fdt);
	err = kexec_add_buffer(&kbuf);
	if (err) {
		pr_err("no room in scratch for the list of scratch areas: %d\n",
		       err);
		return err;
	}

	image->kho.scratch_phys = kbuf.mem;
	image->kho.scratch_size = kbuf.bufsz;
	return 0;
}

/* Areas are tried from the last to the first, and at random before. */
static int claim_place(struct kexec_buf *kbuf, int (*func)(struct resource *, void *))
{
	int err = -EADDRNOTAVAIL;
	unsigned int i;

	if (kbuf->kho_random && !kho_image_claim_random(kbuf, func))
		return 0;

	for (i = kho_scratch_cnt; i--;) {
		struct resource res = DEFINE_RES_MEM(kho_scratch[i].addr,
						     kho_scratch[i].size);

		err = kho_image_claim(kbuf, &res, func);
		if (!err) {
			kbuf->kho_random = false;
			return 0;
		}
	}

	return err;
}

static bool find_hole(struct kexec_buf *kbuf, int (*func)(struct resource *, void *),
		      bool *poisoned)
{
	unsigned int i;

	if (kbuf->kho_random && kho_image_find_random_hole(kbuf, func))
		return true;

	for (i = kho_scratch_cnt; i--;) {
		struct resource res = DEFINE_RES_MEM(kho_scratch[i].addr,
						     kho_scratch[i].size);

		if (kho_image_find_hole(kbuf, &res, func, poisoned)) {
			kbuf->kho_random = false;
			return true;
		}
	}

	return false;
}

/**
 * kho_locate_mem_hole - place a segment in scratch
 * @kbuf: the segment
 * @func: looks for room in a resource; returns 1 when it has found some
 *
 * Areas are tried from the last to the first, which keeps the one below 4 GiB
 * for the next kernel's own use as long as others have room. A segment that asks for a
 * random place is tried at random first; @kbuf->kho_random is cleared if that fails. A place
 * that can be allocated is preferred to one that the segment has to be copied to. Neither
 * has poisoned pages. How much of this is done is up to @kbuf->kho_place.
 *
 * If there is no room for the segment, and nothing is preserved, the image is loaded without
 * a handover.
 *
 * Return:
 * * 1 - the image does not hand over and may lie anywhere
 * * 0 - the place is in @kbuf->mem
 * * %-EADDRNOTAVAIL - there is no such place in scratch; unless the caller asked for it to
 *   be tried only, something is preserved
 */
int kho_locate_mem_hole(struct kexec_buf *kbuf,
			int (*func)(struct resource *, void *))
{
	struct kimage *image = kbuf->image;
	bool poisoned = false;
	int err;

	if (!image_hands_over(image))
		return 1;

	err = claim_place(kbuf, func);
	if (!err)
		return 0;
	if (kbuf->kho_place == KHO_PLACE_IN_PLACE)
		return -EADDRNOTAVAIL;

	if (find_hole(kbuf, func, &poisoned)) {
		if (err != -EOPNOTSUPP)
			image->kho.copied |= BIT(image->nr_segments);
		return 0;
	}
	if (kbuf->kho_place == KHO_PLACE_IN_SCRATCH)
		return -EADDRNOTAVAIL;

	if (drop_handover(image)) {
		pr_warn("no room in scratch for a segment of %lu KiB: the image is loaded without a handover, as nothing is preserved; see kho_scratch=\n",
			kbuf->memsz >> 10);
		return 1;
	}

	if (poisoned)
		pr_err("no room in scratch for a segment of %lu KiB without poisoned pages; see kho_scratch=\n",
		       kbuf->memsz >> 10);
	else
		pr_err("no room in scratch for a segment of %lu KiB; see kho_scratch=\n",
		       kbuf->memsz >> 10);
	return -EADDRNOTAVAIL;
}

/**
 * kho_check_image - check whether the next kernel would take a handover over
 * @image: an image whose segments are placed
 *
 * Context: kexec_file_load() and kernel_kexec(), with the kexec lock held. May sleep.
 * Return:
 * * 0 - it would, or @image carries no handover
 * * %-EPROTO, %-EUCLEAN - as in kho_check_out()
 */
int kho_check_image(const struct kimage *image)
{
	return image->kho.fdt_phys ? kho_check_out(image) : 0;
}

/**
 * kho_finish_kimage - check an image that hands over, and say how it is placed
 * @image: an image of kexec_file_load() whose segments are placed
 *
 * Context: kexec_file_load(), with the kexec lock held. May sleep.
 * Return: as kho_check_image().
 */
int kho_finish_kimage(const struct kimage *image)
{
	if (image->kho.fdt_phys)
		kho_image_report(image);

	return kho_check_image(image);
}

/**
 * kho_kexec_prepare - last look before the kexec reboot
 * @image: the image that is about to be started
 *
 * Refuses an image whose handover the next kernel would refuse.
 *
 * Warns, with the amount, of what is about to be lost: all that is preserved when
 * the image carries no handover, and in any case what was handed over to this
 * kernel and never claimed.
 *
 * Context: kernel_kexec(), with the kexec lock held, while everything runs.
 * Return:
 * * 0 - the reboot may go on
 * * %-EBUSY - memory is preserved, and @image lost its handover when it was loaded
 * * %-EIO - a segment of @image has changed since it was loaded, or its memory is poisoned
 * * %-EPROTO, %-EUCLEAN - as in kho_check_out()
 */
int kho_kexec_prepare(struct kimage *image)
{
	unsigned long nr_pages;
	int err;

	kho_timing_begin();

	/* Who returns to this kernel loses nothing. */
	if (image->preserve_context)
		return 0;

	err = kho_image_verify(image) ?: kho_check_image(image);
	if (err)
		return err;

	nr_pages = atomic_long_read(&kho_in.nr_unclaimed);
	if (nr_pages)
		pr_warn("%lu pages (%lu MiB) of the last handover are unclaimed and will be lost\n",
			nr_pages, nr_pages >> (20 - PAGE_SHIFT));

	if (kho_out_not_ready() || image->kho.fdt_phys)
		return 0;

	nr_pages = nr_pages_of_others();
	/* Nothing was preserved when it was loaded. */
	if (nr_pages && image->kho.dropped) {
		pr_err("kexec refused: the image did not fit into scratch and carries no handover, and %lu pages are preserved; see kho_scratch=\n",
		       nr_pages);
		return -EBUSY;
	}
	if (nr_pages)
		pr_warn("the image carries no handover: %lu preserved pages (%lu MiB) will be lost; load it with kexec -s\n",
			nr_pages, nr_pages >> (20 - PAGE_SHIFT));

	return 0;
}

/**
 * kho_kexec_freeze - the root FDT must not change any more
 *
 * Waits until nobody is in the middle of changing it, so that the next kernel
 * does not find it half written. Drivers can change it until they have been
 * shut down. Who tries later never returns, and so does not free a blob that
 * the next kernel will look for.
 *
 * Context: kernel_kexec(), after device_shutdown(), with no way back.
 */
void kho_kexec_freeze(void)
{
	if (kho_out_not_ready() != -EOPNOTSUPP)
		mutex_lock(&kho_out.lock);
}

/**
 * kho_kexec_seal - the tree does not change any more
 *
 * Until now it could: preserving takes no lock.
 *
 * Context: kernel_kexec(), after machine_shutdown(): this is the only CPU.
 */
void kho_kexec_seal(void)
{
	/* Without SMP they are still on, and would let somebody else run. */
	local_irq_disable();
	if (kho_out_not_ready() != -EOPNOTSUPP)
		kho_checksum_seal();
	kho_timing_seal();
}
