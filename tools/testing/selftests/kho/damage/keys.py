# SPDX-License-Identifier: GPL-2.0-only
"""Damage to the tree: keys that do not stand for preserved memory."""

from handover import KEY_BITS, ORDER_0_BIT, PAGE, ROOT_LEVEL
from kinds import ANY_BLOCK, BLOCK, FDT_AT, KEY, kind, kinds


def add(handover, phys, order=0):
    handover.tree.add(phys, order)
    return phys


def add_around(handover, phys, order):
    """The block of this order that phys lies in."""
    return add(handover, phys & -(PAGE << order), order)


@kinds("keys", BLOCK, {f"key-{place}": place for place in
                       ("past-ram", "far", "top", "hole", "low", "scratch")})
def wild_key(handover, place):
    return add(handover, handover.places()[place])


@kinds("keys", BLOCK, {"key-huge": (0, 40), "key-wraps": (1 << 63, 51)})
def large_key(handover, phys, order):
    return add(handover, phys, order)


@kind("keys", "key-across-end", BLOCK)
def across_end(handover):
    """The smallest block that begins with RAM, has all of it, and more."""
    return add(handover, 0, handover.ram.size.bit_length() - 12)


@kind("keys", "key-across-scratch", ANY_BLOCK)
def across_scratch(handover):
    """The smallest block that begins before scratch and ends in it."""
    start = handover.scratch()[0][0]
    add_around(handover, start, (start & -start).bit_length() - 12)


@kind("keys", "key-on-image", BLOCK)
def on_image(handover):
    """A page of the loaded image: that of the boot parameters."""
    return add(handover, handover.passed_at() & -PAGE)


@kinds("keys", BLOCK, {"key-on-root": ROOT_LEVEL, "key-on-leaf": 0})
def on_node(handover, level):
    return add(handover, handover.tree.node_at(level))


@kind("keys", "key-around-node", ANY_BLOCK)
def around_node(handover):
    add_around(handover, handover.tree.root, 2)


@kind("keys", "key-twice", BLOCK)
def twice(handover):
    """One address with two orders."""
    return add(handover, handover.tree.block_of_order(3), 2)


@kind("keys", "key-inside", BLOCK)
def inside(handover):
    """The last page of a block."""
    phys, order = handover.tree.largest()
    return add(handover, phys + (PAGE << order) - PAGE)


@kind("keys", "key-around", ANY_BLOCK)
def around(handover):
    add_around(handover, handover.tree.block_of_order(3), 4)


@kind("keys", "key-around-fdt", ANY_BLOCK)
def around_fdt(handover):
    add_around(handover, handover.fdt_phys, 1)


@kind("keys", "fdt-not-preserved", FDT_AT)
def fdt_not_preserved(handover):
    handover.tree.delete(handover.fdt_phys, 0)
    return handover.fdt_phys


@kinds("keys", KEY, {"key-0": 0,
                     "key-order-minus-1": 1 << ORDER_0_BIT + 1,
                     "key-max": (1 << KEY_BITS) - 1})
def impossible(handover, key):
    handover.tree.flip_key(key)
    return key
