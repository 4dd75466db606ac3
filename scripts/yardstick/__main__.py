# SPDX-License-Identifier: MIT
"""Where the library wins and loses: rows over all allocators, and a table.

Documentation/dev-tools/slabbench.rst says how it is used.
"""

import argparse
import signal
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.path.append(str(SOURCE / "tools/slabbench/report"))

# pylint: disable=wrong-import-position
import measure              # noqa: E402
import results              # noqa: E402
import runs                 # noqa: E402
import table                # noqa: E402
import targets              # noqa: E402

EXIT_USAGE = 2


def at_least(least):
    """For an option that is a number."""
    def parse(text):
        value = int(text) if text.isascii() and text.isdigit() else -1
        if value < least:
            raise argparse.ArgumentTypeError(
                f"'{text}' is no number from {least} on")
        return value
    return parse


def options():
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="yardstick", allow_abbrev=False, description=__doc__)
    parser.add_argument("slabbench", type=Path, help="the program")
    parser.add_argument("--limit", type=at_least(0), default=3000,
                        metavar="SECONDS", help="begin no row that would end "
                        "later than this, but the first; 0 measures none "
                        "(default: %(default)s)")
    parser.add_argument("--rounds", type=at_least(results.ROUNDS),
                        default=results.ROUNDS, metavar="N",
                        help="runs of each allocator in a row (default, and "
                        "the least: %(default)s)")
    parser.add_argument("--workloads", metavar="LIST",
                        help="measure these only; the table is of all")
    parser.add_argument("--file", type=Path, metavar="FILE",
                        default=SOURCE / "Documentation/yardstick.json",
                        help="the rows; the table is beside it, with .inc at "
                        "its end (default: %(default)s)")
    parser.add_argument("--library", metavar="NAME",
                        help="what is measured (default: its last commit)")
    args = parser.parse_args()
    if args.file.suffix == ".inc":
        parser.error(f"--file: {args.file} is what the table would be called")
    return args


def chosen(keys, names):
    """The rows of some workloads, by comma; without names all."""
    if names is None:
        return keys
    there = {k.workload for k in keys}
    for name in names.split(","):
        if name not in there:
            raise runs.Bad(f"--workloads: unknown workload '{name}'")
    return [k for k in keys if k.workload in names.split(",")]


def show(row):
    """A line, once a row is there."""
    def word(name):
        against = targets.time(row, name)
        return f"{name} {against.ratio:.2f}{'~' if against.level else ''}" \
            f" of {against.peer}" if against else f"{name} without figures"
    print(f"{row.key}: {word('rn')}, "
          f"{word('rn-malloc')} ({row.seconds:.0f} s)", flush=True)


def fill(args, bench, keys, rows):
    """Measure until the time is over; the exit code."""
    machine = bench.machine()
    if rows:
        results.same_machine(rows[0], list(machine.values()), "here")
    results.writable(args.file)
    name = args.library or measure.library()
    watch, code, begun = measure.Watch(), 0, 0
    for key in measure.in_turn(keys, rows, name):
        end = watch.seconds + measure.expected_s(key, rows)
        if begun and end > args.limit:
            continue
        begun += 1
        try:
            row = bench.row(key, args.rounds, name, machine)
        except measure.NotMeasured as err:
            code = measure.EXIT_FAILED
            say(f"{key}: not measured: {err}")
            continue
        results.append(args.file, row)
        rows.append(row)
        show(row)
    return code


def say(what, code=0):
    """On standard error; gives the exit code."""
    print(f"yardstick: {what}", file=sys.stderr)
    return code


def yardstick(args):
    """0, or an exit code after a message."""
    code = 0
    try:
        rows = results.read(args.file)
        bench = measure.Bench(args.slabbench)
        wanted = bench.keys()
        keys = chosen(wanted, args.workloads)
        try:
            code = fill(args, bench, keys, rows) if args.limit else 0
        except KeyboardInterrupt:
            code = say("interrupted: the row that was being measured is "
                       "dropped", measure.EXIT_INTERRUPTED)
        output = args.file.with_suffix(".inc")
        table.write(output, wanted, rows)
        print(f"{output}: {len(results.newest(rows))} rows, "
              f"{len(wanted)} are wanted")
    except runs.Bad as err:
        return say(err, EXIT_USAGE)
    except OSError as err:
        return say(f"{err.filename or 'standard output'}: {err.strerror}",
                   measure.EXIT_FAILED)
    return code


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(yardstick(options()))
