# SPDX-License-Identifier: GPL-2.0-only
"""
The kinds of damage, and what the next kernel is expected to say.

An expectation is a regular expression for a part of the line that refuses the
handover. ADDR in it stands for the address that the damage returns.
"""

import os
import random
import re

from handover import COMPATIBLE, MEMORY_MAP, PRODUCER

FDT = "root FDT"
FDT_AT = "FDT .*ADDR"
FDT_SIZE = "FDT of .* bytes"
COMPAT = f"root FDT.*{COMPATIBLE}"
MAP = f"root FDT.*{MEMORY_MAP}"
SUBTREE = f"(subtree|root FDT).*{PRODUCER}"
NODE = "(node|root) .*ADDR"
ANY_NODE = "(node|root) .*0x"
NR_NODES = "[0-9] .*nodes"
BLOCK = "block .*ADDR"
ANY_BLOCK = "(block|key) .*0x"
KEY = "key ADDR"
ARRAY = "scratch array"
ARRAY_OR_AREA = "scratch (array|area)"
ARRAY_AT = "scratch array .*ADDR"
AREA = "scratch area"
AREA_1 = "scratch areas? (0 and )?1\\b"
CHECKSUM = "checksum"
ANYTHING = ""
# It is no damage, and whether it is one is left to chance.
TAKEN, EITHER = "taken over", "either"

KINDS = {}

seed = int(os.environ.get("KHO_SEED", random.getrandbits(32)))
rng = random.Random(seed)


class Kind:
    """One kind of damage: a function of a Handover."""

    def __init__(self, group, expected, sealed, function):
        self.group = group
        self.expected = expected
        self.sealed = sealed
        self.damage = function


def kind(group, name, expected, sealed=True):
    """Decorates the function. If sealed, the checksum fits afterwards: another
    check has to find the damage."""
    def decorator(function):
        if name in KINDS:
            raise ValueError(f"two kinds are called {name}")
        KINDS[name] = Kind(group, expected, sealed, function)
        return function
    return decorator


def kinds(group, expected, table, sealed=True):
    """The same for several, with {name: further argument or arguments}."""
    def decorator(function):
        for name, args in table.items():
            args = args if isinstance(args, tuple) else (args,)
            kind(group, name, expected, sealed)(
                lambda handover, args=args: function(handover, *args))
        return function
    return decorator


def damage(handover, name):
    """Damage it, and return the expectation. Prints what is left to chance."""
    what = KINDS[name]
    if what.group == "checksum" and not handover.checksum_was_at:
        raise ValueError("the root FDT has no checksum")
    print(f"note {name}: KHO_SEED={seed}")
    named = what.damage(handover)
    if what.sealed:
        handover.seal()
    if named is None:
        return what.expected
    return what.expected.replace("ADDR", f"0x0*{named:x}\\b")


def judge(expected, refusals):
    """Return whether refusals are as expected, and all of them in one line."""
    said = "; ".join(refusals) or TAKEN
    if expected == EITHER:
        return len(refusals) <= 1, said
    if expected == TAKEN:
        return not refusals, said
    return len(refusals) == 1 and re.search(expected, said) is not None, said
