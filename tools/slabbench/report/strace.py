# SPDX-License-Identifier: MIT
"""What a program asked of the kernel for memory, as "slabbench reclaim
--syscalls" has recorded it, or

    strace -f -ttt -e trace=%memory,process_madvise -o NAME.strace program
"""

import bisect
import re

from runs import Bad

CALL = re.compile(r"(?:(?P<pid>\d+) +)?(?P<time>\d+\.\d+) +(?P<rest>.*)$")
WHOLE = re.compile(r"(?P<name>\w+)\((?P<args>.*)\) += +(?P<ret>\S+)")
UNFINISHED = re.compile(r"(?P<begin>\w+\(.*?),? *<unfinished \.\.\.>$")
RESUMED = re.compile(r"<\.\.\. \w+ resumed>,? ?(?P<end>.*)$")
ADVICE = re.compile(r"MADV_\w+")
GIVES_BACK = ("MADV_DONTNEED", "MADV_FREE", "MADV_REMOVE",
              "MADV_DONTNEED_LOCKED")


class Ranges:
    """Addresses of one kind, in order."""

    def __init__(self):
        self.starts = []
        self.ends = []
        self.bytes = 0

    def add(self, start, size):
        """As mmap() does: what was there is replaced."""
        self.take(start, size)
        at = bisect.bisect(self.starts, start)
        self.starts.insert(at, start)
        self.ends.insert(at, start + size)
        self.bytes += size

    def take(self, start, size):
        """As munmap() does: also the middle of one, or several. Gives what it
        took, as starts and sizes."""
        end = start + size
        taken = []
        at = bisect.bisect(self.ends, start)
        while at < len(self.starts) and self.starts[at] < end:
            low, high = self.starts[at], self.ends[at]
            del self.starts[at], self.ends[at]
            self.bytes -= high - low
            first = max(low, start)
            taken.append((first, min(high, end) - first))
            for left, right in ((low, start), (end, high)):
                if left < right:
                    self.starts.insert(at, left)
                    self.ends.insert(at, right)
                    self.bytes += right - left
                    at += 1
        return taken


class Program:
    """From one execve() to the next: its address space."""

    def __init__(self, pid, start):
        self.pid = pid
        self.calls = {}          # name: [number, bytes]
        self.nr_calls = 0
        self.points = []         # seconds, bytes writable, bytes given back
        self._start = start
        # What is mapped without a file. Allocators reserve terabytes that
        # are no memory until mprotect() lets them be written to.
        self._writable = Ranges()
        self._reserved = Ranges()
        self._heap = None        # where brk() stood first, and stands
        self._given = 0

    @property
    def heap_end(self):
        """Where brk() stands, or None."""
        return self._heap[1] if self._heap else None

    def call(self, name, args, ret, time):
        """One that has ended well."""
        does = {"mmap": self._mmap, "munmap": self._munmap, "brk": self._brk,
                "mremap": self._mremap, "mprotect": self._mprotect,
                "madvise": self._madvise,
                "process_madvise": self._process_madvise}
        size = 0
        self.nr_calls += 1
        if name in does:
            name, size = does[name](args, ret)
        count = self.calls.setdefault(name, [0, 0])
        count[0] += 1
        count[1] += size
        heap = self._heap[1] - self._heap[0] if self._heap else 0
        self.points.append((time - self._start,
                            self._writable.bytes + heap, self._given))

    def exits(self, time):
        """Until then all stayed as it was."""
        self.points.append((time - self._start, *self.points[-1][1:]))

    def _unmap(self, start, size):
        self._writable.take(start, size)
        self._reserved.take(start, size)

    def _mmap(self, args, ret):
        start, size = int(ret, 16), int(args[1], 0)
        self._unmap(start, size)
        if "MAP_ANONYMOUS" not in args[3]:
            return "mmap of a file", size
        if "PROT_WRITE" not in args[2]:
            self._reserved.add(start, size)
            return "mmap of addresses", size
        self._writable.add(start, size)
        return "mmap of memory", size

    def _munmap(self, args, _ret):
        start, size = int(args[0], 16), int(args[1], 0)
        self._unmap(start, size)
        return "munmap", size

    def _mprotect(self, args, _ret):
        start, size = int(args[0], 16), int(args[1], 0)
        of, to = self._writable, self._reserved
        if "PROT_WRITE" in args[2]:
            of, to = to, of
        for piece in of.take(start, size):
            to.add(*piece)
        return "mprotect", size

    def _brk(self, _args, ret):
        end = int(ret, 16)
        moved = abs(end - self._heap[1]) if self._heap else 0
        self._heap = (self._heap[0] if self._heap else end, end)
        return "brk", moved

    def _mremap(self, args, ret):
        start, size = int(ret, 16), int(args[2], 0)
        self._unmap(int(args[0], 16), int(args[1], 0))
        self._unmap(start, size)
        self._writable.add(start, size)
        return "mremap", size

    def _madvise(self, args, _ret):
        return self._advise(args[2], int(args[1], 0))

    def _process_madvise(self, args, ret):
        return self._advise(" ".join(args), int(ret, 0))

    def _advise(self, text, size):
        advice = ADVICE.search(text)
        advice = advice[0] if advice else text
        if advice in GIVES_BACK:
            self._given += size
        return advice, size


