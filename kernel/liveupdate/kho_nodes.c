// SPDX-License-Identifier: GPL-2.0-only
/*
 * Outgoing: which pages are nodes of the tree, and giving up when it is damaged.
 *
 * The nodes hold nothing but addresses and bits, so a stray write to one of them would
 * lead whatever follows the tree anywhere. The struct page of each node therefore says
 * which node it is: of which level, and for which keys. An entry is only followed to the
 * page that was allocated for this very place in the tree, so no memory but that of nodes
 * is read, and no node is reached twice, however the entries are damaged.
 *
 * The first entry that is not followed, or damage to the root FDT, is the end of the
 * outgoing handover: this kernel cannot tell any more what is preserved. From then on
 * nothing follows the tree, preserving fails, and unpreserving does nothing.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/atomic.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/random.h>

#include "kho_internal.h"

/* Makes that what other pages have in page_private() is none of ours. */
static unsigned long cookie __ro_after_init;

static bool damaged;

/**
 * kho_out_damaged - check whether the outgoing handover has been given up
 *
 * Context: Any.
 * Return: true after kho_give_up().
 */
bool kho_out_damaged(void)
{
	return READ_ONCE(damaged);
}

/**
 * kho_give_up - give the outgoing handover up because it is damaged
 *
 * Context: Any.
 * Return: true for the first caller, which says what is damaged.
 */
bool kho_give_up(void)
{
	if (xchg(&damaged, true))
		return false;

	/* Voids the hints of all CPUs for good: no leaf is looked up any more. */
	WRITE_ONCE(kho_out.tree.generation, (kho_out.tree.generation + 2) | 1);
	return true;
}

static unsigned long node_tag(unsigned long first_key, unsigned int level)
{
	static_assert(BIT(BITS_PER_LONG - KHO_RADIX_KEY_BITS) > KHO_RADIX_LEVELS);

	return cookie ^ ((level + 1UL) << KHO_RADIX_KEY_BITS | first_key);
}

/**
 * kho_nodes_init - prepare for kho_node_mark()
 */
void __init kho_nodes_init(void)
{
	cookie = get_random_long();
}

/**
 * kho_node_mark - note that a page is a node of the outgoing tree
 * @pfn: a page that was allocated for it
 * @first_key: the first key that the node covers
 * @level: its level
 *
 * Context: Before an entry refers to the page.
 */
void kho_node_mark(unsigned long pfn, unsigned long first_key, unsigned int level)
{
	set_page_private(pfn_to_page(pfn), node_tag(first_key, level));
}

/**
 * kho_node_unmark - undo kho_node_mark()
 * @pfn: the page
 *
 * Context: When nothing can follow an entry to the page any more, before it is freed.
 */
void kho_node_unmark(unsigned long pfn)
{
	set_page_private(pfn_to_page(pfn), 0);
}

static bool has_tag(unsigned long pfn, unsigned long tag)
{
	/* A page that is not a node may be in use, and its private may change. */
	return data_race(page_private(pfn_to_page(pfn))) == tag;
}

/**
 * kho_node_valid - check that an entry of the outgoing tree can be followed
 * @phys: what the entry says
 * @first_key: the first key that the node there has to cover
 * @level: the level that it has to have
 *
 * If there is no such node, the outgoing handover is given up, with a line that says so.
 *
 * Context: Any.
 * Return: true if it can.
 */
bool kho_node_valid(u64 phys, unsigned long first_key, unsigned int level)
{
	unsigned long pfn = PHYS_PFN(phys);

	if (kho_out_damaged())
		return false;

	if (likely(PAGE_ALIGNED(phys) && pfn_valid(pfn) &&
		   has_tag(pfn, node_tag(first_key, level))))
		return true;

	if (kho_give_up())
		pr_err("handover given up: no tree node of level %u can be at %#llx\n",
		       level, phys);

	return false;
}
