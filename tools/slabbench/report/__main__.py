# SPDX-License-Identifier: MIT
"""slabbench report: one page of what is in a folder.

Started by slabbench, which has looked at the options: OUTPUT FOLDER.
"""

import json
import sys
from pathlib import Path

import charts
import inside
import measured
import memmap
import page
import runs
import strace

# Exit codes of slabbench.
EXIT_FAILED, EXIT_USAGE, EXIT_UNAVAILABLE = 1, 2, 3

SUFFIXES = (".json", ".memmap", ".strace", ".stats")


class Folder:
    """What there is to report."""

    def __init__(self, path, output):
        files = sorted(p for p in path.iterdir()
                       if p.is_file() and not same(p, output))
        by_suffix = {s: [p for p in files if p.suffix == s] for s in SUFFIXES}
        self.left_out = [p for p in files if p.suffix not in SUFFIXES]
        if not any(by_suffix.values()):
            raise runs.Bad(f"{path}: there is nothing to report: no file "
                           f"*{', *'.join(SUFFIXES)}")
        self.files = []
        self.runs = []
        for file in by_suffix[".json"]:
            self._add_runs(file)
        runs.set_labels(self.runs)
        self.pictures = memmap.read(by_suffix[".memmap"])
        self._name(self.pictures, "frames of a memory map",
                   lambda p: len(p.frames))
        self.histories = [strace.History(f) for f in by_suffix[".strace"]]
        self._name(self.histories, "calls, by strace",
                   lambda h: h.nr_calls)
        self.stats = [(f.name[:-len(".stats")],
                       f.read_text(encoding="utf-8", errors="replace"))
                      for f in by_suffix[".stats"]]
        self.files += [(f.name, "an allocator's own figures")
                       for f in by_suffix[".stats"]]
        self.files += [(p.name, "not read: no name that the report knows")
                       for p in self.left_out]

    def _add_runs(self, file):
        of_file = runs.read(file)
        self.runs += of_file
        self.files.append((file.name, f"{len(of_file)} runs"))

    def _name(self, things, what, count):
        self.files += [(t.name, f"{count(t)} {what}") for t in things]


def same(path, output):
    """An earlier report is none of its own data."""
    return output.exists() and path.samefile(output)


def none(what, how):
    """In place of a section's contents."""
    return (f"<p class=quiet>No {page.escape(what)} here: "
            f"<code>{page.escape(how)}</code> writes them.</p>")


def drawn(figures, *tables):
    """A section's contents, or nothing."""
    return "\n".join(t for t in (*tables, inside.figures(figures)) if t)


def sections(folder):
    """All of the page, drawn."""
    all_runs = folder.runs
    groups = {
        "throughput": measured.throughput_charts(all_runs),
        "latency": measured.latency_charts(all_runs),
        "memory": measured.memory_charts(all_runs),
        "fragmentation": measured.fragmentation_charts(all_runs),
        "classes": [c for p in folder.pictures for c in inside.class_charts(p)],
        "peers": inside.history_charts(folder.histories),
    }
    charts.draw([c for group in groups.values() for c in group])
    yield page.section("where", "Where and how",
                       measured.where(all_runs, folder.files))
    yield page.section("throughput", "Throughput", drawn(
        groups["throughput"], measured.throughput_table(all_runs),
        measured.instructions_table(all_runs)) or none(
            "times", "slabbench compare --json DIR/compare.json"))
    yield page.section("latency", "Latency", drawn(groups["latency"]) or none(
        "latencies", "slabbench compare --latency --json DIR/latency.json"))
    yield page.section("memory", "Memory over time", drawn(
        groups["memory"], measured.memory_table(all_runs)) or none(
            "curves", "slabbench reclaim --json DIR/reclaim.json"))
    yield page.section("fragmentation", "Fragmentation", drawn(
        groups["fragmentation"],
        measured.fragmentation_table(all_runs)) or none(
            "ratios", "slabbench compare -w frag --json DIR/frag.json"))
    no_maps = none("memory maps", "slabbench reclaim -p rn --memmap DIR")
    yield page.section("maps", "Memory maps", "\n".join(
        inside.picture(p, i) for i, p in enumerate(folder.pictures))
        or no_maps)
    yield page.section("classes", "Classes and hit rates",
                       drawn(groups["classes"]) or no_maps)
    yield page.section("peers", "What others do", drawn(
        groups["peers"],
        inside.history_table(folder.histories) if folder.histories else "",
        inside.stats_texts(folder.stats)) or none(
            "histories", "slabbench reclaim --syscalls DIR"))


def report(output, path):
    """0, or an exit code after a message."""
    try:
        folder = Folder(path, output)
        for file in folder.left_out:
            say(f"{file}: left out: no name that the report knows")
        data = json.dumps([inside.picture_data(p) for p in folder.pictures],
                          separators=(",", ":"))
        text = page.page(f"slabbench report: {path.resolve().name}",
                         list(sections(folder)), data)
    except runs.Bad as err:
        return say(err, EXIT_USAGE)
    except charts.Unavailable as err:
        return say(err, EXIT_UNAVAILABLE)
    except OSError as err:
        return say(f"cannot read {err.filename}: {err.strerror}", EXIT_USAGE)
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as err:
        return say(f"cannot write {output}: {err.strerror}", EXIT_FAILED)
    print(f"{output}: {len(folder.runs)} runs, {len(folder.pictures)} memory "
          f"maps, {len(folder.histories)} histories")
    return 0


def say(what, code=0):
    """On standard error; gives the exit code."""
    print(f"slabbench: {what}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(report(Path(sys.argv[1]), Path(sys.argv[2])))
