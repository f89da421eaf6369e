// SPDX-License-Identifier: GPL-2.0-only
/*
 * Outgoing: give back tree nodes that have become empty.
 *
 * A while after something was unpreserved, all nodes without keys are taken out of
 * the tree at once. Nobody who preserves by a hint has to take a lock for that:
 *
 *	1. An odd generation makes all hints void, and a grace period later nobody uses
 *	   one of before.
 *	2. kho_out.nodes_lock keeps away who looks for a leaf to add a key to.
 *	3. Empty nodes are unlinked.
 *	4. The next generation has hints again. Readers that read the tree in several
 *	   steps, for a list in debugfs or sysfs, notice it and look for their place again.
 *	5. Another grace period later nobody reads the nodes, and they are freed.
 *
 * At each moment what the root leads to is complete, so that a reboot has nothing to
 * wait for. Nor does pruning wait for the lock, under which memory is allocated: it
 * would keep others from it, and one of them may be who frees memory.
 */

#include <linux/io.h>
#include <linux/kexec.h>
#include <linux/list.h>
#include <linux/memory.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/workqueue.h>

#include "kho_internal.h"

/* What is unpreserved in this time is dealt with together. */
#define PRUNE_DELAY	(2 * HZ)

static void prune(struct work_struct *work);
static DECLARE_DELAYED_WORK(prune_work, prune);

static void begin_generation(void)
{
	/* Who sees it finds no node that was unlinked before. */
	smp_store_release(&kho_out.tree.generation, kho_out.tree.generation + 1);
}

static void note_unlinked(phys_addr_t phys, void *nodes)
{
	list_add(&virt_to_folio(phys_to_virt(phys))->lru, nodes);
}

static void prune(struct work_struct *work)
{
	struct folio *folio, *next;
	LIST_HEAD(nodes);

	/* Memory that is freed now is of no use, and a damaged tree is left alone. */
	if (kexec_in_progress || kho_out_damaged())
		return;

	begin_generation();
	synchronize_rcu();
	if (down_write_trylock(&kho_out.nodes_lock)) {
		kho_radix_prune_tree(&kho_out.tree, note_unlinked, &nodes);
		begin_generation();
		up_write(&kho_out.nodes_lock);
	} else {
		begin_generation();
		kho_prune_later();
	}

	if (list_empty(&nodes))
		return;

	synchronize_rcu();
	list_for_each_entry_safe(folio, next, &nodes, lru) {
		kho_node_unmark(folio_pfn(folio));
		folio_put(folio);
	}
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

/*
 * A hint also tells which memory can be preserved, and what is plugged in cannot, even
 * where there was memory that could. Before anybody can allocate from it.
 */
static int memory_changes(struct notifier_block *nb, unsigned long action, void *data)
{
	if (action == MEM_GOING_ONLINE) {
		mod_delayed_work(system_wq, &prune_work, 0);
		flush_delayed_work(&prune_work);
	}

	return NOTIFY_OK;
}

static int __init prune_init(void)
{
	if (!kho_is_enabled())
		return 0;

	return hotplug_memory_notifier(memory_changes, DEFAULT_CALLBACK_PRI);
}
core_initcall(prune_init);
