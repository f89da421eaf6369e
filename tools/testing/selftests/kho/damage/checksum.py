# SPDX-License-Identifier: GPL-2.0-only
"""Damage that leaves all in order, so that only the checksum tells."""

from fdt import set_header, set_prop
from handover import CHECKSUM_PROP, DATA, PAGE, PRODUCER, SIZE
from kinds import ANYTHING, CHECKSUM, TAKEN, kind, kinds, rng


@kind("checksum", "leaf-bit-off", CHECKSUM, sealed=False)
def leaf_bit_off(handover):
    """A block is not preserved any more; none that is found by its address."""
    tree = handover.tree
    tree.delete(*rng.choice([block for block in tree.blocks() if block[1] > 3]))


@kind("checksum", "leaf-bit-on", CHECKSUM, sealed=False)
def leaf_bit_on(handover):
    """A page is preserved that was not."""
    handover.tree.add(handover.tree.spares[0], 0)


@kind("checksum", "leaf-cut-off", CHECKSUM, sealed=False)
def leaf_cut_off(handover):
    """All blocks of one order are missing."""
    tree = handover.tree
    leaf = tree.leaf(*tree.largest())
    for phys, level, _ in tree.nodes():
        for at, _, child in tree.entries(phys) if level == 1 else ():
            if child == leaf:
                handover.ram.put_u64(at, 0)


@kind("checksum", "empty-table", CHECKSUM, sealed=False)
def empty_table(handover):
    """One more node."""
    tree = handover.tree
    handover.ram.put_u64(tree.free_entry(tree.node_at(3)), tree.new_node())


@kinds("checksum", ANYTHING, {f"flip-{i}": i for i in (1, 2)}, sealed=False)
def flip(handover, _):
    """A single bit anywhere in the tree: maybe another check finds it first."""
    phys, level, _ = rng.choice(list(handover.tree.nodes()))
    bit = rng.randrange(8 * PAGE)
    print(f"note bit {bit} of the node of level {level} at {phys:#x}")
    handover.ram.flip(phys, bit)


@kinds("checksum", CHECKSUM, {"flip-data": DATA, "flip-size": SIZE},
       sealed=False)
def flip_value(handover, name):
    """Where, or how large, the blob of the producer is: by 8 bytes."""
    page = handover.ram.page(handover.fdt_phys)
    value = handover.fdt().child(PRODUCER).props[name]
    handover.ram.flip(handover.fdt_phys + page.index(value), 3)


@kind("checksum", "flip-name", CHECKSUM, sealed=False)
def flip_name(handover):
    page = handover.ram.page(handover.fdt_phys)
    handover.ram.flip(handover.fdt_phys + page.index(PRODUCER.encode()), 0)


@kind("checksum", "unused-field", CHECKSUM, sealed=False)
def unused_field(handover):
    set_header(handover, "boot_cpuid_phys", 2)


@kind("checksum", "flip-checksum", CHECKSUM, sealed=False)
def flip_checksum(handover):
    at, _ = handover.checksum_at()
    handover.ram.flip(handover.fdt_phys + at, rng.randrange(64))


@kinds("checksum", f"root FDT.*{CHECKSUM_PROP}", {"checksum-odd": 3})
def resize(handover, size):
    set_prop(handover, CHECKSUM_PROP, size)


@kinds("checksum", TAKEN, {"fine-unchecked": None, "fine-not-sealed": bytes(8)},
       sealed=False)
def unchecked(handover, value):
    """Kernels may do without a checksum."""
    set_prop(handover, CHECKSUM_PROP, value)


@kind("checksum", "fine-sealed", TAKEN)
def sealed_again(handover):
    """To see that the checksum is made here as the kernel makes it."""
    set_header(handover, "boot_cpuid_phys", 2)
