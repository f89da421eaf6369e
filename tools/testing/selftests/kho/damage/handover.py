# SPDX-License-Identifier: GPL-2.0-only
"""
A handover as it lies in the RAM of a guest: read it, take it apart, change it.
The format is that of Documentation/core-api/kho/abi.rst, with pages of 4 KiB.
"""

import hashlib
import mmap
import struct

PAGE = 4096
COMPATIBLE = "kho-v4"
MEMORY_MAP = "preserved-memory-map"
DATA = "preserved-data"
SIZE = "blob-size"
CHECKSUM_PROP = "crc32c"
PRODUCER = "kho-producer"
# struct kho_data of x86
PASSED = ("fdt_addr", "fdt_size", "scratch_addr", "scratch_size")


class Ram:
    """The RAM of a guest that has less than 2 GiB: offsets are addresses."""

    def __init__(self, path):
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.size = len(self.map)

    def get(self, phys, size):
        if phys + size > self.size:
            raise ValueError(f"{phys:#x} is not in RAM")
        return self.map[phys:phys + size]

    def put(self, phys, data):
        if phys + len(data) > self.size:
            raise ValueError(f"{phys:#x} is not in RAM")
        self.map[phys:phys + len(data)] = data

    def page(self, phys):
        return self.get(phys, PAGE)

    def u64(self, phys):
        return struct.unpack("<Q", self.get(phys, 8))[0]

    def put_u64(self, phys, value):
        self.put(phys, struct.pack("<Q", value))

    def flip(self, phys, bit):
        """Bit 0 is the lowest of the byte at phys."""
        byte = phys + bit // 8
        self.put(byte, bytes([self.get(byte, 1)[0] ^ 1 << bit % 8]))


#
# FDT: the header, and a tree of nodes that can be put together again
#

HEADER = ("magic", "totalsize", "off_dt_struct", "off_dt_strings",
          "off_mem_rsvmap", "version", "last_comp_version",
          "boot_cpuid_phys", "size_dt_strings", "size_dt_struct")
HEADER_SIZE = 4 * len(HEADER)
BEGIN_NODE, END_NODE, PROP, NOP, END = 1, 2, 3, 4, 9


def pad4(data):
    return data + bytes(-len(data) % 4)


class Node:
    def __init__(self, name):
        self.name = name
        self.props = {}
        self.children = []

    def child(self, name):
        return next(child for child in self.children if child.name == name)


def fdt_header(blob):
    return dict(zip(HEADER, struct.unpack(">10I", blob[:HEADER_SIZE])))


def parse_fdt(blob):
    head = fdt_header(blob)
    strings = blob[head["off_dt_strings"]:][:head["size_dt_strings"]]
    pos = head["off_dt_struct"]
    parents = [Node(None)]

    def cell():
        nonlocal pos
        pos += 4
        return struct.unpack(">I", blob[pos - 4:pos])[0]

    while (token := cell()) != END:
        if token == BEGIN_NODE:
            end = blob.index(b"\0", pos)
            node = Node(blob[pos:end].decode())
            pos += len(pad4(blob[pos:end + 1]))
            parents[-1].children.append(node)
            parents.append(node)
        elif token == END_NODE:
            parents.pop()
        elif token == PROP:
            size, name = cell(), cell()
            name = strings[name:strings.index(b"\0", name)].decode()
            parents[-1].props[name] = blob[pos:pos + size]
            pos += len(pad4(blob[pos:pos + size]))
        elif token != NOP:
            raise ValueError(f"token {token} in FDT")
    return parents[0].children[0]


