// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the checks of what the previous kernel says of clocks.
 */

#include <kunit/test.h>
#include <linux/kho/abi/boot.h>
#include <linux/kho_timing.h>
#include <linux/limits.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "../kho_internal.h"

static const struct kho_boot good = {
	.version = KHO_BOOT_VERSION,
	.tsc_reboot = 1000000,
	.tsc_jump = 2000000,
	.tsc_khz = 2500000,
	.apic_hz = 1000000000,
	.loops_per_s = 2500000000ULL,
	.cpu_signature = 0x806f8,
	.cpu_vendor = { 'A', 'u', 't', 'h', 'e', 'n', 't', 'i', 'c', 'A', 'M', 'D' },
};

static const char *sealed_problem(const struct kho_boot *boot)
{
	struct kho_boot sealed = *boot;

	sealed.crc32c = kho_timing_checksum(&sealed);
	return kho_timing_problem(&sealed, &good);
}

/* Other kernels rely on where the fields are. */
static void timing_layout(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, crc32c), 4);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, tsc_reboot), 8);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, tsc_jump), 16);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, tsc_khz), 24);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, apic_hz), 32);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, loops_per_s), 40);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, cpu_signature), 48);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, cpu_vendor), 52);
	KUNIT_EXPECT_EQ(test, offsetof(struct kho_boot, hypervisor), 64);
}

static void timing_good(struct kunit *test)
{
	struct kho_boot boot = good;

	KUNIT_EXPECT_PTR_EQ(test, sealed_problem(&boot), NULL);

	/* What was not measured. */
	boot.apic_hz = 0;
	boot.loops_per_s = 0;
	KUNIT_EXPECT_PTR_EQ(test, sealed_problem(&boot), NULL);

	/* Times are looked at later, and do not matter for rates. */
	boot.tsc_jump = U64_MAX;
	KUNIT_EXPECT_PTR_EQ(test, sealed_problem(&boot), NULL);
}

/* A bit that has flipped anywhere. */
static void timing_checksum(struct kunit *test)
{
	struct kho_boot sealed = good, boot;
	unsigned int bit;

	sealed.crc32c = kho_timing_checksum(&sealed);
	KUNIT_ASSERT_PTR_EQ(test, kho_timing_problem(&sealed, &good), NULL);
	for (bit = 0; bit < 8 * sizeof(boot); bit++) {
		boot = sealed;
		((u8 *)&boot)[bit / 8] ^= 1 << bit % 8;
		KUNIT_EXPECT_NOT_NULL_MSG(test, kho_timing_problem(&boot, &good), "bit %u", bit);
	}
}

static void timing_rates(struct kunit *test)
{
	static const u64 bad_khz[] = { 0, 1, 99999, 100000001, U32_MAX, U64_MAX };
	static const u64 bad_hz[] = { 1, 999999, 10000000001ULL, U64_MAX };
	static const u64 bad_loops[] = {
		1, 1250000000, 2400000000ULL, 2600000000ULL, 5000000000ULL, U64_MAX
	};
	struct kho_boot boot;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bad_khz); i++) {
		boot = good;
		boot.tsc_khz = bad_khz[i];
		boot.loops_per_s = 0;
		KUNIT_EXPECT_NOT_NULL_MSG(test, sealed_problem(&boot), "%llu kHz", bad_khz[i]);
	}

	for (i = 0; i < ARRAY_SIZE(bad_hz); i++) {
		boot = good;
		boot.apic_hz = bad_hz[i];
		KUNIT_EXPECT_NOT_NULL_MSG(test, sealed_problem(&boot), "%llu Hz", bad_hz[i]);
	}

	for (i = 0; i < ARRAY_SIZE(bad_loops); i++) {
		boot = good;
		boot.loops_per_s = bad_loops[i];
		KUNIT_EXPECT_NOT_NULL_MSG(test, sealed_problem(&boot), "%llu loops", bad_loops[i]);
	}

	/* The limits are fine. */
	boot = good;
	boot.loops_per_s = 0;
	boot.tsc_khz = 100000;
	boot.apic_hz = 1000000;
	KUNIT_EXPECT_PTR_EQ(test, sealed_problem(&boot), NULL);
	boot.tsc_khz = 100000000;
	boot.apic_hz = 10000000000ULL;
	KUNIT_EXPECT_PTR_EQ(test, sealed_problem(&boot), NULL);
}

