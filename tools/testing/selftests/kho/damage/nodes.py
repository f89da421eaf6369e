# SPDX-License-Identifier: GPL-2.0-only
"""Damage to the tree: pointers to nodes, and what is in nodes."""

import struct

from handover import MEMORY_MAP, PAGE
from kinds import (ANY_BLOCK, ANY_NODE, NODE, NR_NODES, TAKEN, kind, kinds,
                   rng)

PLACES = ("past-ram", "top", "low", "scratch")


def set_root(handover, phys):
    root = handover.fdt()
    root.props[MEMORY_MAP] = struct.pack("<Q", phys)
    handover.put_fdt(root)
    handover.tree.root = phys
    return phys


@kinds("properties", NODE, {f"root-{place}": place for place in PLACES})
@kinds("properties", ANY_NODE, {"root-in-fdt": "in-fdt"})
def wild_root(handover, place):
    return set_root(handover, handover.places()[place])


@kind("properties", "root-unaligned", NODE)
def unaligned_root(handover):
    return set_root(handover, handover.tree.root + 8)


@kind("properties", "root-0", "root")
def root_0(handover):
    set_root(handover, 0)


@kind("properties", "root-is-leaf", ANY_NODE)
def root_is_leaf(handover):
    set_root(handover, handover.tree.node_at(0))


@kind("properties", "root-in-block", ANY_NODE)
def root_in_block(handover):
    set_root(handover, handover.tree.largest()[0])


@kinds("nodes", NODE, {f"table-{place}": (3, place) for place in PLACES} |
       {f"leaf-{place}": (1, place) for place in ("past-ram", "scratch")})
@kinds("nodes", ANY_NODE, {"table-in-fdt": (3, "in-fdt")})
def wild_entry(handover, level, place):
    phys = handover.places()[place]
    handover.ram.put_u64(handover.tree.entry_at(level)[0], phys)
    return phys


@kinds("nodes", NODE, {"table-unaligned": 3, "leaf-unaligned": 1})
def unaligned_entry(handover, level):
    at, child = handover.tree.entry_at(level)
    handover.ram.put_u64(at, child + 0x800)
    return child + 0x800


@kind("nodes", "cycle-of-one", NODE)
def cycle_of_one(handover):
    at, _ = handover.tree.entry_at(3)
    table = at & -PAGE
    handover.ram.put_u64(at, table)
    return table


@kind("nodes", "cycle-to-root", NODE)
def cycle_to_root(handover):
    root = handover.tree.root
    handover.ram.put_u64(handover.tree.entry_at(1)[0], root)
    return root


@kind("nodes", "cycles-only", NODE)
def cycles_only(handover):
    """To visit what 512 entries at each of five levels lead to takes a year."""
    root = handover.tree.root
    handover.ram.put(root, struct.pack("<Q", root) * 512)
    return root


@kinds("nodes", NODE, {"shared-table": 3, "shared-leaf": 1})
def shared(handover, level):
    at, child = handover.tree.entry_at(level)
    handover.ram.put_u64(handover.tree.free_entry(at & -PAGE), child)
    return child


@kind("nodes", "shared-by-levels", ANY_NODE)
def shared_by_levels(handover):
    """A leaf that is a table, too."""
    tree = handover.tree
    handover.ram.put_u64(tree.free_entry(tree.root), tree.node_at(0))


@kind("nodes", "leaf-in-block", f"{ANY_BLOCK}|{ANY_NODE}")
def leaf_in_block(handover):
    """An empty leaf in a page that is preserved."""
    tree = handover.tree
    phys = tree.largest()[0] + PAGE
    handover.ram.put(phys, bytes(PAGE))
    handover.ram.put_u64(tree.free_entry(tree.node_at(1)), phys)


@kind("nodes", "many-leaves", NR_NODES)
def many_leaves(handover):
    """Empty leaves in place of large blocks: more than RAM has keys for."""
    tree, ram = handover.tree, handover.ram
    upper = tree.node_at(2)
    pages = []
    for phys, order in tree.blocks():
        if order >= 8:
            tree.delete(phys, order)
            pages += range(phys, phys + (PAGE << order), PAGE)
    while pages:
        table = pages.pop()
        leaves = [pages.pop() for _ in range(min(512, len(pages)))]
        for leaf in leaves:
            ram.put(leaf, bytes(PAGE))
        ram.put(table, struct.pack(f"<{len(leaves)}Q", *leaves) +
                bytes(PAGE - 8 * len(leaves)))
        ram.put_u64(tree.free_entry(upper), table)


@kinds("nodes", ANY_NODE, {"garbage-in-root": 5, "garbage-in-table": 1})
@kinds("nodes", ANY_BLOCK, {"garbage-in-leaf": 0})
def garbage(handover, level):
    handover.ram.put(handover.tree.node_at(level), rng.randbytes(PAGE))


@kinds("nodes", ANY_NODE, {"table-of-1": 2})
@kinds("nodes", ANY_BLOCK, {"leaf-of-1": 0})
def all_ones(handover, level):
    handover.ram.put(handover.tree.node_at(level), b"\xff" * PAGE)


@kind("nodes", "fine-empty", TAKEN)
def empty_nodes(handover):
    """The ABI says that tables and leaves without anything in them are legal."""
    tree = handover.tree
    for level in (3, 1):
        handover.ram.put_u64(tree.free_entry(tree.node_at(level)),
                             tree.new_node())
