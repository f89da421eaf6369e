# SPDX-License-Identifier: GPL-2.0-only
"""
Damage a handover in the RAM of a guest that pauses before its kexec.

python3 damage list GROUP       the kinds of damage in a group
python3 damage edit RAM ADDRESS... KIND
                                damage what is in the file RAM, and say what is
                                expected; with the addresses that kho_pause.c
                                prints
python3 damage boot RAM ADDRESS... KIND
                                change what is said of clocks; KIND is one of boot.py
python3 damage check LOG        whether the log of a test has what was expected
python3 damage replay PROGRAM [KIND...]
                                try all kinds in user space, or these: PROGRAM is
                                that of tools/testing/kho/damage

With KHO_SEED=NUMBER what is random is the same again.
"""

import re
import sys

# Those that are not used here have kinds of damage.
import boot
import chance
import checksum
import fdt
import keys
import nodes
import scratch
from handover import Handover, Ram
from kinds import KINDS, damage, judge
from replay import replay


def edit(path, addresses, name):
    handover = Handover(Ram(path), *(int(word, 16) for word in addresses))
    print(f"damage {name} expects {damage(handover, name)}")


def check(path):
    results = []
    with open(path, encoding="utf-8", errors="replace") as log:
        for line in log:
            if found := re.search(r"khotest: damage (\S+) expects (.*)", line):
                results.append((*found.groups(), []))
            elif results and (found := re.search(r"kho: handover refused: (.*)", line)):
                results[-1][2].append(found.group(1))
    for name, expected, refusals in results:
        as_expected, said = judge(expected, refusals)
        print(f"ok {name}: {said}" if as_expected else
              f"not ok {name}: expected {expected}, got {said}")


def main(command="", *args):
    if command == "list" and len(args) == 1:
        print(*(name for name, kind in KINDS.items() if kind.group == args[0]))
    elif command == "edit" and len(args) > 2:
        edit(args[0], args[1:-1], args[-1])
    elif command == "boot" and len(args) > 2:
        boot.change(Ram(args[0]), int(args[1], 16), args[-1])
    elif command == "check" and len(args) == 1:
        check(args[0])
    elif command == "replay" and args:
        sys.exit(0 if replay(args[0], args[1:]) else 1)
    else:
        sys.exit(__doc__.strip())


main(*sys.argv[1:])
