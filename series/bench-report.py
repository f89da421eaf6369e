#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""bench-report.py VALUES JSON: write the results of bench.sh, from the values that the
guests have reported, and print them beside their targets.

bench-report.py --rst JSON: print written results as a table for the documentation.
"""

import json
import math
import sys

# Instructions that scattered folios add to the blackout: of mainline 7.3.4, measured
# in the same way, and at most.
MAINLINE = {10000: 2262000000, 50000: 56308000000}
TARGET = {10000: 10000000, 50000: 50000000}
POINTS = ["at_mark", "at_param", "at_pre_smp", "at_init"]
PARTS = ["reboot", "early", "late"]
CHECK_TARGET = 20000000
# The whole blackout, with initrds of these sizes in KiB: of mainline 7.3.4, at most, and before
# the next kernel took over rates of clocks and cleared the bounce buffer once.
WHOLE_MAINLINE = {768: 1691000000, 34816: 1591000000}
WHOLE_TARGET = {768: 720000000, 34816: 820000000}
WHOLE_POINTS = ["at_leave", "at_reboot", "at_param", "at_pre_smp", "at_main"]
WHOLE_PHASES = ["check", "leave", "early", "late"]
WHOLE_BEFORE = {
    768: dict(zip(WHOLE_PHASES, [3360593, 2169449, 335802006, 73216688])),
    34816: dict(zip(WHOLE_PHASES, [11023756, 2169694, 336205028, 131675394])),
}
EXPONENT_FROM, EXPONENT_TO = 10000, 1000000


class Failed(Exception):
    """A measurement that there is not, with the reason."""


class Run:
    """What one scenario has reported."""

    def __init__(self, name):
        self.name = name
        self.error = None
        self.values = {}

    def add(self, key, words):
        if key == "error":
            self.error = " ".join(words)
        self.values[key] = words

    def get(self, key):
        if self.error:
            raise Failed(f"{self.name}: {self.error}")
        if key not in self.values:
            raise Failed(f"{self.name} has not reported {key}")
        return self.values[key]

    def number(self, key):
        return int(self.get(key)[0])

    def blackout(self):
        """Instructions from the reboot to init, and of its parts."""
        at = [self.number(point) for point in POINTS]
        if at != sorted(at) or 0 in at:
            raise Failed(f"{self.name} has times in the wrong order: {at}")
        parts = {part: at[i + 1] - at[i] for i, part in enumerate(PARTS)}
        return {"all": at[-1] - at[0], **parts}

    def whole(self):
        """Instructions from reboot() to the first one of init, and of the phases."""
        at = [self.number(point) for point in WHOLE_POINTS]
        if at != sorted(at) or 0 in at:
            raise Failed(f"{self.name} has times in the wrong order: {at}")
        return {"instructions": at[-1] - at[0],
                "phases": {phase: at[i + 1] - at[i] for i, phase in enumerate(WHOLE_PHASES)}}

    def operation(self, op, pattern):
        """Instructions for one item, without those of the loop."""
        items, cycles, size = (int(word) for word in self.get(f"{op} {pattern}"))
        loop_items, loop, _ = (int(word) for word in self.get(f"loop {pattern}"))
        return {
            "items": items,
            "instructions_per_item": round(cycles / items - loop / loop_items, 1),
            "bytes": size,
        }


class Runs(dict):
    def __missing__(self, name):
        self[name] = Run(name)
        return self[name]


def read(path):
    """Lines are "RUN KEY WORD...", or "RUN OPERATION PATTERN NUMBER..."."""
    about, runs = {}, Runs()
    with open(path, encoding="utf-8") as file:
        for line in file:
            name, key, *words = line.split()
            if name == "about":
                about[key] = " ".join(words)
            elif words and not words[0].isdigit() and key not in ("error", "baseline"):
                runs[name].add(f"{key} {words[0]}", words[1:])
            else:
                runs[name].add(key, words)
    return about, runs


def attempt(function, *args):
    """The result, or what was in the way of it."""
    try:
        return function(*args)
    except Failed as failed:
        return {"error": str(failed)}


def added(runs, name, base):
    """What a run needs more than the one without anything preserved."""
    more, less = runs[name].blackout(), runs[base].blackout()
    part = {f"added_{part}_instructions": more[part] - less[part] for part in PARTS}
    return {"added_instructions": more["all"] - less["all"],
            "added_before_smp_instructions": part["added_reboot_instructions"] +
            part["added_early_instructions"], **part}


def scattered(runs, folios):
    name = f"scattered_{folios}"
    return {**added(runs, name, "base"),
            "preserve_bytes": runs[name].operation("preserve", "scattered")["bytes"],
            "restore_instructions_per_folio":
            runs[name].operation("restore", "scattered")["instructions_per_item"]}


def slope(points):
    """What one more adds, by least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    return (sum((x - mean_x) * (y - mean_y) for x, y in points) /
            sum((x - mean_x) ** 2 for x, _ in points))


