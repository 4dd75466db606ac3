# SPDX-License-Identifier: MIT
"""The sections of the page that say what runs have measured."""

from charts import Chart, thinned
from page import number, table
from runs import MACHINE, Figures, figures, grouped

PERCENTILES = ("min", "p50", "p95", "p99", "p999", "max")
PERCENTILE_NAMES = ("least", "p50", "p95", "p99", "p99.9", "most")
KINDS_OF_CALL = (("alloc_", "allocations"), ("free_", "frees"), ("", "both"))

# The mark at which a scenario's time begins (tools/slabbench/reclaim.h).
ZERO_MARK = {"collapse": 1, "idle": 1, "redis": 1, "frag": 2, "diurnal": 0}


def by_row(runs):
    """What charts are of: the label, the threads, and runs by allocator."""
    groups = grouped(runs, lambda r: (r.label, r.threads))
    for (label, threads), of_row in groups.items():
        yield label, threads, grouped(of_row, lambda r: r.allocator)


def cells_of(runs):
    """What lines of tables are of: their first cells, and the runs."""
    for label, threads, by_name in by_row(runs):
        for name, of in by_name.items():
            yield [label, name, threads, len(of)], of


def _over(runs, figure):
    """(median, least, most) of a function of a run, or None."""
    found = Figures([figure(r) for r in runs])
    return (found.median, found.least, found.most) if found else None


# --- where and how ---

def where(runs, files):
    """Tables of machines, command lines and files."""
    machines = grouped(runs, lambda r: tuple(
        str(r.obj.get(k, "not said")) for k in MACHINE))
    out = [table([k.replace("_", " ") for k in MACHINE], machines, words=6,
                 caption="machine")] if runs else []
    commands = grouped(runs, lambda r: r.command or "not said")
    if runs:
        out.append(table(["command line", "runs"],
                         [[c, len(r)] for c, r in commands.items()],
                         caption="from their JSON"))
    out.append(table(["file", "what is in it"], files, words=2,
                     caption="what this page was made of"))
    return "\n".join(out)


# --- throughput ---

def _mops(run):
    return 1e3 / run.ns_per_op if run.ns_per_op else None


def throughput_charts(runs):
    """One for each workload: by number of threads, or bars of one number."""
    charts = []
    timed = [r for r in runs if r.ns_per_op]
    for label, rows in grouped(timed, lambda r: r.label).items():
        scales = len({r.threads for r in rows}) > 1
        threads = "" if scales else f", threads: {rows[0].threads}"
        chart = Chart(f"{label}: throughput{threads}",
                      "threads" if scales else "",
                      "million operations a second",
                      kind="points" if scales else "bars", logx=scales)
        for name, of in grouped(rows, lambda r: r.allocator).items():
            by_threads = grouped(of, lambda r: r.threads)
            chart.add(name, [(t if scales else None, *_over(r, _mops))
                             for t, r in sorted(by_threads.items())])
        charts.append(chart)
    return charts


def _peak_mib(run):
    rss, huge = run.number("peak_rss_kb"), run.number("peak_hugetlb_kb")
    return None if rss is None else (rss + (huge or 0)) / 1024


def throughput_table(runs):
    """Median and spread of each row."""
    rows = []
    timed = [r for r in runs if r.ns_per_op]
    for cells, of in cells_of(timed):
        ns = figures(of, "ns_per_op")
        peak = _over(of, _peak_mib)
        rows.append([*cells, number(ns.median), f"{ns.spread:.1f} %",
                     number(ns.least), number(ns.most),
                     number(1e3 / ns.median),
                     number(peak[0] if peak else None)])
    return table(["workload", "allocator", "threads", "runs", "ns/op", "spread",
                  "least", "most", "Mop/s", "peak MiB"], rows, words=2,
                 caption="median of the runs; spread: from the least to the "
                 "most, in percent of the median; peak: RSS and HugetlbPages, "
                 "harness included") if rows else ""


def instructions_table(runs):
    """Of slabbench steady."""
    rows = [[r.label, r.allocator, number(r.number("instructions")),
             number(r.number("ratio"), 5)]
            for r in runs if r.workload == "steady"]
    return table(["workload", "reclaim", "instructions", "ratio"], rows,
                 words=2) if rows else ""


