# SPDX-License-Identifier: MIT
"""What is aimed at, and how far the rows are from it."""

import math
import statistics
from collections.abc import Callable
from typing import NamedTuple

THREADS = (1, 2, 4, 16)

OURS = ("rn", "rn-small", "rn-malloc")
PLAIN = ("glibc", "jemalloc", "tcmalloc", "mimalloc")
PEERS = PLAIN + ("glibc-thp", "glibc-hugetlb", "jemalloc-thp",
                 "tcmalloc-hugetlb", "mimalloc-large")

# Small programs; what is left are micro workloads.
APPLICATIONS = ("collatz", "list", "vector", "web", "kv", "json", "cache")

# What each node may hold beyond the leanest peer.
NODE_KB = 2048


class Against(NamedTuple):
    """An allocator against the best peer of the row."""

    ratio: float
    level: bool         # the difference is none that counts
    peer: str

    @property
    def lost(self):
        """Worse than that peer."""
        return self.ratio > 1 and not self.level


def usual(values):
    """Where most of them are, as compare has it (tools/slabbench/stats.c)."""
    out = len(values) // 4 if len(values) >= 10 else 0
    ordered = sorted(values)
    return ordered[out], ordered[-1 - out]


def meet(a, b):
    """Whether the spreads of two drown their difference."""
    (low_a, high_a), (low_b, high_b) = usual(a.values), usual(b.values)
    return low_a <= high_b and low_b <= high_a


def _best(figures, peers):
    there = [p for p in peers if p in figures]
    return min(there, key=lambda p: figures[p].median, default=None)


def time(row, name, peers=PEERS):
    """Against the fastest; None where one of the two has no figures."""
    peer = _best(row.ns, peers)
    if name not in row.ns or not peer:
        return None
    ours, best = row.ns[name], row.ns[peer]
    return Against(ours.median / best.median, meet(ours, best), peer)


def memory(row, name):
    """Against the leanest."""
    peer = _best(row.peak_kb, PEERS)
    if name not in row.peak_kb or not peer:
        return None
    ours, best = row.peak_kb[name].median, row.peak_kb[peer].median
    return Against(ours / best, ours <= best + NODE_KB * row.nodes, peer)


class Target(NamedTuple):
    """One line of what is aimed at."""

    name: str           # of the allocator
    against: Callable   # time() or memory()
    most: float = None  # of the geometric mean; without it of every row
    which: str = "all"  # workloads

    def takes(self, key):
        """Whether a row is one of those that it is about."""
        return self.which == "all" or \
            (self.which == "application") == (key.workload in APPLICATIONS)


TARGETS = (
    Target("rn", time),
    Target("rn", time, 0.80, "micro"),
    Target("rn", time, 0.95, "application"),
    Target("rn-malloc", time),
    Target("rn-malloc", time, 0.92),
    Target("rn", memory),
    Target("rn", memory, 1.00),
    Target("rn-malloc", memory),
    Target("rn-malloc", memory, 1.00),
)


def geometric_mean(ratios):
    """Of (workload, ratio), each workload weighted once; None of none."""
    logs = {}
    for workload, ratio in ratios:
        logs.setdefault(workload, []).append(math.log(ratio))
    means = [statistics.fmean(v) for v in logs.values()]
    return math.exp(statistics.fmean(means)) if means else None


class Verdict(NamedTuple):
    """What the rows say of a target."""

    found: str
    verdict: str


def _of_rows(results):
    lost = sum(a is None or a.lost for a in results.values())
    level = sum(a is not None and a.level and a.ratio > 1
                for a in results.values())
    found = f"{lost} of {len(results)} lost, {level} level"
    return Verdict(found, f"missed by {lost}" if lost else "met")


def _of_mean(results, most):
    mean = geometric_mean((k.workload, a.ratio)
                          for k, a in results.items() if a)
    if mean is None:
        return Verdict("", "open")
    # On what is printed, not on digits that nobody sees.
    over = round(mean, 3) - most
    return Verdict(f"{mean:.3f}",
                   f"missed by {over:.3f}" if over > 0 else "met")


def judge(target, wanted, rows):
    """A target's verdict by the rows there are of those that are wanted."""
    keys = [k for k in wanted if target.takes(k)]
    there = [k for k in keys if k in rows]
    results = {k: target.against(rows[k], target.name) for k in there}
    if not there:
        return Verdict("", "open")
    if target.most is None:
        found, verdict = _of_rows(results)
    else:
        found, verdict = _of_mean(results, target.most)
    whole = len(there) == len(keys) and all(results.values()) and \
        not any(rows[k].lacking for k in there) and \
        len({rows[k].library for k in there}) == 1
    return Verdict(found, verdict if whole else f"{verdict} so far")


def lost(row):
    """How bad the worst of what is lost in a row is; 0 where nothing is."""
    worst = 0
    for target in TARGETS:
        if target.most is None:
            against = target.against(row, target.name)
            if against is None:
                return math.inf
            worst = max(worst, against.ratio if against.lost else 0)
    return worst
