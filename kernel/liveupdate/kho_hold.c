// SPDX-License-Identifier: GPL-2.0-only
/*
 * Held blocks: memory that is kept back until late in boot.
 *
 * What is preserved may lie in a million pieces. Early boot does not look at
 * pieces but at naturally aligned blocks of MAX_ORDER_NR_PAGES: a block that
 * contains anything preserved, or a node of the tree, is held as a whole. Runs
 * of held blocks are memory regions that memblock does not allocate from, so
 * that neither their number nor the cost of an early allocation grows with the
 * pieces. Nobody looks at their struct pages either, because freeing a page
 * looks at its buddies, and those are in the same block.
 *
 * Blocks that also contain something else, like scratch, cannot be held: they
 * are exact. What is preserved there is reserved piece by piece, and all of their
 * struct pages are initialized early. Exact are also blocks of which memblock
 * needs the rest, because there is too little other memory.
 *
 * A block with anything preserved in it has one of three states:
 *
 *                 kho_hold_node()                  what is there may be restored
 *   (the tree     kho_hold_preserved()             after kho_prepare_pages()
 *    is checked) ------------------------> held -----------------------+
 *                                           |                          |
 *                       kho_hold_commit():  |                          v
 *                       shared, or its rest |     kho_open_blocks()   open
 *                       is needed           |                          ^
 *                                           v                          |
 *                                         exact -----------------------+
 *
 *   held		in kho_held_blocks. Nothing of it is free, and its struct pages are not
 *		initialized.
 *   exact	in kho_exact_blocks. memblock has reserved what is preserved, and the
 *		rest of it is memory like any other; kho_init_pages_exact() has
 *		initialized its struct pages.
 *   open	in neither. What is preserved is PageReserved and marked as unclaimed;
 *		what is not belongs to the page allocator. Nobody looks at it as a
 *		block any more, and a page changes hands by its key in the incoming tree.
 *
 * kho_open_blocks() is in mm/kho_init.c. kernel/liveupdate/kho_late.c calls it, for
 * all blocks late in boot, or before that for those in which somebody restores memory.
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/bitmap.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kmemleak.h>
#include <linux/memblock.h>
#include <linux/min_heap.h>
#include <linux/mm.h>
#include <linux/range.h>
#include <linux/rcupdate.h>
#include <linux/sizes.h>

#include "kho_internal.h"

#define BLOCK_SHIFT	(PAGE_SHIFT + MAX_PAGE_ORDER)

/* So many gaps between held blocks, the largest, are left to memblock. */
#define NR_GAPS		256

/*
 * Memory outside of scratch that is needed until all of it is there, because the
 * page allocator does not use scratch for what the kernel allocates: so much and
 * the share of the RAM that struct pages take is wanted. With less than the previous
 * kernel has needed, or the minimum, there is no hope. No boot takes more than a part of
 * all RAM, whatever the previous kernel says.
 */
#define WANTED_FREE	SZ_128M
#define WANTED_SHIFT	6
#define MIN_FREE	SZ_16M
#define MAX_NEEDED_SHIFT	2

/* So many blocks are reserved piece by piece to get there. */
#define MAX_RELEASED	2048UL

/* Pages in one piece of node_map. */
#define CHUNK_PAGES	(PAGE_SIZE * BITS_PER_BYTE)

/*
 * Hash tables are as large as if memory that is kept back were free, up to this multiple of
 * what is free: they take up to 0.4 % of all memory.
 */
#define MAX_KEPT_FACTOR	32

/* A bit for each block in which what is preserved has been reserved in pieces. */
unsigned long *kho_exact_blocks;

/* Pages that have been reserved in them. */
static unsigned long nr_exact_pages;

/* A bit for each block that is held and has not been opened. */
unsigned long *kho_held_blocks;
unsigned long kho_nr_blocks;

/*
 * How many pages of each block are preserved, or nodes of the tree. This is known when the tree
 * has been checked, so that no block is read only to see how much room it has.
 */
