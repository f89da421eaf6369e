# SPDX-License-Identifier: GPL-2.0-only
"""Damage at random, with a checksum that fits: anything but a disaster."""

from handover import PAGE
from kinds import EITHER, kind, rng


def an_entry(tree, nodes):
    return rng.choice([at for phys, level, _ in nodes if level
                       for at, _, _ in tree.entries(phys)])


def flip_in_node(handover, phys, _):
    handover.ram.flip(phys, rng.randrange(8 * PAGE))


def word_in_node(handover, phys, _):
    handover.ram.put_u64(phys + rng.randrange(0, PAGE, 8), rng.getrandbits(64))


def swap(handover, _, nodes):
    one, other = an_entry(handover.tree, nodes), an_entry(handover.tree, nodes)
    values = handover.ram.u64(one), handover.ram.u64(other)
    handover.ram.put_u64(other, values[0])
    handover.ram.put_u64(one, values[1])


def point_to_node(handover, phys, nodes):
    handover.ram.put_u64(an_entry(handover.tree, nodes), phys)


def point_to_page(handover, _, nodes):
    handover.ram.put_u64(an_entry(handover.tree, nodes),
                         rng.randrange(handover.ram.size) & -PAGE)


def flip_in_fdt(handover, *_):
    header = handover.fdt_header()
    end = header["off_dt_strings"] + header["size_dt_strings"]
    # They may be damaged by now.
    handover.ram.flip(handover.fdt_phys, rng.randrange(8 * min(end, PAGE)))


@kind("random", "random", EITHER)
def anything(handover):
    ways = (flip_in_node, word_in_node, swap, point_to_node, point_to_page,
            flip_in_fdt)
    # What damage makes a node may be anybody's memory.
    nodes = list(handover.tree.nodes())
    for _ in range(rng.randint(1, 3)):
        phys, level, _ = rng.choice(nodes)
        way = rng.choice(ways)
        print(f"note {way.__name__}: {phys:#x} of level {level}")
        way(handover, phys, nodes)
