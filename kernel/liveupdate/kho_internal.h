/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of KHO share among each other.
 */
#ifndef _KHO_INTERNAL_H
#define _KHO_INTERNAL_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/kexec_handover.h>
#include <linux/kho_mm.h>
#include <linux/kho_radix_tree.h>
#include <linux/log2.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/rwsem.h>

struct dentry;

/**
 * DOC: KHO keys
 *
 * What is preserved is kept as blocks of 2^order pages, naturally aligned. A
 * block is one key in the radix tree::
 *
 *	key = (1 << (64 - PAGE_SHIFT - order)) | (phys >> (PAGE_SHIFT + order))
 *
 * The highest bit set tells the order, the bits below it the address. With
 * 4 KiB pages:
 *
 *	order	highest bit	bits below it
 *	0	52		phys >> 12
 *	1	51		phys >> 13
 *	9	43		phys >> 21
 *	18	34		phys >> 30
 *
 * One tree thus holds all orders, and a leaf covers 128 MiB of order-0 pages
 * or 32 TiB of order-18 ones. Bitmaps rather than ranges, because what is
 * scattered is what costs: 512 KiB of them cover 16 GiB of order-0 pages in
 * any pattern.
 *
 * A folio is one block of its order; any order is legal. A run of order-0
 * pages is cut into the largest aligned blocks from its start on, none of
 * which may span two NUMA nodes; see kho_block_order().
 */
#define KHO_LEAF_KEYS	BIT(KHO_RADIX_BITMAP_BITS)
#define KHO_ORDER_0_BIT	(64 - PAGE_SHIFT)
#define KHO_NR_ORDERS	KHO_ORDER_0_BIT
#define KHO_MAX_ORDER	(KHO_NR_ORDERS - 1)

static inline unsigned long kho_key(phys_addr_t phys, unsigned int order)
{
	return BIT(KHO_ORDER_0_BIT - order) | phys >> (PAGE_SHIFT + order);
}

/* Whether @key can have come from kho_key(). */
static inline bool kho_key_valid(unsigned long key)
{
	return key >= BIT(KHO_ORDER_0_BIT - KHO_MAX_ORDER) &&
	       key < BIT(KHO_ORDER_0_BIT + 1);
}

static inline unsigned int kho_key_order(unsigned long key)
{
	return KHO_ORDER_0_BIT - __fls(key);
}

static inline phys_addr_t kho_key_phys(unsigned long key)
{
	return (phys_addr_t)(key ^ BIT(__fls(key))) <<
	       (PAGE_SHIFT + kho_key_order(key));
}

/* Order of the largest aligned block at @pfn that @nr_pages have room for. */
static inline unsigned int kho_block_order(unsigned long pfn,
					   unsigned long nr_pages)
{
	unsigned int align = pfn ? __ffs(pfn) : KHO_MAX_ORDER;

	return min_t(unsigned int, align, ilog2(nr_pages));
}

/**
 * struct kho_range_iter - ascending stream of what a tree preserves
 * @tree: the tree
 * @active: orders that have blocks left
 * @key: next key of each active order
 * @phys: address of the block that it stands for
 * @iter: position in each order
 *
 * Merges the orders, which lie in the tree one after the other. Too large for
 * the stack.
 */
struct kho_range_iter {
	const struct kho_radix_tree *tree;
	DECLARE_BITMAP(active, KHO_NR_ORDERS);
	unsigned long key[KHO_NR_ORDERS];
	phys_addr_t phys[KHO_NR_ORDERS];
	struct kho_radix_iter iter[KHO_NR_ORDERS];
};

/* kho_ranges.c */
void kho_range_iter_init(struct kho_range_iter *it,
			 const struct kho_radix_tree *tree);
void kho_range_iter_seek(struct kho_range_iter *it, phys_addr_t phys);
bool kho_range_iter_next_block(struct kho_range_iter *it, phys_addr_t *phys,
			       unsigned int *order);
bool kho_range_iter_next(struct kho_range_iter *it, phys_addr_t *start,
			 phys_addr_t *end);
unsigned long kho_nr_pages(const struct kho_radix_tree *tree);
bool kho_range_covered(const struct kho_radix_tree *tree, phys_addr_t phys,
		       phys_addr_t size);

/**
 * struct kho_out - what is handed to the next kernel
 * @tree: what is preserved; root is NULL until KHO is ready to preserve
 * @fdt: the root FDT
 * @lock: protects @fdt; held from the moment on that a reboot relies on it
 * @nodes_lock: held for reading by who adds keys without a hint; for writing by who
 *		takes nodes out of @tree, but nobody ever waits for that
 * @nr_own_pages: pages in @tree that nobody but KHO needs
 */
