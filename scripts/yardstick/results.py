# SPDX-License-Identifier: MIT
"""The file of rows, a line of JSON for each time that one was measured."""

import json
import math
from datetime import datetime
from typing import NamedTuple

from runs import MACHINE, Bad, Figures

# With fewer rounds a median and a spread say little.
ROUNDS = 7

# What a line must have; Documentation/dev-tools/slabbench.rst has the meaning.
KINDS = {"workload": str, "threads": int, "date": str, "library": str,
         "machine": dict, "load": (int, float), "seconds": (int, float),
         "lacking": dict, "ns_per_op": dict, "peak_kb": dict}


class Key(NamedTuple):
    """Which row it is."""

    workload: str
    size: int           # 0 where the workload has none
    threads: int

    @property
    def label(self):
        """Without the threads."""
        return f"{self.workload} {self.size} B" if self.size else self.workload

    def __str__(self):
        many = "s" if self.threads > 1 else ""
        return f"{self.label}, {self.threads} thread{many}"


class Row:
    """A line: a row over all allocators, of one invocation of compare."""

    def __init__(self, obj, where):
        self.obj = obj
        self._where = where
        if not isinstance(obj, dict):
            raise Bad(f"{where}: no JSON object")
        for key, kind in KINDS.items():
            self._expect(isinstance(obj.get(key), kind) and
                         not isinstance(obj[key], bool),
                         f"{key} is not there, or no {_word(kind)}")
        size = obj.get("size", 0)
        self._expect(isinstance(size, int) and size >= 0, "size is no size")
        self.key = Key(obj["workload"], size, obj["threads"])
        self.machine = [obj["machine"].get(k) for k in MACHINE]
        self._expect(all(isinstance(v, str) for v in self.machine),
                     f"machine has not all of {', '.join(MACHINE)}")
        self.date = self._date()
        self.library, self.lacking = obj["library"], obj["lacking"]
        self.load, self.seconds = obj["load"], obj["seconds"]
        self.ns, self.peak_kb = self._figures("ns_per_op"), \
            self._figures("peak_kb")
        self._expect(self.ns.keys() == self.peak_kb.keys(),
                     "ns_per_op and peak_kb are of different allocators")

    def _expect(self, good, what):
        if not good:
            raise Bad(f"{self._where}: {what}")

    def _date(self):
        try:
            date = datetime.fromisoformat(self.obj["date"])
        except ValueError:
            date = None
        self._expect(date and date.tzinfo, "date is no date with a time zone")
        return date

    def _figures(self, key):
        """Of each allocator, those of all rounds."""
        for name, values in self.obj[key].items():
            self._expect(isinstance(values, list) and len(values) >= ROUNDS,
                         f"{key} of {name} is no list of {ROUNDS} or more")
            self._expect(all(_is_figure(v) for v in values),
                         f"{key} of {name} has what is no figure")
        return {n: Figures(v) for n, v in self.obj[key].items()}

    @property
    def nodes(self):
        """How many of them the row was allowed."""
        nodes = 0
        for part in self.obj["machine"]["nodes_allowed"].split(","):
            first, _, last = part.partition("-")
            if not first.isdigit() or not (last or first).isdigit():
                return 1        # unknown
            nodes += int(last or first) - int(first) + 1
        return nodes


def _word(kind):
    return {str: "text", dict: "object"}.get(kind, "number")


def _is_figure(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) \
        and math.isfinite(value) and value > 0


def same_machine(row, machine, where):
    """Nothing that is set side by side may be of two machines."""
    if row.machine != machine:
        raise Bad(f"{where}: another machine ({', '.join(machine)}) than that "
                  f"of the rows before ({', '.join(row.machine)}): each has a "
                  "file of its own (--file)")


def read(path):
    """All lines of a file; none where there is no file yet."""
    rows = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return rows
    except UnicodeDecodeError as err:
        raise Bad(f"{path}: no UTF-8: {err}") from err
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        try:
            rows.append(Row(json.loads(line), where))
        except json.JSONDecodeError as err:
            raise Bad(f"{where}: no JSON: {err.msg}") from err
        same_machine(rows[0], rows[-1].machine, where)
    return rows


def append(path, row):
    """In one write, so that a row is there as a whole or not at all."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(row.obj, separators=(",", ":")) + "\n")


def writable(path):
    """Before an hour is spent on what cannot be kept; OSError if not."""
    with open(path, "a", encoding="utf-8"):
        pass


def newest(rows):
    """Of each key the row that was measured last."""
    return {r.key: r for r in sorted(rows, key=lambda r: r.date)}
