// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmalloc areas: their pages are preserved as runs, and a chain of pages, each
 * a struct kho_vmalloc_chunk, lists the runs in the order of the area.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "kho_internal.h"

static unsigned int vm_order(const struct vm_struct *vm)
{
#ifdef CONFIG_HAVE_ARCH_HUGE_VMALLOC
	return vm->page_order;
#else
	return 0;
#endif
}

/* Flags of a vmalloc area that can be handed over, and theirs in the ABI. */
#define VMALLOC_FLAGS	(VM_ALLOC | VM_ALLOW_HUGE_VMAP)

static u16 vmalloc_abi_flags(unsigned long vm_flags)
{
	u16 flags = 0;

	if (vm_flags & VM_ALLOC)
		flags |= KHO_VMALLOC_ALLOC;
	if (vm_flags & VM_ALLOW_HUGE_VMAP)
		flags |= KHO_VMALLOC_HUGE_VMAP;

	return flags;
}

/*
 * Preserve the pages of one slot. What is preserved already is not ours, and to
 * undo it would take it from somebody else.
 */
static int preserve_slot(unsigned long pfn, unsigned int order)
{
	bool added;
	int err;

	if (!kho_preservable(pfn, 1UL << order))
		return -EINVAL;

	err = kho_preserve_block(pfn, order, &added);
	if (err)
		return err;

	return added ? 0 : -EEXIST;
}

/* Unpreserve the blocks that a chain of chunks lists, and free the chunks. */
static void unpreserve_chunks(u64 phys, unsigned int order)
{
	struct kho_vmalloc_chunk *chunk;
	unsigned int i;

	while (phys) {
		chunk = phys_to_virt(phys);
		for (i = 0; i < KHO_VMALLOC_SLOTS && chunk->phys[i]; i++)
			kho_unpreserve_pages(pfn_to_page(PHYS_PFN(chunk->phys[i])),
					     1UL << order);

		phys = chunk->next;
		kho_unpreserve_free(chunk);
		cond_resched();
	}
}

/**
 * kho_preserve_vmalloc - preserve a vmalloc area
 * @ptr: the address that vmalloc() or one of its relatives returned
 * @preservation: where to describe it; the caller hands this to the next
 *		  kernel and there to kho_restore_vmalloc()
 *
 * The caller goes on owning the area, as with kho_preserve_folio(). What is
 * allocated to list its pages belongs to @preservation until
 * kho_unpreserve_vmalloc().
 *
 * Context: Process context, after fs_initcall; may sleep.
 * Return: 0; -EOPNOTSUPP when KHO is off, or the area has flags other than
 * VM_ALLOC and VM_ALLOW_HUGE_VMAP; -EINVAL when @ptr is not a vmalloc
 * area or it has pages that cannot be preserved; -ENOMEM; -EEXIST when
 * pages of it are preserved already, or overlap as in kho_preserve_folio().
 * On failure nothing has changed.
 */
int kho_preserve_vmalloc(void *ptr, struct kho_vmalloc *preservation)
{
	struct kho_vmalloc_chunk *chunk = NULL;
	unsigned int order, slot = 0, i;
	struct vm_struct *vm;
	u64 first = 0;
	int err;

	err = kho_out_not_ready();
	if (err)
		return err;

	vm = is_vmalloc_addr(ptr) ? find_vm_area(ptr) : NULL;
	if (!vm || vm->addr != ptr || !vm->nr_pages)
		return -EINVAL;

	if (vm->flags & ~VMALLOC_FLAGS)
		return -EOPNOTSUPP;

	order = vm_order(vm);
	for (i = 0; i < vm->nr_pages; i += 1U << order) {
		if (!chunk || slot == KHO_VMALLOC_SLOTS) {
			struct kho_vmalloc_chunk *next;

			next = kho_alloc_preserve(sizeof(*next));
			if (IS_ERR(next)) {
				err = PTR_ERR(next);
				goto err_undo;
			}

			if (chunk)
				chunk->next = virt_to_phys(next);
			else
				first = virt_to_phys(next);
			chunk = next;
			slot = 0;
		}

		err = preserve_slot(page_to_pfn(vm->pages[i]), order);
		if (err)
			goto err_undo;

		chunk->phys[slot++] = page_to_phys(vm->pages[i]);
	}

	preservation->first = first;
	preservation->total_pages = vm->nr_pages;
	preservation->flags = vmalloc_abi_flags(vm->flags);
	preservation->order = order;
	return 0;

err_undo:
	unpreserve_chunks(first, order);
	return err;
}
EXPORT_SYMBOL_GPL(kho_preserve_vmalloc);

