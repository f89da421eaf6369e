#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
#
# repack.py BZIMAGE FORMAT OUTPUT
#
# Compress the payload of a bzImage that has been made with gzip in another way: xz, zstd,
# lz4, or gzip again. It goes to the end of the file, and the header points to it, so that a
# loader that takes it out uses it. The decompressor in the bzImage goes on with the old one.
# With FORMAT none it points to something that is in no format at all. These are gzip with
# a correct checksum:
#
#	novmlinux	that is something else than a kernel
#	badreloc	with a relocation outside of the kernel
#	morelists	with one list of relocations more

import gzip
import struct
import subprocess
import sys

SETUP_SECTS = 0x1F1
PAYLOAD_OFFSET = 0x248

# As scripts/Makefile.lib has it.
COMMANDS = {
    "gzip": ["gzip", "-n", "-9"],
    "xz": ["xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB,preset=1"],
    "zstd": ["zstd", "-q", "-6", "-c"],
    "lz4": ["lz4", "-l", "-9", "-q", "-", "-"],
    "none": ["head", "-c", "0"],
}

# What makes something else of vmlinux, of which the last word is a relocation.
CHANGES = {
    "novmlinux": lambda vmlinux: vmlinux[4096:],
    "badreloc": lambda vmlinux: vmlinux[:-4] + struct.pack("<I", 0xfffffff0),
    "morelists": lambda vmlinux: vmlinux + struct.pack("<I", 0),
}


def main():
    source, kind, target = sys.argv[1:]
    with open(source, "rb") as file:
        image = bytearray(file.read())

    setup = (image[SETUP_SECTS] + 1) * 512
    offset, length = struct.unpack_from("<II", image, PAYLOAD_OFFSET)
    payload = image[setup + offset:setup + offset + length]
    vmlinux = gzip.decompress(payload)

    if kind in CHANGES:
        vmlinux = CHANGES[kind](vmlinux)
        kind = "gzip"
    packed = subprocess.run(COMMANDS[kind], input=vmlinux, stdout=subprocess.PIPE,
                            check=True).stdout
    if kind == "none":
        packed = b"no format"
    if kind != "gzip":
        packed += struct.pack("<I", len(vmlinux))

    struct.pack_into("<II", image, PAYLOAD_OFFSET, len(image) - setup, len(packed))
    with open(target, "wb") as file:
        file.write(image + packed)


main()
