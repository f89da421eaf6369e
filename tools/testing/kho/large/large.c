// SPDX-License-Identifier: GPL-2.0-only
/*
 * A machine with 1 TiB of RAM, all of it preserved, in the ways that cost most to hold.
 *
 * Holding is part of the blackout. It may look at each block of memory, but read what the tree
 * says about few of them, however much is preserved: see kernel/liveupdate/kho_hold.c. What
 * is counted are lookups in the tree, and memory regions, as both are the same on all machines.
 * The time is printed for those who are curious.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <linux/bitmap.h>
#include <linux/memblock.h>
#include <linux/sizes.h>

#include "../fuzz/fuzz.h"

#define RAM_SIZE	BIT(40)
#define NR_PAGES	PHYS_PFN(RAM_SIZE)

/* Nodes of the tree are here, and the kernel runs here; nothing else is preserved. */
#define NODES		SZ_1G
#define NODES_SIZE	(64UL * SZ_1M)
#define SCRATCH		(NODES + NODES_SIZE)
#define SCRATCH_SIZE	(192UL * SZ_1M)
#define SPECIAL_END	(SCRATCH + SCRATCH_SIZE)

/* As in kho_hold.c: so many blocks are let go of, and so many gaps are left. */
#define MAX_RELEASED	2048
#define NR_GAPS		256

/* Each of the blocks that are let go of is read twice. A lookup may follow 6 addresses. */
#define MAX_LOOKUPS	(2 * 6 * MAX_RELEASED + 1000)
#define MAX_REGIONS	(2 * (MAX_RELEASED + NR_GAPS) + 100)

static char *arena;
static unsigned long nr_nodes;
static unsigned long nr_lookups;

/* What kho_boot.c and the rest of kho have. */
struct kho_in kho_in;
struct kho_scratch *kho_scratch;
unsigned int kho_scratch_cnt;
u8 mem_flags[MEM_PAGES];

unsigned long kho_revived_pages(void)
{
	return 0;
}

void *phys_to_virt(phys_addr_t phys)
{
	nr_lookups++;
	EXPECT(phys < RAM_SIZE);
	return arena + phys;
}

phys_addr_t virt_to_phys(const void *virt)
{
	return (const char *)virt - arena;
}

bool pfn_valid(unsigned long pfn)
{
	return pfn < NR_PAGES;
}

void *early_memremap(phys_addr_t phys, unsigned long size)
{
	return NULL;
}

void early_memunmap(void *virt, unsigned long size)
{
}

static void *alloc_node(unsigned long first_key, unsigned int level)
{
	EXPECT(nr_nodes < PHYS_PFN(NODES_SIZE));
	return arena + NODES + PFN_PHYS(nr_nodes++);
}

static void add_run(unsigned long pfn, unsigned long nr_pages)
{
	unsigned long end_pfn = pfn + nr_pages, key;
	unsigned long *leaf = NULL;

	for (; pfn < end_pfn; pfn++) {
		if (PFN_PHYS(pfn) >= NODES && PFN_PHYS(pfn) < SPECIAL_END)
			continue;

		key = kho_key(PFN_PHYS(pfn), 0);
		if (!leaf || !kho_radix_leaf_bit(key))
			leaf = kho_radix_add_leaf(&kho_in.tree, key);
		EXPECT(leaf);
		leaf[BIT_WORD(kho_radix_leaf_bit(key))] |= BIT_MASK(kho_radix_leaf_bit(key));
		kho_hold_preserved(PFN_PHYS(pfn), 0);
	}
}

static void begin(void)
{
	unsigned long page;

	if (arena)
		munmap(arena, RAM_SIZE);
	arena = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	EXPECT(arena != MAP_FAILED);
	madvise(arena, RAM_SIZE, MADV_NOHUGEPAGE);

	fuzz_reset_memblock();
	memblock_add(0, RAM_SIZE);
	EXPECT(!memblock_mark_kho_scratch(SCRATCH, SCRATCH_SIZE));
	memblock_set_kho_scratch_only();

	memset(&kho_in, 0, sizeof(kho_in));
	nr_nodes = 0;
	kho_in.tree.alloc_node = alloc_node;
	kho_in.tree.root = alloc_node(0, 0);
	EXPECT(!kho_hold_init());
	for (page = 0; page < PHYS_PFN(NODES_SIZE); page++)
		EXPECT(!kho_hold_node(NODES + PFN_PHYS(page)));
}

static unsigned long nr_held_pages(void)
{
	struct memblock_region *region;
	unsigned long nr = 0;

	for_each_mem_region(region) {
		if (memblock_is_kho_held(region))
			nr += PHYS_PFN(region->size);
	}

	return nr;
}

/* Hold it, and see what that has cost. */
static void commit(const char *what)
{
	clock_t start = clock();

	nr_lookups = 0;
	EXPECT(!kho_hold_commit(0));
	printf("%s: %lu addresses followed, %lu memory regions, %lu MiB held, %lu ms\n", what,
	       nr_lookups, memblock.memory.cnt, nr_held_pages() >> (20 - PAGE_SHIFT),
	       (clock() - start) * 1000 / CLOCKS_PER_SEC);
	EXPECT(nr_lookups < MAX_LOOKUPS);
	EXPECT(memblock.memory.cnt < MAX_REGIONS);
}

/* All but 16 KiB of each block, so that no block has much room. */
static void fragmented(void)
{
	unsigned long pfn;

	begin();
	for (pfn = 0; pfn < NR_PAGES; pfn += MAX_ORDER_NR_PAGES) {
		add_run(pfn, MAX_ORDER_NR_PAGES / 2);
		add_run(pfn + MAX_ORDER_NR_PAGES / 2 + 4, MAX_ORDER_NR_PAGES / 2 - 4);
	}
	commit("fragmented");
	EXPECT(bitmap_weight(kho_exact_blocks, kho_nr_blocks) == MAX_RELEASED);
}

/* The same, and some blocks at the end have much room: these are let go of. */
static void some_room(void)
{
	unsigned long nr_full = NR_PAGES - 64 * MAX_ORDER_NR_PAGES, pfn, block;

	begin();
	for (pfn = 0; pfn < nr_full; pfn += MAX_ORDER_NR_PAGES) {
		add_run(pfn, MAX_ORDER_NR_PAGES / 2);
		add_run(pfn + MAX_ORDER_NR_PAGES / 2 + 4, MAX_ORDER_NR_PAGES / 2 - 4);
	}
	for (; pfn < NR_PAGES; pfn += MAX_ORDER_NR_PAGES)
		add_run(pfn, 1);
	commit("some room");
	for (block = kho_nr_blocks - 64; block < kho_nr_blocks; block++)
		EXPECT(test_bit(block, kho_exact_blocks) && !test_bit(block, kho_held_blocks));
}

/* One page of every second block, and gaps that grow. */
static void gaps(void)
{
	unsigned long pfn, nr = 1;

	begin();
	for (pfn = 0; pfn < NR_PAGES; pfn += 2 * MAX_ORDER_NR_PAGES) {
		add_run(pfn, 1);
		/* The largest 100 of them are wider. */
		if (pfn > NR_PAGES / 2 && nr <= 100)
			pfn += 8 * MAX_ORDER_NR_PAGES * nr++;
	}
	commit("gaps");
	EXPECT(nr > 100);
	/* They are not held. */
	EXPECT(nr_held_pages() < NR_PAGES - 8 * MAX_ORDER_NR_PAGES * 100 * 101 / 2);
}

int main(void)
{
	fragmented();
	some_room();
	gaps();
	return 0;
}
