# SPDX-License-Identifier: GPL-2.0-only
"""
The RAM of a guest that pauses before its kexec, as damage.sh has it, but built here:
a handover of each kind of memory, and the image of the next kernel, which is loaded
and verified as kexec_file_load() and the purgatory of x86 do it.
"""

import hashlib
import random
import struct

from handover import (CHECKSUM_PROP, COMPATIBLE, DATA, MEMORY_MAP, PAGE,
                      PRODUCER, SIZE, Handover, Image, Node, Ram, Tree,
                      build_fdt, make_key)

MIB = 1 << 20
RAM_SIZE = 256 * MIB
RAM = [(PAGE, 0xa0000), (MIB, RAM_SIZE)]
# (address, size). The second one shares a block of MAX_ORDER_NR_PAGES with others.
AREAS = [(8 * MIB, 4 * MIB), (16 * MIB + 0x10000, 2 * MIB), (32 * MIB, 6 * MIB)]
# The image is in the last area.
PURGATORY, PARAMS, ARRAY, KERNEL = (AREAS[2][0] + i * MIB for i in range(4))
KERNEL_SIZE = 96 * PAGE
# What the next kernel has reserved when it looks at the handover.
USED = [(0, MIB), (PARAMS, PARAMS + 2 * PAGE), (KERNEL, KERNEL + KERNEL_SIZE)]

# As kernel/liveupdate/tests/kho_producer.c.
ITEM_FOLIO, ITEM_PAGES = 0, 1
FOLIO_ORDERS = range(13)
RUNS = (1, 3, 7, 61, 513, 1023)
SCATTERED = 300
MAX_NODES = 80

# In the pages of the image: struct boot_params, and what purgatory.c has.
SETUP_DATA = 0x250
SETUP_RNG_SEED, SETUP_KEXEC_KHO = 9, 10
DIGEST, REGIONS = 0x800, 0x1000
NR_REGIONS = 16


class PatchedRam(Ram):
    """What is written can be undone."""

    def __init__(self, path):
        super().__init__(path)
        self.before = {}

    def put(self, phys, data):
        for page in range(phys & -PAGE, min(phys + len(data), self.size), PAGE):
            if page not in self.before:
                self.before[page] = self.page(page)
        super().put(phys, data)

    def changed(self):
        return any(self.page(page) != data for page, data in self.before.items())

    def undo(self):
        for page, data in self.before.items():
            super().put(page, data)
        self.before = {}