def fit(points):
    """Exponent, by least squares in logarithms."""
    points = [(math.log(p["folios"]), math.log(p["added_instructions"])) for p in points
              if EXPONENT_FROM <= p["folios"] <= EXPONENT_TO and
              p.get("added_instructions", 0) > 0]
    if len(points) < 2:
        raise Failed("too few measurements for an exponent")
    points.sort()
    steps = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in zip(points, points[1:])]
    return {"exponent": round(slope(points), 3),
            "steepest_exponent": round(max(steps), 3),
            "from_folios": round(math.exp(points[0][0])),
            "to_folios": round(math.exp(points[-1][0]))}


def baseline(runs, name):
    return {f"{part}_instructions": n for part, n in runs[name].blackout().items()}


def operations(run):
    return {op: {pattern: attempt(run.operation, op, pattern)
                 for pattern in ("scattered", "dense", "run_512", "run_1023")
                 if (op, pattern) != ("restore", "scattered")}
            for op in ("preserve", "again", "unpreserve", "restore")}


def bytes_per_gib(run, pattern):
    op = run.operation("preserve", pattern)
    return round(op["bytes"] * (1 << 30) / (op["items"] << 12))


def threads(run):
    """Ratios of the fastest rounds."""
    def fastest(what, nr):
        return int(run.get(f"{what}_{nr} scattered")[0])

    def ratio(what, nr):
        return round(fastest(what, 1) / fastest(what, nr), 2)

    if ratio("spin", 2) < 1.5:
        raise Failed("the host has no second CPU to spare: threads that share nothing "
                     f"are only {ratio('spin', 2)} times as fast when they are two")
    return {"cpus": 2, "host_ratio_2_threads": ratio("spin", 2),
            "throughput_ratio_2_threads": ratio("threads", 2),
            "throughput_ratio_4_threads": ratio("threads", 4)}


def checksum(points):
    """In the reboot nothing else depends on what is preserved. In early boot the same
    function reads the same memory, but cannot be told from the rest of the work."""
    known = [point for point in points if "error" not in point]
    if not known:
        raise Failed("nothing was handed over that could have a checksum")
    return {"folios": known[-1]["folios"],
            "reboot_instructions": known[-1]["added_reboot_instructions"],
            "early_instructions": None}


def sender_check(about, runs):
    """Instructions of the check before the reboot, and of those that do not depend on
    what is preserved."""
    return {"folios": int(about["check_folios"]),
            "instructions": runs["check"].number("check"),
            "base_instructions": runs["check"].number("check_base")}