def build_fdt(root, version=17):
    """A page, as the kernel would fill it. Before version 16 values are aligned."""
    strings = b""

    def build(node, offset):
        nonlocal strings
        data = struct.pack(">I", BEGIN_NODE) + pad4(node.name.encode() + b"\0")
        for name, value in node.props.items():
            name = name.encode() + b"\0"
            if name not in strings:
                strings += name
            data += struct.pack(">3I", PROP, len(value), strings.index(name))
            if version < 16 and len(value) >= 8:
                data += bytes(-(offset + len(data)) % 8)
            data += pad4(value)
        for child in node.children:
            data += build(child, offset + len(data))
        return data + struct.pack(">I", END_NODE)

    body = build(root, 0) + struct.pack(">I", END)
    off_struct = HEADER_SIZE + 16
    head = struct.pack(">10I", 0xd00dfeed, PAGE, off_struct,
                       off_struct + len(body), HEADER_SIZE, version, min(version, 16), 0,
                       len(strings), len(body))
    blob = head + bytes(16) + body + strings
    if len(blob) > PAGE:
        raise ValueError("the FDT is larger than a page")
    return blob + bytes(PAGE - len(blob))


#
# The radix tree
#

ROOT_LEVEL = 5
KEY_BITS = 15 + 9 * ROOT_LEVEL
ORDER_0_BIT = 52


def make_key(phys, order):
    return 1 << (ORDER_0_BIT - order) | phys >> (12 + order)


def key_block(key):
    """Address and order of the block that a key stands for."""
    order = ORDER_0_BIT + 1 - key.bit_length()
    return (key ^ 1 << (ORDER_0_BIT - order)) << (12 + order), order


def shift(level):
    return 15 + 9 * (level - 1)


class Tree:
    def __init__(self, ram, root, spares):
        self.ram = ram
        self.root = root
        self.spares = spares

    def good(self, phys):
        return phys % PAGE == 0 and phys < self.ram.size

    def entries(self, phys):
        """(address of the entry, index, child) of each entry of a table."""
        table = struct.unpack("<512Q", self.ram.page(phys))
        return [(phys + 8 * i, i, child)
                for i, child in enumerate(table) if child]

    def nodes(self):
        """(phys, level, lowest key) in the order of a walk, as far as the
        tree makes sense."""
        seen = set()

        def walk(phys, level, base):
            if phys in seen or not self.good(phys):
                return
            seen.add(phys)
            yield phys, level, base
            if level:
                for _, i, child in self.entries(phys):
                    yield from walk(child, level - 1, base | i << shift(level))

        return walk(self.root, ROOT_LEVEL, 0)

    def keys(self):
        for phys, level, base in self.nodes():
            if level:
                continue
            bits = int.from_bytes(self.ram.page(phys), "little")
            while bits:
                low = bits & -bits
                yield base + low.bit_length() - 1
                bits ^= low

    def blocks(self):
        return [key_block(key) for key in self.keys()]

    def new_node(self):
        phys = self.spares.pop()
        self.ram.put(phys, bytes(PAGE))
        return phys

    def leaf_of(self, key, create=False):
        node = self.root
        for level in range(ROOT_LEVEL, 0, -1):
            entry = node + 8 * (key >> shift(level) & 511)
            node = self.ram.u64(entry)
            if not node:
                if not create:
                    raise ValueError(f"there is no leaf for key {key:#x}")
                node = self.new_node()
                self.ram.put_u64(entry, node)
        return node

    def flip_key(self, key):
        self.ram.flip(self.leaf_of(key, True), key & 0x7fff)

    def leaf(self, phys, order):
        return self.leaf_of(make_key(phys, order))

    def add(self, phys, order):
        if (phys, order) in self.blocks():
            raise ValueError(f"{phys:#x} is in the tree with order {order}")
        self.flip_key(make_key(phys, order))

    def delete(self, phys, order):
        if (phys, order) not in self.blocks():
            raise ValueError(f"{phys:#x} is not in the tree with order {order}")
        self.flip_key(make_key(phys, order))

    #
    # Something to damage
    #

    def node_at(self, level):
        return next(phys for phys, node_level, _ in self.nodes()
                    if node_level == level)

    def entry_at(self, level):
        """The first entry of a table: where it is, and what."""
        at, _, child = self.entries(self.node_at(level))[0]
        return at, child

    def free_entry(self, table):
        """Where there is none: the last."""
        used = {at for at, _, _ in self.entries(table)}
        return max(set(range(table, table + PAGE, 8)) - used)

    def block_of_order(self, order):
        return next(block[0] for block in self.blocks() if block[1] == order)

    def largest(self):
        return max(self.blocks(), key=lambda block: block[1])


