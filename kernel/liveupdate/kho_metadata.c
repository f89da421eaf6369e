// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec-metadata: which kernel handed over, and how long the chain is.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/err.h>
#include <linux/io.h>
#include <linux/kho/abi/kexec_metadata.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/utsname.h>

#include "kho_internal.h"

/*
 * Read and free what the previous kernel said about itself. Returns the number
 * of handovers in the chain so far, this one included.
 */
static u32 __init take_incoming(void)
{
	struct kho_kexec_metadata *metadata;
	phys_addr_t phys;
	size_t size;
	u32 count;

	if (kho_retrieve_subtree(KHO_METADATA_SUBTREE, &phys, &size))
		return is_kho_boot() ? 1 : 0;

	metadata = phys_to_virt(phys);
	if (size != sizeof(*metadata) || !PAGE_ALIGNED(phys) ||
	    !kho_run_preserved(PHYS_PFN(phys), 1) ||
	    metadata->version != KHO_METADATA_VERSION) {
		pr_warn("%s of %zu bytes at %pa not understood\n",
			KHO_METADATA_SUBTREE, size, &phys);
		return 1;
	}

	count = metadata->kexec_count;
	pr_info("handed over by %.*s, handover %u of this chain\n",
		(int)sizeof(metadata->previous_release),
		metadata->previous_release, count);
	kho_restore_free(metadata);

	return count;
}

/* Read what the previous kernel wrote, and register the same for the next. */
static int __init kho_metadata_init(void)
{
	struct kho_kexec_metadata *metadata;
	u32 count = take_incoming();
	int err;

	if (!kho_is_enabled())
		return 0;

	metadata = kho_alloc_preserve(sizeof(*metadata));
	if (IS_ERR(metadata)) {
		err = PTR_ERR(metadata);
		goto err;
	}

	metadata->version = KHO_METADATA_VERSION;
	metadata->kexec_count = count + 1;
	strscpy(metadata->previous_release, init_utsname()->release);

	err = kho_add_subtree(KHO_METADATA_SUBTREE, metadata, sizeof(*metadata));
	if (err)
		goto err_free;

	kho_out.nr_own_pages++;
	return 0;

err_free:
	kho_unpreserve_free(metadata);
err:
	pr_warn("the next kernel will not learn who handed over: %d\n", err);
	return 0;
}
fs_initcall(kho_metadata_init);