def results(about, runs):
    folios = [int(n) for n in about["folios"].split()]
    points = [{"folios": n, **attempt(scattered, runs, n)} for n in folios]
    regions = [{"gib": int(n), **attempt(added, runs, f"region_{n}",
                                         runs[f"region_{n}"].values["baseline"][0])}
               for n in about["regions"].split()]
    plain, debug = runs["operations"], runs["operations_debug"]
    data = {
        "format": 1,
        **{key: about[key] for key in ("kernel", "series", "compiler", "qemu")},
        "qemu_options": "-accel tcg -icount shift=0,sleep=off -smp 1",
        "blackout": {
            "baseline": attempt(baseline, runs, "base"),
            "noise_instructions": attempt(
                lambda: abs(added(runs, "base_again", "base")["added_instructions"])),
            "scattered": points,
            "scattered_fit": attempt(fit, points),
            "scattered_target": [{"folios": n, "added_instructions": instructions}
                                 for n, instructions in TARGET.items()],
            "scattered_mainline_7_3_4": [
                {"folios": n, "added_instructions": instructions}
                for n, instructions in MAINLINE.items()],
            "contiguous": regions,
        },
        "operations": operations(plain),
        "operations_with_kexec_handover_debug": operations(debug),
        "metadata": {f"{pattern}_bytes_per_gib": attempt(bytes_per_gib, plain, pattern)
                     for pattern in ("scattered", "dense")},
        "checksum": attempt(checksum, points),
        "threads": attempt(threads, runs["threads"]),
    }
    if "check" in runs:
        data["sender_check"] = attempt(sender_check, about, runs)
    if "memfd" in runs:
        data["memfds"] = attempt(memfds, runs["memfd"])
        data["gigantic"] = attempt(gigantic, about, runs)
    if "initrds" in about:
        data["whole_blackout"] = [
            {"initrd_kib": n, **attempt(runs[f"whole_{n}"].whole),
             **({"before": WHOLE_BEFORE[n]} if n in WHOLE_BEFORE else {})}
            for n in (int(word) for word in about["initrds"].split())]
    if "tests" in runs:
        data["tests_pass"] = attempt(lambda: bool(runs["tests"].get("passed")))
    return data


class Row:
    """A line of the table."""

    def __init__(self, what, value, text="{}", holds=None, target="", mainline=""):
        self.what, self.target, self.mainline = what, target, mainline
        self.failed = isinstance(value, dict)
        self.reason = value["error"] if self.failed else ""
        self.measured = "failed" if self.failed else text.format(value)
        self.holds = None
        if holds:
            self.holds = not self.failed and holds(value)

    def cells(self):
        return [self.what, self.measured, self.target,
                {None: "", True: "yes", False: "NO"}[self.holds], self.mainline]


def pick(data, *keys):
    """A value in nested results, or the error that is there instead."""
    for key in keys:
        if isinstance(data, dict) and "error" in data:
            return data
        data = data[key]
    return data


def millions(value):
    return value if isinstance(value, dict) else value / 1e6


def at_most(limit):
    return lambda value: value <= limit


def blackout_rows(data):
    rows = []
    for point in data["scattered"]:
        n = point["folios"]
        limit = TARGET.get(n, 0) / 1e6
        rows.append(Row(f"blackout added by {n:,} scattered folios",
                        millions(pick(point, "added_instructions")), "{:,.1f} M",
                        limit and at_most(limit), limit and f"<= {limit:.0f} M" or "",
                        n in MAINLINE and f"{MAINLINE[n] / 1e6:,.0f} M" or ""))

    rows.insert(0, Row("noise: two blackouts with nothing preserved differ by",
                       millions(data["noise_instructions"]), "{:,.2f} M"))
    fitted = data["scattered_fit"]
    whole = (pick(fitted, "from_folios"), pick(fitted, "to_folios")) == \
        (EXPONENT_FROM, EXPONENT_TO)
    rows.append(Row("exponent of that, from 10,000 to 1,000,000",
                    pick(fitted, "exponent") if whole else
                    {"error": "the ends of this range were not measured"},
                    "{:.2f}", at_most(1.05), "<= 1.05", "2.0"))
    rows.append(Row("... where it is steepest", pick(fitted, "steepest_exponent"), "{:.2f}"))

    for region in data["contiguous"]:
        small = region["gib"] == 2
        rows.append(Row(f"added before SMP by {region['gib']} GiB in a row",
                        millions(pick(region, "added_before_smp_instructions")),
                        "{:,.1f} M", small and at_most(0.5), small and "<= 0.5 M" or "",
                        small and "40 M" or ""))
        rows.append(Row("... and in all",
                        millions(pick(region, "added_instructions")), "{:,.1f} M"))
    return rows