static u16 *block_used;

/* For each CHUNK_PAGES pages NULL, or a page with a bit for each node. */
static unsigned long **node_map;
static unsigned long nr_chunks;

/* Orders that there are in the incoming tree. */
static DECLARE_BITMAP(orders, KHO_NR_ORDERS);

static unsigned long block_of(phys_addr_t phys)
{
	return phys >> BLOCK_SHIFT;
}

static size_t blocks_size(void)
{
	return PAGE_ALIGN(BITS_TO_LONGS(kho_nr_blocks) * sizeof(long));
}

static size_t block_used_size(void)
{
	return kho_nr_blocks * sizeof(*block_used);
}

static unsigned long *__init alloc_blocks(void)
{
	return memblock_alloc(blocks_size(), PAGE_SIZE);
}

static void __init set_blocks(unsigned long *blocks, phys_addr_t start,
			      phys_addr_t end)
{
	unsigned long first = block_of(start);
	unsigned long last = min(block_of(end - 1), kho_nr_blocks - 1);

	if (first <= last)
		bitmap_set(blocks, first, last - first + 1);
}

/**
 * kho_hold_init - begin to note what has to be held
 *
 * Return: 0, or -ENOMEM.
 */
int __init kho_hold_init(void)
{
	phys_addr_t end = memblock_end_of_DRAM();

	kho_nr_blocks = block_of(end - 1) + 1;
	nr_chunks = DIV_ROUND_UP(PHYS_PFN(end), CHUNK_PAGES);
	bitmap_zero(orders, KHO_NR_ORDERS);

	kho_held_blocks = alloc_blocks();
	kho_exact_blocks = alloc_blocks();
	block_used = memblock_alloc(block_used_size(), SMP_CACHE_BYTES);
	node_map = memblock_alloc(PAGE_ALIGN(nr_chunks * sizeof(*node_map)),
				  PAGE_SIZE);
	if (kho_held_blocks && kho_exact_blocks && block_used && node_map)
		return 0;

	kho_hold_drop();
	return -ENOMEM;
}

/* All that needs it has been decided. */
static void __init free_block_used(void)
{
	memblock_free(block_used, block_used_size());
	block_used = NULL;
}

/**
 * kho_hold_drop - forget what has to be held
 *
 * Undoes kho_hold_init() and all that followed, but for what kho_hold_commit()
 * has reserved if that was its last step.
 */
void __init kho_hold_drop(void)
{
	unsigned long i;

	memblock_clear_kho_held();
	memblock_free(kho_held_blocks, blocks_size());
	memblock_free(kho_exact_blocks, blocks_size());
	free_block_used();

	for (i = 0; node_map && i < nr_chunks; i++)
		memblock_free(node_map[i], PAGE_SIZE);
	memblock_free(node_map, PAGE_ALIGN(nr_chunks * sizeof(*node_map)));

	kho_held_blocks = NULL;
	kho_exact_blocks = NULL;
	node_map = NULL;
	nr_exact_pages = 0;
}

/**
 * kho_hold_node - note a node of the tree
 * @phys: its physical address, which is in RAM
 *
 * Return: 0; -EEXIST when it has been noted before; -ENOMEM.
 */
int __init kho_hold_node(phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);
	unsigned long **chunk = &node_map[pfn / CHUNK_PAGES];

	if (!*chunk)
		*chunk = memblock_alloc(PAGE_SIZE, PAGE_SIZE);
	if (!*chunk)
		return -ENOMEM;

	if (__test_and_set_bit(pfn % CHUNK_PAGES, *chunk))
		return -EEXIST;

	set_blocks(kho_held_blocks, phys, phys + PAGE_SIZE);
	block_used[block_of(phys)]++;
	return 0;
}

/**
 * kho_hold_has_node - whether there is a node of the tree in a range
 * @pfn: the first page, in RAM
 * @nr_pages: number of pages
 *
 * Return: true when there is one.
 */
