# SPDX-License-Identifier: GPL-2.0-only
"""
What one kernel tells the next of clocks, in the RAM of a guest that pauses before its kexec: the
blob of the subtree "kholts-boot", struct kho_boot. Nothing that is wrong with it makes the next
kernel refuse the handover, so this is apart from the kinds of damage.
"""

import struct

from handover import DATA, SIZE, crc32c, parse_fdt

SUBTREE = "kholts-boot"
FORMAT = "<IIQQQQQI12s12s"
FIELDS = ("version", "crc32c", "reboot", "jump", "tsc", "apic", "loops", "cpu", "vendor",
          "hypervisor")
ONES = (1 << 64) - 1
CHANGES = {
    "zero": lambda value: 0,
    "ones": lambda value: ONES,
    "half": lambda value: value // 2,
    "double": lambda value: value * 2,
    "other": lambda value: value + 1,
}


def checksum(values):
    data = struct.pack(FORMAT, *{**values, "crc32c": 0}.values())
    return crc32c(0xffffffff, data) ^ 0xffffffff


def change(ram, fdt_phys, kind):
    """KIND is FIELD-CHANGE, or "flip" for a bit that the checksum shows; "fine" is none."""
    props = parse_fdt(ram.page(fdt_phys)).child(SUBTREE).props
    phys, size = (struct.unpack("<Q", props[name])[0] for name in (DATA, SIZE))
    if size != struct.calcsize(FORMAT):
        raise ValueError(f"{SUBTREE} has {size} bytes")
    values = dict(zip(FIELDS, struct.unpack(FORMAT, ram.get(phys, size))))
    if values["crc32c"] != checksum(values):
        raise ValueError(f"{SUBTREE} has a wrong checksum")
    print("note", {name: values[name] for name in ("tsc", "apic", "loops")})

    if kind == "flip":
        values["tsc"] ^= 1 << 10
    elif kind != "fine":
        field, how = kind.split("-")
        values[field] = CHANGES[how](values[field])
        # In keeping with it, so that another clock has to tell.
        if field == "tsc" and how in ("half", "double"):
            values["loops"] = CHANGES[how](values["loops"])
        values["crc32c"] = checksum(values)
    ram.put(phys, struct.pack(FORMAT, *values.values()))
