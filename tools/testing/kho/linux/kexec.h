/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _KHO_TEST_KEXEC_H
#define _KHO_TEST_KEXEC_H

#include <linux/types.h>

#define kexec_in_progress	false

struct range;

struct kimage {
	struct {
		struct range *ram;
		unsigned int nr_ram;
	} kho;
};

#endif /* _KHO_TEST_KEXEC_H */