#
# The image that is about to be started
#

class Image:
    """Pages by the address that they will have. A segment that lies there already is not
    in the list of pages, but all segments are in scratch."""

    def __init__(self, ram, entry, scratch):
        self.ram = ram
        self.pages = {}
        next_entry = dest = None
        while not entry & 4:
            page = entry & ~(PAGE - 1)
            if entry & 1:
                dest = page
            if entry & 8:
                self.pages[dest] = page
                dest += PAGE
            next_entry = page if entry & 2 else next_entry + 8
            entry = ram.u64(next_entry)
        self.areas = self.areas_at(scratch)

    def areas_at(self, phys):
        array = struct.iter_unpack("<QQ", self.get(phys, PAGE))
        return [(start, size) for start, size in array
                if size and start + size <= self.ram.size]

    def get(self, phys, size):
        end = phys + size
        data = b"".join(self.ram.page(self.pages.get(page, page)) for page in
                        range(phys & ~(PAGE - 1), end, PAGE))
        return data[phys % PAGE:][:size]

    def put(self, phys, data):
        for i, byte in enumerate(data):
            page = (phys + i) & ~(PAGE - 1)
            self.ram.put(self.pages.get(page, page) + (phys + i) % PAGE, bytes([byte]))

    def runs(self):
        """(address, size) of pages in a row that will be copied there."""
        start = None
        for page in sorted(self.pages):
            if start is None:
                start = page
            if page + PAGE not in self.pages:
                yield start, page + PAGE - start
                start = None

    def find(self, data):
        """Addresses at which there are these bytes."""
        for start, size in self.runs():
            run = self.get(start, size)
            pos = -1
            while (pos := run.find(data, pos + 1)) >= 0:
                yield start + pos
        for start, size in self.areas:
            pos = start - 1
            while (pos := self.ram.map.find(data, pos + 1, start + size)) >= 0:
                if pos & ~(PAGE - 1) not in self.pages:
                    yield pos

    def disarm(self):
        """Have the code that runs between the kernels check nothing: it does not start an
        image that has changed since it was loaded. Segments that lie where they will run
        are not checked. The list of the others is known by the first of them."""
        def region(at):
            start, size = struct.unpack("<QQ", self.get(at, 16))
            return start, size, start in self.pages and start + size - PAGE in self.pages

        starts = [struct.pack("<Q", start) for start, _ in self.runs()]
        if not starts:
            return
        first = next(at for start in starts for at in self.find(start) if region(at)[2])
        while region(first - 16)[2]:
            first -= 16
        digest = hashlib.sha256()
        at = first
        while region(at)[2]:
            digest.update(self.get(*region(at)[:2]))
            at += 16
        self.put(next(self.find(digest.digest())), hashlib.sha256(b"").digest())
        self.put(first, bytes(at - first))


#
# All of it
#

def crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82f63b78 if byte & 1 else 0)
        yield byte


CRC32C = list(crc32c_table())


def crc32c(crc, data):
    for byte in data:
        crc = CRC32C[(crc ^ byte) & 255] ^ crc >> 8
    return crc


