// SPDX-License-Identifier: GPL-2.0-only
/*
 * kholts-boot: when the previous kernel began to reboot, and how fast clocks are.
 *
 * Clocks are calibrated in each boot, which takes up to some hundred milliseconds of a
 * blackout. The hardware is the same as before the kexec, so the previous kernel passes on what
 * it has measured. And it notes when it leaves, so that the next kernel can tell how long the
 * blackout was.
 *
 * What arrives is input. It has a checksum, and each value has to be plausible. The architecture
 * compares a rate with another clock before it is used, which takes much less time than to measure
 * it. If something is wrong, clocks are calibrated as without a handover, and one line says
 * so. The handover itself does not depend on this.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/crash_dump.h>
#include <linux/crc32.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/kho/abi/boot.h>
#include <linux/kho_timing.h>
#include <linux/libfdt.h>
#include <linux/limits.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/timex.h>

#include "kho_internal.h"

/*
 * Outside of these a rate is damaged, or would let the computations of its users overflow:
 * the multiplier of the clock event device of an APIC has 32 bits.
 */
#define TSC_KHZ_MIN	100000ULL
#define TSC_KHZ_MAX	100000000ULL
#define APIC_HZ_MIN	1000000ULL
#define APIC_HZ_MAX	10000000000ULL

#define BLACKOUT_MAX_S	3600

/* What the previous kernel has said. All zeros if it is not usable. */
static struct kho_boot incoming __ro_after_init;

/* Its version was read and is known. If not, it may refer to memory: it stays unclaimed. */
static bool understood __initdata;

/* When this kernel began. */
static u64 tsc_start __ro_after_init;

/* Or an errno. Written once, before there are user processes. */
static s64 blackout_us = -EAGAIN;

/* What the next kernel will get. NULL if it gets nothing. */
static struct kho_boot *outgoing __ro_after_init;

/**
 * kho_arch_is_ram - check that a range is RAM, before memblock knows all RAM
 * @phys: its physical address
 * @size: its size in bytes
 *
 * Context: Early boot.
 * Return: true if all of it is RAM.
 */
bool __init __weak kho_arch_is_ram(phys_addr_t phys, u64 size)
{
	return false;
}

/**
 * kho_arch_identify_cpu - tell which CPU this is
 * @boot: set to the CPU and the hypervisor
 *
 * Context: Any.
 */
void __weak kho_arch_identify_cpu(struct kho_boot *boot)
{
}

/**
 * kho_arch_read_rates - tell how fast clocks are
 * @boot: set to the rates of those that have been measured, and 0 for the others
 *
 * Context: Process context.
 */
void __weak kho_arch_read_rates(struct kho_boot *boot)
{
}

/**
 * kho_timing_checksum - compute the checksum of a structure
 * @boot: the structure
 *
 * Return: what its field crc32c should be.
 */
u32 kho_timing_checksum(const struct kho_boot *boot)
{
	struct kho_boot copy = *boot;

	copy.crc32c = 0;
	return ~__crc32c_le(~0, (const u8 *)&copy, sizeof(copy));
}

static bool apic_hz_plausible(u64 hz)
{
	return hz >= APIC_HZ_MIN && hz <= APIC_HZ_MAX;
}

/* At most 1/64 off: delay loops count ticks of the TSC, unless lpj= says otherwise. */
static bool loops_plausible(u64 loops_per_s, u64 tsc_khz)
{
	return abs_diff(loops_per_s, tsc_khz * 1000) <= tsc_khz * 1000 >> 6;
}

/**
 * kho_timing_leave_out - leave rates out for which the next kernel would ignore all
 * @boot: what is going to be handed over
 */
void kho_timing_leave_out(struct kho_boot *boot)
{
	if (!apic_hz_plausible(boot->apic_hz))
		boot->apic_hz = 0;
	if (!loops_plausible(boot->loops_per_s, boot->tsc_khz))
		boot->loops_per_s = 0;
}

/**
 * kho_timing_problem - find out why rates of the previous kernel cannot be used
 * @boot: what it has handed over
 * @own: the CPU that this kernel runs on
 *
 * Return: what is wrong, or NULL.
 */