def operation_rows(data):
    def cost(kind, op, pattern):
        return pick(data, kind, op, pattern, "instructions_per_item")

    plain, debug = "operations", "operations_with_kexec_handover_debug"
    restored = next((point for point in data["blackout"]["scattered"]
                     if "error" not in point), {"error": "nothing was restored"})
    return [
        Row("preserve a folio", cost(plain, "preserve", "scattered"), "{:,.0f}",
            at_most(60), "<= 60", "238"),
        Row("... with KEXEC_HANDOVER_DEBUG", cost(debug, "preserve", "scattered"), "{:,.0f}"),
        Row("... next to the one before", cost(plain, "preserve", "dense"), "{:,.0f}"),
        Row("... that is preserved already", cost(plain, "again", "scattered"), "{:,.0f}"),
        Row("preserve a run of 512 pages", cost(plain, "preserve", "run_512"), "{:,.0f}"),
        Row("... of 1,023, not aligned", cost(plain, "preserve", "run_1023"), "{:,.0f}",
            at_most(3000), "<= 3,000"),
        Row("unpreserve a folio", cost(plain, "unpreserve", "scattered"), "{:,.0f}"),
        Row("restore a folio", pick(restored, "restore_instructions_per_folio"), "{:,.0f}",
            at_most(150), "<= 150", "317 to 344"),
        Row("... next to the one before", cost(plain, "restore", "dense"), "{:,.0f}"),
        Row("restore a run of 512 pages", cost(plain, "restore", "run_512"), "{:,.0f}",
            at_most(11700), "<= 11,700"),
        Row("preserving with 2 threads, times faster",
            pick(data, "threads", "throughput_ratio_2_threads"), "{:.2f}",
            lambda ratio: ratio >= 1.8, ">= 1.8"),
        Row("... with 4 threads on 2 CPUs",
            pick(data, "threads", "throughput_ratio_4_threads"), "{:.2f}"),
    ]


def memfds(run):
    """Instructions for each folio, and the memory for a file that is mostly a hole."""
    def cost(what):
        folios, ticks = (int(word) for word in run.get(what))
        return ticks / folios

    return {**{f"{op}_{what}_instructions_per_folio": round(cost(f"{op}_memfd_{what}"), 1)
               for op in ("preserve", "retrieve")
               for what in ("dense", "huge", "hugetlb", "optimized")},
            "added_folios": run.number("freeze_added"),
            "prepare_added_instructions_per_folio": round(cost("prepare_added"), 1),
            "freeze_added_instructions": int(run.get("freeze_added")[1]),
            "sparse_bytes": run.number("memfd_sparse_bytes")}


