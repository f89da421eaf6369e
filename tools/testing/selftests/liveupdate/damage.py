# SPDX-License-Identifier: GPL-2.0-only
"""
Damage sessions in the RAM of a guest that pauses before its kexec, or look at them.

python3 damage.py RAM FDT SCRATCH LIST WHAT...  as kho_pause.c prints it

WHAT is one of the kinds in luo_damage.c, or "memfds": each memfd of a session in the
way that its token says, see luo_memfd_damage.c; or "hugetlb": the same for memfds of
hugetlb, see luo_hugetlb.c; or "table": how many huge pages arrive. With "lists SESSIONS FILES" nothing is
damaged, but the lists must be of that many sessions and files in all, and each must be
as Linux 7.3 takes it.

The formats are those of include/linux/kho/abi/luo.h, block.h, memfd.h and hugetlb.h.
"""

import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../kho/damage"))

# pylint: disable=wrong-import-position
from handover import DATA, PAGE, Ram, build_fdt, parse_fdt

SESSION, FILE = 80, 64
COMPATIBLE = b"memfd-v2"
NOWHERE = 1 << 45
LOW = 0x90000       # RAM that the kernel keeps to itself
# Of struct memfd_luo_ser, with the struct kho_vmalloc at its end.
FIELDS = {
    "pos": (0, "<Q"), "size": (8, "<Q"), "seals": (16, "<I"), "flags": (20, "<I"),
    "nr": (24, "<Q"), "first": (32, "<Q"), "pages": (40, "<I"), "order": (46, "<H"),
}
HUGETLB = b"hugetlb-memfd-lts1"
# Of struct hugetlb_luo_ser, with two of struct kho_vmalloc at its end.
HUGETLB_FIELDS = {
    "size": (0, "<I"), "incompat": (4, "<I"), "seals": (8, "<I"), "order": (12, "<I"),
    "pos": (16, "<Q"), "length": (24, "<Q"), "nr": (32, "<Q"), "runs": (40, "<Q"),
    "first": (48, "<Q"), "pages": (56, "<I"), "chunk_order": (62, "<H"),
    "runs_first": (64, "<Q"), "runs_order": (78, "<H"),
}


def blocks(ram, block):
    """Address and number of entries of each block of a chain."""
    while block:
        following, count = struct.unpack("<QQ", ram.get(block, 16))
        yield block, count
        block = following


def entries(ram, first, size):
    """Addresses of the entries of a chain of blocks."""
    for block, count in blocks(ram, first):
        for i in range(count):
            yield block + 16 + i * size


class Memfd:
    """A file: where it is in the list of its session, and what that leads to."""

    fields = FIELDS

    def __init__(self, ram, at):
        self.ram = ram
        self.at = at
        self.ser = ram.u64(at + 48)
        self.how = ram.get(at + 56, 8).rstrip(b"\0").decode()
        self.chunk = self.get("first")
        self.list = ram.u64(self.chunk + 8)

    def get(self, field):
        offset, form = self.fields[field]
        return struct.unpack(form, self.ram.get(self.ser + offset, struct.calcsize(form)))[0]

    def put(self, field, value):
        offset, form = self.fields[field]
        self.ram.put(self.ser + offset, struct.pack(form, value))

    def pfn(self, nr=0):
        return self.ram.u64(self.list + 16 * nr) & (1 << 52) - 1

    def put_pfn(self, pfn, nr=0):
        marks = self.ram.u64(self.list + 16 * nr) & ~((1 << 52) - 1)
        self.ram.put_u64(self.list + 16 * nr, marks | pfn)


class HugetlbMemfd(Memfd):
    """The same for a file of hugetlb; its list of what it has reserved has one page."""

    fields = HUGETLB_FIELDS

    def runs(self):
        return self.ram.u64(self.get("runs_first") + 8)


