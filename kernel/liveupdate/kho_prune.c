// SPDX-License-Identifier: GPL-2.0-only
/*
 * Outgoing: give back tree nodes that have become empty.
 *
 * A while after something was unpreserved, all nodes without keys are taken out of
 * the tree at once. Nobody who preserves by a hint has to take a lock for that:
 *
 *	1. kho_out.nodes_lock keeps away who looks for a leaf to add a key to.
 *	2. A new generation makes all hints void, and a grace period later nobody
 *	   uses one of before.
 *	3. Empty nodes are unlinked. One more generation tells those who read the
 *	   tree in several steps, as debugfs does, to begin anew.
 *	4. Another grace period later nobody reads them, and they are freed.
 *
 * At each moment what the root leads to is complete, so that a reboot has nothing to
 * wait for.
 */

#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/workqueue.h>

#include "kho_internal.h"

/* What is unpreserved in this time is dealt with together. */
#define PRUNE_DELAY	(2 * HZ)

static void prune(struct work_struct *work);
static DECLARE_DELAYED_WORK(prune_work, prune);

static void note_unlinked(phys_addr_t phys, void *nodes)
{
	list_add(&virt_to_folio(phys_to_virt(phys))->lru, nodes);
}

static void begin_generation(void)
{
	smp_store_release(&kho_out.tree.generation, kho_out.tree.generation + 1);
}

static void prune(struct work_struct *work)
{
	struct folio *folio, *next;
	LIST_HEAD(nodes);

	scoped_guard(rwsem_write, &kho_out.nodes_lock) {
		begin_generation();
		synchronize_rcu();
		kho_radix_prune_tree(&kho_out.tree, note_unlinked, &nodes);
		begin_generation();
	}
	if (list_empty(&nodes))
		return;

	synchronize_rcu();
	list_for_each_entry_safe(folio, next, &nodes, lru)
		folio_put(folio);
}

/**
 * kho_prune_later - something was deleted from the outgoing tree
 *
 * Context: Any.
 */
void kho_prune_later(void)
{
	/* Looking is cheaper, and most often it is on its way. */
	if (!delayed_work_pending(&prune_work))
		schedule_delayed_work(&prune_work, PRUNE_DELAY);
}
