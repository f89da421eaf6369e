// SPDX-License-Identifier: GPL-2.0-only
/*
 * Start the kernel of a handover image without its decompressor.
 */

/**
 * DOC: KHO direct start
 *
 * All that the decompressor of a bzImage does in the blackout can be done when the image is
 * loaded: it unpacks the kernel, chooses a physical and a virtual address at random, applies
 * the relocations, and tells the kernel in boot_params that it has been randomized. purgatory
 * then enters the kernel itself, in 64-bit mode, with the identity mapping of kexec.
 *
 * The decompressor also clears what boot loaders leave in boot_params, finds the RSDP, and
 * makes an identity mapping. kexec passes clean boot_params and the RSDP of the running
 * kernel, and maps all RAM. What the decompressor does for confidential guests, for another
 * number of page table levels, and for some parameters, is not done here: such a kernel is
 * loaded with its decompressor, as are all images that carry no handover.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/align.h>
#include <linux/cc_platform.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kexec.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/processor.h>
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>

#include <asm/bootparam.h>
#include <asm/cmdline.h>
#include <asm/kexec-direct64.h>
#include <asm/kexec-vmlinux64.h>
#include <asm/setup.h>

#include "../../../kernel/liveupdate/kho_unpack.h"

struct kexec_direct64 {
	struct vmlinux64 vmlinux;
	bool kaslr;
	/* Multiples of this are where the kernel can be */
	unsigned long align;
};

/* With these parameters the decompressor leaves memory out, or turns encryption on. */
static bool has_param_of_decompressor(const char *cmdline)
{
	static const char *const params[] = { "mem", "memmap", "mem_encrypt" };
	char value[2];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		if (cmdline_find_option(cmdline, params[i], value, sizeof(value)) >= 0)
			return true;
	}

	return cmdline_find_option_bool(cmdline, "movable_node") > 0;
}

/* Whether the decompressor would switch the number of page table levels. */
static bool levels_differ(const struct setup_header *header, const char *cmdline)
{
	bool five = (header->xloadflags & XLF_5LEVEL_ENABLED) &&
		    cmdline_find_option_bool(cmdline, "no5lvl") <= 0 &&
		    cpuid_eax(0) >= 7 && (cpuid_ecx(7) & BIT(16));

	return five != pgtable_l5_enabled();
}