def damage_hugetlb(ram, file, good):
    """Do what the token of the file says."""
    ways = {
        "size": lambda: file.put("size", 79),
        "incompat": lambda: file.put("incompat", 1),
        "seals": lambda: file.put("seals", 1 << 31),
        "order0": lambda: file.put("order", 0),
        "order5": lambda: file.put("order", 5),
        "order18": lambda: file.put("order", 18),
        "order60": lambda: file.put("order", 60),
        "pos": lambda: file.put("pos", 1 << 63),
        "length": lambda: file.put("length", 1 << 63),
        "many": lambda: file.put("nr", file.get("pages") * (PAGE // 16) + 1),
        "none": lambda: file.put("nr", 0),
        "pages": lambda: file.put("pages", (1 << 32) - 1),
        "first": lambda: file.put("first", NOWHERE),
        "chunk": lambda: file.put("chunk_order", 60),
        "runs": lambda: file.put("runs", PAGE // 16 + 1),
        "rorder": lambda: file.put("runs_order", 1),
        "rfirst": lambda: file.put("runs_first", NOWHERE),
        "pfn": lambda: ram.put_u64(file.list, ram.size // PAGE),
        "pfn0": lambda: ram.put_u64(file.list, 0),
        "pfnmax": lambda: ram.put_u64(file.list, (1 << 64) - 1),
        "pfntail": lambda: ram.put_u64(file.list, ram.u64(file.list) + 1),
        "pfntwice": lambda: ram.put_u64(file.list + 16, ram.u64(file.list)),
        "pfntaken": lambda: ram.put_u64(file.list, ram.u64(good.list)),
        "small": lambda: ram.put_u64(file.list, file.chunk // PAGE),
        "index": lambda: ram.put_u64(file.list + 8, 1 << 60),
        "again": lambda: ram.put_u64(file.list + 24, ram.u64(file.list + 8)),
        "run": lambda: ram.put_u64(file.runs() + 8, 1 << 62),
        "run0": lambda: ram.put_u64(file.runs() + 8, 0),
        "runpast": lambda: ram.put_u64(file.runs(), 1 << 62),
        "handler": lambda: ram.put(file.at, HUGETLB[:-1] + b"9"),
    }
    if file.how in ("before", "after"):
        return
    ways[file.how]()
    print(f"note {file.how} was done to the file at {file.ser:#x}")


def damage(ram, file, good):
    """Do what the token of the file says."""
    ways = {
        "nowhere": lambda: ram.put_u64(file.at + 48, NOWHERE),
        "odd": lambda: ram.put_u64(file.at + 48, file.ser + 8),
        "free": lambda: ram.put_u64(file.at + 48, LOW),
        "pos": lambda: file.put("pos", 1 << 63),
        "size": lambda: file.put("size", 1 << 63),
        "seals": lambda: file.put("seals", 1 << 31),
        "flags": lambda: file.put("flags", 1),
        "many": lambda: file.put("nr", file.get("pages") * (PAGE // 16) + 1),
        "none": lambda: file.put("nr", 0),
        "pages": lambda: file.put("pages", (1 << 32) - 1),
        "order": lambda: file.put("order", 60),
        "first": lambda: file.put("first", NOWHERE),
        "slot": lambda: ram.put_u64(file.chunk + 16, NOWHERE),
        "hole": lambda: ram.put_u64(file.chunk + 16, 0),
        "loop": lambda: ram.put_u64(file.chunk, file.chunk),
        "pfn": lambda: file.put_pfn(ram.size // PAGE),
        "pfn0": lambda: file.put_pfn(0),
        "pfntwice": lambda: file.put_pfn(file.pfn(), 1),
        "pfntaken": lambda: file.put_pfn(good.pfn()),
        "mark": lambda: ram.flip(file.list, 63),
        "index": lambda: ram.put_u64(file.list + 8, 1 << 60),
        "clean": lambda: ram.flip(file.list, 52),
        "stale": lambda: ram.flip(file.list, 53),
        "huge": lambda: ram.put_u64(file.list + 8, ram.u64(file.list + 8) + 1),
        "again": lambda: ram.put_u64(file.list + 24, ram.u64(file.list + 8)),
        "handler": lambda: ram.put(file.at, b"memfd-v9"),
    }
    if file.how in ("before", "after"):
        return
    ways[file.how]()
    print(f"note {file.how} was done to the file at {file.ser:#x}")


def damage_memfds(ram, luo, compatible, kind, how):
    files = [kind(ram, at) for session in entries(ram, ram.u64(luo + 16), SESSION)
             for at in entries(ram, ram.u64(session + 64), FILE)
             if ram.get(at, len(compatible) + 1) == compatible + b"\0"]
    good = next(file for file in files if file.how == "before")
    for file in files:
        how(ram, file, good)
    print(f"{'ok' if len(files) > 2 else 'not ok'} the host has damaged memfds")


def damage_table(ram, root):
    """Of huge pages that arrive: there are more than the machine has memory for."""
    table = struct.unpack("<Q", root.child("hugetlb-lts1").props[DATA])[0]
    ram.put_u64(table + 8 + 8, 1 << 40)
    print("ok the host has damaged the table of huge pages")


def old_regions(ram, root):
    """The list of reserve_mem regions, in a version in which the name of a node is a path:
    these are none."""
    regions = struct.unpack("<Q", root.child("memblock").props[DATA])[0]
    ram.put(regions, build_fdt(parse_fdt(ram.page(regions)), 15))


def damage_lists(ram, root, luo, kind):
    """The list of sessions, of the files of one, of what files share, or all of them; or that
    of reserve_mem regions."""
    sessions, flbs = ram.u64(luo + 16), ram.u64(luo + 24)
    victim = next(at for at in entries(ram, sessions, SESSION)
                  if ram.get(at, 7) == b"victim\0")
    files = ram.u64(victim + 64)
    first, second = list(entries(ram, files, FILE))[:2]

    ways = {
        "none": lambda: None,
        "regions-version": lambda: old_regions(ram, root),
        "luo-version": lambda: ram.put(luo, b"luo-v6"),
        "flbs-nowhere": lambda: ram.put_u64(luo + 24, NOWHERE),
        "flbs-odd": lambda: ram.put_u64(luo + 24, flbs + 8),
        "flbs-free": lambda: ram.put_u64(luo + 24, LOW),
        "flbs-pages": lambda: ram.put_u64(flbs, 2),
        "flbs-count": lambda: ram.put_u64(flbs + 8, (PAGE - 16) // 64 + 1),
        "flb-name": lambda: ram.put(flbs + 16, b"x" * 48),
        "flb-data": lambda: ram.put_u64(flbs + 16 + 48, NOWHERE),
        "sessions-nowhere": lambda: ram.put_u64(luo + 16, NOWHERE),
        "sessions-count": lambda: ram.put_u64(sessions + 8, (PAGE - 16) // SESSION + 1),
        "sessions-loop": lambda: ram.put_u64(sessions, sessions),
        "session-name": lambda: ram.put(victim, b"x" * 64),
        "session-twin": lambda: ram.put(victim, b"good".ljust(64, b"\0")),
        "session-files": lambda: ram.put_u64(victim + 64, NOWHERE),
        "session-count": lambda: ram.put_u64(victim + 72, ram.u64(victim + 72) - 1),
        "files-count": lambda: ram.put_u64(files + 8, (PAGE - 16) // FILE + 1),
        "files-loop": lambda: ram.put_u64(files, files),
        "file-token": lambda: ram.put_u64(second + 56, ram.u64(first + 56)),
        "file-handler": lambda: ram.put(second, b"luo-test-v9"),
        "file-data": lambda: ram.put_u64(second + 48, NOWHERE),
    }
    ways[kind]()
    print(f"ok the host has done {kind}")


def see_lists(ram, luo, nr_sessions, nr_files):
    """A list without entries is no block at all."""
    sessions = list(entries(ram, ram.u64(luo + 16), SESSION))
    heads = [ram.u64(luo + 16)] + [ram.u64(at + 64) for at in sessions]
    files = [at for head in heads[1:] for at in entries(ram, head, FILE)]
    counts = [count for head in heads for _, count in blocks(ram, head)]
    said = sum(ram.u64(at + 72) for at in sessions)

    def check(good, what):
        print(f"{'ok' if good else 'not ok'} handed over: {what}")

    check(len(sessions) == int(nr_sessions), f"{len(sessions)} sessions of {nr_sessions}")
    check(len(files) == said == int(nr_files), f"{len(files)} files of {nr_files}")
    check(0 not in counts, f"{counts.count(0)} of {len(counts)} blocks without entries")


def main(path, fdt, _scratch, _list, what, *args):
    ram = Ram(path)
    root = parse_fdt(ram.page(int(fdt, 16)))
    luo = struct.unpack("<Q", root.child("LUO").props[DATA])[0]
    if what == "memfds":
        damage_memfds(ram, luo, COMPATIBLE, Memfd, damage)
    elif what == "hugetlb":
        damage_memfds(ram, luo, HUGETLB, HugetlbMemfd, damage_hugetlb)
    elif what == "table":
        damage_table(ram, root)
    elif what == "lists":
        see_lists(ram, luo, *args)
    else:
        damage_lists(ram, root, luo, what)


main(*sys.argv[1:])
