// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chains of blocks: lists of structures of one size that survive a kexec,
 * however many they become. Room for them is made beforehand, so that to write
 * them down when the machine reboots can neither fail nor take long.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <kunit/static_stub.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/kho_block.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "kho_internal.h"

/*
 * The pages of a set are listed by their lru: nobody else uses that of a page
 * which is allocated and not on the LRU.
 */
static struct page *block_page(const struct kho_block *block)
{
	return virt_to_page(block);
}

static struct kho_block *page_block(struct page *page)
{
	return page_address(page);
}

static struct kho_block *first_block(const struct kho_block_set *set)
{
	if (list_empty(&set->blocks))
		return NULL;

	return page_block(list_first_entry(&set->blocks, struct page, lru));
}

static struct kho_block *next_block(const struct kho_block_set *set,
				    const struct kho_block *block)
{
	struct page *page = block_page(block);

	if (list_is_last(&page->lru, &set->blocks))
		return NULL;

	return page_block(list_next_entry(page, lru));
}

static struct kho_block *prev_block(const struct kho_block_set *set,
				    const struct kho_block *block)
{
	struct page *page = block_page(block);

	if (list_is_first(&page->lru, &set->blocks))
		return NULL;

	return page_block(list_prev_entry(page, lru));
}

static void *block_entry(const struct kho_block_set *set,
			 struct kho_block *block, unsigned int index)
{
	return block->entries + index * set->entry_size;
}

/**
 * kho_block_alloc - allocate a block of an outgoing chain
 *
 * This and the next two are all that ties a set to a handover. KUnit tests
 * replace them.
 *
 * Return: a zeroed block, preserved; or an ERR_PTR().
 */
struct kho_block *kho_block_alloc(void)
{
	KUNIT_STATIC_STUB_REDIRECT(kho_block_alloc);

	return kho_alloc_preserve(PAGE_SIZE);
}

/**
 * kho_block_preserved - whether a block of an incoming chain can be there
 * @phys: its physical address
 *
 * Return: true when it is an order-0 folio that was handed over and that nobody
 * has claimed.
 */
bool kho_block_preserved(u64 phys)
{
	KUNIT_STATIC_STUB_REDIRECT(kho_block_preserved, phys);

	return is_kho_boot() && PAGE_ALIGNED(phys) &&
	       kho_run_preserved(PHYS_PFN(phys), 1);
}

/**
 * kho_block_claim - take a block of an incoming chain over
 * @phys: its physical address
 *
 * Return: the block, owned by the caller; or NULL.
 */
struct kho_block *kho_block_claim(u64 phys)
{
	struct folio *folio;

	KUNIT_STATIC_STUB_REDIRECT(kho_block_claim, phys);

	folio = kho_restore_folio(phys);
	return folio ? folio_address(folio) : NULL;
}

static void append_block(struct kho_block_set *set, struct kho_block *block)
{
	list_add_tail(&block_page(block)->lru, &set->blocks);
	set->nr_blocks++;
}

/* The one before does not refer to it any more when this frees the last block. */
static void free_last_block(struct kho_block_set *set)
{
	struct page *page = list_last_entry(&set->blocks, struct page, lru);
	struct kho_block *prev = prev_block(set, page_block(page));

	if (prev)
		prev->next = 0;
	list_del(&page->lru);
	set->nr_blocks--;

	if (set->restored)
		__free_page(page);
	else
		kho_unpreserve_free(page_address(page));
}

/**
 * kho_block_set_init - begin a set without blocks
 * @set: the set
 * @entry_size: size of an entry in bytes: at least 1, and at most what fits
 *		into a page behind a struct kho_block
 *
 * Warns when @entry_size cannot be, and then the set cannot grow either.
 *
 * Context: Any.
 */
void kho_block_set_init(struct kho_block_set *set, size_t entry_size)
{
	*set = (struct kho_block_set){};
	INIT_LIST_HEAD(&set->blocks);

	if (WARN_ON_ONCE(!entry_size ||
			 entry_size > PAGE_SIZE - sizeof(struct kho_block)))
		return;

	set->entry_size = entry_size;
	set->block_entries = KHO_BLOCK_ENTRIES(entry_size);
}
EXPORT_SYMBOL_GPL(kho_block_set_init);

static unsigned long blocks_for(const struct kho_block_set *set,
				unsigned long count)
{
	return count / set->block_entries + !!(count % set->block_entries);
}

/**
 * kho_block_set_grow - make room
 * @set: the set; not one that was restored
 * @count: number of entries that it shall have room for in all
 *
 * The new blocks are preserved, and become part of the chain with their first
 * entries. Room that there is already is not given up.
 *
 * Context: Process context, after fs_initcall; may sleep.
 * Return: 0; -EOPNOTSUPP when KHO is off; -EINVAL when @set was restored, or
 * its size of entries was refused; -ENOMEM. On failure nothing has changed.
 */
