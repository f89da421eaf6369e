// SPDX-License-Identifier: GPL-2.0-only
/*
 * The root FDT: its format, and the subtrees in it.
 */

#include <stdio.h>
#include <string.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/libfdt.h>
#include <linux/mm.h>

#include "handover.h"

static char blob[8] __aligned(8);

/* What is handed over becomes what was: the two share the page here. */
static void receive(const void *fdt)
{
	kho_in.fdt = fdt;
}

static u64 u64_prop(const void *fdt, int node, const char *name)
{
	const void *data;
	u64 value;
	int len;

	data = fdt_getprop(fdt, node, name, &len);
	EXPECT(data);
	EXPECT_EQ(len, 8);
	memcpy(&value, data, sizeof(value));
	return value;
}

/* The names are those of the ABI. */
TEST(fdt_format)
{
	int node;

	handover_begin();
	EXPECT_EQ(kho_add_subtree("LUO", blob, 5), 0);

	EXPECT_EQ(fdt_check_header(kho_out.fdt), 0);
	EXPECT_EQ(fdt_totalsize(kho_out.fdt), PAGE_SIZE);
	EXPECT_EQ(fdt_node_check_compatible(kho_out.fdt, 0, "kho-v4"), 0);
	EXPECT_EQ(u64_prop(kho_out.fdt, 0, "preserved-memory-map"),
		  virt_to_phys(kho_out.tree.root));

	node = fdt_path_offset(kho_out.fdt, "/LUO");
	EXPECT(node > 0);
	EXPECT_EQ(u64_prop(kho_out.fdt, node, "preserved-data"), virt_to_phys(blob));
	EXPECT_EQ(u64_prop(kho_out.fdt, node, "blob-size"), 5);

	kho_remove_subtree(blob);
	EXPECT_EQ(fdt_path_offset(kho_out.fdt, "/LUO"), -FDT_ERR_NOTFOUND);
	handover_end();
}

TEST(fdt_retrieve)
{
	phys_addr_t phys = 1;
	size_t size = 2;

	handover_begin();
	EXPECT_EQ(kho_add_subtree("a", blob, 3), 0);
	EXPECT_EQ(kho_add_subtree("b", blob + 1, 4), 0);

	EXPECT_EQ(kho_retrieve_subtree("a", &phys, &size), -ENOENT);
	receive(kho_out.fdt);
	EXPECT_EQ(kho_retrieve_subtree("c", &phys, &size), -ENOENT);
	EXPECT_EQ(phys, 1);
	EXPECT_EQ(size, 2);

	EXPECT_EQ(kho_retrieve_subtree("a", &phys, &size), 0);
	EXPECT_EQ(phys, virt_to_phys(blob));
	EXPECT_EQ(size, 3);
	EXPECT_EQ(kho_retrieve_subtree("b", &phys, NULL), 0);
	EXPECT_EQ(phys, virt_to_phys(blob + 1));
	/* Again: retrieving changes nothing. */
	EXPECT_EQ(kho_retrieve_subtree("a", &phys, &size), 0);
	receive(NULL);
	handover_end();
}

TEST(fdt_bad_arguments)
{
	static const char * const names[] = {
		"", "a/b", "/", "a@1", "@", "a b", "a\n", "\x7f", "\x01",
	};
	unsigned int i;

	handover_begin();
	for (i = 0; i < ARRAY_SIZE(names); i++)
		EXPECT_EQ(kho_add_subtree(names[i], blob, 1), -EINVAL);
	EXPECT_EQ(kho_add_subtree("a", blob, 0), -EINVAL);
	EXPECT_EQ(kho_add_subtree("a", (void *)(1UL << 63), 1), -EINVAL);
	EXPECT_EQ(fdt_first_subnode(kho_out.fdt, 0), -FDT_ERR_NOTFOUND);

	EXPECT_EQ(kho_add_subtree("a", blob, 1), 0);
	EXPECT_EQ(kho_add_subtree("a", blob + 1, 1), -EEXIST);

	/* One that is not there is the caller's bug. */
	kho_remove_subtree(blob + 1);
	EXPECT_EQ(shim_take_warnings(), 1);
	EXPECT_EQ(shim_take_messages(), 1);
	handover_end();
}

