#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""vm.py LUOCTL DIRECTORY LUO_VM HASTY_LUO_VM

HASTY_LUO_VM is the same, but waits no longer than some seconds for QEMU.

Try luo-vm with QEMU, with the kernel that keeper.py makes up. The machine has a boot sector
that counts in a register, and shows in memory how far it is. Prints "ok WHAT" and "not ok
WHAT", or "1..0 # SKIP WHY".
"""
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
import time

import keeper
from keeper import DIR, check, check_eq, eventually, die, kept, luoctl

LUO_VM, HASTY_LUO_VM = os.path.abspath(sys.argv[3]), os.path.abspath(sys.argv[4])
QEMU = "qemu-system-x86_64"
# Where the boot sector has its number.
COUNTER = 0x8000

# xor eax, eax; mov ds, ax; mov dword [COUNTER + 4], MAGIC
# again: inc eax; mov [COUNTER], eax; sti; hlt; jmp again
CODE = bytes.fromhex("6631c08ed8" "66c70604806c756f21" "6640" "66a30080" "fb" "f4" "ebf6")
MAGIC = b"luo!"


class Machine:
    def __init__(self, *options, memory=("ram=32M",), name="vm", qemu=QEMU,
                 luo_vm=None, disk="disk"):
        memory = [word for one in memory for word in ("--memfd", one)]
        self.log = open(DIR + "/vm.log", "a+")
        self.log.seek(0, os.SEEK_END)
        self.from_here = self.log.tell()
        self.process = subprocess.Popen(
            [luo_vm or LUO_VM, name, *memory, "--", qemu, "-accel", "tcg", "-machine",
             "q35,memory-backend=ram", "-m", "32M", "-nodefaults", "-display", "none",
             "-no-reboot", "-drive", f"file={DIR}/{disk},format=raw,if=ide", *options],
            env=keeper.environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def said(self):
        self.log.seek(self.from_here)
        return self.log.read()

    def says(self, what, text):
        check(f"{what}: it says {text!r}", eventually(lambda: text in self.said(), 60),
              repr(self.said()))

    def memory(self):
        """Paths of its memory, and of its state."""
        fds = f"/proc/{self.process.pid}/fd/"
        return [fds + fd for fd in os.listdir(fds)
                if os.readlink(fds + fd).startswith("/memfd:")]

    def count(self):
        """The number in its memory."""
        for path in self.memory():
            with open(path, "rb") as file:
                file.seek(COUNTER)
                data = file.read(8)
                if data[4:] == MAGIC:
                    return struct.unpack("<I", data[:4])[0]
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


def qemu_of(machine):
    with open(f"/proc/{machine.process.pid}/task/{machine.process.pid}/children") as file:
        return int(file.read())


def kill_all(machine):
    qemu = qemu_of(machine)
    die(machine.process)
    os.kill(qemu, 9)
    time.sleep(0.5)


def connections(machine):
    """Sockets of QEMU that are such as the keeper has."""
    with open("/proc/net/unix") as file:
        packets = {line.split()[6] for line in file if line.split()[4] == "0005"}
    fds = f"/proc/{qemu_of(machine)}/fd/"
    links = [os.readlink(fds + fd) for fd in os.listdir(fds)]
    return [link for link in links if link.startswith("socket:[") and link[8:-1] in packets]


restart = None


def dies_at(key, service):
    """Have the keeper die when it tells the service manager of the state. It starts again."""
    global restart

    def run():
        restart.dead = service.wait()
        restart.service = keeper.start_keeper()

    keeper.manager.kill_on = (key, "/vm/state", service)
    restart = threading.Thread(target=run)
    restart.start()
    return None


def restarted():
    restart.join(60)
    check("the keeper was started again", not restart.is_alive() and restart.dead == -9)
    return restart.service


def two_backends(service):
    """A machine with memory in two backends goes on with both. Returns the keeper that runs."""
    options = ("-m", "32M,slots=1,maxmem=128M", "-device", "pc-dimm,memdev=more,id=more")
    kwargs = {"memory": ("ram=32M", "more=16M")}
    mark = os.urandom(1 << 20)
    machine = Machine(*options, **kwargs)
    check("two backends: it counts", machine.counts_beyond(5))
    check_eq("two backends: both are kept", ["more", "ram"], state_kept())
    for path in machine.memory():
        if os.stat(path).st_size == 16 << 20:
            with open(path, "r+b") as file:
                file.seek(8 << 20)
                file.write(mark)
    for what in "a kexec", "a resume that fails", "another kexec":
        before = machine.count()
        check_eq(f"two backends: stopped before {what}", 0, machine.stop())
        check_eq("two backends: both are kept", ["more", "ram", "state"], state_kept())
        if what == "a resume that fails":
            failed = Machine(*options, qemu=DIR + "/dies", **kwargs)
            failed.says("two backends", "it can be tried again")
            check_eq("two backends: it does not start", 1, failed.process.wait(60))
            check_eq("two backends: without one", 1, Machine().process.wait(60))
            # The keeper is started again in between.
            die(service)
            service = keeper.start_keeper()
        else:
            keeper.kexec_after(service)
            service = keeper.start_keeper()
        machine = Machine(*options, **kwargs)
        machine.says(f"two backends after {what}", "goes on")
        check(f"two backends after {what}: it has gone on", machine.counts_beyond(before) and
              before < machine.count() < before + 5000)
        found = False
        for path in machine.memory():
            with open(path, "rb") as file:
                file.seek(8 << 20)
                found = found or file.read(len(mark)) == mark
        check(f"two backends after {what}: the second one is the same", found)
    before = machine.count()
    check_eq("two backends: stopped", 0, machine.stop())

    # It is left stopped while another one runs and goes on.
    check_eq("two backends: without one", 1, Machine().process.wait(60))
    shutil.copyfile(DIR + "/disk", DIR + "/disk2")
    other = Machine(name="other", disk="disk2")
    check("another machine: it counts", other.counts_beyond(5))
    first = other.count()
    check_eq("another machine: stopped", 0, other.stop())
    keeper.kexec_after(service)
    service = keeper.start_keeper()
    other = Machine(name="other", disk="disk2")
    check("another machine: it goes on", other.counts_beyond(first))
    check_eq("the one that is stopped is kept", ["more", "ram", "state"], state_kept())
    machine = Machine(*options, **kwargs)
    machine.says("it is started later", "goes on")
    check("it is started later: it goes on", machine.counts_beyond(before))
    for one, name in (machine, "vm"), (other, "other"):
        check_eq(f"{name}: stopped", 0, one.stop())
        check_eq(f"{name}: drop it", 0, luoctl("drop", "--kept", name).returncode)
    return service


# In place of QEMU: its monitor only. What it does is in a file, and what it was told in another.
STUB = """#!/usr/bin/env python3
import json, os, socket, sys, time
told = open(DIR + "/told", "a")
fd = [arg for arg in sys.argv if arg.startswith("socket,id=luo-vm,")][0].split("fd=")[1]
sock = socket.socket(fileno=int(fd))
lines = sock.makefile("r")
def say(what):
    sock.send(json.dumps(what).encode() + b"\\r\\n")