int kho_block_set_grow(struct kho_block_set *set, unsigned long count)
{
	unsigned long had = set->nr_blocks, want;
	struct kho_block *block;

	if (set->restored || !set->entry_size)
		return -EINVAL;

	for (want = blocks_for(set, count); set->nr_blocks < want;) {
		block = kho_block_alloc();
		if (IS_ERR(block))
			goto err_undo;

		append_block(set, block);
	}

	return 0;

err_undo:
	while (set->nr_blocks > had)
		free_last_block(set);
	return PTR_ERR(block);
}
EXPORT_SYMBOL_GPL(kho_block_set_grow);

/**
 * kho_block_set_shrink - give room back
 * @set: the set
 * @count: number of entries that it shall still have room for
 *
 * Frees blocks from the end on, but none that holds entries; see
 * kho_block_set_clear(). Call it when there is less to hand over than before: the
 * next kernel cannot free blocks that never got an entry, as they are in no chain.
 *
 * Context: Process context; may sleep.
 */
void kho_block_set_shrink(struct kho_block_set *set, unsigned long count)
{
	unsigned long keep;

	if (!set->nr_blocks)
		return;

	for (keep = blocks_for(set, count); set->nr_blocks > keep;) {
		struct page *page = list_last_entry(&set->blocks, struct page, lru);

		if (page_block(page)->count)
			return;
		free_last_block(set);
	}
}
EXPORT_SYMBOL_GPL(kho_block_set_shrink);

/**
 * kho_block_set_clear - remove all entries
 * @set: the set
 *
 * It keeps its room.
 *
 * Context: Any.
 */
void kho_block_set_clear(struct kho_block_set *set)
{
	struct page *page;

	list_for_each_entry(page, &set->blocks, lru) {
		page_block(page)->next = 0;
		page_block(page)->count = 0;
	}
}
EXPORT_SYMBOL_GPL(kho_block_set_clear);

/**
 * kho_block_set_destroy - free all blocks
 * @set: the set; is empty afterwards, and can be used anew
 *
 * The blocks of an outgoing set are unpreserved first. Who has told the next
 * kernel of the chain takes that back before.
 *
 * Context: Process context; may sleep.
 */
void kho_block_set_destroy(struct kho_block_set *set)
{
	while (set->nr_blocks)
		free_last_block(set);

	set->restored = false;
}
EXPORT_SYMBOL_GPL(kho_block_set_destroy);

/**
 * kho_block_set_head_pa - get the address that the next kernel has to know
 * @set: the set
 *
 * The first block stays the first one as long as @set has room for an entry, so the
 * address may be written down before entries are added. A caller that has no entries in
 * the end must hand over 0 instead: Linux 7.3 refuses a chain without entries. If @set
 * never has more room than entries, that is what this function returns.
 *
 * Context: Any.
 * Return: the physical address of the first block; 0 if there are no blocks.
 */
u64 kho_block_set_head_pa(const struct kho_block_set *set)
{
	struct kho_block *block = first_block(set);

	return block ? virt_to_phys(block) : 0;
}
EXPORT_SYMBOL_GPL(kho_block_set_head_pa);

/**
 * kho_block_set_nr_entries - count the entries
 * @set: the set
 *
 * Context: Any. Looks at each block.
 * Return: the number of entries.
 */
unsigned long kho_block_set_nr_entries(const struct kho_block_set *set)
{
	unsigned long nr = 0;
	struct page *page;

	list_for_each_entry(page, &set->blocks, lru)
		nr += page_block(page)->count;

	return nr;
}
EXPORT_SYMBOL_GPL(kho_block_set_nr_entries);

/*
 * Whether a chain can be what it says it is. Blocks are remembered at distances
 * that double, so that a chain which runs in a circle is found out before it was
 * gone round three times.
 */
static bool chain_valid(const struct kho_block_set *set, u64 head_pa)
{
	unsigned long nr = 0, mark_at = 1;
	const struct kho_block *block;
	u64 phys, mark = 0;

	for (phys = head_pa; phys; phys = block->next) {
		if (phys == mark) {
			pr_warn("chain of blocks at %#llx not restored: it comes back to %#llx\n",
				head_pa, phys);
			return false;
		}

		if (!kho_block_preserved(phys)) {
			pr_warn("chain of blocks at %#llx not restored: no block at %#llx\n",
				head_pa, phys);
			return false;
		}

		block = phys_to_virt(phys);
		if (block->count > set->block_entries) {
			pr_warn("chain of blocks at %#llx not restored: %llu entries in a block for %u\n",
				head_pa, block->count, set->block_entries);
			return false;
		}

		if (++nr == mark_at) {
			mark = phys;
			mark_at *= 2;
		}
	}

	return true;
}