bool __init kho_hold_has_node(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end_pfn = pfn + nr_pages, bit, end;
	const unsigned long *chunk;

	while (pfn < end_pfn) {
		chunk = node_map[pfn / CHUNK_PAGES];
		bit = pfn % CHUNK_PAGES;
		end = min(CHUNK_PAGES, bit + (end_pfn - pfn));
		if (chunk && find_next_bit(chunk, end, bit) < end)
			return true;
		pfn += end - bit;
	}

	return false;
}

/**
 * kho_hold_preserved - note a preserved block of pages
 * @phys: physical address of its first byte, in RAM
 * @order: its order
 *
 * No page may be noted twice.
 */
void __init kho_hold_preserved(phys_addr_t phys, unsigned int order)
{
	phys_addr_t end = phys + (PAGE_SIZE << order);
	unsigned long block;

	static_assert((u16)MAX_ORDER_NR_PAGES == MAX_ORDER_NR_PAGES);

	set_blocks(kho_held_blocks, phys, end);
	__set_bit(order, orders);

	if (order < MAX_PAGE_ORDER) {
		block_used[block_of(phys)] += 1U << order;
		return;
	}

	for (block = block_of(phys); block <= block_of(end - 1); block++)
		block_used[block] = MAX_ORDER_NR_PAGES;
}

/* All bits of preserved blocks of @order, which is not larger than a block. */
static void read_order(unsigned long pfn, unsigned int order, unsigned long *pages)
{
	unsigned long key = kho_key(PFN_PHYS(pfn), order);
	const unsigned long *leaf = kho_radix_leaf(&kho_in.tree, key);
	unsigned long first = kho_radix_leaf_bit(key), bit;
	unsigned long end = first + (MAX_ORDER_NR_PAGES >> order);

	if (!leaf)
		return;

	if (!order) {
		bitmap_or(pages, pages, leaf + BIT_WORD(first), MAX_ORDER_NR_PAGES);
		return;
	}

	for (bit = find_next_bit(leaf, end, first); bit < end;
	     bit = find_next_bit(leaf, end, bit + 1))
		bitmap_set(pages, (bit - first) << order, 1UL << order);
}

/**
 * kho_hold_read_preserved - find the pages of a block that are preserved
 * @pfn: the first page of the block
 * @pages: bitmap of MAX_ORDER_NR_PAGES bits
 *
 * What was restored in the meantime is no longer preserved.
 *
 * Context: As long as blocks are held.
 */
void kho_hold_read_preserved(unsigned long pfn, unsigned long *pages)
{
	unsigned int order;

	/* A block never crosses the border of a leaf. */
	static_assert(MAX_ORDER_NR_PAGES % BITS_PER_LONG == 0);

	bitmap_zero(pages, MAX_ORDER_NR_PAGES);
	for_each_set_bit(order, orders, KHO_NR_ORDERS) {
		if (order <= MAX_PAGE_ORDER) {
			read_order(pfn, order, pages);
		} else if (kho_radix_test_key(&kho_in.tree,
					      kho_key(PFN_PHYS(pfn), order))) {
			bitmap_fill(pages, MAX_ORDER_NR_PAGES);
			return;
		}
	}
}

/**
 * kho_hold_add_nodes - add the pages of a block that are nodes of the tree
 * @pfn: the first page of the block
 * @pages: bitmap of MAX_ORDER_NR_PAGES bits
 *
 * Context: As long as blocks are held.
 */
void kho_hold_add_nodes(unsigned long pfn, unsigned long *pages)
{
	const unsigned long *chunk = node_map[pfn / CHUNK_PAGES];

	/* A block never crosses the border of a chunk. */
	static_assert(CHUNK_PAGES % MAX_ORDER_NR_PAGES == 0);

	if (chunk)
		bitmap_or(pages, pages, chunk + BIT_WORD(pfn % CHUNK_PAGES),
			  MAX_ORDER_NR_PAGES);
}