TEST(fdt_while_off)
{
	handover_begin();
	shim_enabled = false;
	EXPECT_EQ(kho_add_subtree("a", blob, 1), -EOPNOTSUPP);
	kho_remove_subtree(blob);
	shim_enabled = true;
	handover_end();
}

/* -ENOSPC leaves no half of a subtree, and what was there before is whole. */
TEST(fdt_full)
{
	static char blobs[4096];
	unsigned int nr, i;
	phys_addr_t phys;
	char letter[2] = "";
	char name[16];
	size_t size;
	int err;

	handover_begin();
	for (nr = 0; nr < ARRAY_SIZE(blobs); nr++) {
		snprintf(name, sizeof(name), "subtree-%u", nr);
		err = kho_add_subtree(name, blobs + nr, nr + 1);
		if (err)
			break;
	}
	EXPECT_EQ(err, -ENOSPC);
	EXPECT(nr > 20);

	/* Nor shall there be room for one with a short name. */
	for (letter[0] = 'a'; letter[0] <= 'z'; letter[0]++) {
		err = kho_add_subtree(letter, blob, 1);
		if (err)
			break;
	}
	EXPECT_EQ(err, -ENOSPC);

	/* One that would fit, but for its properties. */
	while (name[0]) {
		err = kho_add_subtree(name, blob, 1);
		EXPECT_EQ(err, -ENOSPC);
		EXPECT_EQ(fdt_subnode_offset(kho_out.fdt, 0, name), -FDT_ERR_NOTFOUND);
		memmove(name, name + 1, strlen(name));
	}

	receive(kho_out.fdt);
	for (i = 0; i < nr; i++) {
		snprintf(name, sizeof(name), "subtree-%u", i);
		EXPECT_EQ(kho_retrieve_subtree(name, &phys, &size), 0);
		EXPECT_EQ(phys, virt_to_phys(blobs + i));
		EXPECT_EQ(size, i + 1);
	}
	receive(NULL);

	/* There is room again when one goes. */
	kho_remove_subtree(blobs);
	EXPECT_EQ(kho_add_subtree("subtree-0", blobs, 1), 0);
	handover_end();
}

/* What the previous kernel left may be anything. */
static void expect_malformed(const char *name, u64 phys, int phys_len, u64 size,
			     int size_len)
{
	static char fdt[1024] __aligned(8);
	phys_addr_t out_phys = 1;
	size_t out_size = 2;
	int node;

	EXPECT_EQ(fdt_create_empty_tree(fdt, sizeof(fdt)), 0);
	node = fdt_add_subnode(fdt, 0, name);
	EXPECT(node > 0);
	if (phys_len >= 0)
		EXPECT_EQ(fdt_setprop(fdt, node, "preserved-data", &phys, phys_len), 0);
	if (size_len >= 0)
		EXPECT_EQ(fdt_setprop(fdt, node, "blob-size", &size, size_len), 0);

	receive(fdt);
	EXPECT_EQ(kho_retrieve_subtree(name, &out_phys, &out_size), -EINVAL);
	receive(NULL);
	EXPECT_EQ(shim_take_messages(), 1);
	EXPECT_EQ(out_phys, 1);
	EXPECT_EQ(out_size, 2);
}

TEST(fdt_malformed_subtree)
{
	u64 phys = virt_to_phys(blob), beyond = 2 * KHO_TEST_PHYS_OFFSET;

	expect_malformed("no-data", 0, -1, 1, 8);
	expect_malformed("no-size", phys, 8, 0, -1);
	expect_malformed("empty-data", phys, 0, 1, 8);
	expect_malformed("short-data", phys, 4, 1, 8);
	expect_malformed("short-size", phys, 8, 1, 4);
	expect_malformed("zero-data", 0, 8, 1, 8);
	expect_malformed("zero-size", phys, 8, 0, 8);
	expect_malformed("wraps", phys, 8, ~0UL, 8);
	expect_malformed("begins-nowhere", beyond, 8, 1, 8);
	expect_malformed("ends-nowhere", beyond - 1, 8, 2, 8);
}