class Guest:
    """Builds all of it in the file, and knows what kho_pause.c prints."""

    def __init__(self, path):
        with open(path, "wb") as file:
            file.truncate(RAM_SIZE)
        self.ram = PatchedRam(path)
        self.random = random.Random(1)
        # Blocks and runs are here, and single pages there.
        self.next_block = 64 * MIB
        self.next_page = AREAS[1][0] - 8 * PAGE

        # More pages for nodes than the tree needs, around the second scratch area first.
        nodes = [self.page() for _ in range(MAX_NODES)]
        self.tree = Tree(self.ram, nodes[0], nodes[:0:-1])
        self.fdt = self.page()
        record = self.preserve_items()
        self.preserve(self.fdt, 1)
        self.build_root_fdt(record)
        self.entry = self.load_image()
        # What is found at a wrong address looks good.
        self.ram.put(0x90000, self.array())

        self.handover().seal()
        self.ram.before = {}

    def handover(self):
        return Handover(self.ram, self.fdt, ARRAY, self.entry)

    #
    # What is preserved
    #

    def page(self):
        """One of those around the second scratch area, then some at 24 MiB."""
        page = self.next_page
        self.next_page += PAGE
        if self.next_page == AREAS[1][0]:
            self.next_page += AREAS[1][1]
        if self.next_page == sum(AREAS[1]) + 8 * PAGE:
            self.next_page = 24 * MIB
        return page

    def blocks(self, nr_pages, order):
        """So many pages, aligned, and at least one behind them is free."""
        size = PAGE << order
        phys = (self.next_block + size - 1) & -size
        self.next_block = phys + (nr_pages + 1) * PAGE
        return phys

    def preserve(self, phys, nr_pages):
        """A run of pages, in the largest blocks."""
        self.ram.put(phys, self.random.randbytes(nr_pages * PAGE))
        while nr_pages:
            align = (phys // PAGE & -(phys // PAGE)).bit_length() - 1
            order = min(align, nr_pages.bit_length() - 1)
            self.tree.flip_key(make_key(phys, order))
            phys += PAGE << order
            nr_pages -= 1 << order

    def preserve_items(self):
        items = []
        for order in FOLIO_ORDERS:
            phys = self.blocks(1 << order, order)
            self.preserve(phys, 1 << order)
            items.append((ITEM_FOLIO, order, 1 << order, phys))
        for nr_pages in RUNS:
            phys = self.blocks(nr_pages, 0)
            self.preserve(phys, nr_pages)
            items.append((ITEM_PAGES, 0, nr_pages, phys))
        for _ in range(SCATTERED):
            self.preserve(self.blocks(1, 0), 1)

        record = self.page()
        self.preserve(record, 1)
        self.ram.put(record, struct.pack("<QII", 0x3174736574686f6b, len(items), 1))
        for i, item in enumerate(items):
            self.ram.put(record + 16 + 48 * i, struct.pack("<IIQQ", *item) + bytes(24))
        return record

    def build_root_fdt(self, record):
        metadata = self.page()
        self.preserve(metadata, 1)
        root = Node("")
        root.props = {"compatible": f"{COMPATIBLE}\0".encode(),
                      MEMORY_MAP: struct.pack("<Q", self.tree.root),
                      CHECKSUM_PROP: bytes(8)}
        for name, phys, size in (("kexec-metadata", metadata, 73),
                                 (PRODUCER, record, 16 + 48 * 64)):
            child = Node(name)
            child.props = {DATA: struct.pack("<Q", phys),
                           SIZE: struct.pack("<Q", size)}
            root.children.append(child)
        self.ram.put(self.fdt, build_fdt(root))

    #
    # The image
    #

    @staticmethod
    def array():
        return b"".join(struct.pack("<QQ", *area) for area in AREAS)

    def segments(self):
        """{address: pages}, the purgatory last: it does not verify itself."""
        def data(kind, payload, next_data):
            return struct.pack("<QII", next_data, kind, len(payload)) + payload

        passed = struct.pack("<4Q", self.fdt, PAGE, ARRAY, len(self.array()))
        params = bytearray(2 * PAGE)
        for at, payload in ((SETUP_DATA, struct.pack("<Q", PARAMS + PAGE)),
                            (PAGE, data(SETUP_RNG_SEED, bytes(32), PARAMS + PAGE + 64)),
                            (PAGE + 64, data(SETUP_KEXEC_KHO, passed, 0))):
            params[at:at + len(payload)] = payload

        segments = {
            KERNEL: self.random.randbytes(KERNEL_SIZE),
            PARAMS: bytes(params),
            ARRAY: self.array().ljust(PAGE, b"\0"),
        }
        purgatory = bytearray(self.random.randbytes(0x800)).ljust(2 * PAGE, b"\0")
        digest = hashlib.sha256(b"".join(segments.values())).digest()
        purgatory[DIGEST:DIGEST + len(digest)] = digest
        for i, (start, pages) in enumerate(segments.items()):
            struct.pack_into("<QQ", purgatory, REGIONS + 16 * i, start, len(pages))
        return segments | {PURGATORY: bytes(purgatory)}

    def load_image(self):
        """Return the head of the list of pages, as struct kimage has it."""
        list_page = at = self.blocks(1, 0)
        for start, data in self.segments().items():
            self.ram.put_u64(at, start | 1)
            at += 8
            for offset in range(0, len(data), PAGE):
                # Some are where they belong, the others anywhere.
                source = start + offset if offset % (3 * PAGE) == 0 else self.blocks(1, 0)
                self.ram.put(source, data[offset:offset + PAGE])
                self.ram.put_u64(at, source | 8)
                at += 8
                if at % PAGE == PAGE - 8:
                    next_page = self.blocks(1, 0)
                    self.ram.put_u64(at, next_page | 2)
                    at = next_page
        self.ram.put_u64(at, 4)
        return list_page | 2

    #
    # From one kernel to the next
    #

    def kexec(self):
        """Start the image. Return what it is told: where the FDT is and how large, and
        where the array."""
        image = Image(self.ram, self.entry, ARRAY)
        digest = hashlib.sha256()
        for i in range(NR_REGIONS):
            start, size = struct.unpack("<QQ", image.get(PURGATORY + REGIONS + 16 * i, 16))
            digest.update(image.get(start, size))
        if digest.digest() != image.get(PURGATORY + DIGEST, 32):
            raise ValueError("the purgatory does not start this image")

        pages = {dest: self.ram.page(source) for dest, source in image.pages.items()}
        for dest, page in pages.items():
            self.ram.put(dest, page)

        at = self.ram.u64(PARAMS + SETUP_DATA)
        while at:
            next_data, kind, _ = struct.unpack("<QII", self.ram.get(at, 16))
            if kind == SETUP_KEXEC_KHO:
                return struct.unpack("<4Q", self.ram.get(at + 16, 32))
            at = next_data
        raise ValueError("the image is not told of a handover")
