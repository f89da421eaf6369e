// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rates of clocks for the next kernel; see kernel/liveupdate/kho_timing.c.
 */

#include <linux/cpufeature.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kho/abi/boot.h>
#include <linux/kho_timing.h>
#include <linux/math.h>
#include <linux/param.h>
#include <linux/processor.h>
#include <linux/string.h>

#include <asm/apic.h>
#include <asm/e820/api.h>
#include <asm/tsc.h>

#define CPUID_HYPERVISOR	0x40000000

bool __init kho_arch_is_ram(phys_addr_t phys, u64 size)
{
	return phys + size > phys && e820__mapped_all(phys, phys + size, E820_TYPE_RAM);
}

void kho_arch_identify_cpu(struct kho_boot *boot)
{
	u32 eax, regs[3] = {};

	boot->cpu_signature = cpuid_eax(1);

	/* In the order in which they spell the name of the vendor. */
	cpuid(0, &eax, &regs[0], &regs[2], &regs[1]);
	memcpy(boot->cpu_vendor, regs, sizeof(boot->cpu_vendor));

	memset(regs, 0, sizeof(regs));
	if (boot_cpu_has(X86_FEATURE_HYPERVISOR))
		cpuid(CPUID_HYPERVISOR, &eax, &regs[0], &regs[1], &regs[2]);
	memcpy(boot->hypervisor, regs, sizeof(boot->hypervisor));
}

/*
 * Loops per jiffy of all CPUs, or 0 if they differ by more than 1/64. The boot CPU does not
 * measure them, so that it alone tells nothing.
 */
static unsigned long common_lpj(void)
{
	unsigned long lpj = boot_cpu_data.loops_per_jiffy;
	unsigned int cpu;

	if (num_online_cpus() < 2)
		return 0;

	for_each_online_cpu(cpu) {
		if (abs_diff(cpu_data(cpu).loops_per_jiffy, lpj) > lpj >> 6)
			return 0;
	}

	return lpj;
}

void kho_arch_read_rates(struct kho_boot *boot)
{
	bool stable = !check_tsc_unstable();

	boot->tsc_khz = stable ? tsc_khz : 0;
	boot->loops_per_s = stable ? (u64)common_lpj() * HZ : 0;
	boot->apic_hz = lapic_timer_hz();
}