const char *kho_timing_problem(const struct kho_boot *boot, const struct kho_boot *own)
{
	if (boot->version != KHO_BOOT_VERSION)
		return "its version is not known";
	if (boot->crc32c != kho_timing_checksum(boot))
		return "its checksum is wrong";
	if (boot->cpu_signature != own->cpu_signature ||
	    memcmp(boot->cpu_vendor, own->cpu_vendor, sizeof(boot->cpu_vendor)))
		return "it is of another CPU";
	if (memcmp(boot->hypervisor, own->hypervisor, sizeof(boot->hypervisor)))
		return "it is of another hypervisor";
	if (!boot->tsc_khz)
		return "it has no rate of the TSC";
	if (boot->tsc_khz < TSC_KHZ_MIN || boot->tsc_khz > TSC_KHZ_MAX)
		return "the rate of the TSC is not plausible";
	if (boot->apic_hz && !apic_hz_plausible(boot->apic_hz))
		return "the rate of the APIC timer is not plausible";
	if (boot->loops_per_s && !loops_plausible(boot->loops_per_s, boot->tsc_khz))
		return "the rate of delay loops is not plausible";

	return NULL;
}

/**
 * kho_timing_blackout_problem - find out why the length of a blackout is not known
 * @boot: what the previous kernel has handed over
 * @start: TSC when this kernel began
 * @end: TSC when it executes init
 * @tsc_khz: rate of the TSC, or 0 if the TSC is not stable
 *
 * Return: what is wrong, or NULL.
 */
const char *kho_timing_blackout_problem(const struct kho_boot *boot, u64 start, u64 end,
					u64 tsc_khz)
{
	if (!tsc_khz)
		return "the TSC is not stable";
	if (!boot->tsc_reboot || boot->tsc_reboot > boot->tsc_jump ||
	    boot->tsc_jump > start || start > end)
		return "times of the previous kernel are not in order";
	if (div64_u64(end - boot->tsc_reboot, tsc_khz) > BLACKOUT_MAX_S * 1000ULL)
		return "the previous kernel began to reboot more than an hour ago";

	return NULL;
}

/* The FDT has not been checked yet. If it is damaged, kho_populate() will say so. */
static bool __init find_subtree(const void *fdt, u64 len, u64 *phys, u64 *size)
{
	int node;

	if (fdt_check_header(fdt) || fdt_totalsize(fdt) > len ||
	    kho_fdt_check_structure(fdt) || !kho_fdt_is_compatible(fdt))
		return false;

	node = kho_fdt_find_subnode(fdt, KHO_BOOT_SUBTREE);
	return node >= 0 &&
	       kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_DATA_PROP, phys) &&
	       kho_fdt_read_u64(fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, size);
}

static const char *__init read_subtree(u64 phys, u64 size)
{
	struct kho_boot own = {};
	const char *problem;
	void *blob;

	if (size != sizeof(incoming) || !PAGE_ALIGNED(phys) || !kho_arch_is_ram(phys, size))
		return "its size or its address is wrong";

	blob = early_memremap(phys, size);
	if (!blob)
		return "it cannot be mapped";

	memcpy(&incoming, blob, sizeof(incoming));
	early_memunmap(blob, size);
	understood = incoming.version == KHO_BOOT_VERSION;

	kho_arch_identify_cpu(&own);
	problem = kho_timing_problem(&incoming, &own);
	if (problem)
		memset(&incoming, 0, sizeof(incoming));

	return problem;
}

/**
 * kho_timing_populate - read what the previous kernel says of clocks
 * @fdt_phys: physical address of the root FDT
 * @fdt_len: its length in bytes
 *
 * Clocks are needed before kho_populate() can check the handover, so this trusts nothing of
 * it.
 *
 * Context: Early boot, when kho_arch_is_ram() works, before clocks are calibrated; only
 *	    early_memremap() works.
 */
void __init kho_timing_populate(phys_addr_t fdt_phys, u64 fdt_len)
{
	const char *problem;
	u64 phys, size;
	bool found;
	void *fdt;

	if (!kho_enable || is_kdump_kernel() || !fdt_phys || !PAGE_ALIGNED(fdt_phys) ||
	    fdt_len < sizeof(struct fdt_header) || fdt_len > PAGE_SIZE ||
	    !kho_arch_is_ram(fdt_phys, PAGE_SIZE))
		return;

	fdt = early_memremap(fdt_phys, PAGE_SIZE);
	if (!fdt)
		return;

	found = find_subtree(fdt, fdt_len, &phys, &size);
	early_memunmap(fdt, PAGE_SIZE);
	if (!found)
		return;

	problem = read_subtree(phys, size);
	if (problem)
		pr_warn("kholts-boot ignored, clocks are calibrated: %s\n", problem);
}

/**
 * kho_timing_note_start - note that this kernel has begun
 *
 * Context: Early boot, as soon as there is known to be a handover.
 */
void __init kho_timing_note_start(void)
{
	tsc_start = get_cycles();
}

/* Refused handovers are ignored as a whole. */
static bool usable(void)
{
	return is_kho_boot() && incoming.version;
}

/**
 * kho_timing_tsc_khz - rate of the TSC, as the previous kernel has measured it
 *
 * The caller compares it with another clock.
 *
 * Context: Any, after kho_timing_populate().
 * Return: kHz; or 0 if it is not known, or after the boot.
 */
