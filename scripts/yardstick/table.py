# SPDX-License-Identifier: MIT
"""The rows as reStructuredText, for a page to include."""

import csv
import io
import re
import textwrap

import targets
from results import newest

HEAD = """\
.. SPDX-License-Identifier: MIT
.. Written by "make yardstick", not to be edited.
"""
OTHER_LIBRARY = "†"


def _plain(text):
    """Text as text."""
    return re.sub(r"([\\*`|_])", r"\\\1", text)


def _paragraph(text):
    return textwrap.fill(text, 80, break_long_words=False,
                         break_on_hyphens=False) + "\n"


def _table(title, head, rows):
    """A csv-table; none without rows."""
    if not rows:
        return ""
    lines = io.StringIO()
    writer = csv.writer(lines, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return f".. csv-table:: {title}\n   :header-rows: 1\n\n" + \
        textwrap.indent(lines.getvalue(), "   ")


def _number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


# --- cells ---

def _ratio(against):
    if against is None:
        return "**none**"
    text = f"{against.ratio:.2f}"
    return f"**{text}**" if against.lost else \
        text + ("~" if against.level else "")


def _mib(row, name, against):
    if against is None:
        return "**none**"
    text = f"{row.peak_kb[name].median / 1024:.1f}"
    return f"**{text}**" if against.lost else text


class Tables:
    """What a file says of the rows that are wanted."""

    def __init__(self, wanted, rows):
        latest = newest(rows)
        self._wanted = wanted
        self._rows = {k: latest[k] for k in wanted if k in latest}
        self._unknown = len(latest) - len(self._rows)
        last = max(self._rows.values(), key=lambda r: r.date, default=None)
        self._library = last.library if last else None

    def _label(self, key):
        other = self._rows[key].library != self._library
        return [f"{key.label} {OTHER_LIBRARY}" if other else key.label,
                key.threads]

    # --- where and when ---

    def _where(self):
        rows = self._rows.values()
        if not rows:
            return "No row has been measured yet."
        cpu, kernel, thp, hypervisor, cpus, nodes = next(iter(rows)).machine
        dates = sorted(r.date.date().isoformat() for r in rows)
        loads = sorted(r.load for r in rows)
        return _plain(
            f"{len(rows)} of {len(self._wanted)} rows, {dates[0]} to "
            f"{dates[-1]}, on {cpu}, Linux {kernel}, transparent hugepages: "
            f"{thp}, hypervisor: {hypervisor}, CPUs {cpus}, nodes {nodes}. "
            f"Others kept {loads[0]:.1f} to {loads[-1]:.1f} CPUs busy. The "
            f"library is {self._library}{self._others()}.")

    def _others(self):
        others = sorted({r.library for r in self._rows.values()} -
                        {self._library})
        return f"; rows with {OTHER_LIBRARY} are of {', '.join(others)}" \
            if others else ""

    def _not_measured(self):
        missing = {}
        for key in self._wanted:
            if key not in self._rows:
                missing.setdefault(key.label, []).append(str(key.threads))
        return "; ".join(label if len(threads) == len(targets.THREADS) else
                         f"{label} with threads {', '.join(threads)}"
                         for label, threads in missing.items())

    def _lacking(self):
        """[(allocator, reason, rows)]"""
        counts = {}
        for row in self._rows.values():
            for name, why in row.lacking.items():
                counts[name, why] = counts.get((name, why), 0) + 1
        return [[name, _plain(why), n] for (name, why), n in counts.items()]

    def _said(self):
        names = dict.fromkeys(k.workload for k in self._wanted)
        groups = {"Micro workloads": [n for n in names
                                      if n not in targets.APPLICATIONS],
                  "Application workloads": [n for n in names
                                            if n in targets.APPLICATIONS],
                  "Not measured": [m] if (m := self._not_measured()) else []}
        yield _paragraph(self._where())
        for what, of in groups.items():
            yield _paragraph(f"{what}: {', '.join(of) or 'none'}.")
        if self._unknown:
            yield _paragraph(f"{self._unknown} more rows of the file are of "
                             "no workload, size or number of threads that is "
                             "wanted.")

    # --- the tables ---

    def _targets(self):
        rows = []
        for target in targets.TARGETS:
            found, verdict = targets.judge(target, self._wanted, self._rows)
            every = target.most is None
            rows.append([target.name, target.against.__name__,
                         "every row" if every else
                         f"mean, {target.which} workloads",
                         "no row lost" if every else f"{target.most:.2f}",
                         found, verdict])
        return _table("Targets", ["allocator", "what", "of", "at most",
                                  "found", "verdict"], rows)

    def _against(self, title, keys):
        rows = []
        for key in keys:
            row = self._rows[key]
            of = [targets.time(row, n) for n in ("rn", "rn-malloc")]
            small = targets.time(row, "rn-small", targets.PLAIN)
            held = {n: targets.memory(row, n) for n in ("rn", "rn-malloc")}
            peers = [next((a.peer for a in many if a), "none")
                     for many in (of, held.values())]
            leanest = row.peak_kb[peers[1]].median if peers[1] != "none" else 0
            rows.append([*self._label(key), *map(_ratio, of), peers[0],
                         _ratio(small),
                         *(_mib(row, n, a) for n, a in held.items()),
                         f"{leanest / 1024:.1f}", peers[1],
                         f"{row.load:.2f}"])
        return _table(title, [
            "workload", "threads", "rn", "rn-malloc", "fastest peer",
            "rn-small", "rn MiB", "rn-malloc MiB", "leanest MiB",
            "leanest peer", "others' CPUs"], rows)

    def _all(self, title, cell):
        names = targets.OURS + targets.PEERS
        return _table(title, ["workload", "threads", *names],
                      [[*self._label(k), *(cell(r, n) if n in r.ns else ""
                                           for n in names)]
                       for k, r in self._rows.items()])

    def text(self):
        """All of it."""
        lost = {k: targets.lost(r) for k, r in self._rows.items()}
        worst_first = sorted((k for k in lost if lost[k]),
                             key=lambda k: -lost[k])
        return "\n".join(t for t in (
            HEAD, *self._said(), self._targets(),
            self._against("Rows that are lost", worst_first),
            self._against("Rows that are not", [k for k in lost
                                                if not lost[k]]),
            self._all("Nanoseconds an operation, and the spread",
                      lambda r, n: f"{_number(r.ns[n].median)} "
                                   f"±{r.ns[n].spread / 2:.0f}%"),
            self._all("Peak of RSS and HugetlbPages, MiB",
                      lambda r, n: f"{r.peak_kb[n].median / 1024:.1f}"),
            _table("What could not be measured as it is named",
                   ["allocator", "why", "rows"], self._lacking())) if t)


def write(path, wanted, rows):
    """The table of a file's rows."""
    path.write_text(Tables(wanted, rows).text(), encoding="utf-8")
