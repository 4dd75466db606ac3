# SPDX-License-Identifier: MIT
"""rn-cache-of and rn-slab-objects: what lies at an address."""

import gdb

from libslab.library import Inspect


def _swab64(word):
    return int.from_bytes(word.to_bytes(8, "little"), "big")


def _read_word(address):
    data = gdb.selected_inferior().read_memory(address, 8)
    return int.from_bytes(data.tobytes(), "little")


def _constant(name):
    return int(gdb.parse_and_eval(name))


def _enumerator(kind, value, prefix):
    for field in gdb.lookup_type("enum " + kind).fields():
        if field.enumval == value:
            return field.name.replace(prefix, "").lower()
    return f"{kind} {value}"


class Slab:
    """The slab that an address is in, whose row is not 0."""

    def __init__(self, lib, address):
        self.lib = lib
        self.row = lib.row(address)
        self.cache, self.node = lib.cache_of_row(self.row)
        order = int(self.cache["order"])
        pfn = lib.pfn(address) >> order << order
        self.address = lib.address(pfn)
        self.head = lib.root("mem")["vmemmap"][pfn]
        self.hollow = lib.root("mem")["vmemmap"][pfn + 1]
        self.size = int(self.cache["size"])
        self.nr = int(self.cache["objects"])
        self.rest = int(self.cache["page_rest"])
        self.per_page = int(self.cache["per_page"])
        self.red_left = int(self.cache["red_left"])
        self.end = self.object(self.nr - 1) + self.size
        self.lost = 0

    @property
    def name(self):
        """Of its cache."""
        return self.cache["name"].string()

    def object(self, index):
        """Where an object begins."""
        at = self.address + self.red_left + index * self.size
        if self.per_page:
            at += index // self.per_page * self.rest
        return at

    def index(self, address):
        """Of the object that an address is in, or None behind the last."""
        page = 1 << self.lib.const("page_shift")
        offset = address - self.address
        # As slab_index(); the rest of a page is no object's.
        index = (offset - offset // page * self.rest) // self.size
        # Behind the object, or in the red zone before it.
        if address >= self.end or \
                not 0 <= address - self.object(index) < self.size:
            return None
        return index

    def _next(self, index):
        """What a free object is linked with; None: its link is none."""
        where = self.object(index) + int(self.cache["free_offset"])
        to = _read_word(where) ^ int(self.head["key"]) ^ _swab64(where)
        if not to:
            return self.lib.const("no_object")
        if not self.address <= to < self.end:
            return None
        index = self.index(to)
        return index if to == self.object(index) else None

    def _walk(self, first, nr, state, states):
        index = first
        for left in range(nr, 0, -1):
            if index is None or index >= self.nr:
                self.lost += left
                return
            here = index
            states[here] = state
            try:
                index = self._next(here)
            except gdb.MemoryError:
                self.lost += left - 1
                return
            if index is None:
                states[here] += ", and written to since"

    def _look_at_sheaves(self, sheaves, state, states):
        for sheaf in sheaves:
            for address in self.lib.sheaf_objects(sheaf):
                inside = self.address <= address < self.end
                index = self.index(address) if inside else None
                if index is not None:
                    states[index] = state

    def _is_hollow(self, index):
        shift = self.lib.const("page_shift")
        offset = self.object(index) - self.address
        first, last = offset >> shift, (offset + self.size - 1) >> shift
        mask = (2 << last) - (1 << first)
        return bool(int(self.hollow["hollow"]) & mask)

    def _debug_state(self, index):
        """Of an object of a debugged cache that is on no list."""
        meta = self.object(index) + int(self.cache["free_offset"]) + 8
        try:
            state = _read_word(meta) & 0xffffffff
        except gdb.MemoryError:
            return "in use"
        if state == _constant("OBJECT_HELD"):
            return "free, held back"
        if state in (_constant("OBJECT_BAD"), _constant("OBJECT_KEPT")):
            return "quarantined"
        return "in use"

    def states(self):
        """What each object is, in words."""
        states = ["in use"] * self.nr
        for i in range(int(self.head["fresh"]), self.nr):
            states[i] = "never used"
        for i in range(self.nr):
            if self._is_hollow(i):
                states[i] = "free, and its memory given back"
        self._walk(int(self.head["freelist"]), int(self.head["nr_free"]),
                   "free", states)
        self._walk(int(self.head["private"]), int(self.head["nr_private"]),
                   "free, for the slab's owner", states)
        slots = self.lib.slots(self.row)
        sheaves = (s for slot in slots for s in self.lib.slot_sheaves(slot))
        self._look_at_sheaves(sheaves, "free, in a CPU's sheaf", states)
        n = self.lib.cache_node(self.cache, self.node)
        self._look_at_sheaves(self.lib.barn_sheaves(n["barn"]),
                              "free, in a sheaf of the barn", states)
        if not self.cache["debug"]:
            return states
        return [self._debug_state(i) if state == "in use" else state
                for i, state in enumerate(states)]


# --- what is not in a slab ---

def _is_free(lib, pfn):
    order = lib.const("pageblock_order")
    block = lib.root("mem")["blocks"][pfn >> order]
    page = pfn & ((1 << order) - 1)
    free, released = (int(block[name][page // 64]) >> page % 64 & 1
                      for name in ("free", "released"))
    if not free:
        return None
    return "a free page" + (", its memory given back" if released else "")


def _run_with(lib, pfn):
    """Head of the run that a page is in, a user's or held back, or None."""
    vmemmap = lib.root("mem")["vmemmap"]
    order = lib.const("pageblock_order")
    step = vmemmap.dereference().type.sizeof
    ours = _constant("PAGE_LARGE"), _constant("PAGE_HELD")
    head = pfn
    while head >= 0 and lib.is_open(head >> order):
        first = head >> order << order
        types = gdb.selected_inferior().read_memory(
            int(vmemmap) + first * step, (head + 1 - first) * step)
        types = types.tobytes()[::step]
        for i in range(len(types) - 1, -1, -1):
            if not types[i]:
                continue
            head = first + i
            covers = head + int(vmemmap[head]["nr_pages"]) > pfn
            return head if types[i] in ours and covers else None
        head = first - 1
    return None


def _describe_page(lib, address):
    pfn = lib.pfn(address)
    if not lib.is_open(pfn >> lib.const("pageblock_order")):
        return "address space that was never used"
    free = _is_free(lib, pfn)
    if free:
        return free
    head = _run_with(lib, pfn)
    if head is None:
        return "a page that is nobody's now"
    page = lib.root("mem")["vmemmap"][head]
    nr = int(page["nr_pages"])
    start = lib.address(head)
    held = int(page["type"]) == _constant("PAGE_HELD")
    return (f"in a run of {nr} pages, {start:#x} + {address - start}" +
            (", freed and held back" if held else ""))


def _describe_object(slab, address):
    index = slab.index(address)
    if index is None:
        return f"{slab.name}, in no object of the slab {slab.address:#x}"
    at = slab.object(index)
    return (f"{slab.name}, object {at:#x} + {address - at} "
            f"of the slab {slab.address:#x}, {slab.states()[index]}")


class CacheOf(Inspect):
    """Which cache an address belongs to, and what is there: rn-cache-of ADDR.

Objects that a thread had in its hands when it was stopped inside of the
library are shown as in use."""

    def lines(self, lib, address):
        if lib.row(address):
            what = _describe_object(Slab(lib, address), address)
        else:
            what = _describe_page(lib, address)
        yield f"{address:#x}: {what}"


class SlabObjects(Inspect):
    """The objects of the slab that an address is in: rn-slab-objects ADDR.

A line on the slab, then one for each object: address, index and state."""

    def lines(self, lib, address):
        if not lib.row(address):
            raise gdb.GdbError(f"{address:#x}: in no slab: "
                               f"{_describe_page(lib, address)}")
        slab = Slab(lib, address)
        states = slab.states()
        where = _enumerator("slab_state", int(slab.head["state"]), "SLAB_")
        yield (f"slab {slab.address:#x} of {slab.name}, node {slab.node}, "
               f"{where}: {states.count('in use')} of {slab.nr} objects of "
               f"{slab.size} bytes in use")
        if slab.lost:
            yield (f"{slab.lost} free objects cannot be found: the list that "
                   "they were on is broken, or not in the core file; they are "
                   "shown as in use")
        for index, state in enumerate(states):
            yield f"{slab.object(index):#x} {index} {state}"


CacheOf("rn-cache-of")
CacheOf("rn-whatis")
SlabObjects("rn-slab-objects")