/* Which pages of a block must not be used by anybody else. */
static void __init read_held(unsigned long pfn, unsigned long *pages)
{
	kho_hold_read_preserved(pfn, pages);
	kho_hold_add_nodes(pfn, pages);
}

/* Blocks with scratch in them, or what is reserved, or what has no struct pages. */
static void __init find_shared(unsigned long *shared)
{
	struct memblock_region *region;

	for_each_reserved_mem_region(region)
		set_blocks(shared, region->base, region->base + region->size);

	for_each_mem_region(region) {
		if (memblock_is_kho_scratch(region) || memblock_is_nomap(region))
			set_blocks(shared, region->base,
				   region->base + region->size);
	}
}

/* A run of blocks that are not held. */
struct gap {
	unsigned long start, nr;
};

DEFINE_MIN_HEAP(struct gap, gap_heap);

static struct gap gaps[NR_GAPS] __initdata;

static bool __init gap_less(const void *a, const void *b, void *unused)
{
	return ((const struct gap *)a)->nr < ((const struct gap *)b)->nr;
}

static void __init gap_swap(void *a, void *b, void *unused)
{
	swap(*(struct gap *)a, *(struct gap *)b);
}

/* Hold all but the largest gaps. */
static void __init close_gaps(void)
{
	const struct min_heap_callbacks by_size = { .less = gap_less, .swp = gap_swap };
	unsigned long start, end;
	struct gap gap, closed;
	struct gap_heap largest;

	min_heap_init(&largest, gaps, NR_GAPS);
	for_each_clear_bitrange(start, end, kho_held_blocks, kho_nr_blocks) {
		gap = (struct gap){ start, end - start };
		if (!min_heap_full(&largest)) {
			min_heap_push(&largest, &gap, &by_size, NULL);
			continue;
		}

		closed = gap;
		if (gaps[0].nr < gap.nr) {
			closed = gaps[0];
			min_heap_pop_push(&largest, &gap, &by_size, NULL);
		}
		bitmap_set(kho_held_blocks, closed.start, closed.nr);
	}
}

/* Mark the memory of held blocks. */
static int __init mark_held(void)
{
	unsigned long start, end;
	int err;

	for_each_set_bitrange(start, end, kho_held_blocks, kho_nr_blocks) {
		err = memblock_mark_kho_held((phys_addr_t)start << BLOCK_SHIFT,
					     (phys_addr_t)(end - start) << BLOCK_SHIFT);
		if (err)
			return err;
	}

	return 0;
}

/* What is free outside of scratch and of held blocks, before they are marked. */
static phys_addr_t __init free_outside(void)
{
	phys_addr_t start, end, from, to, total = 0;
	unsigned long first, last;
	u64 i;

	/* Nothing is allocated meanwhile. */
	memblock_clear_kho_scratch_only();
	memblock_payload_begin();
	for_each_free_mem_range(i, NUMA_NO_NODE, MEMBLOCK_NONE, &start, &end, NULL) {
		total += end - start;

		first = block_of(start);
		for_each_set_bitrange_from(first, last, kho_held_blocks,
					   block_of(end - 1) + 1) {
			from = max(start, (phys_addr_t)first << BLOCK_SHIFT);
			to = min(end, (phys_addr_t)last << BLOCK_SHIFT);
			total -= to - from;
		}
	}
	memblock_payload_end();
	memblock_set_kho_scratch_only();

	return total;
}

static unsigned int __init room_in(unsigned long block)
{
	return MAX_ORDER_NR_PAGES - block_used[block];
}

/* Number of held blocks with so many pages of room. */
static unsigned long nr_with_room[MAX_ORDER_NR_PAGES + 1] __initdata;

/*
 * There may be next to no memory outside of scratch and of held blocks. Then let go of the
 * blocks with the most room, until there is enough. Few blocks with much room cost less than
 * many with little.
 */