static int append_chunk(struct kho_vmalloc *preservation,
			struct kho_vmalloc_chunk **last)
{
	struct kho_vmalloc_chunk *chunk = kho_alloc_preserve(sizeof(*chunk));

	if (IS_ERR(chunk))
		return PTR_ERR(chunk);

	if (*last)
		(*last)->next = virt_to_phys(chunk);
	else
		preservation->first = virt_to_phys(chunk);
	*last = chunk;
	return 0;
}

/**
 * kho_vmalloc_append - hand over a vmalloc area that is not there yet
 * @preservation: describes it; all zero as long as it has no pages
 * @last: for this function; NULL as long as it has no pages
 *
 * For an array that grows, or that is too large for one allocation: this makes
 * it one page longer. The next kernel gets it in one piece from
 * kho_restore_vmalloc(). In this one the pages are the caller's, and
 * kho_unpreserve_vmalloc() does not free them.
 *
 * Context: Process context, after fs_initcall; may sleep. One at a time for an
 *	    area.
 * Return: the address of the page, an order-0 folio that is zeroed and
 * preserved; or an ERR_PTR(): -EOPNOTSUPP when KHO is off, -E2BIG when no more
 * can be described, -ENOMEM. On failure nothing has changed.
 */
void *kho_vmalloc_append(struct kho_vmalloc *preservation,
			 struct kho_vmalloc_chunk **last)
{
	unsigned int slot = preservation->total_pages % KHO_VMALLOC_SLOTS;
	void *page;
	int err;

	if (preservation->total_pages == U32_MAX)
		return ERR_PTR(-E2BIG);

	page = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(page))
		return page;

	/* The last chunk is full, or there is none. */
	if (!slot) {
		err = append_chunk(preservation, last);
		if (err) {
			kho_unpreserve_free(page);
			return ERR_PTR(err);
		}
	}

	(*last)->phys[slot] = virt_to_phys(page);
	preservation->flags = KHO_VMALLOC_ALLOC;
	preservation->total_pages++;
	return page;
}

/**
 * kho_unpreserve_vmalloc - take kho_preserve_vmalloc() back
 * @preservation: what it filled in; is emptied
 *
 * The vmalloc area itself stays as it is, and the caller's. So do the pages of
 * kho_vmalloc_append().
 *
 * Context: Process context; may sleep.
 */
void kho_unpreserve_vmalloc(struct kho_vmalloc *preservation)
{
	/* The chunks are freed also if the tree is damaged. */
	if (kho_out_not_ready() == -EOPNOTSUPP)
		return;

	unpreserve_chunks(preservation->first, preservation->order);
	*preservation = (struct kho_vmalloc){};
}
EXPORT_SYMBOL_GPL(kho_unpreserve_vmalloc);

/* A chunk of a handed-over chain, or NULL when there cannot be one. */
static const struct kho_vmalloc_chunk *incoming_chunk(u64 phys)
{
	if (!PAGE_ALIGNED(phys) || !kho_run_preserved(PHYS_PFN(phys), 1))
		return NULL;

	return phys_to_virt(phys);
}

/*
 * Check the chain, and note the pages of all blocks unless @pages is NULL. The counts
 * are not trusted: each chunk and each block must be preserved, no chunk but the last
 * may be partly filled, and all together must be what the descriptor says.
 */
static int collect_pages(const struct kho_vmalloc *preservation,
			 struct page **pages)
{
	unsigned int nr = preservation->total_pages;
	unsigned int step = 1U << preservation->order;
	const struct kho_vmalloc_chunk *chunk;
	unsigned int found = 0, slot, i;
	u64 phys = preservation->first;

	while (found < nr) {
		chunk = incoming_chunk(phys);
		if (!chunk)
			return -EINVAL;

		for (slot = 0; slot < KHO_VMALLOC_SLOTS && found < nr; slot++) {
			phys = chunk->phys[slot];
			if (!phys || !PAGE_ALIGNED(phys) || step > nr - found ||
			    !kho_run_preserved(PHYS_PFN(phys), step))
				return -EINVAL;

			for (i = 0; pages && i < step; i++)
				pages[found + i] = pfn_to_page(PHYS_PFN(phys) + i);
			found += step;
		}

		if (found == nr && slot < KHO_VMALLOC_SLOTS && chunk->phys[slot])
			return -EINVAL;

		phys = chunk->next;
		cond_resched();
	}

