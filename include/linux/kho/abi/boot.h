/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of times and rates of clocks: the subtree "kholts-boot".
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_BOOT_H
#define _LINUX_KHO_ABI_BOOT_H

#include <linux/build_bug.h>
#include <linux/types.h>

#define KHO_BOOT_SUBTREE	"kholts-boot"
#define KHO_BOOT_VERSION	1

/**
 * struct kho_boot - times of the reboot, and rates of clocks
 * @version: %KHO_BOOT_VERSION
 * @crc32c: CRC32C of the structure, with 0 for this field
 * @tsc_reboot: TSC when reboot() was called
 * @tsc_jump: TSC when the previous kernel had nothing left to do but to start the next one
 * @tsc_khz: rate of the TSC; 0 if the TSC is unstable or its rate is not known
 * @apic_hz: rate of the timer of the local APICs, before it is divided; 0 if the timer was not
 *	     calibrated, or has failed its verification
 * @loops_per_s: loops of a delay per second, if it is the same on all CPUs; or 0
 * @cpu_signature: family, model and stepping of the CPU: EAX of CPUID leaf 1
 * @cpu_vendor: EBX, EDX, ECX of CPUID leaf 0
 * @hypervisor: EBX, ECX, EDX of CPUID leaf 0x40000000 in a virtual machine, or zeros
 *
 * The blob is this structure, at the beginning of a page. It refers to no other memory.
 */
struct kho_boot {
	u32 version;
	u32 crc32c;
	u64 tsc_reboot;
	u64 tsc_jump;
	u64 tsc_khz;
	u64 apic_hz;
	u64 loops_per_s;
	u32 cpu_signature;
	char cpu_vendor[12];
	char hypervisor[12];
} __packed;

static_assert(sizeof(struct kho_boot) == 76);

#endif /* _LINUX_KHO_ABI_BOOT_H */
