# SPDX-License-Identifier: MIT
"""Memory maps (Documentation/admin-guide/memmap.rst), frames of one picture."""

import re

from runs import Bad

HEAD = "memmap - version: 1."
BLOCK_PAGES = 512
KINDS = ("free", "released", "large", "pages", "full", "partial", "empty",
         "active")
STATES = KINDS[4:]

# NAME.SECONDS.memmap
FRAME = re.compile(r"(?P<name>.+?)\.(?P<seconds>\d+(\.\d+)?)\.memmap$")

CACHE_WORDS = ("size", "active", "objects", "fast_allocs", "slow_allocs",
               "fast_frees", "slow_frees", "refills", "flushes")


def frame_name(file):
    """The run that a file is of, and its second."""
    match = FRAME.match(file)
    if match:
        return match["name"], float(match["seconds"])
    return file[:-len(".memmap")], 0.0


class Frame:
    """What lay where at one time."""

    def __init__(self, path, seconds):
        self.path = path
        self.seconds = seconds
        self.blocks = []
        self.caches = {}
        self.pages = dict.fromkeys(KINDS, 0)
        self.unknown = set()
        self._queued = {}
        self._rest = None
        self._read()

    def _read(self):
        with open(self.path, encoding="utf-8", errors="replace") as lines:
            if not lines.readline().startswith(HEAD):
                raise Bad(f"{self.path}:1: no memory map of version 1")
            for number, line in enumerate(lines, 2):
                words = line.split()
                if not words:
                    continue
                try:
                    self._line(*words)
                except (ValueError, TypeError, KeyError, IndexError) as err:
                    raise Bad(f"{self.path}:{number}: no line of a memory "
                              f"map: {line.strip()}") from err

    def _line(self, what, *words):
        known = {
            "block": self._block, "slab": self._slab, "cache": self._cache,
            "barn": self._barn, "slot": self._slot,
        }
        if what in ("free", "released", "large", "pages"):
            self._run(int(words[0]), int(words[1]), what)
        elif what in known:
            known[what](*words)
        else:
            self.unknown.add(what)

    # --- pages ---

    def _block(self, number, node, backing, free, released, hollow, *flags):
        block = {
            "n": int(number), "node": int(node), "backing": backing,
            "free": int(free), "released": int(released),
            "hollow": int(hollow), "flags": " ".join(flags), "runs": [],
        }
        self.blocks.append(block)
        rest, self._rest = self._rest, None
        if rest:
            self._run(*rest)

    def _run(self, pfn, pages, kind, *more):
        """In this block; what goes on behind it is for the next one."""
        if pages < 1 or kind not in KINDS:
            raise ValueError(kind)
        block = self.blocks[-1]
        first = block["n"] * BLOCK_PAGES
        if not first <= pfn < first + BLOCK_PAGES:
            raise ValueError("a page of another block")
        inside = min(pages, first + BLOCK_PAGES - pfn)
        self.pages[kind] += inside
        block["runs"].append([pfn - first, inside, KINDS.index(kind), *more])
        if pages > inside:
            self._rest = (pfn + inside, pages - inside, kind, *more)

    def _slab(self, pfn, pages, cache, state, out, objects, hollow, queued=0,
              *_):
        if state not in STATES:
            raise ValueError(state)
        of = cache, self.blocks[-1]["node"]
        self._queued[of] = self._queued.get(of, 0) + int(queued)
        self._run(int(pfn), int(pages), state, cache, int(out), int(objects),
                  int(hollow))

    # --- caches ---

    def _cache(self, name, node, *counts):
        cache = {k: int(v) for k, v in zip(CACHE_WORDS, counts, strict=False)}
        if len(cache) < len(CACHE_WORDS):
            raise ValueError("too few words")
        cache.update(name=name, node=int(node), slots=[], barn=[0, 0, 0],
                     queued=self._queued.get((name, int(node)), 0), away=0)
        self.caches[name, int(node)] = cache

    def _barn(self, name, node, full, empty, objects, *_):
        self.caches[name, int(node)]["barn"] = [int(full), int(empty),
                                                int(objects)]

    def owners(self):
        """CPUs, by the first page of the slab that is theirs."""
        return {slot[5]: slot[0] for cache in self.caches.values()
                for slot in cache["slots"] if slot[5] is not None}

    def _slot(self, name, node, index, main, room, spare, spare_room, slab,
              home="-", *_):
        cache = self.caches[name, int(node)]
        cache["slots"].append(
            [int(index), int(main), int(room), int(spare), int(spare_room),
             None if slab == "-" else int(slab)])
        if home not in ("-", node):
            cache["away"] += int(main) + int(spare)


class Picture:
    """The frames of one run."""

    def __init__(self, name, frames):
        self.name = name
        self.frames = sorted(frames, key=lambda f: f.seconds)


def hit_rate(cache, what):
    """The share of allocations or frees that a sheaf served, or None."""
    fast, slow = cache[f"fast_{what}"], cache[f"slow_{what}"]
    return fast / (fast + slow) if fast + slow else None


def read(paths):
    """Pictures, by the names of the files."""
    by_name = {}
    for path in paths:
        name, seconds = frame_name(path.name)
        by_name.setdefault(name, []).append(Frame(path, seconds))
    return [Picture(name, frames) for name, frames in by_name.items()]
