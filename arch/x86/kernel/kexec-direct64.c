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
 *
 * The kernel goes to a random place in scratch, preferably one that it need not be copied to in
 * the blackout. The initrd goes to the end of an area. Whichever of the two is placed first may
 * be in the way of the other, so both orders are tried.
 *
 * A bzImage that is not as expected is refused if its decompressor would fail, too, as that
 * would be in the blackout, with no way back. It is loaded with its decompressor if that
 * may know better:
 *
 * ============================================================ ========================
 * what is found                                                what becomes of it
 * ============================================================ ========================
 * the file ends before its code or its payload does            refused
 * the payload does not decompress, or its checksum is wrong    refused
 * its length is 0, or larger than what the kernel asks for     refused
 * it decompresses to something that is no vmlinux for x86-64   refused
 * a program header or a segment is out of bounds               refused
 * the entry point or a relocation is out of bounds             refused
 * there is no payload, or one in an unknown format             left to the decompressor
 * vmlinux is of another kind, or its segments in another order left to the decompressor
 * there is another number of lists of relocations              left to the decompressor
 * there is not enough memory                                   left to the decompressor
 * ============================================================ ========================
 *
 * lz4 has no checksum, so damage to it may go unnoticed in either way. A bzImage that is left
 * to its decompressor for another reason, such as a parameter, is looked at as far as
 * its length.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/align.h>
#include <linux/cc_platform.h>
#include <linux/err.h>
#include <linux/gfp.h>
#include <linux/kexec.h>
#include <linux/kho_unpack.h>
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