def memfd_rows(data):
    return [
        Row("preserve a dense memfd, per folio",
            pick(data, "preserve_dense_instructions_per_folio"), "{:,.0f}",
            at_most(330), "<= 330", "660"),
        Row("retrieve it, per folio", pick(data, "retrieve_dense_instructions_per_folio"),
            "{:,.0f}", at_most(770), "<= 770", "1,540"),
        Row("preserve a memfd of 4 GiB, per folio of 2 MiB",
            pick(data, "preserve_huge_instructions_per_folio"), "{:,.0f}",
            at_most(3000), "<= 3,000"),
        Row("retrieve it, per folio of 2 MiB",
            pick(data, "retrieve_huge_instructions_per_folio"), "{:,.0f}"),
        Row("preserve a memfd of hugetlb, per 2 MiB",
            pick(data, "preserve_hugetlb_instructions_per_folio"), "{:,.0f}",
            at_most(1500), "<= 1,500"),
        Row("retrieve it, per 2 MiB",
            pick(data, "retrieve_hugetlb_instructions_per_folio"), "{:,.0f}",
            at_most(9000), "<= 9,000"),
        Row("... with its struct pages freed",
            pick(data, "retrieve_optimized_instructions_per_folio"), "{:,.0f}",
            at_most(4000), "<= 4,000"),
        Row("freeze a memfd to which 100,000 folios were added",
            pick(data, "freeze_added_instructions"), "{:,.0f}",
            at_most(1000000), "<= 1,000,000"),
        Row("... before that, while it is in use, per folio",
            pick(data, "prepare_added_instructions_per_folio"), "{:,.0f}"),
        Row("memory to preserve 256 MiB with 128 written pages",
            pick(data, "sparse_bytes"), "{:,} bytes", at_most(2 << 20), "<= 2 MiB",
            "261 MiB"),
    ]


def gigantic(about, runs):
    """Instructions for each huge page of 1 GiB, and the memory that lists them."""
    counts = [int(n) for n in about["pages"].split()]
    if len(counts) < 2:
        raise Failed("too few numbers of huge pages for a slope")
    added_by = {n: added(runs, f"gigantic_{n}", "gigantic_0")["added_instructions"]
                for n in counts}
    last = runs[f"gigantic_{counts[-1]}"]

    def cost(what):
        """Of one page more: without what a memfd costs that has none."""
        return slope([tuple(int(word) for word in runs[f"gigantic_{n}"].get(what))
                      for n in counts])

    data = {"pages": counts[-1],
            "added_instructions": [{"pages": n, "instructions": added_by[n]} for n in counts],
            "added_instructions_per_page": round(slope(list(added_by.items()))),
            "metadata_bytes": last.number("gigantic_metadata")}
    for what in ("preserve_gigantic", "retrieve_gigantic", "retrieve_gigantic_optimized",
                 "finish_gigantic"):
        data[f"{what}_instructions_per_page"] = round(cost(what))
    for what in ("", "_optimized"):
        data[f"whole{what}_instructions_per_page"] = \
            data["added_instructions_per_page"] + data["finish_gigantic_instructions_per_page"] + \
            data[f"retrieve_gigantic{what}_instructions_per_page"]
    return data


def gigantic_rows(data):
    pages = data.get("pages", "some")
    return [
        Row("preserve a memfd of hugetlb, per 1 GiB",
            pick(data, "preserve_gigantic_instructions_per_page"), "{:,.0f}",
            at_most(3000), "<= 3,000"),
        Row("blackout added by each page of 1 GiB",
            millions(pick(data, "added_instructions_per_page")), "{:,.2f} M",
            at_most(0.1), "<= 0.1 M"),
        Row("retrieve it, per 1 GiB",
            millions(pick(data, "retrieve_gigantic_instructions_per_page")), "{:,.2f} M"),
        Row("... with its struct pages freed",
            millions(pick(data, "retrieve_gigantic_optimized_instructions_per_page")),
            "{:,.2f} M"),
        Row("boot, retrieve and finish, per 1 GiB",
            millions(pick(data, "whole_instructions_per_page")), "{:,.2f} M"),
        Row("... with its struct pages freed",
            millions(pick(data, "whole_optimized_instructions_per_page")), "{:,.2f} M"),
        Row(f"memory to preserve {pages} pages of 1 GiB", pick(data, "metadata_bytes"),
            "{:,} bytes", at_most(64 << 10), "<= 64 KiB"),
    ]


def whole_rows(points):
    rows = []
    for point in points:
        n = point["initrd_kib"]
        limit = WHOLE_TARGET.get(n, 0) / 1e6
        rows.append(Row(f"the whole blackout, initrd of {n / 1024:.2f} MiB",
                        millions(pick(point, "instructions")), "{:,.1f} M",
                        limit and at_most(limit), limit and f"<= {limit:.0f} M" or "",
                        n in WHOLE_MAINLINE and f"{WHOLE_MAINLINE[n] / 1e6:,.0f} M" or ""))
    return rows


