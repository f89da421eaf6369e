// SPDX-License-Identifier: GPL-2.0-only
/*
 * Restoring memory before and after its struct pages are set up.
 */

#include <linux/init.h>
#include <linux/kho_mm.h>
#include <linux/mutex.h>

#include "kho_internal.h"

/*
 * Until kho_init_pages_late() has run, whoever restores memory opens the blocks
 * that it lies in himself, under this lock: see kho_hold.c. Afterwards all blocks
 * are open, and restoring takes no lock.
 */
static DEFINE_MUTEX(early_lock);
bool kho_pages_are_ready;

/**
 * kho_pages_early_lock - begin to restore blocks
 *
 * Return: true when the caller has to open the blocks of what it restores,
 * before he takes it out of the tree. Pass it to kho_pages_early_unlock().
 */
bool kho_pages_early_lock(void)
{
	if (kho_pages_ready())
		return false;

	mutex_lock(&early_lock);
	if (!kho_pages_are_ready)
		return true;

	mutex_unlock(&early_lock);
	return false;
}

/**
 * kho_pages_early_unlock - end what kho_pages_early_lock() began
 * @early: what it returned
 */
void kho_pages_early_unlock(bool early)
{
	if (early)
		mutex_unlock(&early_lock);
}

/**
 * kho_preserved_begin - begin to open all blocks
 *
 * Keeps memory from being restored until kho_preserved_end().
 *
 * Return: false when there is none; then do not call kho_preserved_end().
 */
bool __init kho_preserved_begin(void)
{
	if (!is_kho_boot())
		return false;

	mutex_lock(&early_lock);
	return true;
}

/**
 * kho_unclaimed_pages - how much handed-over memory is going to be restored
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: the number of pages that nobody has claimed so far, without reserve_mem regions
 * that stay reserved.
 */
unsigned long kho_unclaimed_pages(void)
{
	return atomic_long_read(&kho_in.nr_unclaimed) - kho_revived_pages();
}

/**
 * kho_revived_pages - how much handed-over memory stays reserved
 *
 * Context: Any, after reserve_mem= has been parsed.
 * Return: the number of pages in reserve_mem regions that have not been claimed so far.
 * memblock does not know them as reserved.
 */
unsigned long kho_revived_pages(void)
{
	return READ_ONCE(kho_in.nr_revived);
}

/**
 * kho_preserved_end - all blocks are open
 */
void __init kho_preserved_end(void)
{
	/* Pairs with kho_pages_ready(). */
	smp_store_release(&kho_pages_are_ready, true);
	mutex_unlock(&early_lock);

	/* Maybe all was claimed before. */
	kho_watch_claims();
	kho_claimed(0);
}
