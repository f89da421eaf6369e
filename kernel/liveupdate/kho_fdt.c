// SPDX-License-Identifier: GPL-2.0-only
/*
 * The root FDT and its subtrees: by what name the next kernel finds a
 * producer's blob, and with it all the rest. The format is in "DOC: KHO ABI".
 */

#define pr_fmt(fmt) "kho: " fmt

#include <linux/ctype.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/io.h>
#include <linux/libfdt.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/unaligned.h>

#include "kho_internal.h"

/**
 * kho_fdt_read_u64 - read a property that is one native-endian u64
 * @fdt: the FDT
 * @node: the node
 * @name: name of the property
 * @value: set to the value
 *
 * Return: false when there is no such property or it has another size.
 */
bool kho_fdt_read_u64(const void *fdt, int node, const char *name, u64 *value)
{
	const void *data;
	int len;

	data = fdt_getprop(fdt, node, name, &len);
	if (!data || len != sizeof(*value))
		return false;

	*value = get_unaligned((const u64 *)data);
	return true;
}

/**
 * kho_fdt_check_structure - check that libfdt can walk over an FDT without an error
 * @fdt: the FDT, whose header fdt_check_header() has accepted, and which lies in memory
 *	 as a whole
 *
 * Return: 0, or -FDT_ERR_*.
 */
int kho_fdt_check_structure(const void *fdt)
{
	int offset = 0, depth = 0, next, len;
	const char *name;

	if (!IS_ALIGNED(fdt_off_mem_rsvmap(fdt), sizeof(u64)) ||
	    !IS_ALIGNED(fdt_off_dt_struct(fdt), sizeof(u32)))
		return -FDT_ERR_ALIGNMENT;

	for (;; offset = next) {
		u32 tag = fdt_next_tag(fdt, offset, &next);

		if (next < 0)
			return next;

		switch (tag) {
		case FDT_BEGIN_NODE:
			/* There is one root. */
			if ((!depth && offset) || !fdt_get_name(fdt, offset, &len))
				return -FDT_ERR_BADSTRUCTURE;
			depth++;
			break;
		case FDT_END_NODE:
			if (!depth--)
				return -FDT_ERR_BADSTRUCTURE;
			break;
		case FDT_PROP:
			if (!depth || !fdt_getprop_by_offset(fdt, offset, &name, &len))
				return -FDT_ERR_BADSTRUCTURE;
			break;
		case FDT_NOP:
			break;
		case FDT_END:
			return depth || !offset ? -FDT_ERR_BADSTRUCTURE : 0;
		default:
			return -FDT_ERR_BADSTRUCTURE;
		}
	}
}

/**
 * kho_fdt_is_compatible - check that an FDT is a root FDT of this version of the ABI
 * @fdt: the FDT, whose structure is valid
 *
 * Return: true if it is.
 */
bool kho_fdt_is_compatible(const void *fdt)
{
	const char *list;
	int len;

	/* libfdt accepts a string that is not NUL-terminated. */
	list = fdt_getprop(fdt, 0, "compatible", &len);
	return list && len > 0 && !list[len - 1] &&
	       !fdt_node_check_compatible(fdt, 0, KHO_FDT_COMPATIBLE);
}

/**
 * kho_fdt_find_subnode - find a child of the root by its exact name
 * @fdt: the FDT
 * @name: the name
 *
 * fdt_subnode_offset() would take "name@1" for "name", too.
 *
 * Return: its offset, or -FDT_ERR_*.
 */
int kho_fdt_find_subnode(const void *fdt, const char *name)
{
	const char *found;
	int node;

	fdt_for_each_subnode(node, fdt, 0) {
		found = fdt_get_name(fdt, node, NULL);
		if (found && !strcmp(found, name))
			return node;
	}

	return node;
}

/* A name that libfdt looks up as it is. */
static bool subtree_name_valid(const char *name)
{
	if (!*name)
		return false;

	for (; *name; name++) {
		if (!isgraph(*name) || *name == '/' || *name == '@')
			return false;
	}

	return true;
}

/**
 * kho_fdt_errno - errno for an error of libfdt
 * @err: what a function of libfdt returned: 0 or -FDT_ERR_*
 *
 * Return: 0; -ENOSPC, -EEXIST; -EINVAL for all others.
 */
int kho_fdt_errno(int err)
{
	switch (err) {
	case 0:
		return 0;
	case -FDT_ERR_NOSPACE:
		return -ENOSPC;
	case -FDT_ERR_EXISTS:
		return -EEXIST;
	default:
		return -EINVAL;
	}
}

static int fill_subtree(void *fdt, int node, u64 phys, u64 size)
{
	return fdt_setprop(fdt, node, KHO_FDT_SUBTREE_DATA_PROP, &phys,
			   sizeof(phys)) ?:
	       fdt_setprop(fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, &size,
			   sizeof(size));
}

static int add_to_fdt(const char *name, u64 phys, u64 size)
{
	int node, err;

	guard(mutex)(&kho_out.lock);

	if (kho_check_out_fdt())
		return -EUCLEAN;

	node = fdt_add_subnode(kho_out.fdt, 0, name);
	if (node < 0)
		return kho_fdt_errno(node);

	err = fill_subtree(kho_out.fdt, node, phys, size);
	if (err)
		fdt_del_node(kho_out.fdt, node);

	return kho_fdt_errno(err);
}