struct kexec_direct64 {
	struct vmlinux64 vmlinux;
	bool kaslr;
	/* Multiples of this are where the kernel can be */
	unsigned long align;
	/* Of what is in the bzImage, for the log */
	const char *format;
	size_t packed_size;
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

static int prepare(struct kexec_direct64 *direct, const char *cmdline)
{
	struct vmlinux64 *vmlinux = &direct->vmlinux;
	unsigned long nr_slots;
	int err;

	err = vmlinux64_parse(vmlinux);
	if (err)
		return err;

	if (vmlinux->link_phys > VMLINUX64_MAX_SIZE ||
	    virtual_size(vmlinux) > VMLINUX64_MAX_SIZE - vmlinux->link_phys) {
		vmlinux->problem = "it is too large";
		return -EBADMSG;
	}

	vmlinux64_place(vmlinux);
	direct->kaslr = vmlinux->relocatable &&
			cmdline_find_option_bool(cmdline, "nokaslr") <= 0;
	if (direct->kaslr) {
		nr_slots = (VMLINUX64_MAX_SIZE - vmlinux->link_phys - virtual_size(vmlinux)) /
			   direct->align + 1;
		vmlinux64_relocate(vmlinux, get_random_u32_below(nr_slots) * direct->align);
	}

	return 0;
}

static void log_packed(const char *problem)
{
	pr_info("the next kernel has to unpack itself: %s\n", problem);
}

/* Returns 0, or as vmlinux64_parse(), with the problem set. */
static int unpack(struct kexec_direct64 *direct, const struct setup_header *header,
		  const char *payload, const char *cmdline)
{
	struct vmlinux64 *vmlinux = &direct->vmlinux;
	int err;

	direct->align = header->kernel_alignment;
	direct->packed_size = header->payload_length;
	direct->format = kho_unpack_format(payload, direct->packed_size);
	vmlinux->problem = "there is no decompressor for it";
	if (!direct->format)
		return -EOPNOTSUPP;

	vmlinux->link_phys = header->pref_address;
	vmlinux->len = get_unaligned_le32(payload + direct->packed_size - sizeof(u32));
	if (!vmlinux->len || vmlinux->len > min(header->init_size, VMLINUX64_MAX_SIZE)) {
		vmlinux->problem = "the size of what is packed cannot be right";
		return -EBADMSG;
	}

	vmlinux->image = vmalloc_huge(vmlinux->len,
				      GFP_KERNEL | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	err = vmlinux->image ? kho_unpack(payload, direct->packed_size, vmlinux->image,
					  vmlinux->len) : -ENOMEM;
	if (err == -ENOMEM)
		vmlinux->problem = "there is not enough memory";
	if (err == -EBADMSG)
		vmlinux->problem = "what is packed cannot be decompressed";

	return err ?: prepare(direct, cmdline);
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
 * * %-ENOEXEC - the bzImage is damaged, which is in the log
 */
struct kexec_direct64 *kexec_direct64_unpack(const struct kimage *image, const char *kernel,
					     unsigned long kernel_len,
					     unsigned long setup_size, const char *cmdline)
{
	const struct setup_header *header = (const void *)kernel +
					    offsetof(struct boot_params, hdr);
	struct kexec_direct64 *direct = NULL;
	const char *problem;
	size_t start;
	int err;

	if (!image->kho.fdt_phys)
		return NULL;

	err = vmlinux64_payload(kernel_len, setup_size, header->syssize,
				header->payload_offset, header->payload_length, &start);
	problem = err == -EBADMSG ? "the file is truncated" : "it has no payload";
	if (err)
		goto out;

	err = -EOPNOTSUPP;
	problem = check_header(header, cmdline);
	if (problem)
		goto out;

	err = -ENOMEM;
	problem = "there is not enough memory";
	direct = kzalloc(sizeof(*direct), GFP_KERNEL);
	if (!direct)
		goto out;

	err = unpack(direct, header, kernel + start, cmdline);
	if (!err)
		return direct;
	problem = direct->vmlinux.problem;

out:
	kexec_direct64_free(direct);
	if (err == -EBADMSG) {
		pr_err("kexec refused: the bzImage is damaged: %s\n", problem);
		return ERR_PTR(-ENOEXEC);
	}

	log_packed(problem);
	return NULL;
}

/*
 * How a kernel and its initrd are placed, best first. An initrd at the end of an area leaves
 * room in one piece. But it may take the only area that is large enough for the kernel; and a
 * kernel that is placed first may be in the way of the initrd, wherever it lies at random.
 * Only the last way gives the handover up, or says that there is no room.
 */
static const struct way {
	enum kho_place place;
	bool initrd_first;
	bool random;
	unsigned int tries;
} ways[] = {
	{ KHO_PLACE_IN_PLACE, true, true, 1 },
	{ KHO_PLACE_IN_PLACE, false, true, 4 },
	{ KHO_PLACE_IN_SCRATCH, true, true, 1 },
	{ KHO_PLACE_IN_SCRATCH, false, true, 4 },
	{ KHO_PLACE_ANYWHERE, false, false, 1 },
};

static int place(struct kexec_buf *kbuf, const struct way *way, bool random)
{
	kbuf->mem = KEXEC_BUF_MEM_UNKNOWN;
	kbuf->kho_place = way->place;
	kbuf->kho_random = random && way->random;

	return kexec_add_buffer(kbuf);
}

static int place_both(struct kexec_buf *kernel, struct kexec_buf *initrd, const struct way *way,
		      bool random)
{
	int err = 0;

	if (initrd && way->initrd_first)
		err = place(initrd, way, false);
	if (!err)
		err = place(kernel, way, random);
	if (!err && initrd && !way->initrd_first)
		err = place(initrd, way, false);

	return err;
}

/**
 * kexec_direct64_load - add a kernel that has been unpacked, and its initrd, to their image
 * @image: the image that is being loaded
 * @direct: the kernel, which must not be freed before the segments are loaded
 * @initrd: the initrd, whose address is set; or NULL
 * @entry: set to the physical address of the entry point of the kernel
 *
 * Context: kexec_file_load(), with the kexec lock held. May sleep.
 * Return:
 * * 0 - they are the last segments of @image
 * * %-EAGAIN - @image carries no handover any more, and has the segments that it had: the
 *   bzImage has to be loaded as it is
 * * other negative errnos - as of kexec_add_buffer()
 */
int kexec_direct64_load(struct kimage *image, struct kexec_direct64 *direct,
			struct kexec_buf *initrd, unsigned long *entry)
{
	struct vmlinux64 *vmlinux = &direct->vmlinux;
	struct kexec_buf kbuf = {
		.image = image,
		.buffer = vmlinux->image,
		.bufsz = vmlinux->size,
		.memsz = ALIGN(vmlinux->mem_size, VMLINUX64_ALIGN),
		.buf_align = direct->align,
		.buf_min = vmlinux->link_phys,
		.buf_max = ULONG_MAX,
		.top_down = true,
	};
	unsigned long nr_segments = image->nr_segments;
	unsigned int i, tries;
	int err = -EADDRNOTAVAIL;

	for (i = 0; i < ARRAY_SIZE(ways) && err == -EADDRNOTAVAIL; i++) {
		for (tries = 0; tries < ways[i].tries && err == -EADDRNOTAVAIL; tries++) {
			kho_image_give_up(image, nr_segments);
			err = place_both(&kbuf, initrd, &ways[i], direct->kaslr);
		}
	}

	if (!image->kho.fdt_phys) {
		kho_image_give_up(image, nr_segments);
		log_packed("it gets no handover");
		return -EAGAIN;
	}
	if (err)
		return err;

	kexec_dprintk("Loaded unpacked kernel at 0x%lx bufsz=0x%lx memsz=0x%lx\n",
		      kbuf.mem, kbuf.bufsz, kbuf.memsz);
	*entry = kbuf.mem + vmlinux->entry;
	pr_info("the next kernel is unpacked: %zu KiB from %zu KiB of %s data\n",
		vmlinux->size >> 10, direct->packed_size >> 10, direct->format);
	if (direct->kaslr && !kbuf.kho_random)
		pr_warn("the physical address of the next kernel is not random: memory in scratch is in use\n");
	return 0;
}

/**
 * kexec_direct64_loadflags - what to tell an unpacked kernel in its header
 * @direct: the kernel
 *
 * Return: flags as its decompressor would set them.
 */
u8 kexec_direct64_loadflags(const struct kexec_direct64 *direct)
{
	return direct->kaslr ? KASLR_FLAG : 0;
}