say({"QMP": {}})
status = []
for line in lines:
    request = json.loads(line.replace("'", '"'))
    command = request["execute"]
    with open(DIR + "/does") as file:
        does = json.load(file).get(command)
    print(command, does or "", file=told, flush=True)
    if does == "die":
        sys.exit(1)
    if does == "hang":
        time.sleep(1000)
    reply = {"return": {}, "id": request["id"]}
    if command == "migrate":
        with open(request["arguments"]["uri"].removeprefix("file:"), "r+b") as state:
            state.write(b"QEVM" + bytes(1000))
        status = [does or "completed"]
    if command == "migrate-incoming":
        status = ["completed"]
    if command == "migrate_cancel" and status[0] == "active":
        status = ["cancelling", "cancelling", "cancelled"]
    if command == "query-migrate":
        reply["return"]["status"] = status[0]
        status = status[1:] or status
    if does == "error" or command == "cont" and status and status[0] in ("active", "cancelling"):
        del reply["return"]
        reply["error"] = {"class": "GenericError", "desc": "the stub has failed"}
        print("error", file=told, flush=True)
    say(reply)
    if command == "quit":
        sys.exit(0)
"""


def stub(**does):
    """A machine of it."""
    with open(DIR + "/stub", "w") as file:
        file.write(STUB.replace("DIR", repr(DIR), 1).replace("DIR", repr(DIR)))
    os.chmod(DIR + "/stub", 0o755)
    stub_does(**does)
    return Machine(qemu=DIR + "/stub", luo_vm=HASTY_LUO_VM)


def stub_does(**does):
    with open(DIR + "/told", "w"):
        pass
    with open(DIR + "/does.new", "w") as file:
        json.dump({key.replace("migrate_incoming", "migrate-incoming"): value
                   for key, value in does.items()}, file)
    os.rename(DIR + "/does.new", DIR + "/does")


def told():
    with open(DIR + "/told") as file:
        return file.read().split("\n")[:-1]


def failing_qemu():
    """QEMU fails when it is told to pause, or to go on."""
    machine = stub()
    machine.says("a stub", "starts anew")
    check_eq("a stub: stopped", 0, machine.stop())
    check_eq("a stub: memory and state are kept", ["ram", "state"], state_kept())

    # It says that it does not go on, once: then it can be tried again.
    for what, does in (("it does not take the state", {"migrate_incoming": "error"}),
                       ("it does not go on", {"cont": "error"})):
        machine = stub(**does)
        machine.says(what, "it can be tried again")
        check_eq(f"{what}: it does not start", 1, machine.process.wait(60))
        check_eq(f"{what}: memory and state are kept", ["ram", "state"], state_kept())
    machine = stub()
    machine.says("the second time", "goes on")
    check_eq("the second time: stopped", 0, machine.stop())

    # It ends when it was told to go on, and may have.
    machine = stub(cont="die")
    machine.says("it ends", "is not used again")
    check_eq("it ends: exit status", 1, machine.process.wait(60))
    machine = stub()
    machine.says("after that", "it starts anew")
    check_eq("after that: stopped", 0, machine.stop())

    # It does not answer.
    machine = stub(cont="hang")
    machine.says("it does not answer", "is not known")
    check("it does not answer: it is left alone", eventually(lambda: state_kept() == ["ram"]) and
          machine.process.poll() is None)
    kill_all(machine)

    # The state cannot be saved.
    for status in "active", "failed":
        machine = stub()
        machine.says(f"migration is {status}", "starts anew")
        stub_does(migrate=status)
        machine.process.terminate()
        machine.says(f"migration is {status}", "told to shut down")
        commands = [line.split()[0] for line in told()]
        check(f"migration is {status}: it is cancelled before the machine goes on",
              "migrate_cancel" in commands and
              commands.index("migrate_cancel") < commands.index("cont"), commands)
        check(f"migration is {status}: it has gone on", "error" not in commands and
              commands[-2:] == ["cont", "system_powerdown"], commands)
        check_eq(f"migration is {status}: no state is kept", ["ram"], state_kept())
        stub_does()
        check_eq(f"migration is {status}: it can be stopped later", 0, machine.stop())
        check_eq("drop it", 0, luoctl("drop", "--kept", "vm").returncode)


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
    check_eq("QEMU has no connection to the keeper", [], connections(machine))
    before = stops("with another keeper", machine)

    # Its keeper dies before it has answered.
    for _ in range(2):
        service = dies_at("FDSTOREREMOVE", service)
        machine = goes_on("the keeper dies when the state is given up", before)
        service = restarted()
        service = dies_at("FDSTORE", service)
        before = stops("the keeper dies when the state is put", machine)
        service = restarted()
    machine = goes_on("after that", before)

    # It does not come back in time, and then has the state.
    keeper.manager.kill_on = ("FDSTORE", "/vm/state", service)
    machine.process.terminate()
    machine.says("no keeper any more", "told to shut down")
    before = machine.count()
    check("no keeper any more: it goes on", machine.counts_beyond(before))
    service = keeper.start_keeper()
    check_eq("the keeper has a state of another time", ["ram", "state"], state_kept())
    time.sleep(1.5)
    before = stops("with that", machine)
    machine = goes_on("with the right one", before)
    keeper.manager.kill_on = ("FDSTORE", "/vm/state", service)
    machine.process.terminate()
    machine.says("no keeper again", "told to shut down")
    kill_all(machine)
    service = keeper.start_keeper()
    check_eq("the keeper has a state of another time", ["ram", "state"], state_kept())
    machine = begins("it does not go on from there")
    machine.says("it does not go on from there", "has gone on since")
    before = stops("it does not go on from there", machine)

    # Files that the keeper has lost are put again.
    machine = goes_on("once more", before)
    die(service)
    keeper.manager.clear()
    service = keeper.start_keeper()
    check("its memory is put again", eventually(lambda: state_kept() == ["ram"]))
    before = stops("its memory is put again", machine)

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
    os.kill(qemu_of(machine), 9)
    check_eq("QEMU is killed", 1, machine.process.wait(60))
    check_eq("its memory is given up", [], state_kept())

    # luo-vm is killed, QEMU later.
    machine = begins("once more")
    qemu = qemu_of(machine)
    die(machine.process)
    second = Machine()
    second.says("while its QEMU runs", "in use by a process that has locked its memory")
    check_eq("while its QEMU runs: it does not start", 1, second.process.wait(60))
    die(service)
    service = keeper.start_keeper()
    second = Machine()
    check_eq("nor with another keeper", 1, second.process.wait(60))
    os.kill(qemu, 9)
    check_eq("its memory is there", ["ram"], state_kept())
    time.sleep(0.5)
    machine = begins("from the beginning")
    machine.says("from the beginning", "it starts anew")
    stops("at last", machine)
    check_eq("drop it", 0, luoctl("drop", "--kept", "vm").returncode)
    failing_qemu()
    die(two_backends(service))
    sys.exit(keeper.failed)


main()
