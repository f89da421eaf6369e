#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""sample.py LUO_COUNTER DIRECTORY

Try samples/liveupdate/luo_counter.c with the kernel that keeper.py makes up. Prints "ok WHAT"
and "not ok WHAT".
"""
import errno
import os
import subprocess
import sys

import keeper
from keeper import check, check_eq, die

COUNTER = os.path.abspath(sys.argv[1])
kernel = None


def start():
    return subprocess.Popen([COUNTER, "test", "5"], env=keeper.environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def counts(what, last):
    """Have it count: it goes on after the number that it has reached."""
    process = start()
    first = int(process.stdout.readline() or -1)
    check_eq(f"{what}: the first number", last + 1, first)
    for i in range(20):
        check(f"{what}: the next number", int(process.stdout.readline() or -1) == first + i + 1)
    return process


def kexec(process):
    """Kexec in the middle of its work. Returns the number that it has reached."""
    process.send_signal(19)     # SIGSTOP
    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
    check("kexec", kernel.kexec())
    process.kill()
    lines = process.communicate()[0].split()
    with kernel.lock:
        fd = next((s.files[1] for s in kernel.incoming.values()), None)
        number = int.from_bytes(os.pread(fd, 8, 8), sys.byteorder)
    check("each number is there", not lines or number - int(lines[-1]) in (0, 1), number, lines)
    return number


def fails(what, text):
    process = start()
    status = process.wait(60)
    said = process.stderr.read()
    check(f"{what}: it fails, and says why", status == 1 and text in said, status, said)


def main():
    global kernel
    keeper.begin()
    kernel = keeper.kernel
    check_eq("without arguments", 2,
             subprocess.run([COUNTER], stderr=subprocess.DEVNULL).returncode)
    process = counts("the first kernel", 0)
    for what in "the second kernel", "the third kernel":
        last = kexec(process)
        process = counts(what, last)

    # An error, and then none.
    for verb in "retrieve", "retrieve_fd", "create", "preserve", "finish":
        last = kexec(process)
        kernel.errors = {verb: errno.ENOMEM}
        fails(f"{verb} fails", os.strerror(errno.ENOMEM))
        kernel.errors = {}
        process = counts(f"after {verb} has failed", last)

    # It dies in any step.
    for after in False, True:
        for step in range(1, 16):
            last = kexec(process)
            kernel.nr_ops, kernel.kill_at, kernel.kill_after = 0, step, after
            if step > 6:
                break
            check_eq(f"killed in step {step}", -9, start().wait(60))
            # What was finished is in a session that has ended with the program.
            finished = after and step == 6
            process = counts(f"after it was killed in step {step}", 0 if finished else last)
        kernel.kill_at = None
        process = counts("after all that", last)

    last = kexec(process)
    kernel.damaged = {"test"}
    fails("what arrives is damaged", os.strerror(errno.EBADMSG))
    kernel.damaged = set()
    process = counts("at last", last)
    die(process)
    sys.exit(keeper.failed)


main()