static void timing_other_machine(struct kunit *test)
{
	struct kho_boot boot = good;

	boot.version++;
	KUNIT_EXPECT_STREQ(test, sealed_problem(&boot), "its version is not known");

	boot = good;
	boot.cpu_signature++;
	KUNIT_EXPECT_STREQ(test, sealed_problem(&boot), "it is of another CPU");

	boot = good;
	boot.cpu_vendor[11] = 0;
	KUNIT_EXPECT_STREQ(test, sealed_problem(&boot), "it is of another CPU");

	boot = good;
	boot.hypervisor[0] = 'K';
	KUNIT_EXPECT_STREQ(test, sealed_problem(&boot), "it is of another hypervisor");
}

static void timing_blackout(struct kunit *test)
{
	const u64 hour = 3600ULL * 1000 * 2500000;
	struct kho_boot boot = good;
	const char *problem;

	problem = kho_timing_blackout_problem(&boot, 3000000, 4000000, 2500000);
	KUNIT_EXPECT_PTR_EQ(test, problem, NULL);
	problem = kho_timing_blackout_problem(&boot, boot.tsc_jump, boot.tsc_jump, 2500000);
	KUNIT_EXPECT_PTR_EQ(test, problem, NULL);
	problem = kho_timing_blackout_problem(&boot, 3000000, boot.tsc_reboot + hour, 2500000);
	KUNIT_EXPECT_PTR_EQ(test, problem, NULL);

	problem = kho_timing_blackout_problem(&boot, 3000000, 4000000, 0);
	KUNIT_EXPECT_STREQ(test, problem, "the TSC is not stable");
	problem = kho_timing_blackout_problem(&boot, 3000000, boot.tsc_reboot + hour + 2500000,
					      2500000);
	KUNIT_EXPECT_NOT_NULL(test, problem);
	problem = kho_timing_blackout_problem(&boot, 3000000, U64_MAX, 2500000);
	KUNIT_EXPECT_NOT_NULL(test, problem);
	problem = kho_timing_blackout_problem(&boot, boot.tsc_jump - 1, 4000000, 2500000);
	KUNIT_EXPECT_NOT_NULL(test, problem);
	problem = kho_timing_blackout_problem(&boot, 3000000, 2999999, 2500000);
	KUNIT_EXPECT_NOT_NULL(test, problem);

	boot.tsc_reboot = 0;
	KUNIT_EXPECT_NOT_NULL(test, kho_timing_blackout_problem(&boot, 3000000, 4000000, 2500000));
	boot.tsc_reboot = boot.tsc_jump + 1;
	KUNIT_EXPECT_NOT_NULL(test, kho_timing_blackout_problem(&boot, 3000000, 4000000, 2500000));
	boot.tsc_reboot = U64_MAX;
	KUNIT_EXPECT_NOT_NULL(test, kho_timing_blackout_problem(&boot, 3000000, 4000000, 2500000));
	boot.tsc_jump = U64_MAX;
	KUNIT_EXPECT_NOT_NULL(test, kho_timing_blackout_problem(&boot, 3000000, 4000000, 2500000));
}

/* What this kernel has, but the next one would not believe, costs it nothing else. */
static void timing_leave_out(struct kunit *test)
{
	struct kho_boot boot = good;

	kho_timing_leave_out(&boot);
	KUNIT_EXPECT_EQ(test, boot.apic_hz, good.apic_hz);
	KUNIT_EXPECT_EQ(test, boot.loops_per_s, good.loops_per_s);

	boot.loops_per_s = 1000000;
	boot.apic_hz = 1;
	KUNIT_EXPECT_NOT_NULL(test, sealed_problem(&boot));
	kho_timing_leave_out(&boot);
	KUNIT_EXPECT_PTR_EQ(test, sealed_problem(&boot), NULL);
	KUNIT_EXPECT_EQ(test, boot.tsc_khz, good.tsc_khz);
}

static struct kunit_case timing_cases[] = {
	KUNIT_CASE(timing_leave_out),
	KUNIT_CASE(timing_layout),
	KUNIT_CASE(timing_good),
	KUNIT_CASE(timing_checksum),
	KUNIT_CASE(timing_rates),
	KUNIT_CASE(timing_other_machine),
	KUNIT_CASE(timing_blackout),
	{}
};

static struct kunit_suite timing_suite = {
	.name = "kho_timing",
	.test_cases = timing_cases,
};

kunit_test_suite(timing_suite);
