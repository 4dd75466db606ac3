# SPDX-License-Identifier: MIT
"""Measures rows, by slabbench compare: all allocators in turn, in one go."""

import os
import re
import resource
import subprocess
import tempfile
import time
from datetime import datetime, timezone
from pathlib import Path

import runs
import targets
from results import Key, Row, newest

SOURCE = Path(__file__).resolve().parents[2]
# What the library is made of: documents and tools make no other library.
LIBRARY = ("arch", "compat", "include", "mm", "libslab.map",
           "libslabmalloc.map")

# What takes base pages without a word where there are no others.
ON_HUGETLB = ("glibc-hugetlb", "tcmalloc-hugetlb")
ON_THP = ("glibc-thp", "jemalloc-thp")

# As much as compare takes without -w: three times as much shows no more.
BYTES = {"seq": "1G", "mtseq": "1G"}

EXIT_FAILED, EXIT_INTERRUPTED = 1, 130


class NotMeasured(Exception):
    """Why a row has no figures."""


def library():
    """Its last commit, whether it is changed, and options that are set."""
    def git(*words):
        done = subprocess.run(["git", "-C", SOURCE, *words, "--", *LIBRARY],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise runs.Bad("which library is it? --library says so where git "
                           f"does not: {done.stderr.strip()}")
        return done.stdout.strip()

    name = git("log", "-1", "--format=%h", "--abbrev=12")
    if git("status", "--porcelain"):
        name += "-dirty"
    options = [f"{k}={v}" for k, v in os.environ.items() if k.startswith("RN_")]
    return " ".join([name, *sorted(options)])


def _free_hugetlb():
    """Whether a process could get pages of the pool."""
    free = re.search(r"HugePages_Free: +(\d+)",
                     Path("/proc/meminfo").read_text(encoding="ascii"))
    more = Path("/proc/sys/vm/nr_overcommit_hugepages")
    return free and int(free[1]) > 0 or \
        more.exists() and int(more.read_text(encoding="ascii")) > 0


def _busy_s():
    """Seconds that all CPUs were busy or stolen since the machine started."""
    with open("/proc/stat", encoding="ascii") as stat:
        user, nice, system, _, _, irq, softirq, steal = \
            map(int, stat.readline().split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    return ticks / os.sysconf("SC_CLK_TCK")


def _children_s():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Watch:
    """Time that passes, and what others make of it."""

    def __init__(self):
        self._date = datetime.now(timezone.utc)
        self._start = time.monotonic()
        self._others = _busy_s() - _children_s()

    @property
    def seconds(self):
        """On the clock."""
        return max(time.monotonic() - self._start, 0.001)

    def row(self):
        """The keys of a row that tell when it was."""
        others = _busy_s() - _children_s() - self._others
        return {"date": self._date.isoformat(timespec="seconds"),
                "seconds": round(self.seconds, 1),
                "load": round(max(others / self.seconds, 0), 2)}


class Bench:
    """slabbench, as it is built here."""

    def __init__(self, path):
        self._path = path
        self._list = self._call("list").stdout
        self._missing = dict(re.findall(r"^  (\S+) +missing: (.*)$",
                                        self._list, re.M))

    def _call(self, *words, codes=(0,)):
        try:
            # What it measures ends with it, and it must end with this.
            with subprocess.Popen([self._path, *words], text=True,
                                  stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE) as process:
                try:
                    out, err = process.communicate()
                except KeyboardInterrupt:
                    process.terminate()
                    raise
        except OSError as error:
            raise runs.Bad(f"cannot start {self._path}: "
                           f"{error.strerror}") from error
        if process.returncode == EXIT_INTERRUPTED:
            raise KeyboardInterrupt
        if process.returncode not in codes:
            raise runs.Bad(f"{' '.join(map(str, process.args))}: exit code "
                           f"{process.returncode}: {err.strip()}")
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def keys(self):
        """All rows that are wanted, in the order of slabbench list."""
        part = self._list.partition("scenarios of reclaim:")[0]
        found = re.findall(r"^  (\S+) .*(?:\n +sizes ((?:\d+ ?)+)$)?", part,
                           re.M)
        return [Key(name, int(size), threads) for name, sizes in found
                for size in sizes.split() or [0] for threads in targets.THREADS]

    def _json(self, *words, codes=(0,)):
        """The runs of a command, and what it has said."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "runs.json"
            done = self._call(*words, "--json", file, codes=codes)
            if done.returncode and not file.stat().st_size:
                raise NotMeasured(done.stderr.strip())
            return runs.read(file), done.stderr.strip()

    def machine(self):
        """Where this takes place, as results are marked."""
        probe, _ = self._json("run", "-a", "rn", "-w", "pair", "-s", "16",
                              "-n", "1", "-r", "1")
        return _machine(probe[0])

    def _lacking(self, thp):
        """Allocators that cannot run here, or not as their names say."""
        lacking = {n: why for n, why in self._missing.items()
                   if n in targets.OURS + targets.PEERS}
        if not _free_hugetlb():
            lacking.update(dict.fromkeys(ON_HUGETLB,
                                         "no hugetlb page is free"))
        if thp == "never":
            lacking.update(dict.fromkeys(ON_THP,
                                         "transparent hugepages are off"))
        return lacking

    def row(self, key, rounds, name, machine):
        """Measure one; NotMeasured where that gives no figures."""
        lacking = self._lacking(machine["thp"])
        there = [p for p in targets.OURS + targets.PEERS if p not in lacking]
        words = ["-w", key.workload, "-t", key.threads, "-r", rounds,
                 "-p", ",".join(there)]
        if key.size:
            words += ["-s", key.size]
        if key.workload in BYTES:
            words += ["--bytes", BYTES[key.workload]]
        watch = Watch()
        of_row, said = self._json("compare", *map(str, words),
                                  codes=(0, EXIT_FAILED))
        when = watch.row()
        if any(_machine(r) != machine for r in of_row):
            raise NotMeasured("the machine has changed meanwhile")
        return Row({**_identity(key), **when, "library": name,
                    "machine": machine,
                    **_measured(of_row, rounds, there, lacking, said)},
                   key)


def _identity(key):
    size = {"size": key.size} if key.size else {}
    return {"workload": key.workload, **size, "threads": key.threads}


def _machine(run):
    return {k: run.text(k) or "unknown" for k in runs.MACHINE}


def _peaks(of):
    return [r.number("peak_rss_kb") + r.number("peak_hugetlb_kb") for r in of]


def _measured(of_row, rounds, there, lacking, said):
    """Figures of those that made all rounds, and what became of the others."""
    if len({r.text("checksum") for r in of_row}) > 1:
        raise NotMeasured(f"not the same operations everywhere: {said}")
    by_name = runs.grouped(of_row, lambda r: r.allocator)
    whole = {n: by_name[n] for n in there if len(by_name.get(n, [])) == rounds}
    if not any(n in targets.PEERS for n in whole):
        raise NotMeasured(f"nobody to compare with: {said}")
    for name in there:
        if name not in whole:
            lacking[name] = f"failed: {_said_of(name, said)}"
        elif name in (*ON_HUGETLB, "rn") and \
                not any(r.number("peak_hugetlb_kb") for r in whole[name]):
            lacking[name] = "took no hugetlb page"
    return {"lacking": lacking,
            "ns_per_op": {n: [r.ns_per_op for r in of]
                          for n, of in whole.items()},
            "peak_kb": {n: _peaks(of) for n, of in whole.items()}}


def _said_of(name, said):
    lines = [line for line in said.splitlines() if f" {name} " in line]
    return "; ".join(lines or said.splitlines()).replace("slabbench: ", "")


def in_turn(keys, rows, name):
    """Rows that are missing, those of other libraries, then the oldest."""
    latest = newest(rows)

    def age(key):
        row = latest.get(key)
        return (2, row.date.timestamp()) if row and row.library == name else \
            (1, row.date.timestamp()) if row else (0, 0)
    return sorted(keys, key=age)


def expected_s(key, rows):
    """How long a row takes, by itself or by those that are like it."""
    for alike in (lambda r: r.key == key,
                  lambda r: r.key.workload == key.workload, lambda r: True):
        known = [r.seconds for r in rows if alike(r)]
        if known:
            return sum(known) / len(known)
    return 0
