# SPDX-License-Identifier: GPL-2.0-only
"""
Try kinds of damage on the code of the kernel in a program of user space, which is
tools/testing/kho/damage/replay.c. There is no kind that only guests can try.
"""

import contextlib
import io
import re
import subprocess
import tempfile

from guest import RAM, USED, Guest
from kinds import EITHER, KINDS, TAKEN, damage, judge, rng, seed

# How often kinds are tried that are a matter of chance.
ROUNDS_RANDOM = 300
ROUNDS_CHANCE = 20


class Program:
    """The running program, and the guest whose RAM it reads."""

    def __init__(self, command, ram_path):
        self.guest = Guest(ram_path)
        self.process = subprocess.Popen(
            [command, ram_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", bufsize=1)
        for word, ranges in (("ram", RAM), ("used", USED)):
            for start, end in ranges:
                self.process.stdin.write(f"{word} {start:x} {end:x}\n")
        args = " ".join(f"{number:x}" for number in self.guest.kexec())
        self.process.stdin.write(f"sender {args}\n")
        # Before there is any damage.
        lines, status = self.boot()
        self.guest.ram.undo()
        if status != 0:
            raise RuntimeError("\n".join(lines))

    def boot(self):
        """Return what was said, and a status that is not 0 if that is not right."""
        args = " ".join(f"{number:x}" for number in self.guest.kexec())
        self.process.stdin.write(f"boot {args}\n")
        lines = []
        for line in self.process.stdout:
            if found := re.fullmatch(r"end (\d+)\n", line):
                return lines, int(found.group(1))
            lines.append(line.rstrip())
        return lines, "of the program that ended"


def problem_of(kind, status, lines, changed):
    """What is wrong whatever the kernel says, or None."""
    taken = any(line.startswith("kho: took over ") for line in lines)
    refused = any(line.startswith("kho: handover refused: ") for line in lines)
    if status != 0:
        return f"status {status}"
    if taken == refused:
        return "neither taken over nor refused"
    if kind.expected not in (TAKEN, EITHER) and not changed:
        return "nothing is changed"
    return None


def one_round(program, name):
    """Return (as expected, what was said, details)."""
    guest = program.guest
    notes = io.StringIO()
    try:
        with contextlib.redirect_stdout(notes):
            expected = damage(guest.handover(), name)
        changed = guest.ram.changed()
        lines, status = program.boot()
    except Exception as err:    # pylint: disable=broad-except # whatever it is
        return False, f"cannot be tried: {err!r}", notes.getvalue().splitlines()
    finally:
        guest.ram.undo()

    refusals = [found.group(1) for line in lines
                if (found := re.match(r"kho: handover refused: (.*)", line))]
    as_expected, said = judge(expected, refusals)
    problem = problem_of(KINDS[name], status, lines, changed)
    if problem or not as_expected:
        said = f"{problem or 'unexpected'}: expected {expected}, got {said}"
    return as_expected and not problem, said, notes.getvalue().splitlines() + lines


def one_kind(program, name):
    """Print what became of it. Return [nr_refused, nr_taken], or None if it failed."""
    nr_rounds = nr = nr_taken = 0
    said = ""
    while nr == 0 or nr < nr_rounds:
        # Each round can be had again, with whatever other kinds.
        rng.seed(f"{seed} {name} {nr}")
        state = rng.getstate()
        as_expected, said, details = one_round(program, name)
        if not as_expected:
            print(f"not ok {name}: round {nr} of KHO_SEED={seed}: {said}")
            print(*(f"  {line}" for line in details), sep="\n")
            return None
        if rng.getstate() != state:
            nr_rounds = ROUNDS_RANDOM if name == "random" else ROUNDS_CHANCE
        nr_taken += said == TAKEN
        nr += 1
    if nr > 1:
        said = f"{nr} times, {nr - nr_taken} refused, the last one: {said}"
    print(f"ok {name}: {said}")
    return nr - nr_taken, nr_taken


def replay(command, names):
    """Return whether all is as expected."""
    print(f"KHO_SEED={seed}")
    with tempfile.NamedTemporaryFile(prefix="kho-damage-") as ram:
        program = Program(command, ram.name)
        results = [result for name in names or KINDS
                   if (result := one_kind(program, name))]
        program.process.stdin.close()
        program.process.wait()

    nr_kinds = len(names or KINDS)
    print(f"{len(results)} of {nr_kinds} kinds of damage as expected: "
          f"{sum(result[0] for result in results)} handovers refused, "
          f"{sum(result[1] for result in results)} taken over")
    return len(results) == nr_kinds