/**
 * kho_block_set_restore - take a chain over
 * @set: a set without blocks, initialized with the size of the entries
 * @head_pa: what kho_block_set_head_pa() was in the previous kernel
 *
 * The blocks become ordinary memory of this kernel, until
 * kho_block_set_destroy(). A restored set can be read, but does not grow.
 *
 * The chain is not trusted: each block must be a folio of order 0 that was
 * preserved and not claimed since, none may come twice, and none may have more
 * entries than fit. A block without entries is accepted, although this kernel does
 * not hand one over. What the entries say is up to the caller to check.
 *
 * Context: Process context; may sleep.
 * Return: 0; -EINVAL when the chain is damaged, was restored before, or @set
 * has blocks or no size of entries. On failure @set has no blocks, and those of
 * the chain are as they were; unless somebody else claims some at the same time,
 * then the others are freed.
 */
int kho_block_set_restore(struct kho_block_set *set, u64 head_pa)
{
	struct kho_block *block;
	u64 phys;

	if (set->nr_blocks || !set->entry_size || !chain_valid(set, head_pa))
		return -EINVAL;

	set->restored = true;
	for (phys = head_pa; phys; phys = block->next) {
		block = kho_block_claim(phys);
		if (!block) {
			kho_block_set_destroy(set);
			return -EINVAL;
		}
		append_block(set, block);
	}

	return 0;
}
EXPORT_SYMBOL_GPL(kho_block_set_restore);

/**
 * kho_block_it_init - begin at the first entry
 * @it: the iterator
 * @set: the set; may be without blocks yet
 *
 * Context: Any.
 */
void kho_block_it_init(struct kho_block_it *it, struct kho_block_set *set)
{
	*it = (struct kho_block_it){ .set = set };
}
EXPORT_SYMBOL_GPL(kho_block_it_init);

/* A block gets its first entry; all blocks before it are full. */
static void add_to_chain(const struct kho_block_set *set, struct kho_block *block)
{
	struct kho_block *prev = prev_block(set, block);

	if (prev)
		prev->next = virt_to_phys(block);
}

/**
 * kho_block_it_reserve_entry - add an entry
 * @it: the iterator; is behind the new entry afterwards
 *
 * The entry goes behind those that there are in the block of @it, or into the
 * first block after it that has room. From the first entry on, when the set has
 * been cleared, this fills block after block.
 *
 * Context: Any.
 * Return: the entry, zeroed; NULL when there is no room.
 */
void *kho_block_it_reserve_entry(struct kho_block_it *it)
{
	struct kho_block *block = it->block ?: first_block(it->set);
	void *entry;

	while (block && block->count >= it->set->block_entries)
		block = next_block(it->set, block);
	if (!block)
		return NULL;

	entry = block_entry(it->set, block, block->count);
	memset(entry, 0, it->set->entry_size);
	if (!block->count)
		add_to_chain(it->set, block);
	it->block = block;
	it->index = ++block->count;
	return entry;
}
EXPORT_SYMBOL_GPL(kho_block_it_reserve_entry);

/**
 * kho_block_it_read_entry - go on to the next entry
 * @it: the iterator; is behind the entry afterwards
 *
 * Context: Any.
 * Return: the entry that @it was before; NULL at the end, where @it stays.
 */
void *kho_block_it_read_entry(struct kho_block_it *it)
{
	struct kho_block *block = it->block ?: first_block(it->set);
	unsigned int index = it->index;

	while (block && index >= block->count) {
		block = next_block(it->set, block);
		index = 0;
	}
	if (!block)
		return NULL;

	it->block = block;
	it->index = index + 1;
	return block_entry(it->set, block, index);
}
EXPORT_SYMBOL_GPL(kho_block_it_read_entry);

/**
 * kho_block_it_prev - go back to the previous entry
 * @it: the iterator; is before the entry afterwards
 *
 * Undoes kho_block_it_read_entry(), as who has to undo what he did with the
 * entries wants it: the last one comes first.
 *
 * Context: Any.
 * Return: the entry that @it was behind; NULL at the beginning.
 */
void *kho_block_it_prev(struct kho_block_it *it)
{
	struct kho_block *block = it->block;
	unsigned int index = it->index;

	while (block && !index) {
		block = prev_block(it->set, block);
		index = block ? block->count : 0;
	}

	it->block = block;
	it->index = index ? index - 1 : 0;
	return block ? block_entry(it->set, block, it->index) : NULL;
}
EXPORT_SYMBOL_GPL(kho_block_it_prev);
