#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""bench-plot.py JSON SVG: plot what scattered folios add to the blackout, from the
results of bench.sh, on logarithmic axes.

bench-plot.py --phases JSON SVG: draw the phases of the whole blackout, before and after.
"""

import json
import math
import sys

WIDTH, HEIGHT = 720, 480
LEFT, RIGHT, TOP, BOTTOM = 80, 170, 50, 60

STYLE = """
  text { font: 13px sans-serif; fill: #24292f; }
  .title { font-size: 16px; }
  .back { fill: #ffffff; }
  .grid { stroke: #d8dee4; }
  polyline { fill: none; stroke-width: 2; }
  polyline.target { stroke: #57606a; stroke-dasharray: 5 4; }
  polyline.mainline { stroke: #bc4c00; }
  polyline.ours { stroke: #0969da; }
  text.target { fill: #57606a; }
  text.mainline, circle.mainline { fill: #bc4c00; }
  text.ours, circle.ours { fill: #0969da; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .back { fill: #0d1117; }
    .grid { stroke: #30363d; }
    polyline.target { stroke: #8b949e; }
    polyline.mainline { stroke: #f0883e; }
    polyline.ours { stroke: #58a6ff; }
    text.target { fill: #8b949e; }
    text.mainline, circle.mainline { fill: #f0883e; }
    text.ours, circle.ours { fill: #58a6ff; }
  }
"""


PHASE_STYLE = """
  text { font: 13px sans-serif; fill: #24292f; }
  .title { font-size: 16px; }
  .back { fill: #ffffff; }
  .grid { stroke: #d8dee4; }
  rect.check { fill: #8250df; }
  rect.leave { fill: #bc4c00; }
  rect.early { fill: #0969da; }
  rect.late { fill: #54aeff; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .back { fill: #0d1117; }
    .grid { stroke: #30363d; }
  }
"""
PHASES = {"check": "image is checked, drivers are told", "leave": "previous kernel leaves",
          "early": "next kernel boots, until other CPUs", "late": "and until init"}


class Axis:
    """Whole decades around the values, from one place to another."""

    def __init__(self, values, start, end):
        self.low = math.floor(math.log10(min(values)))
        self.high = max(math.ceil(math.log10(max(values))), self.low + 1)
        self.start, self.end = start, end

    def at(self, value):
        part = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)

    def decades(self):
        return range(self.low, self.high + 1)


def name(exponent):
    """1 k, 10 k, 1 M"""
    unit = exponent // 3
    return f"{10 ** (exponent % 3)} {['', 'k', 'M', 'G', 'T'][unit]}".strip()


def text(x, y, content, anchor="start", kind="", more=""):
    return (f'<text x="{x}" y="{y}" text-anchor="{anchor}" class="{kind}"{more}>'
            f"{content}</text>")


def grid(x_axis, y_axis):
    for exponent in x_axis.decades():
        x = x_axis.at(10 ** exponent)
        yield (f'<line class="grid" x1="{x}" x2="{x}" '
               f'y1="{y_axis.start}" y2="{y_axis.end}"/>')
        yield text(x, y_axis.start + 20, name(exponent), "middle")
    for exponent in y_axis.decades():
        y = y_axis.at(10 ** exponent)
        yield (f'<line class="grid" x1="{x_axis.start}" x2="{x_axis.end}" '
               f'y1="{y}" y2="{y}"/>')
        yield text(x_axis.start - 8, y + 4, name(exponent), "end")


def series(points, kind, x_axis, y_axis):
    places = [(x_axis.at(x), y_axis.at(y)) for x, y in points]
    yield (f'<polyline class="{kind}" points="' +
           " ".join(f"{x},{y}" for x, y in places) + '"/>')
    for (x, y), (folios, instructions) in zip(places, points):
        if kind != "target":
            yield (f'<circle class="{kind}" cx="{x}" cy="{y}" r="4">'
                   f"<title>{folios:,}: {instructions / 1e6:,.1f} M</title></circle>")


def labels(named, x_axis, y_axis):
    """Beside the last point of each series, but not one over another."""
    lowest = 0
    places = sorted((y_axis.at(points[-1][1]), x_axis.at(points[-1][0]), kind, label)
                    for points, kind, label in named if points)
    for y, x, kind, label in places:
        y = max(y, lowest + 16)
        lowest = y
        yield text(x + 10, y + 4, label, kind=kind)


def known(points):
    """Those that a logarithmic axis can show."""
    return sorted((point["folios"], point["added_instructions"]) for point in points
                  if point.get("added_instructions", 0) > 0)


def plot(data):
    measured, target, mainline = (data["blackout"][key] for key in (
        "scattered", "scattered_target", "scattered_mainline_7_3_4"))
    named = [(known(target), "target", "target"),
             (known(mainline), "mainline", "mainline 7.3.4"),
             (known(measured), "ours", data["kernel"])]
    points = sum((points for points, _, _ in named), [])
    x_axis = Axis([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_axis = Axis([y for _, y in points], HEIGHT - BOTTOM, TOP)
    middle = (TOP + HEIGHT - BOTTOM) / 2

    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
           f'width="{WIDTH}" height="{HEIGHT}" role="img">')
    yield "<!-- SPDX-License-Identifier: GPL-2.0-only -->"
    yield "<title>Instructions that scattered folios add to the blackout</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect class="back" width="{WIDTH}" height="{HEIGHT}"/>'
    yield text(LEFT, 28, "Added to the blackout by scattered folios", kind="title")
    yield from grid(x_axis, y_axis)
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 16, "scattered folios", "middle")
    yield text(18, middle, "instructions", "middle",
               more=f' transform="rotate(-90 18 {middle})"')
    for points, kind, _ in named:
        yield from series(points, kind, x_axis, y_axis)
    yield from labels(named, x_axis, y_axis)
    missing = [f"{point['folios']:,}" for point in measured
               if point.get("added_instructions", 0) <= 0]
    if missing:
        yield text(WIDTH - 8, HEIGHT - 16, "not measured: " + ", ".join(missing), "end")
    yield "</svg>"


def bars(data):
    """(label, {phase: instructions}) of each bar that is known."""
    for point in data.get("whole_blackout", []):
        initrd = f"initrd of {point['initrd_kib'] / 1024:.2f} MiB"
        if "before" in point:
            yield f"{initrd}, before", point["before"]
        if "phases" in point:
            yield f"{initrd}, after", point["phases"]


def plot_phases(data):
    rows = list(bars(data))
    if not rows:
        sys.exit("bench-plot.py: no whole blackout was measured")
    left, top, step = 210, 60, 40
    height = top + step * len(rows) + 90
    end = max(sum(phases.values()) for _, phases in rows) / 1e6
    end = math.ceil(end / 100) * 100

    def x_at(millions):
        return round(left + millions / end * (WIDTH - left - 80), 1)

    yield (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
           f'width="{WIDTH}" height="{height}" role="img">')
    yield "<!-- SPDX-License-Identifier: GPL-2.0-only -->"
    yield "<title>Phases of the whole blackout, in millions of instructions</title>"
    yield f"<style>{PHASE_STYLE}</style>"
    yield f'<rect class="back" width="{WIDTH}" height="{height}"/>'
    yield text(left, 28, "The whole blackout, in millions of instructions", kind="title")
    bottom = top + step * len(rows)
    for mark in range(0, end + 1, 100):
        yield (f'<line class="grid" x1="{x_at(mark)}" x2="{x_at(mark)}" y1="{top - 10}" '
               f'y2="{bottom}"/>')
        yield text(x_at(mark), bottom + 18, mark, "middle")
    for i, (label, phases) in enumerate(rows):
        y, begin = top + step * i, 0
        yield text(left - 8, y + 17, label, "end")
        for phase in PHASES:
            part = phases[phase] / 1e6
            yield (f'<rect class="{phase}" x="{x_at(begin)}" y="{y}" '
                   f'width="{round(x_at(begin + part) - x_at(begin), 1)}" height="24">'
                   f"<title>{PHASES[phase]}: {part:,.1f} M</title></rect>")
            begin += part
        yield text(x_at(begin) + 6, y + 17, f"{begin:,.0f}")
    for i, (phase, label) in enumerate(PHASES.items()):
        x, y = 20 + i % 2 * 350, bottom + 36 + i // 2 * 22
        yield f'<rect class="{phase}" x="{x}" y="{y}" width="14" height="14"/>'
        yield text(x + 20, y + 12, label)
    yield "</svg>"


def main(args):
    draw = plot
    if args and args[0] == "--phases":
        draw, args = plot_phases, args[1:]
    if len(args) != 2:
        sys.exit(__doc__)
    with open(args[0], encoding="utf-8") as file:
        data = json.load(file)
    with open(args[1], "w", encoding="utf-8") as file:
        file.writelines(line + "\n" for line in draw(data))


main(sys.argv[1:])
