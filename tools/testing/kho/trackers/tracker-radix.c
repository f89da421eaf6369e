// SPDX-License-Identifier: GPL-2.0-only
/*
 * The radix tree of this kernel: there is nothing to be done at the end, as the
 * nodes themselves are handed over.
 */

#include "../../../../kernel/liveupdate/kho_internal.h"
#include "memory.h"
#include "tracker.h"

struct tracker {
	struct kho_radix_tree tree;
};

static struct mem_pool handles = {
	.size = sizeof(struct tracker), .align = sizeof(long),
};

static struct tracker *radix_create(void)
{
	struct tracker *tracker = mem_get(&handles);

	if (tracker && kho_radix_init_tree(&tracker->tree, NULL)) {
		mem_put(&handles, tracker);
		return NULL;
	}

	return tracker;
}

static int radix_add(struct tracker *tracker, unsigned long pfn,
		     unsigned int order)
{
	return kho_radix_add_key(&tracker->tree,
				 kho_key(PFN_PHYS(pfn), order));
}

static int radix_del(struct tracker *tracker, unsigned long pfn,
		     unsigned int order)
{
	return kho_radix_del_key(&tracker->tree,
				 kho_key(PFN_PHYS(pfn), order)) ? 0 : -ENOENT;
}

static int radix_finalize(struct tracker *tracker, unsigned long *phys)
{
	*phys = mem_phys(tracker->tree.root);
	return 0;
}

static void radix_destroy(struct tracker *tracker)
{
	kho_radix_destroy_tree(&tracker->tree);
	mem_put(&handles, tracker);
}

/* As kho_boot.c does, with all orders merged into one stream. */
static int radix_read(unsigned long phys, tracker_fn fn, void *data)
{
	static struct kho_range_iter it;
	struct kho_radix_tree tree;
	phys_addr_t block;
	unsigned int order;
	int err;

	err = kho_radix_init_tree(&tree, mem_virt(phys));
	if (err)
		return err;

	kho_range_iter_init(&it, &tree);
	while (kho_range_iter_next_block(&it, &block, &order)) {
		err = fn(PHYS_PFN(block), order, 1, data);
		if (err)
			return err;
	}

	return 0;
}

const struct tracker_ops tracker_radix = {
	.name = "radix tree",
	.by_address = true,
	.create = radix_create,
	.add = radix_add,
	.del = radix_del,
	.finalize = radix_finalize,
	.destroy = radix_destroy,
	.read = radix_read,
};
