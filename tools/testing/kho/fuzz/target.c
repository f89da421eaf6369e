// SPDX-License-Identifier: GPL-2.0-only
/*
 * What libFuzzer calls: build a handover as the input wants it, damage it, and see
 * whether the kernel takes it for what it is.
 *
 * A run for some time must have seen both handovers that are accepted and such
 * that are refused, or it says nothing.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/crc32.h>

#include "fuzz.h"

static unsigned long nr_accepted, nr_refused, nr_damaged_accepted;
static bool timed;

static void report(void)
{
	fprintf(stderr, "%lu handovers accepted, %lu of them damaged; %lu refused\n",
		nr_accepted, nr_damaged_accepted, nr_refused);
	if (timed && (!nr_accepted || !nr_refused)) {
		fprintf(stderr, "not ok: the run proves nothing\n");
		_exit(1);
	}
}

void take_over(void)
{
	kho_populate(handover.fdt, handover.fdt_len, handover.scratch,
		     handover.scratch_len);
	kho_reserve_preserved();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int i;

	for (i = 1; i < *argc; i++)
		timed |= !strncmp((*argv)[i], "-max_total_time=", 16);

	shim_verbose = getenv("KHO_FUZZ_VERBOSE");
	EXPECT(~__crc32c_le(~0, (const u8 *)"123456789", 9) == 0xe3069283);
	EXPECT(__crc32c_le(__crc32c_le(~0, (const u8 *)"1234567", 7),
			   (const u8 *)"89", 2) == ~0xe3069283);
	mem_init();
	atexit(report);
	return 0;
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static struct verdict verdict;
	struct input in = { data, size };

	mem_begin(&in);
	sender_build(&in);
	check_out_note(&handover);
	damage(&in);
	ref_check(&handover, &verdict);
	check_out_compare(&handover, &verdict);
	if (shim_verbose)
		printf("reference: %s\n", verdict.problem ?: "in order");
	if (!handover.damaged && verdict.problem)
		FAIL("not damaged, but %s", verdict.problem);

	if (judge(&verdict)) {
		nr_accepted++;
		nr_damaged_accepted += handover.damaged;
	} else {
		if (!handover.damaged)
			FAIL("not damaged, but refused");
		nr_refused++;
	}

	return 0;
}