unsigned int kho_timing_tsc_khz(void)
{
	return system_state == SYSTEM_BOOTING ? incoming.tsc_khz : 0;
}

/**
 * kho_timing_apic_hz - rate of the APIC timer, as the previous kernel has measured it
 *
 * The caller compares it with another clock.
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: Hz, before it is divided; or 0 if it is not known.
 */
u64 kho_timing_apic_hz(void)
{
	return usable() ? incoming.apic_hz : 0;
}

/**
 * kho_timing_lpj - loops of a delay per jiffy, the same on all CPUs of the previous kernel
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: loops, or 0 if that is not known.
 */
unsigned long kho_timing_lpj(void)
{
	return usable() ? div_u64(incoming.loops_per_s, HZ) : 0;
}

/* A blob of this version refers to no other memory, so that it can be freed even if damaged. */
static void __init free_incoming(void)
{
	phys_addr_t phys;
	size_t size;

	if (!understood || kho_retrieve_subtree(KHO_BOOT_SUBTREE, &phys, &size) ||
	    !kho_run_preserved(PHYS_PFN(phys), 1))
		return;

	kho_restore_free(phys_to_virt(phys));
}

static int __init kho_timing_init(void)
{
	struct kho_boot *boot;
	int err;

	free_incoming();
	if (!kho_is_enabled())
		return 0;

	boot = kho_alloc_preserve(sizeof(*boot));
	if (IS_ERR(boot)) {
		err = PTR_ERR(boot);
		goto err;
	}

	err = kho_add_subtree(KHO_BOOT_SUBTREE, boot, sizeof(*boot));
	if (err)
		goto err_free;

	kho_out.nr_own_pages++;
	outgoing = boot;
	return 0;

err_free:
	kho_unpreserve_free(boot);
err:
	pr_warn("the next kernel will calibrate its clocks: %d\n", err);
	return 0;
}
fs_initcall(kho_timing_init);

/**
 * kho_timing_begin - note that the reboot begins, and how fast clocks are
 *
 * Context: kernel_kexec(), with the kexec lock held, while all CPUs run.
 */
void kho_timing_begin(void)
{
	if (!outgoing)
		return;

	outgoing->tsc_reboot = get_cycles();
	kho_arch_identify_cpu(outgoing);
	kho_arch_read_rates(outgoing);
	kho_timing_leave_out(outgoing);
}

/**
 * kho_timing_seal - note that this kernel has nothing left to do
 *
 * Context: kernel_kexec(), right before the next kernel is started.
 */
void kho_timing_seal(void)
{
	if (!outgoing)
		return;

	outgoing->version = KHO_BOOT_VERSION;
	outgoing->tsc_jump = get_cycles();
	outgoing->crc32c = kho_timing_checksum(outgoing);
}

/**
 * kho_timing_has_blackout - whether kho_blackout_us() is going to tell something
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: true if the previous kernel has passed times on.
 */
bool kho_timing_has_blackout(void)
{
	return usable();
}

/**
 * kho_blackout_us - how long the last blackout was
 *
 * Return: microseconds; %-EAGAIN before init is executed, %-ENODATA if it is not known.
 */
s64 kho_blackout_us(void)
{
	return blackout_us;
}

/**
 * kho_report_blackout - log how long the blackout was
 *
 * Context: Process context, right before init is executed.
 */
void kho_report_blackout(void)
{
	u64 end = get_cycles(), in_previous, between, in_this;
	struct kho_boot own = {};
	const char *problem;

	if (!usable())
		return;

	kho_arch_read_rates(&own);
	problem = kho_timing_blackout_problem(&incoming, tsc_start, end, own.tsc_khz);
	if (problem) {
		blackout_us = -ENODATA;
		pr_warn("how long the blackout was is not known: %s\n", problem);
		return;
	}

	/* No overflow: none of them is longer than an hour, at no more than 1000 GHz. */
	in_previous = div64_u64((incoming.tsc_jump - incoming.tsc_reboot) * 1000, own.tsc_khz);
	between = div64_u64((tsc_start - incoming.tsc_jump) * 1000, own.tsc_khz);
	in_this = div64_u64((end - tsc_start) * 1000, own.tsc_khz);
	blackout_us = in_previous + between + in_this;

	pr_info("blackout of %lld.%03lld ms: %llu.%03llu ms in the previous kernel, %llu.%03llu ms until this one began, %llu.%03llu ms until init\n",
		blackout_us / 1000, blackout_us % 1000, in_previous / 1000, in_previous % 1000,
		between / 1000, between % 1000, in_this / 1000, in_this % 1000);
}
