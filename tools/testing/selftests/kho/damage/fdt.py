# SPDX-License-Identifier: GPL-2.0-only
"""Damage to the root FDT: its header, its structure, its properties."""

import struct

from handover import COMPATIBLE, DATA, HEADER, MEMORY_MAP, PAGE, PRODUCER, SIZE
from kinds import COMPAT, FDT, MAP, SUBTREE, TAKEN, kind, kinds


@kinds("header", FDT, {
    "magic": ("magic", 0xd00dfeee),
    "totalsize-page": ("totalsize", 2 * PAGE),
    "totalsize-min": ("totalsize", 39),
    "struct-beyond": ("off_dt_struct", PAGE),
    "struct-odd": ("off_dt_struct", 57),
    "strings-beyond": ("off_dt_strings", PAGE),
    "rsvmap-beyond": ("off_mem_rsvmap", 2 * PAGE),
    "rsvmap-odd": ("off_mem_rsvmap", 41),
    "version-old": ("version", 1),
    "version-new": ("last_comp_version", 18),
    "strings-size": ("size_dt_strings", 0xffffffff),
    "struct-size": ("size_dt_struct", 0xfffffffc),
})
# Nobody needs it, so that only a checksum that does not fit would tell.
@kinds("header", TAKEN, {"fine-cpuid": ("boot_cpuid_phys", 1)})
def set_header(handover, field, value):
    handover.ram.put(handover.fdt_phys + 4 * HEADER.index(field),
                     struct.pack(">I", value))


def set_word(handover, index, value):
    """A word of the structure block; from the end if index is negative."""
    header = handover.fdt_header()
    if index < 0:
        index += header["size_dt_struct"] // 4
    handover.ram.put(handover.fdt_phys + header["off_dt_struct"] + 4 * index,
                     struct.pack(">I", value))


@kinds("header", FDT, {
    "root-garbage": (0, 0xdeadbeef),
    "value-beyond": (3, 0x7ffffff0),
    "name-beyond": (4, 0x7ffffff0),
    "no-end": (-1, 4),
})
def structure(handover, index, value):
    set_word(handover, index, value)


@kind("header", "page-of-0", FDT)
def page_of_0(handover):
    handover.ram.put(handover.fdt_phys, bytes(PAGE))


@kinds("properties", COMPAT, {
    "compatible-none": ("compatible", None),
    "compatible-other": ("compatible", b"kho-v3\0"),
    "compatible-open": ("compatible", COMPATIBLE.encode()),
})
@kinds("properties", MAP, {
    "map-none": (MEMORY_MAP, None),
    "map-odd": (MEMORY_MAP, 7),
    "map-long": (MEMORY_MAP, 16),
})
@kinds("properties", SUBTREE, {
    "data-none": (DATA, None, PRODUCER),
    "data-odd": (DATA, 7, PRODUCER),
    "size-none": (SIZE, None, PRODUCER),
    "size-short": (SIZE, 4, PRODUCER),
    "data-far": (DATA, struct.pack("<Q", 1 << 45), PRODUCER),
    "size-wraps": (SIZE, struct.pack("<Q", (1 << 64) - 1), PRODUCER),
    "data-0": (DATA, bytes(8), PRODUCER),
    "size-0": (SIZE, bytes(8), PRODUCER),
})
def set_prop(handover, name, value, child=None):
    """Of the root or a child. None: remove it. A number: give it that size."""
    root = handover.fdt()
    props = (root.child(child) if child else root).props
    if value is None:
        del props[name]
    elif isinstance(value, int):
        props[name] = (props[name] + bytes(value))[:value]
    else:
        props[name] = value
    handover.put_fdt(root)


@kinds("properties", SUBTREE, {
    "data-elsewhere": lambda handover: (DATA, handover.tree.spares[0]),
    "size-too-large": lambda handover: (SIZE, handover.ram.size // 2),
})
def blob_not_preserved(handover, function):
    name, value = function(handover)
    set_prop(handover, name, struct.pack("<Q", value), PRODUCER)


@kind("header", "fine-nothing", TAKEN)
def nothing(_):
    """To see that the pause does no harm."""


@kind("properties", "fine-addition", TAKEN)
def addition(handover):
    """The ABI says that what nobody knows is to be ignored."""
    root = handover.fdt()
    root.props["what-nobody-knows"] = b"1"
    root.child(PRODUCER).props["something-else"] = b""
    handover.put_fdt(root)