	return phys ? -EINVAL : 0;
}

/* Whether a descriptor can be what it says. If not, one line says so. */
static bool descriptor_valid(const struct kho_vmalloc *preservation)
{
	unsigned int nr = preservation->total_pages;

	if (nr && preservation->order <= MAX_PAGE_ORDER && nr <= kho_in.nr_pages &&
	    !(preservation->flags & ~(KHO_VMALLOC_ALLOC | KHO_VMALLOC_HUGE_VMAP)))
		return true;

	pr_warn("vmalloc area not restored: descriptor with %u pages of order %u, flags %#x\n",
		nr, preservation->order, preservation->flags);
	return false;
}

static void say_damaged(const struct kho_vmalloc *preservation)
{
	pr_warn("vmalloc area not restored: its list of %u pages at %#llx is damaged\n",
		preservation->total_pages, preservation->first);
}

/*
 * Claim the chunks that collect_pages() has looked at. Who gets the first one gets
 * all, whoever else tries to restore the same area; and none of them can be one of
 * its pages, too.
 */
static bool claim_chunks(u64 phys, struct list_head *chunks)
{
	const struct kho_vmalloc_chunk *chunk;
	struct folio *folio;

	while (phys) {
		folio = kho_restore_folio(phys);
		if (!folio)
			return false;

		list_add(&folio->lru, chunks);
		chunk = folio_address(folio);
		phys = chunk->next;
	}

	return true;
}

static void free_chunks(struct list_head *chunks)
{
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, chunks, lru)
		folio_put(folio);
}

static void free_pages_of(struct page **pages, unsigned int nr)
{
	while (nr--) {
		if (pages[nr])
			__free_page(pages[nr]);
		cond_resched();
	}
}

/*
 * A page that is listed twice shows only here. The entries of those that there
 * are not are set to NULL.
 */
static bool restore_pages(struct page **pages, unsigned int nr,
			  unsigned int step)
{
	unsigned int done, i;
	bool complete = true;

	for (done = 0; done < nr; done += step) {
		cond_resched();
		if (kho_restore_pages(page_to_phys(pages[done]), step))
			continue;

		for (i = 0; i < step; i++)
			pages[done + i] = NULL;
		complete = false;
	}

	return complete;
}

/**
 * kho_restore_vmalloc - map a preserved vmalloc area again
 * @preservation: what kho_preserve_vmalloc() filled in, in the previous kernel
 *
 * The area is at a new address, has the same pages, and is freed with
 * vfree(). It can be preserved again.
 *
 * A descriptor or chain that is not in order changes nothing, with two
 * exceptions: when a page of the chain is not one that was preserved alone, parts of
 * the chain are freed, and when a page is listed twice all of the area. So it
 * is when there is no memory to map it, or to set up its struct pages before
 * kho_init_pages_late().
 *
 * Context: Process context; may sleep. Of those who restore the same area at the
 *	    same time one gets it.
 * Return: the address; NULL when this is not a handover boot, when the area is
 * not preserved as described, or was restored before, or without memory.
 */
void *kho_restore_vmalloc(const struct kho_vmalloc *preservation)
{
	unsigned int nr = preservation->total_pages;
	unsigned int order = preservation->order;
	unsigned long vm_flags = 0;
	struct page **pages;
	LIST_HEAD(chunks);
	bool complete;
	void *addr;

	if (!is_kho_boot())
		return NULL;

	if (!descriptor_valid(preservation))
		return NULL;

	pages = kvmalloc_array(nr, sizeof(*pages), GFP_KERNEL | __GFP_NOWARN);
	if (!pages)
		return NULL;

	if (collect_pages(preservation, pages))
		goto err_damaged;

	if (!claim_chunks(preservation->first, &chunks)) {
		free_chunks(&chunks);
		goto err_damaged;
	}

	complete = restore_pages(pages, nr, 1U << order);
	free_chunks(&chunks);
	if (!complete) {
		free_pages_of(pages, nr);
		goto err_damaged;
	}

	if (preservation->flags & KHO_VMALLOC_HUGE_VMAP)
		vm_flags |= VM_ALLOW_HUGE_VMAP;

	addr = vmalloc_adopt_pages(pages, nr, order, vm_flags);
	if (!addr) {
		free_pages_of(pages, nr);
		kvfree(pages);
	}

	return addr;

err_damaged:
	say_damaged(preservation);
	kvfree(pages);
	return NULL;
}
EXPORT_SYMBOL_GPL(kho_restore_vmalloc);

