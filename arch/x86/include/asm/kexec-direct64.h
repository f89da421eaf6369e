/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _ASM_X86_KEXEC_DIRECT64_H
#define _ASM_X86_KEXEC_DIRECT64_H

#include <linux/errno.h>
#include <linux/types.h>

struct kexec_buf;
struct kexec_direct64;
struct kimage;

#ifdef CONFIG_KEXEC_HANDOVER
struct kexec_direct64 *kexec_direct64_unpack(const struct kimage *image, const char *kernel,
					     unsigned long kernel_len,
					     unsigned long setup_size, const char *cmdline);
int kexec_direct64_load(struct kimage *image, struct kexec_direct64 *direct,
			struct kexec_buf *initrd, unsigned long *entry);
u8 kexec_direct64_loadflags(const struct kexec_direct64 *direct);
void kexec_direct64_free(struct kexec_direct64 *direct);
#else
static inline struct kexec_direct64 *
kexec_direct64_unpack(const struct kimage *image, const char *kernel,
		      unsigned long kernel_len, unsigned long setup_size, const char *cmdline)
{
	return NULL;
}

static inline int kexec_direct64_load(struct kimage *image, struct kexec_direct64 *direct,
				      struct kexec_buf *initrd, unsigned long *entry)
{
	return -EAGAIN;
}

static inline u8 kexec_direct64_loadflags(const struct kexec_direct64 *direct)
{
	return 0;
}

static inline void kexec_direct64_free(struct kexec_direct64 *direct) {}
#endif

#endif /* _ASM_X86_KEXEC_DIRECT64_H */
