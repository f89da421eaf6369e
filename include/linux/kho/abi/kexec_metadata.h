/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Kexec HandOver of facts about the handover itself: the subtree
 * "kexec-metadata".
 *
 * Everything in this file crosses kernels.
 */
#ifndef _LINUX_KHO_ABI_KEXEC_METADATA_H
#define _LINUX_KHO_ABI_KEXEC_METADATA_H

#include <linux/types.h>

#define KHO_METADATA_SUBTREE	"kexec-metadata"
#define KHO_METADATA_VERSION	1
#define KHO_METADATA_RELEASE	65

/**
 * struct kho_kexec_metadata - who handed over, and how often that happened
 * @version: %KHO_METADATA_VERSION
 * @previous_release: uname release of the kernel that wrote this
 * @kexec_count: number of handovers in this chain; 1 after the first one
 */
struct kho_kexec_metadata {
	u32 version;
	char previous_release[KHO_METADATA_RELEASE];
	u32 kexec_count;
} __packed;

#endif /* _LINUX_KHO_ABI_KEXEC_METADATA_H */