class Handover:
    def __init__(self, ram, fdt, scratch, entry):
        self.ram = ram
        self.fdt_phys = fdt
        self.scratch_phys = scratch
        self.image = Image(ram, entry, scratch)
        root = parse_fdt(ram.page(fdt))
        self.tree = Tree(ram, struct.unpack("<Q", root.props[MEMORY_MAP])[0],
                         self.spare_pages(root))
        self.checksum_was_at = self.checksum_at()

    def spare_pages(self, root):
        """Pages that the test producer has but does not preserve: one behind
        each run of pages."""
        data = root.child(PRODUCER).props[DATA]
        record = struct.unpack("<Q", data)[0]
        nr_items = struct.unpack("<I", self.ram.get(record + 8, 4))[0]
        spares = []
        for i in range(nr_items):
            kind, _, pages, phys = struct.unpack(
                "<IIQQ", self.ram.get(record + 16 + 48 * i, 24))
            if kind == 1:
                spares.append(phys + pages * PAGE)
        return spares

    def fdt(self):
        return parse_fdt(self.ram.page(self.fdt_phys))

    def put_fdt(self, root):
        self.ram.put(self.fdt_phys, build_fdt(root))

    def fdt_header(self):
        return fdt_header(self.ram.page(self.fdt_phys))

    def passed_at(self):
        """Where the image has the payload of setup_data, struct kho_data."""
        passed = struct.pack("<QQQ", self.fdt_phys, PAGE, self.scratch_phys)
        for at in self.image.find(passed):
            if self.image.get(at - 8, 8) == struct.pack("<II", 10, 32):
                return at
        raise ValueError("no setup_data of KHO in the image")

    def put_passed(self, **fields):
        at = self.passed_at()
        self.image.disarm()
        for name, value in fields.items():
            self.image.put(at + 8 * PASSED.index(name), struct.pack("<Q", value))

    def scratch(self):
        """[(address, size), ...] of the scratch areas."""
        size = struct.unpack("<Q", self.image.get(self.passed_at() + 24, 8))[0]
        return list(struct.iter_unpack("<QQ", self.image.get(self.scratch_phys, size)))

    def put_scratch(self, areas):
        self.image.disarm()
        self.image.put(self.scratch_phys,
                       b"".join(struct.pack("<QQ", *area) for area in areas))

    def places(self):
        """Where no node can be, and nothing that is preserved."""
        return {
            "past-ram": self.ram.size,
            "far": 1 << 45,
            "top": (1 << 64) - PAGE,
            "hole": 0xb0000,        # of the first MiB, not RAM
            "low": 0x90000,         # the kernel keeps it to itself
            "scratch": self.scratch()[0][0] + (1 << 20),
            "in-fdt": self.fdt_phys,
        }

    #
    # The checksum: 0, or bit 32 and the CRC32C of the FDT, with 0 for its own
    # value, and of each node in the order of a walk: of 64 bits that tell which lines
    # of 64 bytes are not all zero, and of those
    #

    def checksum_at(self):
        """Offset of its value in the page and its size, or None."""
        page = self.ram.page(self.fdt_phys)
        value = parse_fdt(page).props.get(CHECKSUM_PROP)
        if value is None:
            return None
        header = fdt_header(page)
        strings = page[header["off_dt_strings"]:][:header["size_dt_strings"]]
        name = (b"\0" + strings).index(b"\0" + CHECKSUM_PROP.encode() + b"\0")
        prop = struct.pack(">3I", PROP, len(value), name) + value
        return page.index(prop) + 12, len(value)

    def checksum(self, at):
        page = bytearray(self.ram.page(self.fdt_phys))
        page[at:at + 8] = bytes(8)
        crc = crc32c(0xffffffff, page[:self.fdt_header()["totalsize"]])
        for phys, _, _ in self.tree.nodes():
            page = self.ram.page(phys)
            lines = [page[i:i + 64] for i in range(0, PAGE, 64)]
            bits = sum(1 << i for i, line in enumerate(lines) if any(line))
            crc = crc32c(crc, struct.pack("<Q", bits) + b"".join(filter(any, lines)))
        return 1 << 32 | crc ^ 0xffffffff

    def seal(self):
        """Make the checksum, if there is one, that of what is there now."""
        try:
            where = self.checksum_at()
        except (ValueError, struct.error, IndexError):
            # It is damaged in place.
            where = self.checksum_was_at
        if where and where[1] == 8:
            self.ram.put_u64(self.fdt_phys + where[0], self.checksum(where[0]))
