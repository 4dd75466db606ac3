# SPDX-License-Identifier: MIT
"""Lines of JSON that slabbench wrote, and what several runs say together."""

import json
import math
import shlex
import statistics
from pathlib import Path

# A line is of a row; rows of one workload that differ in any are told apart.
PARAMETERS = ("size", "count", "bytes", "slots", "mode", "pattern", "producers",
              "least_size", "most_size", "sizes", "seed", "pinned", "poke",
              "idle_s", "phase_s", "day_s", "warmup_percent", "latency")

# What the machine is, in the order in which it is shown.
MACHINE = ("cpu_model", "kernel", "thp", "hypervisor", "cpus_allowed",
           "nodes_allowed")


class Bad(Exception):
    """Input that is none, said as file:line: why."""


class Run:
    """A line: a run of one workload over one allocator."""

    def __init__(self, obj, where):
        if not isinstance(obj, dict):
            raise Bad(f"{where}: no JSON object")
        self.obj = obj
        self.where = where
        self.workload = self._name()
        self.threads = self.number("threads") or 1
        self.allocator = self.text("allocator") or self.text("reclaim")
        if not self.allocator:
            raise Bad(f"{where}: no allocator")
        self.ns_per_op = self.number("ns_per_op")
        self.series = self._points("series")
        self.marks = self._points("marks")
        if not any((self.ns_per_op, self.series, self.number("p50_ns"),
                    self.number("instructions"))):
            raise Bad(f"{where}: no figure that the report knows "
                      "(ns_per_op, series, p50_ns, instructions)")
        self.label = self.workload

    def _name(self):
        """Of a scenario and a trace with what they are: workloads are called
        the same."""
        name = self.text("workload")
        if not name:
            raise Bad(f"{self.where}: no line of slabbench: it has no workload")
        if self.text("scenario"):
            return f"{name} {self.text('scenario')}"
        if self.text("trace"):
            return f"{name} {Path(self.text('trace')).name}"
        return name

    def text(self, key):
        """A string, or None."""
        value = self.obj.get(key)
        if value is not None and not isinstance(value, str):
            raise Bad(f"{self.where}: {key} is no text")
        return value

    @property
    def command(self):
        """How slabbench was started, as for a shell; or None."""
        words = self.obj.get("command")
        if words is None:
            return None
        if not isinstance(words, list) or \
                any(not isinstance(w, str) for w in words):
            raise Bad(f"{self.where}: command is no list of words")
        return shlex.join(words)

    def number(self, key):
        """A number, or None where the line has none."""
        return self._number(key, self.obj.get(key))

    def _number(self, key, value):
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) \
                or not math.isfinite(value) or value < 0:
            raise Bad(f"{self.where}: {key} is no number: {value!r}")
        return value

    def _points(self, key):
        """Milliseconds, KiB live, KiB held."""
        points = self.obj.get(key, [])
        if not isinstance(points, list) or \
                any(not isinstance(p, list) or len(p) != 3 for p in points):
            raise Bad(f"{self.where}: {key} is no list of three numbers each")
        return [[self._number(key, v) or 0 for v in p] for p in points]

    def parameter(self, key):
        """One of PARAMETERS as a word, or ""."""
        if key == "latency":    # the clock is in the time of such runs
            timed = "clock_ns" in self.obj and "scenario" not in self.obj
            return "each call timed" if timed else ""
        value = self.obj.get(key)
        if isinstance(value, bool):
            return key if value else f"not {key}"
        if value is None:
            return ""
        return f"{value} B" if key == "size" else f"{key} {value}"


def read(path):
    """The runs of a file."""
    runs = []
    with open(path, encoding="utf-8") as lines:
        try:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    runs.append(_run(line, f"{path}:{number}"))
        except UnicodeDecodeError as err:
            raise Bad(f"{path}: no UTF-8: {err}") from err
    if not runs:
        raise Bad(f"{path}: empty")
    return runs


def _run(line, where):
    try:
        return Run(json.loads(line), where)
    except json.JSONDecodeError as err:
        raise Bad(f"{where}: no JSON: {err.msg} at column "
                  f"{err.colno}") from err


def set_labels(runs):
    """The workload, with the parameters by which its rows differ."""
    for workload in {r.workload for r in runs}:
        rows = [r for r in runs if r.workload == workload]
        differ = [k for k in PARAMETERS if k == "size" or
                  len({str(r.parameter(k)) for r in rows}) > 1]
        for run in rows:
            words = [run.parameter(k) for k in differ if run.parameter(k)]
            run.label = ", ".join([workload] + words)


def grouped(runs, key):
    """Runs by what @key gives, in the order in which it first came."""
    groups = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return groups


class Figures:
    """One key of several runs."""

    def __init__(self, values):
        self.values = [v for v in values if v is not None]

    def __bool__(self):
        return bool(self.values)

    @property
    def median(self):
        """Half of them are below."""
        return statistics.median(self.values)

    @property
    def least(self):
        """Of all runs."""
        return min(self.values)

    @property
    def most(self):
        """Of all runs."""
        return max(self.values)

    @property
    def spread(self):
        """From the least to the most, in percent of the median."""
        if not self.median:
            return 0.0
        return 100 * (self.most - self.least) / self.median


def figures(runs, key):
    """Of the runs that have that key."""
    return Figures([r.number(key) for r in runs])