static phys_addr_t __init release_blocks(phys_addr_t total, phys_addr_t wanted)
{
	unsigned long block, nr = 0, nr_least = 0;
	phys_addr_t phys, expected = total;
	unsigned int least;

	memset(nr_with_room, 0, sizeof(nr_with_room));
	for_each_set_bit(block, kho_held_blocks, kho_nr_blocks)
		nr_with_room[room_in(block)]++;

	/* The least room that a block must have, and how many of those that have no more. */
	for (least = MAX_ORDER_NR_PAGES; least > 0; least--) {
		nr_least = min(nr_with_room[least], MAX_RELEASED - nr);
		nr += nr_least;
		expected += PFN_PHYS(nr_least * least);
		if (nr == MAX_RELEASED || expected >= wanted)
			break;
	}

	for_each_set_bit(block, kho_held_blocks, kho_nr_blocks) {
		if (total >= wanted)
			break;
		if (room_in(block) < max(least, 1U) || (room_in(block) == least && !nr_least))
			continue;

		phys = (phys_addr_t)block << BLOCK_SHIFT;
		if (!memblock_is_region_memory(phys, 1UL << BLOCK_SHIFT))
			continue;

		__clear_bit(block, kho_held_blocks);
		if (block_used[block])
			__set_bit(block, kho_exact_blocks);
		nr_least -= room_in(block) == least;
		total += PFN_PHYS(room_in(block));
	}

	return total;
}

/* What is preserved in exact blocks, and not reserved yet. */
static phys_addr_t __init preserved_exactly(void)
{
	phys_addr_t total = 0;
	unsigned long block;

	for_each_set_bit(block, kho_exact_blocks, kho_nr_blocks)
		total += PFN_PHYS(block_used[block]);

	return total;
}

/* See that the kernel can boot. */
static int __init keep_some_free(phys_addr_t boot_memory)
{
	phys_addr_t ram = memblock_phys_mem_size(), wanted, needed;
	phys_addr_t total = free_outside() - preserved_exactly();

	needed = max_t(phys_addr_t, min(boot_memory, ram >> MAX_NEEDED_SHIFT), MIN_FREE);
	wanted = max(needed, WANTED_FREE + (ram >> WANTED_SHIFT));
	if (total < wanted)
		total = release_blocks(total, wanted);
	if (total >= needed)
		return 0;

	pr_err("handover refused: it would leave %llu KiB outside of scratch, and %llu KiB are needed\n",
	       (u64)total >> 10, (u64)needed >> 10);
	return -ENOMEM;
}

/* The ranges in exact blocks; @ranges may be NULL, to count them. */
static unsigned long __init exact_ranges(struct range *ranges)
{
	DECLARE_BITMAP(pages, MAX_ORDER_NR_PAGES);
	unsigned long block, start, end, nr = 0;
	phys_addr_t phys;

	for_each_set_bit(block, kho_exact_blocks, kho_nr_blocks) {
		phys = (phys_addr_t)block << BLOCK_SHIFT;
		read_held(PHYS_PFN(phys), pages);
		for_each_set_bitrange(start, end, pages, MAX_ORDER_NR_PAGES) {
			if (ranges) {
				ranges[nr].start = phys + PFN_PHYS(start);
				ranges[nr].end = phys + PFN_PHYS(end) - 1;
			}
			nr++;
		}
	}

	return nr;
}

static int __init reserve_exactly(void)
{
	unsigned long nr = exact_ranges(NULL);
	struct range *ranges;
	unsigned long i;
	int err;

	if (!nr)
		return 0;

	ranges = memblock_alloc(nr * sizeof(*ranges), SMP_CACHE_BYTES);
	if (!ranges)
		return -ENOMEM;

	exact_ranges(ranges);
	for (i = 0; i < nr; i++)
		nr_exact_pages += PHYS_PFN(ranges[i].end + 1 - ranges[i].start);
	err = memblock_reserve_ranges(ranges, nr);
	memblock_free(ranges, nr * sizeof(*ranges));
	return err;
}