static const char *check_header(const struct setup_header *header, const char *cmdline)
{
	if (cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return "memory is encrypted";
	if (header->hardware_subarch || boot_params.hdr.hardware_subarch)
		return "this is no PC";
	if (!header->relocatable_kernel)
		return "it cannot be relocated";
	if (!is_power_of_2(header->kernel_alignment) ||
	    header->kernel_alignment < VMLINUX64_ALIGN ||
	    !IS_ALIGNED(header->pref_address, header->kernel_alignment))
		return "it is not aligned to 2 MiB";
	if (levels_differ(header, cmdline))
		return "it uses another number of page table levels";
	if (has_param_of_decompressor(cmdline))
		return "its command line has mem=, memmap=, mem_encrypt= or movable_node";

	return NULL;
}

/* How much of the address space of a kernel its decompressor takes it to need. */
static unsigned long virtual_size(const struct vmlinux64 *vmlinux)
{
	return ALIGN(max(vmlinux->len, vmlinux->mem_size), VMLINUX64_ALIGN);
}

static const char *prepare(struct kexec_direct64 *direct, const char *cmdline)
{
	struct vmlinux64 *vmlinux = &direct->vmlinux;
	unsigned long nr_slots;
	const char *problem;

	problem = vmlinux64_parse(vmlinux);
	if (problem)
		return problem;

	if (vmlinux->link_phys > VMLINUX64_MAX_SIZE ||
	    virtual_size(vmlinux) > VMLINUX64_MAX_SIZE - vmlinux->link_phys)
		return "it is too large";

	vmlinux64_place(vmlinux);
	direct->kaslr = vmlinux->relocatable &&
			cmdline_find_option_bool(cmdline, "nokaslr") <= 0;
	if (direct->kaslr) {
		nr_slots = (VMLINUX64_MAX_SIZE - vmlinux->link_phys - virtual_size(vmlinux)) /
			   direct->align + 1;
		vmlinux64_relocate(vmlinux, get_random_u32_below(nr_slots) * direct->align);
	}

	return NULL;
}

/**
 * kexec_direct64_free - free a kernel that has been unpacked
 * @direct: the kernel, or NULL
 */
void kexec_direct64_free(struct kexec_direct64 *direct)
{
	if (!direct)
		return;

	vfree(direct->vmlinux.image);
	kfree(direct);
}

/**
 * kexec_direct64_unpack - take the kernel out of a bzImage
 * @image: the image that is being loaded
 * @kernel: the bzImage, with a valid header
 * @kernel_len: bytes in @kernel
 * @setup_size: bytes in its real-mode part
 * @cmdline: its command line
 *
 * Context: kexec_file_load(), with the kexec lock held. May sleep.
 * Return: what to pass to kexec_direct64_load() and kexec_direct64_free(); or NULL if the
 * bzImage has to be loaded as it is, the reason for which is in the log; or an ERR_PTR():
 * * %-ENOEXEC - the bzImage is damaged, so that its decompressor would fail, too
 */
struct kexec_direct64 *kexec_direct64_unpack(const struct kimage *image, const char *kernel,
					     unsigned long kernel_len,
					     unsigned long setup_size, const char *cmdline)
{
	const struct setup_header *header = (const void *)kernel +
					    offsetof(struct boot_params, hdr);
	const char *problem, *format = NULL;
	struct kexec_direct64 *direct = NULL;
	struct vmlinux64 *vmlinux;
	size_t start;
	int err;

	if (!image->kho.fdt_phys)
		return NULL;

	problem = check_header(header, cmdline) ?:
		  vmlinux64_payload(kernel_len, setup_size, header->payload_offset,
				    header->payload_length, &start);
	if (problem)
		goto stay_packed;

	problem = "there is not enough memory";
	direct = kzalloc(sizeof(*direct), GFP_KERNEL);
	if (!direct)
		goto stay_packed;

	direct->align = header->kernel_alignment;
	vmlinux = &direct->vmlinux;
	vmlinux->link_phys = header->pref_address;
	vmlinux->len = get_unaligned_le32(kernel + start + header->payload_length -
					  sizeof(u32));
	if (!vmlinux->len || vmlinux->len > min(header->init_size, VMLINUX64_MAX_SIZE)) {
		problem = "its payload does not say how large it is";
		goto stay_packed;
	}

	vmlinux->image = vmalloc_huge(vmlinux->len,
				      GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!vmlinux->image)
		goto stay_packed;

	err = kho_unpack(kernel + start, header->payload_length, vmlinux->image, vmlinux->len,
			 &format);
	if (err == -EBADMSG) {
		pr_err("kexec refused: the %s data in the bzImage is damaged\n", format);
		kexec_direct64_free(direct);
		return ERR_PTR(-ENOEXEC);
	}
	if (err == -EOPNOTSUPP)
		problem = "there is no decompressor for it";
	if (!err)
		problem = prepare(direct, cmdline);
	if (problem)
		goto stay_packed;

	pr_info("the next kernel is unpacked: %zu KiB from %zu KiB of %s data\n",
		vmlinux->size >> 10, (size_t)header->payload_length >> 10, format);
	return direct;

stay_packed:
	kexec_direct64_free(direct);
	pr_info("the next kernel has to unpack itself: %s\n", problem);
	return NULL;
}

/**
 * kexec_direct64_load - add a kernel that has been unpacked to its image
 * @image: the image that is being loaded
 * @direct: the kernel, which must not be freed before the segments are loaded
 * @header: the header in the boot_params of @image
 * @entry: set to the physical address of its entry point
 *
 * Context: kexec_file_load(), with the kexec lock held. May sleep.
 * Return:
 * * 0 - the kernel is the last segment of @image
 * * %-EAGAIN - @image carries no handover any more, so the bzImage has to be loaded as it is
 * * other negative errnos - as of kexec_add_buffer()
 */
int kexec_direct64_load(struct kimage *image, struct kexec_direct64 *direct,
			struct setup_header *header, unsigned long *entry)
{
	struct vmlinux64 *vmlinux = &direct->vmlinux;
	struct kexec_buf kbuf = {
		.image = image,
		.buffer = vmlinux->image,
		.bufsz = vmlinux->size,
		.memsz = ALIGN(vmlinux->mem_size, VMLINUX64_ALIGN),
		.mem = KEXEC_BUF_MEM_UNKNOWN,
		.buf_align = direct->align,
		.buf_min = vmlinux->link_phys,
		.buf_max = ULONG_MAX,
		.top_down = true,
		.kho_random = direct->kaslr,
	};
	int err;

	if (!image->kho.fdt_phys)
		return -EAGAIN;

	err = kexec_add_buffer(&kbuf);
	if (err)
		return err;

	if (!image->kho.fdt_phys) {
		image->nr_segments--;
		return -EAGAIN;
	}

	if (direct->kaslr)
		header->loadflags |= KASLR_FLAG;
	*entry = kbuf.mem + vmlinux->entry;
	return 0;
}
