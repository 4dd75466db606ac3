# SPDX-License-Identifier: MIT
"""rn-gcore: a core file without the address space that is only reserved.

The kernel leaves that out of the core files that it writes. gdb's
generate-core-file does not, and writes it as zeroes, terabytes of them.
"""

import re

import gdb

from libslab.library import Command, libraries

# Those of no file.
MAPPING = re.compile(r"(?P<start>\w+)-(?P<end>\w+) (?P<mode>\S{4}) "
                     r"\w+ \S+ 0 ")

# Of <bits/mman-linux.h>.
MADV_DONTDUMP = 16
MADV_DODUMP = 17


def _ranges(lib):
    """Where the library reserves more than it uses."""
    mem = lib.root("mem")
    base, size = int(mem["base"]), int(mem["bytes"])
    yield base, base + size
    blocks = size >> lib.const("page_shift") + lib.const("pageblock_order")
    tables = int(mem["vmemmap"])
    yield tables, int(mem["blocks"] + blocks)
    areas = lib.static("sheaf_pool.c", "pool")["area"]
    base = int(lib.root("sheaf_base"))
    yield base, base + int(areas[areas.type.range()[1]]["end"])


def _unused(pid):
    """Mappings there that cannot be written to, and so never were.

    What aligns the ranges is beside them, outside."""
    ranges = [r for lib in libraries() for r in _ranges(lib)]
    with open(f"/proc/{pid}/maps", encoding="ascii",
              errors="replace") as maps:
        for line in maps:
            match = MAPPING.match(line)
            if not match or match["mode"] not in ("---p", "r--p"):
                continue
            start, end = int(match["start"], 16), int(match["end"], 16)
            if any(start <= high and low <= end for low, high in ranges):
                yield start, end


def _advise(ranges, advice):
    for start, end in ranges:
        call = f"((int (*)(void *, unsigned long, int))madvise)" \
               f"((void *){start}, {end - start}, {advice})"
        if int(gdb.parse_and_eval(call)):
            raise gdb.GdbError(f"madvise({start:#x}): refused")


class Gcore(Command):
    """A core file of a process that uses libslab: rn-gcore [FILE].

As generate-core-file, without the address space that libslab reserves: that
is terabytes. It calls madvise() in the process, which goes on as it was."""

    def __init__(self):
        super().__init__("rn-gcore", gdb.COMPLETE_FILENAME)

    def run(self, argument):
        inferior = gdb.selected_inferior()
        connection = inferior.connection
        if not connection or connection.type != "native":
            raise gdb.GdbError("rn-gcore needs a process on this machine")
        unused = list(_unused(inferior.pid))
        try:
            _advise(unused, MADV_DONTDUMP)
            gdb.execute("generate-core-file " + argument)
        finally:
            _advise(unused, MADV_DODUMP)


Gcore()