def checksum_rows(data):
    if "error" in data:
        return [Row("checksum", data)]
    early = data["early_instructions"]
    return [
        Row(f"checksum in the reboot, {data['folios']:,} scattered folios",
            millions(data["reboot_instructions"]), "{:,.2f} M"),
        Row("... in early boot", "not told apart" if early is None else millions(early),
            "{}" if early is None else "{:,.2f} M"),
    ]


def sender_check_rows(data):
    if "error" in data:
        return [Row("check before the reboot", data)]
    return [Row(f"check before the reboot, {data['folios']:,} scattered folios",
                millions(data["instructions"]), "{:,.2f} M",
                at_most(CHECK_TARGET / 1e6), f"<= {CHECK_TARGET / 1e6:.0f} M"),
            Row("... with nothing preserved", millions(data["base_instructions"]),
                "{:,.2f} M")]


def rows_of(data):
    rows = whole_rows(data.get("whole_blackout", [])) + \
        blackout_rows(data["blackout"]) + operation_rows(data) + [
        Row("memory to preserve a GiB, scattered",
            pick(data, "metadata", "scattered_bytes_per_gib"), "{:,} bytes"),
        Row("... dense", pick(data, "metadata", "dense_bytes_per_gib"), "{:,} bytes"),
    ] + checksum_rows(data["checksum"]) + \
        (sender_check_rows(data["sender_check"]) if "sender_check" in data else [])
    if "memfds" in data:
        rows += memfd_rows(data["memfds"])
    if "gigantic" in data:
        rows += gigantic_rows(data["gigantic"])
    if "tests_pass" in data:
        rows.append(Row("12 GiB of reserve_mem on 16 GiB, and a run across nodes",
                        "pass" if data["tests_pass"] is True else data["tests_pass"], "{}",
                        lambda _: True, "pass", "fail"))
    return rows


HEAD = ["what", "measured", "target", "holds", "mainline 7.3.4"]


def print_table(rows):
    lines = [HEAD] + [row.cells() for row in rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    print()
    for what, *cells in lines:
        print(f"  {what:<{width[0]}}  " +
              "  ".join(f"{cell:>{w}}" for cell, w in zip(cells, width[1:])))
    print()


def print_rst(rows):
    lines = [row.cells() for row in rows]
    # An empty first cell would continue the line above.
    width = [max(len(line[i]) for line in lines + [HEAD]) for i in range(len(HEAD))]
    rule = "  ".join("=" * w for w in width)
    for line in [None, HEAD, None] + lines + [None]:
        print(rule if line is None else
              "  ".join(f"{cell:<{w}}" for cell, w in zip(line, width)).rstrip())


def main(args):
    if len(args) != 2:
        sys.exit(__doc__)
    if args[0] == "--rst":
        try:
            with open(args[1], encoding="utf-8") as file:
                data = json.load(file)
        except FileNotFoundError:
            sys.exit(f"bench-report.py: there is no {args[1]}; run bench.sh first")
        print_rst(rows_of(data))
        return

    about, runs = read(args[0])
    data = results(about, runs)
    rows = rows_of(data)
    wanted = [row for row in rows if row.holds is not None]
    data["targets"] = [{"what": row.what, "measured": row.measured, "target": row.target,
                        "holds": row.holds} for row in wanted]
    with open(args[1], "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
        file.write("\n")
    print_table(rows)
    print(f"{sum(row.holds for row in wanted)} of {len(wanted)} targets hold")
    reasons = list(dict.fromkeys(row.reason for row in rows if row.failed))
    for reason in reasons:
        print(f"failed: {reason}", file=sys.stderr)
    sys.exit(1 if reasons else 0)


main(sys.argv[1:])