struct kho_out {
	struct kho_radix_tree tree;
	void *fdt;
	struct mutex lock;	/* of fdt */
	struct rw_semaphore nodes_lock;
	unsigned long nr_own_pages;
};

extern struct kho_out kho_out;

/**
 * struct kho_in - what the previous kernel left
 * @fdt: the root FDT; NULL unless this kernel took over a valid handover
 * @tree: blocks that nobody has claimed yet; root is NULL when there are none
 * @nr_pages: pages that were handed over
 * @nr_unclaimed: pages in @tree
 * @nr_revived: pages in @tree that stay reserved, because they are reserve_mem regions that
 *		the command line asks for again; 0 when they have been claimed
 * @discarded: root has given up all unclaimed memory, blobs of subtrees included
 */
struct kho_in {
	const void *fdt;
	struct kho_radix_tree tree;
	unsigned long nr_pages;
	atomic_long_t nr_unclaimed;
	unsigned long nr_revived;
	bool discarded;
};

extern struct kho_in kho_in;

/* kho_preserve.c */
int kho_out_not_ready(void);
int kho_preserve_block(unsigned long pfn, unsigned int order, bool *added);
struct folio *kho_alloc_folio(unsigned int order, gfp_t gfp);

/* kho_prune.c */
void kho_prune_later(void);

/* kho_nodes.c */
bool kho_out_damaged(void);
bool kho_give_up(void);
void kho_nodes_init(void);
void kho_node_mark(unsigned long pfn, unsigned long first_key, unsigned int level);
void kho_node_unmark(unsigned long pfn);
bool kho_node_valid(u64 phys, unsigned long first_key, unsigned int level);

/* kho_check_out.c */
struct kimage;
int kho_check_out_fdt(void);
int kho_check_out(const struct kimage *image);

/* kho_fdt.c */
int kho_fdt_init(void);
int kho_fdt_errno(int err);
int kho_fdt_check_structure(const void *fdt);
bool kho_fdt_is_compatible(const void *fdt);
int kho_fdt_find_subnode(const void *fdt, const char *name);
bool kho_fdt_read_u64(const void *fdt, int node, const char *name, u64 *value);

/* kho_boot.c */
extern bool kho_enable;

/* kho_check.c */
int kho_check_fdt(const void *fdt, u64 size, u64 *root, u64 *boot_memory);
int kho_check_tree(phys_addr_t fdt_phys, unsigned long *nr_nodes);

/* kho_checksum.c */
u32 kho_checksum_begin(const void *fdt);
u32 kho_checksum_node(u32 crc, phys_addr_t phys);
u64 kho_checksum_end(u32 crc);
void kho_checksum_seal(void);

/* kho_timing.c */
struct kho_boot;
u32 kho_timing_checksum(const struct kho_boot *boot);
const char *kho_timing_problem(const struct kho_boot *boot, const struct kho_boot *own);
void kho_timing_leave_out(struct kho_boot *boot);
const char *kho_timing_blackout_problem(const struct kho_boot *boot, u64 start, u64 end,
					u64 tsc_khz);
void kho_timing_begin(void);
void kho_timing_seal(void);
bool kho_timing_has_blackout(void);
s64 kho_blackout_us(void);

/* kho_hold.c */
int kho_hold_init(void);
void kho_hold_drop(void);
int kho_hold_node(phys_addr_t phys);
bool kho_hold_has_node(unsigned long pfn, unsigned long nr_pages);
void kho_hold_preserved(phys_addr_t phys, unsigned int order);
int kho_hold_commit(phys_addr_t boot_memory);

/* kho_late.c */
extern bool kho_pages_are_ready;

/**
 * struct kho_late - how kho_init_pages_late() went
 * @ns: how long it took
 * @threads: how many threads opened blocks at the same time, at most
 */
struct kho_late {
	u64 ns;
	atomic_t threads;
};

extern struct kho_late kho_late;

/*
 * Whether kho_init_pages_late() is through: nobody but who restores blocks reads the
 * incoming tree.
 */
static inline bool kho_pages_ready(void)
{
	/* Pairs with kho_init_pages_late(): who sees it sees the struct pages. */
	return smp_load_acquire(&kho_pages_are_ready);
}

void kho_prepare_pages(unsigned long pfn, unsigned long nr_pages);

