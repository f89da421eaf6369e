// SPDX-License-Identifier: GPL-2.0-only
/*
 * The real kernel/liveupdate/kho_boot.c, and a way to begin with it anew.
 */

#include "../../../../kernel/liveupdate/kho_boot.c"
#include "fuzz.h"

void fuzz_reset_boot(void)
{
	memset(&incoming, 0, sizeof(incoming));
	memset(&kho_in, 0, sizeof(kho_in));
	kho_scratch = NULL;
	kho_scratch_cnt = 0;
	kho_enable = true;
}
