# SPDX-License-Identifier: GPL-2.0-only
"""Damage to the array of scratch areas, and to what tells where all of it is."""

from handover import PAGE
from kinds import (AREA, AREA_1, ARRAY, ARRAY_AT, ARRAY_OR_AREA, BLOCK, FDT,
                   FDT_AT, FDT_SIZE, NODE, kind, kinds, rng)


@kinds("scratch", AREA_1, {
    "area-unaligned": lambda addr, size: (addr + 0x800, size),
    "area-odd": lambda addr, size: (addr, size + 1),
    "area-wraps": lambda addr, size: (addr, 2**64 - PAGE),
    "area-far": lambda addr, size: (addr + 2**45, size),
})
def change_area(handover, function):
    areas = handover.scratch()
    areas[1] = function(*areas[1])
    handover.put_scratch(areas)


@kind("scratch", "area-past-ram", AREA)
def area_past_ram(handover):
    """The last one: otherwise it overlaps another one, too."""
    areas = handover.scratch()
    areas[-1] = (areas[-1][0], 2**45)
    handover.put_scratch(areas)


@kind("scratch", "areas-overlap", AREA_1)
def areas_overlap(handover):
    areas = handover.scratch()
    areas[1] = (areas[0][0] + PAGE, 2 * PAGE)
    handover.put_scratch(areas)


@kind("scratch", "areas-of-garbage", AREA)
def areas_of_garbage(handover):
    handover.put_scratch([(rng.getrandbits(64), rng.getrandbits(64))
                          for _ in handover.scratch()])


@kind("scratch", "areas-of-0", ARRAY_OR_AREA)
def areas_of_0(handover):
    handover.put_scratch([(0, 0) for _ in handover.scratch()])


@kinds("scratch", FDT_AT, {"area-on-fdt": lambda h: (h.fdt_phys, 0)})
@kinds("scratch", BLOCK, {"area-on-block": lambda h: h.tree.largest()})
@kinds("scratch", NODE, {"area-on-root": lambda h: (h.tree.root, 0)})
def area_on_block(handover, function):
    """Instead of the first area: the image, and the array, are in the last."""
    phys, order = function(handover)
    areas = handover.scratch()
    areas[0] = (phys, PAGE << order)
    handover.put_scratch(areas)
    return phys


#
# What kexec passes: where the FDT and the array are
#

@kinds("scratch", FDT_AT, {"fdt-past-ram": "past-ram"})
@kinds("scratch", FDT, {"fdt-low": "low", "fdt-scratch": "scratch"})
def wild_fdt(handover, place):
    phys = handover.places()[place]
    handover.put_passed(fdt_addr=phys)
    return phys


@kind("scratch", "fdt-unaligned", FDT_AT)
def unaligned_fdt(handover):
    handover.put_passed(fdt_addr=handover.fdt_phys + 8)
    return handover.fdt_phys + 8


@kinds("scratch", FDT_SIZE, {"fdt-size-0": 0, "fdt-size-100": 100,
                             "fdt-size-max": 2**64 - 1})
def fdt_size(handover, size):
    handover.put_passed(fdt_size=size)


@kinds("scratch", ARRAY_AT, {"array-past-ram": "past-ram", "array-top": "top"})
# There is something there that is no array.
@kinds("scratch", ARRAY_OR_AREA, {"array-low": "low", "array-in-fdt": "in-fdt"})
def wild_array(handover, place):
    phys = handover.places()[place]
    handover.put_passed(scratch_addr=phys)
    return phys


@kind("scratch", "array-unaligned", ARRAY_AT)
def unaligned_array(handover):
    handover.put_passed(scratch_addr=handover.scratch_phys + 4)
    return handover.scratch_phys + 4


@kinds("scratch", ARRAY, {"array-size-0": 0, "array-size-odd": 24,
                          "array-size-64k": 2**16 + 16,
                          "array-size-max": 2**64 - 16})
def array_size(handover, size):
    handover.put_passed(scratch_size=size)


@kind("scratch", "array-and-a-half", ARRAY)
def array_and_a_half(handover):
    """All areas, and half of one more."""
    handover.put_passed(scratch_size=16 * len(handover.scratch()) + 8)