/* kho_block.c */
struct kho_block;
struct kho_block *kho_block_alloc(void);
bool kho_block_preserved(u64 phys);
struct kho_block *kho_block_claim(u64 phys);

/* kho_scratch.c */
int kho_scratch_check(const struct kho_scratch *areas, unsigned int nr_areas);
int kho_scratch_mark(const struct kho_scratch *areas, unsigned int nr_areas);
void kho_scratch_unmark(const struct kho_scratch *areas, unsigned int nr_areas);
int kho_scratch_adopt(const struct kho_scratch *areas, unsigned int nr_areas);
int kho_scratch_release(void);
unsigned int kho_scratch_max_areas(void);
void kho_scratch_free_areas(void);

/**
 * struct kho_scratch_needs - what the default sizes of scratch areas depend on
 * @kernel: memory that the running kernel took when it was loaded
 * @initrd: size of its initrd
 * @ram: size of all RAM
 * @free: memory that is free when the areas are reserved
 * @small_pages: whether the direct map has pages of the smallest size only
 */
struct kho_scratch_needs {
	phys_addr_t kernel;
	phys_addr_t initrd;
	phys_addr_t ram;
	phys_addr_t free;
	bool small_pages;
};

/* kho_scratch_size.c */
void kho_scratch_default_sizes(const struct kho_scratch_needs *needs,
			       phys_addr_t *low, phys_addr_t *global);
int kho_scratch_reserve(void);
void kho_scratch_note_early_use(void);
void kho_scratch_note_use(void);
phys_addr_t kho_boot_memory(void);

/* kho_restore.c */
bool kho_claim_run(unsigned long pfn, unsigned long nr_pages);
void kho_claimed(unsigned long nr_pages);
void kho_claimed_reserved(unsigned long nr_pages);

/* kho_discard.c */
#ifdef CONFIG_SYSFS
void kho_discard_add_region(const char *name, phys_addr_t start, u64 size);
#else
static inline void kho_discard_add_region(const char *name, phys_addr_t start, u64 size) {}
#endif

/* luo_session.c */
#ifdef CONFIG_LIVEUPDATE
int luo_check_discard(void);
#else
static inline int luo_check_discard(void)
{
	return 0;
}
#endif

/* kho_image.c; what kexec itself calls is in kernel/kexec_internal.h */
struct kexec_buf;
struct kimage;
struct resource;
int kho_image_claim_random(struct kexec_buf *kbuf, int (*func)(struct resource *, void *));
int kho_image_claim(struct kexec_buf *kbuf, const struct resource *area,
		    int (*func)(struct resource *, void *));
bool kho_image_find_hole(struct kexec_buf *kbuf, const struct resource *area,
			 int (*func)(struct resource *, void *), bool *poisoned);
bool kho_image_find_random_hole(struct kexec_buf *kbuf,
				int (*func)(struct resource *, void *));
void kho_image_report(const struct kimage *image);
int kho_image_verify(struct kimage *image);

/* kho_debugfs.c */
#ifdef CONFIG_KEXEC_HANDOVER_DEBUGFS
void kho_debugfs_add_subtree(const char *name, void *blob, size_t size);
void kho_debugfs_remove_subtree(const void *blob);
#else
static inline void kho_debugfs_add_subtree(const char *name, void *blob,
					   size_t size)
{
}

static inline void kho_debugfs_remove_subtree(const void *blob) {}
#endif

/* kho_sysfs.c */
struct kernfs_ops;
struct kobject;
#ifdef CONFIG_SYSFS
extern struct kobject *kho_sysfs_in;
int kho_sysfs_list(struct kobject *dir, const char *name,
		   const struct kernfs_ops *ops, void *priv);
#endif

/* kho_debug.c */
#ifdef CONFIG_KEXEC_HANDOVER_DEBUG
int kho_debug_begin_add(unsigned long pfn, unsigned int order);
bool kho_debug_begin_del(unsigned long pfn, unsigned int order);
void kho_debug_end(unsigned long pfn, unsigned int order, bool preserved);
void kho_debug_create_files(struct dentry *dir);
#else
static inline int kho_debug_begin_add(unsigned long pfn, unsigned int order)
{
	return 0;
}

static inline bool kho_debug_begin_del(unsigned long pfn, unsigned int order)
{
	return true;
}

static inline void kho_debug_end(unsigned long pfn, unsigned int order, bool preserved)
{
}

static inline void kho_debug_create_files(struct dentry *dir) {}
#endif

#endif /* _KHO_INTERNAL_H */
