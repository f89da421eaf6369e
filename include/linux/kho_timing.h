/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Rates of clocks that the previous kernel has passed on, and how long the blackout was.
 * Between KHO, the architecture and init/main.c; not for drivers.
 */
#ifndef _LINUX_KHO_TIMING_H
#define _LINUX_KHO_TIMING_H

#include <linux/init.h>
#include <linux/types.h>

struct kho_boot;

#ifdef CONFIG_KEXEC_HANDOVER
void kho_timing_populate(phys_addr_t fdt_phys, u64 fdt_len) __init;
void kho_timing_note_start(void) __init;
unsigned int kho_timing_tsc_khz(void);
u64 kho_timing_apic_hz(void);
unsigned long kho_timing_lpj(void);
void kho_report_blackout(void);

/* Of the architecture. */
bool kho_arch_is_ram(phys_addr_t phys, u64 size) __init;
void kho_arch_identify_cpu(struct kho_boot *boot);
void kho_arch_read_rates(struct kho_boot *boot);
#else
static inline unsigned int kho_timing_tsc_khz(void)
{
	return 0;
}

static inline u64 kho_timing_apic_hz(void)
{
	return 0;
}

static inline unsigned long kho_timing_lpj(void)
{
	return 0;
}

static inline void kho_report_blackout(void) {}
#endif

#endif /* _LINUX_KHO_TIMING_H */
