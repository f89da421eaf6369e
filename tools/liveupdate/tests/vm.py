#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""vm.py LUOCTL DIRECTORY LUO_VM

Try luo-vm with QEMU, with the kernel that keeper.py makes up. The machine has a boot sector
that counts in a register, and shows in memory how far it is. Prints "ok WHAT" and "not ok
WHAT", or "1..0 # SKIP WHY".
"""
import os
import shutil
import struct
import subprocess
import sys
import time

import keeper
from keeper import DIR, check, check_eq, eventually, die, kept, luoctl

LUO_VM = os.path.abspath(sys.argv[3])
QEMU = "qemu-system-x86_64"
# Where the boot sector has its number.
COUNTER = 0x8000

# xor eax, eax; mov ds, ax; mov dword [COUNTER + 4], MAGIC
# again: inc eax; mov [COUNTER], eax; sti; hlt; jmp again
CODE = bytes.fromhex("6631c08ed8" "66c70604806c756f21" "6640" "66a30080" "fb" "f4" "ebf6")
MAGIC = b"luo!"


class Machine:
    def __init__(self, *options, memory=("ram=32M",), name="vm", qemu=QEMU):
        memory = [word for one in memory for word in ("--memfd", one)]
        self.log = open(DIR + "/vm.log", "a+")
        self.log.seek(0, os.SEEK_END)
        self.from_here = self.log.tell()
        self.process = subprocess.Popen(
            [LUO_VM, name, *memory, "--", qemu, "-accel", "tcg", "-machine",
             "q35,memory-backend=ram", "-m", "32M", "-nodefaults", "-display", "none",
             "-no-reboot", "-drive", f"file={DIR}/disk,format=raw,if=ide", *options],
            env=keeper.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def said(self):
        self.log.seek(self.from_here)
        return self.log.read()

    def says(self, what, text):
        check(f"{what}: it says {text!r}", eventually(lambda: text in self.said(), 60),
              repr(self.said()))

    def count(self):
        """The number in its memory."""
        pid = self.process.pid
        for fd in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{fd}").split()[0] in ("/memfd:ram", "/memfd:luo"):
                with open(f"/proc/{pid}/fd/{fd}", "rb") as file:
                    file.seek(COUNTER)
                    number, magic = struct.unpack("<I4s", file.read(8))
                    if magic == MAGIC:
                        return number
        return 0

    def counts_beyond(self, number):
        return eventually(lambda: self.process.poll() is None and self.count() > number, 60)

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def state_kept(name="vm"):
    return sorted(fd for _, of, fd in kept() if of == name)


def begins(what):
    machine = Machine()
    check(f"{what}: it counts", machine.counts_beyond(5))
    check(f"{what}: it has begun with 1", machine.count() < 1000, machine.count())
    return machine


def stops(what, machine):
    before = machine.count()
    check_eq(f"{what}: stopped", 0, machine.stop())
    check_eq(f"{what}: memory and state are kept", ["ram", "state"], state_kept())
    return before


def goes_on(what, before, **kwargs):
    machine = Machine(**kwargs)
    machine.says(what, "goes on")
    check(f"{what}: it counts", machine.counts_beyond(before))
    check(f"{what}: it has gone on", before < machine.count() < before + 5000,
          before, machine.count())
    check_eq(f"{what}: the state is given up", ["ram"], state_kept())
    return machine


def main():
    if not shutil.which(QEMU):
        print("1..0 # SKIP no QEMU")
        sys.exit(4)
    keeper.begin()
    with open(DIR + "/disk", "wb") as file:
        file.write(CODE.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))

    check_eq("without arguments", 2, subprocess.run([LUO_VM], stderr=subprocess.DEVNULL).returncode)
    check_eq("without a keeper", 1, Machine().process.wait(60))
    service = keeper.start_keeper()

    machine = begins("first start")
    check_eq("its memory is kept", ["ram"], state_kept())
    second = Machine()
    second.says("a second one", "in use by process")
    check_eq("a second one does not start", 1, second.process.wait(60))
    before = stops("first start", machine)
    machine = goes_on("started again", before)

    # Its keeper dies in between.
    die(service)
    service = keeper.start_keeper()
    time.sleep(1.5)
    second = Machine()
    check_eq("its claim is known to a new keeper", 1, second.process.wait(60))
    before = stops("with another keeper", machine)

    # The kernel does not.
    for i in range(2):
        keeper.kexec_after(service)
        service = keeper.start_keeper()
        machine = goes_on("after a kexec", before)
        before = stops("after a kexec", machine)

    # A start that fails.
    for what, words, kwargs in (
            ("a QEMU that ends", "it can be tried again", {"qemu": DIR + "/dies"}),
            ("no QEMU", "QEMU has not started", {"qemu": "/none"}),
            ("another size", "not 67108864: nothing was changed", {"memory": ("ram=64M",)}),
            ("more memory", "no memory more", {"memory": ("ram=32M", "more=4K")})):
        with open(DIR + "/dies", "w") as file:
            # One that is another machine, which it says late.
            file.write(f"#!/bin/sh\nexec {QEMU} \"$@\" -machine pc,memory-backend=ram\n")
        os.chmod(DIR + "/dies", 0o755)
        machine = Machine(**kwargs)
        machine.says(what, words)
        check_eq(f"{what}: it does not start", 1, machine.process.wait(60))
        check_eq(f"{what}: nothing is lost", ["ram", "state"], state_kept())
    machine = goes_on("after all that", before)

    # The state cannot be kept: it goes on, and is told to shut down, which it ignores.
    keeper.kernel.errors = {"preserve": 28}
    before = machine.count()
    machine.process.terminate()
    machine.says("no room for its state", "told to shut down")
    check("no room for its state: it goes on", machine.counts_beyond(before))
    keeper.kernel.errors = {}
    check_eq("no room for its state: it is not kept", ["ram"], state_kept())

    # QEMU is killed: there is nothing to go on with.
    with open(f"/proc/{machine.process.pid}/task/{machine.process.pid}/children") as file:
        os.kill(int(file.read()), 9)
    check_eq("QEMU is killed", 1, machine.process.wait(60))
    check_eq("its memory is given up", [], state_kept())

    # luo-vm is killed, QEMU later.
    machine = begins("once more")
    with open(f"/proc/{machine.process.pid}/task/{machine.process.pid}/children") as file:
        qemu = int(file.read())
    die(machine.process)
    second = Machine()
    second.says("while its QEMU runs", "in use by process")
    check_eq("while its QEMU runs: it does not start", 1, second.process.wait(60))
    os.kill(qemu, 9)
    check_eq("its memory is there", ["ram"], state_kept())
    time.sleep(0.5)
    machine = begins("from the beginning")
    machine.says("from the beginning", "it starts anew")
    stops("at last", machine)
    check_eq("drop it", 0, luoctl("drop", "--kept", "vm").returncode)
    die(service)
    sys.exit(keeper.failed)


main()