/**
 * kho_vmalloc_read_begin - begin to read a preserved vmalloc area in pieces
 * @reader: the reader; is set up by this
 * @preservation: what kho_preserve_vmalloc() or kho_vmalloc_append() filled in, in the
 *		  previous kernel
 *
 * For a long list that is read once, from its start to its end. Unlike
 * kho_restore_vmalloc() this neither allocates memory nor maps the area, and pages that
 * were read can be freed before the others are read. The whole chain is checked first,
 * and nothing is claimed yet.
 *
 * Context: Process context; may sleep.
 * Return: 0, and then kho_vmalloc_read_end() must follow; or
 *
 * * %-EBADMSG - this is not a handover boot, or the area is not preserved as described,
 *   or was restored before. Nothing has changed.
 */
int kho_vmalloc_read_begin(struct kho_vmalloc_reader *reader,
			   const struct kho_vmalloc *preservation)
{
	if (!is_kho_boot() || !descriptor_valid(preservation))
		return -EBADMSG;

	if (collect_pages(preservation, NULL)) {
		say_damaged(preservation);
		return -EBADMSG;
	}

	*reader = (struct kho_vmalloc_reader){
		.next_phys = preservation->first,
		.left = preservation->total_pages,
		.order = preservation->order,
	};
	return 0;
}

/* Claim the next page of the chain. */
static int claim_chunk(struct kho_vmalloc_reader *reader)
{
	struct folio *folio = kho_restore_folio(reader->next_phys);

	if (!folio)
		return -EBADMSG;

	reader->chunk = folio_address(folio);
	reader->next_phys = reader->chunk->next;
	reader->slot = 0;
	return 0;
}

static void free_chunk(struct kho_vmalloc_reader *reader)
{
	if (reader->chunk)
		folio_put(virt_to_folio(reader->chunk));
	reader->chunk = NULL;
}

/**
 * kho_vmalloc_read_block - claim the next pages of a preserved vmalloc area
 * @reader: the reader; is behind them afterwards, unless this fails
 *
 * Context: Process context; may sleep. One at a time for a reader.
 * Return: the address of 2^@reader->order contiguous pages in the direct map, which the
 * caller owns, and passes to kho_vmalloc_free_block(); %NULL at the end of the area; or
 * an ERR_PTR():
 *
 * * %-EBADMSG - the pages, or those that list them, have been claimed meanwhile, or are
 *   listed twice
 * * %-ENOMEM - the pages were preserved in more pieces than can be claimed without
 *   memory. The call can be repeated.
 */
void *kho_vmalloc_read_block(struct kho_vmalloc_reader *reader)
{
	unsigned int nr_pages = 1U << reader->order;
	struct page *page;
	u64 phys;
	int err;

	if (!reader->left)
		return NULL;

	if (!reader->chunk) {
		err = claim_chunk(reader);
		if (err)
			return ERR_PTR(err);
	}

	phys = reader->chunk->phys[reader->slot];
	page = kho_restore_pages(phys, nr_pages);
	if (!page)
		return ERR_PTR(kho_run_preserved(PHYS_PFN(phys), nr_pages) ?
			       -ENOMEM : -EBADMSG);

	reader->left -= nr_pages;
	if (++reader->slot == KHO_VMALLOC_SLOTS || !reader->left)
		free_chunk(reader);

	return page_address(page);
}

/**
 * kho_vmalloc_free_block - free what kho_vmalloc_read_block() returned
 * @reader: the reader
 * @block: the block; %NULL is ignored
 *
 * Context: Any that can free pages.
 */
void kho_vmalloc_free_block(const struct kho_vmalloc_reader *reader,
			    const void *block)
{
	struct page *page;
	unsigned int i;

	if (!block)
		return;

	page = virt_to_page(block);
	for (i = 0; i < 1U << reader->order; i++)
		__free_page(page + i);
}

/**
 * kho_vmalloc_read_end - free the pages of an area that have not been read
 * @reader: a reader that kho_vmalloc_read_begin() has set up
 *
 * Blocks that the caller still has stay the caller's. Pages that cannot be claimed stay
 * reserved.
 *
 * Context: Process context; may sleep.
 */
void kho_vmalloc_read_end(struct kho_vmalloc_reader *reader)
{
	void *block;

	while ((block = kho_vmalloc_read_block(reader)) && !IS_ERR(block)) {
		kho_vmalloc_free_block(reader, block);
		cond_resched();
	}

	free_chunk(reader);
	reader->left = 0;
}