/**
 * kho_add_subtree - register a blob under a name
 * @name: what the next kernel looks for with kho_retrieve_subtree(); printable
 *	  characters other than space, slash and at sign
 * @blob: the blob, in the direct map; of any format
 * @size: its length in bytes
 *
 * The blob is what tells the next kernel about everything else a producer has
 * preserved. Its own pages are preserved by the producer, with
 * kho_alloc_preserve() for example, and its content may change until the
 * reboot. It stays the caller's, who takes kho_add_subtree() back before freeing
 * it.
 *
 * Context: Process context, after fs_initcall; may sleep. Once a kexec has shut
 *	    down all devices this never returns: the next kernel relies on the
 *	    root FDT then. On failure nothing has changed.
 *
 * Return:
 * * 0 - the blob is registered
 * * %-EEXIST - @name is taken
 * * %-EINVAL - @name or @size is empty, @name has other characters, or @blob is not in
 *   the direct map
 * * %-ENOSPC - the root FDT is full
 * * %-EOPNOTSUPP - KHO is off
 * * %-EUCLEAN - the tree or the root FDT is damaged, so nothing can be handed over
 */
int kho_add_subtree(const char *name, void *blob, size_t size)
{
	int err;

	err = kho_out_not_ready();
	if (err)
		return err;

	if (!size || !subtree_name_valid(name) || !virt_addr_valid(blob))
		return -EINVAL;

	err = add_to_fdt(name, virt_to_phys(blob), size);
	if (!err)
		kho_debugfs_add_subtree(name, blob, size);

	return err;
}
EXPORT_SYMBOL_GPL(kho_add_subtree);

/* Returns false if there is no subtree with this blob. A damaged FDT stays as it is. */
static bool remove_from_fdt(u64 phys)
{
	u64 data;
	int node;

	guard(mutex)(&kho_out.lock);

	if (kho_check_out_fdt())
		return true;

	fdt_for_each_subnode(node, kho_out.fdt, 0) {
		if (!kho_fdt_read_u64(kho_out.fdt, node,
				      KHO_FDT_SUBTREE_DATA_PROP, &data) ||
		    data != phys)
			continue;

		fdt_del_node(kho_out.fdt, node);
		return true;
	}

	return false;
}

/**
 * kho_remove_subtree - take kho_add_subtree() back
 * @blob: the blob that was registered; stays preserved and allocated
 *
 * Warns when no subtree has this blob.
 *
 * Context: Process context; may sleep. Like kho_add_subtree(), never returns
 *	    once a kexec has shut down all devices.
 */
void kho_remove_subtree(void *blob)
{
	if (kho_out_not_ready() == -EOPNOTSUPP)
		return;

	WARN_ONCE(!remove_from_fdt(virt_to_phys(blob)),
		  "kho: no subtree with the blob at %pS\n", blob);
	kho_debugfs_remove_subtree(blob);
}
EXPORT_SYMBOL_GPL(kho_remove_subtree);

/**
 * kho_fdt_init - begin the root FDT of the outgoing handover
 *
 * It is a folio of its own, preserved like any other.
 *
 * Return: 0, -ENOMEM.
 */
int __init kho_fdt_init(void)
{
	u64 root = virt_to_phys(kho_out.tree.root), no_checksum = 0;
	u64 boot_memory = kho_boot_memory();
	void *fdt;
	int err;

	fdt = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(fdt))
		return PTR_ERR(fdt);

	err = fdt_create_empty_tree(fdt, PAGE_SIZE) ?:
	      fdt_setprop_string(fdt, 0, "compatible", KHO_FDT_COMPATIBLE) ?:
	      fdt_setprop(fdt, 0, KHO_FDT_MEMORY_MAP_PROP, &root, sizeof(root)) ?:
	      fdt_setprop(fdt, 0, KHO_FDT_CHECKSUM_PROP, &no_checksum,
			  sizeof(no_checksum)) ?:
	      fdt_setprop(fdt, 0, KHO_FDT_BOOT_MEMORY_PROP, &boot_memory,
			  sizeof(boot_memory));
	if (err) {
		kho_unpreserve_free(fdt);
		return kho_fdt_errno(err);
	}

	kho_out.fdt = fdt;
	return 0;
}

/**
 * kho_retrieve_subtree - find the blob that the previous kernel registered
 * @name: the name it was given to kho_add_subtree() with
 * @phys: set to the physical address of the blob
 * @size: set to its length in bytes; may be NULL
 *
 * The content of the blob is as trustworthy as the previous kernel. Its pages
 * are still preserved: the caller reads the blob, restores what it lists, and
 * then restores the pages of the blob themselves, with kho_restore_free() for
 * example. Retrieving changes nothing.
 *
 * Context: Any, after kho_reserve_preserved().
 * Return: 0; -ENOENT when there is no such subtree, this is not a handover
 * boot, or root has discarded what nobody has claimed; -EINVAL when the subtree is
 * malformed. On failure @phys and @size are unchanged.
 */
int kho_retrieve_subtree(const char *name, phys_addr_t *phys, size_t *size)
{
	u64 data, len;
	int node;

	if (!is_kho_boot() || READ_ONCE(kho_in.discarded))
		return -ENOENT;

	node = kho_fdt_find_subnode(kho_in.fdt, name);
	if (node == -FDT_ERR_NOTFOUND)
		return -ENOENT;

	if (node < 0 ||
	    !kho_fdt_read_u64(kho_in.fdt, node, KHO_FDT_SUBTREE_DATA_PROP, &data) ||
	    !kho_fdt_read_u64(kho_in.fdt, node, KHO_FDT_SUBTREE_SIZE_PROP, &len) ||
	    !data || !len || data + len < data ||
	    !pfn_valid(PHYS_PFN(data)) || !pfn_valid(PHYS_PFN(data + len - 1))) {
		pr_warn("subtree %s is malformed\n", name);
		return -EINVAL;
	}

	*phys = data;
	if (size)
		*size = len;
	return 0;
}
EXPORT_SYMBOL_GPL(kho_retrieve_subtree);
