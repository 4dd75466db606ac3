# SPDX-License-Identifier: MIT
"""Charts by gnuplot, as SVG that takes its colours from the page.

gnuplot is there already for "slabbench reclaim --plot", its text stays text,
and a chart needs no script: it is there on paper and without JavaScript, too.
"""

import re
import subprocess
import tempfile
from pathlib import Path

NR_COLOURS = 8
# gnuplot is given these, page.css has what they stand for in light and dark.
COLOUR = "#0100{:02x}"
PLACEHOLDER = re.compile(r"rgb\( *1, *0, *(\d+)\)|#0100([0-9a-fA-F]{2})")
SIZE = (820, 400)
# Their names are side by side up to here, then upright.
MANY_BARS = 13


# More points than a line has room for.
MOST_POINTS = 400


class Unavailable(Exception):
    """gnuplot is not there, or failed."""


class Chart:
    """What is drawn, and the table that says the same.

    @series: name: [(x, y, least, most), ...], or of kind "bars" one point with
    None for x; @ticks: names of x = 0, 1, ...; @single: one colour for all, the
    series being no allocators.
    """

    def __init__(self, title, xlabel, ylabel, *, kind="lines", ticks=(),
                 logx=False, logy=False, single=False):
        self.title = title
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.kind = kind
        self.ticks = list(ticks)
        self.logx = logx
        self.logy = logy
        self.single = single
        self.series = {}
        self.behind = None      # name, points: an area behind the lines
        self.svg = ""

    def add(self, name, points):
        """A line, or a bar."""
        if points:
            self.series[name] = points

    # --- for gnuplot ---

    def _data(self, number):
        """Datablocks, one for each series."""
        out = []
        series = list(self.series.values())
        if self.behind:
            series.append(self.behind[1])
        for i, points in enumerate(series):
            out.append(f"$d{number}_{i} << end")
            for x, *ys in points:
                at = i if x is None else x
                if self.logy:       # which has no place for zero
                    ys = [max(y, 1) for y in ys]
                out.append(" ".join(f"{v:.6g}" for v in (at, *ys)))
            out.append("end")
        return out

    def _axes(self):
        out = ["reset", "set grid", "set tics nomirror", "set border 3",
               f"set xlabel {quoted(self.xlabel)}",
               f"set ylabel {quoted(self.ylabel)}"]
        ticks = self.ticks
        if self.kind == "bars":
            ticks = list(self.series)
            out += ["unset key", f"set xrange [-0.6:{len(ticks) - 0.4}]",
                    "set style fill solid 0.7",
                    "set xtics rotate by -90 font ',10'"
                    if len(ticks) > MANY_BARS else "set xtics rotate by -25"]
        else:
            out.append("set key outside right top")
        if ticks:
            out.append("set xtics (" + ", ".join(
                f"{quoted(t)} {i}" for i, t in enumerate(ticks)) + ")")
        if self.logx:
            values = {p[0] for s in self.series.values() for p in s}
            out += ["set logscale x 2", "set xtics (" + ", ".join(
                f"'{v:g}' {v:g}" for v in sorted(values)) + ")"]
        out.append("set logscale y" if self.logy else "set yrange [0:*]")
        return out

    def _plots(self, number, colours):
        out = []
        if self.behind:
            out.append(f"$d{number}_{len(self.series)} using 1:2 with "
                       f"filledcurves x1 lc rgb '{COLOUR.format(0)}' "
                       f"title {quoted(self.behind[0])}")
        for i, name in enumerate(self.series):
            nr = 0 if self.single else colours[name]
            colour = COLOUR.format(1 + nr % NR_COLOURS)
            style = {
                "bars": "using 1:2:3:4:(0.6) with boxerrorbars "
                        f"lc rgb '{colour}'",
                "points": "using 1:2:3:4 with yerrorlines "
                          f"lc rgb '{colour}' pt {nr % 15 + 1} ps 0.6",
                "steps": f"using 1:2 with steps lc rgb '{colour}'",
                "lines": f"using 1:2 with lines lc rgb '{colour}'",
            }[self.kind]
            if self.kind != "bars":
                width = 2.4 if name.startswith("rn") else 1.4
                style += f" lw {width} dt {1 + nr // NR_COLOURS % 5}"
            out.append(f"$d{number}_{i} {style} title {quoted(name)}")
        return "plot " + ", ".join(out)

    def script(self, number, colours, folder):
        """Lines for gnuplot."""
        return [f"set terminal svg size {SIZE[0]},{SIZE[1]} dynamic noenhanced "
                "font 'sans-serif,13'", f"set output '{folder}/{number}.svg'",
                *self._data(number), *self._axes(),
                self._plots(number, colours), "set output"]


def thinned(points):
    """So few that a chart has room for them, the last among them; and how
    many each stands for."""
    step = -(-len(points) // MOST_POINTS)
    kept = points[::step]
    return kept if kept[-1] == points[-1] else kept + points[-1:], step


def quoted(text):
    """In gnuplot's quotes, within which a quote is two."""
    return "'" + text.replace("'", "''").replace("\n", " ") + "'"


def _colour(match):
    number = int(match[1]) if match[1] else int(match[2], 16)
    return f"var(--c{number})"


def inline(svg, number):
    """As part of a page: colours of its own, names that no other chart has."""
    svg = svg[svg.index("<svg"):]
    svg = re.sub(r"<(title|desc)>[^<]*</\1>\s*", "", svg)
    svg = re.sub(r" *xmlns(:xlink)?=(['\"])[^'\"]*\2\s*", " ", svg)
    svg = PLACEHOLDER.sub(_colour, svg)
    svg = re.sub(r"=(['\"])black\1", r"=\1currentColor\1", svg)
    svg = re.sub(r"=(['\"])gray\1", r"=\1var(--grid)\1", svg)
    svg = re.sub(r"\bid=(['\"])", rf"id=\1c{number}-", svg)
    svg = re.sub(r"xlink:href=(['\"])#", rf"href=\1#c{number}-", svg)
    # Script of gnuplot's own would ask for files of it.
    return re.sub(r"<script.*?(</script>|/>)", "", svg, flags=re.S)


def colours_of(names):
    """A number for each allocator, the same in all charts."""
    ordered = sorted(set(names), key=lambda n: (not n.startswith("rn"), n))
    return {name: i for i, name in enumerate(ordered)}


def draw(charts):
    """Fills in the pictures, all by one gnuplot."""
    colours = colours_of(n for c in charts if not c.single
                         for n in c.series)
    with tempfile.TemporaryDirectory(prefix="slabbench-report-") as folder:
        script = [line for number, chart in enumerate(charts)
                  for line in chart.script(number, colours, folder)]
        try:
            done = subprocess.run(["gnuplot"], input="\n".join(script) + "\n",
                                  text=True, capture_output=True, check=False)
        except FileNotFoundError as err:
            raise Unavailable("the report needs gnuplot "
                              "(Debian package gnuplot-nox)") from err
        if done.returncode:
            raise Unavailable("gnuplot could not draw: " + done.stderr.strip())
        for number, chart in enumerate(charts):
            svg = Path(folder, f"{number}.svg").read_text(encoding="utf-8")
            chart.svg = inline(svg, number)