class History:
    """The calls of one file: of a program, and those that it started.

    The loader begins each with brk(NULL), whose heap is elsewhere. A process
    that has not called that is a thread, or a child that does as its parent, of
    the program that began last.
    """

    def __init__(self, path):
        self.path = path
        self.name = path.name[:-len(".strace")]
        self.programs = []
        self._of = {}            # by pid
        self._begun = {}         # by pid, a call that has not ended
        self._read()

    @property
    def busiest(self):
        """The program that has called most."""
        return max(self.programs, key=lambda p: p.nr_calls)

    @property
    def nr_calls(self):
        """Over all programs."""
        return sum(p.nr_calls for p in self.programs)

    def _read(self):
        with open(self.path, encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, 1):
                match = CALL.match(line.rstrip("\n"))
                if not match:
                    raise Bad(f"{self.path}:{number}: no line of strace -ttt: "
                              f"{line.strip()}")
                self._line(match["pid"], float(match["time"]), match["rest"],
                           number)
        if not self.programs:
            raise Bad(f"{self.path}: no call that maps or unmaps memory")

    def _line(self, pid, time, rest, number):
        if rest.startswith("---"):              # a signal
            return
        if rest.startswith("+++"):
            program = self._of.get(pid)
            if program and program.pid == pid:
                program.exits(time)
            return
        begun = UNFINISHED.match(rest)
        if begun:
            self._begun[pid] = begun["begin"]
            return
        resumed = RESUMED.match(rest)
        if resumed:
            rest = self._begun.pop(pid, "") + resumed["end"]
        match = WHOLE.match(rest)
        if not match:
            raise Bad(f"{self.path}:{number}: no call: {rest}")
        if match["ret"] in ("-1", "?"):         # it changed nothing
            return
        args = match["args"].split(", ")
        try:
            asks = match["name"] == "brk" and args == ["NULL"]
            program = self._program(pid, time,
                                    int(match["ret"], 16) if asks else None)
            program.call(match["name"], args, match["ret"], time)
        except (ValueError, IndexError) as err:
            raise Bad(f"{self.path}:{number}: no call: {rest}") from err

    def _program(self, pid, time, heap):
        """That of a call, which is brk(NULL) where @heap is what it gave."""
        program = self._of.get(pid) or \
            (self.programs[-1] if self.programs else None)
        if not program or (heap is not None and heap != program.heap_end):
            program = Program(pid, time)
            self.programs.append(program)
        self._of[pid] = program
        return program