# --- latency ---

def latency_charts(runs):
    """Percentiles, a chart for each row and kind of call."""
    charts = []
    for label, threads, by_name in by_row(runs):
        for prefix, what in KINDS_OF_CALL:
            chart = Chart(f"{label}: latency of {what}, threads: {threads}", "",
                          "ns", kind="points", ticks=PERCENTILE_NAMES,
                          logy=True)
            for name, of in by_name.items():
                keys = [figures(of, f"{prefix}{p}_ns") for p in PERCENTILES]
                if all(keys):
                    chart.add(name, [(i, k.median, k.least, k.most)
                                     for i, k in enumerate(keys)])
            if chart.series:
                charts.append(chart)
    return charts


# --- memory over time ---

def _zero_ms(run):
    mark = ZERO_MARK.get(run.text("scenario"))
    if mark is None or mark >= len(run.marks):
        return 0
    return run.marks[mark][0]


def memory_charts(runs):
    """Held and live, of the first run of each."""
    charts = []
    series = [r for r in runs if r.series]
    for label, threads, by_name in by_row(series):
        chart = Chart(f"{label}: held over time, threads: {threads}", "seconds",
                      "MiB held")
        thinnest = 1
        for name, of in by_name.items():
            zero = _zero_ms(of[0])
            points, step = thinned(of[0].series)
            thinnest = max(thinnest, step)
            chart.add(name, [((ms - zero) / 1e3, held / 1024)
                             for ms, _, held in points])
            live = [((ms - zero) / 1e3, kb / 1024) for ms, kb, _ in points]
            # The longest: the others end within it.
            if not chart.behind or chart.behind[1][-1][0] < live[-1][0]:
                chart.behind = ("live", live)
        if thinnest > 1:
            chart.title += f" (each {thinnest}th point)"
        charts.append(chart)
    return charts


def _held_ratio(run):
    live, held = run.number("live_bytes"), run.number("held_kb")
    return held * 1024 / live if live and held is not None else None


def memory_table(runs):
    """What was held at the most and at the end."""
    rows = []
    series = [r for r in runs if r.series]
    for cells, of in cells_of(series):
        held = figures(of, "held_kb")
        peak = Figures([max(p[2] for p in r.series + r.marks) / 1024
                        for r in of])
        live = Figures([r.series[-1][1] / 1024 for r in of])
        ratio = _over(of, _held_ratio)
        rows.append([*cells, number(peak.median), number(live.median),
                     number(held.median / 1024 if held else None),
                     f"{held.spread:.1f} %" if held else "–",
                     number(ratio[0] if ratio else None)])
    return table(["scenario", "allocator", "threads", "runs", "most held MiB",
                  "live at the end", "held at the end", "spread", "held/live"],
                 rows, words=2, caption="RSS and HugetlbPages without the "
                 "harness, median of the runs") if rows else ""


# --- fragmentation ---

def _frag(run):
    ratio = run.number("frag_ratio")
    if ratio is None and run.series:
        ratio = _held_ratio(run)
    return ratio or None


def fragmentation_charts(runs):
    """Held by live, one for each row."""
    charts = []
    for label, threads, by_name in by_row(runs):
        chart = Chart(f"{label}: fragmentation, threads: {threads}", "",
                      "bytes held for a byte live", kind="bars")
        for name, of in by_name.items():
            over = _over(of, _frag)
            if over:
                chart.add(name, [(None, *over)])
        if chart.series:
            charts.append(chart)
    return charts


def fragmentation_table(runs):
    """With what of it is inside of objects, and what outside."""
    rows = []
    for cells, of in cells_of(runs):
        ratio = Figures([_frag(r) for r in of])
        inside = figures(of, "internal_frag_ratio")
        outside = figures(of, "external_frag_ratio")
        if ratio:
            rows.append([*cells, number(ratio.median), f"{ratio.spread:.1f} %",
                         number(inside.median if inside else None),
                         number(outside.median if outside else None)])
    return table(["workload", "allocator", "threads", "runs", "held/live",
                  "spread", "inside of objects", "outside"], rows,
                 words=2) if rows else ""
