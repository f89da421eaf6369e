/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_KEXEC_HANDOVER_H
#define _LINUX_KEXEC_HANDOVER_H

#include <linux/err.h>
#include <linux/init.h>
#include <linux/types.h>
#include <linux/kho/abi/kexec_handover.h>

struct folio;
struct page;

/**
 * struct kho_vmalloc_reader - position in a preserved vmalloc area
 * @chunk: private: the page of the chain that is being read; belongs to the reader
 * @next_phys: private: physical address of the page of the chain after @chunk
 * @slot: private: the next slot of @chunk
 * @left: private: pages of the area that have not been read
 * @order: each block has 2^@order pages
 */
struct kho_vmalloc_reader {
	struct kho_vmalloc_chunk *chunk;
	u64 next_phys;
	unsigned int slot;
	unsigned int left;
	unsigned int order;
};

#ifdef CONFIG_KEXEC_HANDOVER

/* State. */
bool kho_is_enabled(void);
bool is_kho_boot(void);
bool kho_scratch_overlap(phys_addr_t phys, size_t size);

/* Outgoing: what the next kernel shall find. */
int kho_preserve_folio(struct folio *folio);
void kho_unpreserve_folio(struct folio *folio);
int kho_preserve_pages(struct page *page, unsigned long nr_pages);
void kho_unpreserve_pages(struct page *page, unsigned long nr_pages);
int kho_preserve_vmalloc(void *ptr, struct kho_vmalloc *preservation);
void kho_unpreserve_vmalloc(struct kho_vmalloc *preservation);
void *kho_vmalloc_append(struct kho_vmalloc *preservation,
			 struct kho_vmalloc_chunk **last);
void *kho_alloc_preserve(size_t size);
void kho_unpreserve_free(void *mem);
int kho_add_subtree(const char *name, void *blob, size_t size);
void kho_remove_subtree(void *blob);

/* Incoming: what the previous kernel left. */
struct folio *kho_restore_folio(phys_addr_t phys);
struct page *kho_restore_pages(phys_addr_t phys, unsigned long nr_pages);
void *kho_restore_vmalloc(const struct kho_vmalloc *preservation);
int kho_vmalloc_read_begin(struct kho_vmalloc_reader *reader,
			   const struct kho_vmalloc *preservation);
void *kho_vmalloc_read_block(struct kho_vmalloc_reader *reader);
void kho_vmalloc_read_end(struct kho_vmalloc_reader *reader);
void kho_vmalloc_free_block(const struct kho_vmalloc_reader *reader,
			    const void *block);
void kho_restore_free(void *mem);
int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size);

/* Boot, in this order. */
void kho_populate(phys_addr_t fdt_phys, u64 fdt_len, phys_addr_t scratch_phys,
		  u64 scratch_len) __init;
void kho_reserve_preserved(void) __init;
void kho_memory_init(void) __init;

/* Provided by the architecture, and for it. */
phys_addr_t kho_arch_kernel_size(void) __init;
void kho_scratch_check_successor(const char *release);

#else /* !CONFIG_KEXEC_HANDOVER */

static inline bool kho_is_enabled(void)
{
	return false;
}

static inline bool is_kho_boot(void)
{
	return false;
}

static inline bool kho_scratch_overlap(phys_addr_t phys, size_t size)
{
	return false;
}

static inline int kho_preserve_folio(struct folio *folio)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_folio(struct folio *folio) {}

static inline int kho_preserve_pages(struct page *page, unsigned long nr_pages)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_pages(struct page *page,
					unsigned long nr_pages)
{
}

static inline int kho_preserve_vmalloc(void *ptr,
				       struct kho_vmalloc *preservation)
{
	return -EOPNOTSUPP;
}

static inline void kho_unpreserve_vmalloc(struct kho_vmalloc *preservation) {}

static inline void *kho_vmalloc_append(struct kho_vmalloc *preservation,
				       struct kho_vmalloc_chunk **last)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void *kho_alloc_preserve(size_t size)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline void kho_unpreserve_free(void *mem) {}

static inline int kho_add_subtree(const char *name, void *blob, size_t size)
{
	return -EOPNOTSUPP;
}

static inline void kho_remove_subtree(void *blob) {}

static inline struct folio *kho_restore_folio(phys_addr_t phys)
{
	return NULL;
}

static inline struct page *kho_restore_pages(phys_addr_t phys,
					     unsigned long nr_pages)
{
	return NULL;
}

static inline void *kho_restore_vmalloc(const struct kho_vmalloc *preservation)
{
	return NULL;
}

static inline int kho_vmalloc_read_begin(struct kho_vmalloc_reader *reader,
					 const struct kho_vmalloc *preservation)
{
	return -EOPNOTSUPP;
}

static inline void *kho_vmalloc_read_block(struct kho_vmalloc_reader *reader)
{
	return NULL;
}

static inline void kho_vmalloc_read_end(struct kho_vmalloc_reader *reader) {}

static inline void
kho_vmalloc_free_block(const struct kho_vmalloc_reader *reader,
		       const void *block)
{
}

static inline void kho_restore_free(void *mem) {}

static inline int kho_retrieve_subtree(const char *name, phys_addr_t *phys,
				       size_t *size)
{
	return -EOPNOTSUPP;
}

static inline void kho_populate(phys_addr_t fdt_phys, u64 fdt_len,
				phys_addr_t scratch_phys, u64 scratch_len)
{
}

static inline void kho_reserve_preserved(void) {}
static inline void kho_memory_init(void) {}

#endif /* CONFIG_KEXEC_HANDOVER */

#endif /* _LINUX_KEXEC_HANDOVER_H */