static int __init hold_blocks(unsigned long *shared, unsigned long *ram,
			      phys_addr_t boot_memory)
{
	struct memblock_region *region;

	find_shared(shared);
	bitmap_and(kho_exact_blocks, kho_held_blocks, shared, kho_nr_blocks);

	close_gaps();
	for_each_mem_region(region)
		set_blocks(ram, region->base, region->base + region->size);
	bitmap_and(kho_held_blocks, kho_held_blocks, ram, kho_nr_blocks);
	bitmap_andnot(kho_held_blocks, kho_held_blocks, shared, kho_nr_blocks);

	return keep_some_free(boot_memory);
}

static int __init mark_and_reserve(void)
{
	int err = mark_held() ?: reserve_exactly();

	if (err)
		pr_err("handover refused: no memory to hold %lu pages\n",
		       kho_in.nr_pages);
	return err;
}

/**
 * kho_hold_commit - hold what has been noted
 * @boot_memory: bytes that a boot takes outside of scratch, 0 if that is not known
 *
 * Context: As long as memblock allocates from scratch only.
 * Return: 0, or -ENOMEM after one line: then call kho_hold_drop().
 */
int __init kho_hold_commit(phys_addr_t boot_memory)
{
	/* No more than is needed, which is zeroed: the others become free pages. */
	size_t size = BITS_TO_LONGS(kho_nr_blocks) * sizeof(long);
	unsigned long *shared = memblock_alloc(size, SMP_CACHE_BYTES);
	unsigned long *ram = memblock_alloc(size, SMP_CACHE_BYTES);
	int err = -ENOMEM;

	if (shared && ram)
		err = hold_blocks(shared, ram, boot_memory);
	else
		pr_err("handover refused: no memory to check it\n");

	memblock_free(shared, size);
	memblock_free(ram, size);
	if (err)
		return err;

	free_block_used();
	return mark_and_reserve();
}

/**
 * kho_count_kept_pages - count memory that is kept back because of a handover
 * @nr_all: number of free pages, to which they are added
 * @nr_kernel: number of free pages that are no high memory, likewise
 *
 * Hash tables cannot grow when the memory is restored, so it counts as free.
 *
 * Context: Early boot, as long as blocks are held.
 */
void __init kho_count_kept_pages(unsigned long *nr_all, unsigned long *nr_kernel)
{
	struct memblock_region *region;
	unsigned long nr = nr_exact_pages;

	for_each_mem_region(region) {
		if (memblock_is_kho_held(region))
			nr += PHYS_PFN(region->size);
	}

	nr = min(nr, *nr_all * MAX_KEPT_FACTOR);
	*nr_all += nr;
	*nr_kernel += nr;
}

static void __init free_map(void *map, size_t size)
{
	kmemleak_free_part_phys(__pa(map), PAGE_ALIGN(size));
	free_reserved_area(map, map + PAGE_ALIGN(size), -1, NULL);
}

/*
 * All blocks are open by now, and deferred struct pages initialized. But compaction may
 * be asking kho_page_held().
 */
static int __init free_maps(void)
{
	unsigned long *held = kho_held_blocks;
	unsigned long i;

	if (!held)
		return 0;

	WRITE_ONCE(kho_held_blocks, NULL);
	synchronize_rcu();

	for (i = 0; i < nr_chunks; i++) {
		if (node_map[i])
			free_map(node_map[i], PAGE_SIZE);
	}
	free_map(node_map, nr_chunks * sizeof(*node_map));
	free_map(held, blocks_size());
	free_map(kho_exact_blocks, blocks_size());

	kho_exact_blocks = NULL;
	node_map = NULL;
	return 0;
}
core_initcall(free_maps);
