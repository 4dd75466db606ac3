# SPDX-License-Identifier: MIT
"""A copy of the library in the inferior: its globals, tables and sheaves.

Nothing is called there, so all of it works on core files, too. Types come from
debugging information, and what that lacks from rn_gdb_roots (mm/init.c).
"""

import gdb

ROOTS = "rn_gdb_roots"


class Library:
    """One copy: libslab.a in a program, libslab.so or libslabmalloc.so."""

    def __init__(self, roots):
        self.objfile = roots.symtab.objfile
        self.roots = roots.value()
        self._statics = {}

    @property
    def name(self):
        """The file that it is in."""
        return self.objfile.filename

    def is_used(self):
        """Has the program called it yet?"""
        return bool(self.root("initialised"))

    def root(self, name):
        """A global of the library."""
        return self.roots[name].dereference()

    def const(self, name):
        """A constant of it."""
        return int(self.roots[name])

    def static(self, file, name):
        """A static variable of a file of mm/."""
        if (file, name) not in self._statics:
            self._statics[file, name] = self._find(file, name)
        return self._statics[file, name].value()

    def _find(self, file, name):
        for symbol in gdb.lookup_static_symbols(name):
            tab = symbol.symtab
            if (tab.objfile == self.objfile and
                    tab.filename.endswith("mm/" + file)):
                return symbol
        raise gdb.GdbError(f"{self.name}: no {name} of mm/{file}: "
                           "stripped, or of another version?")

    # --- nodes and caches ---

    def nodes(self):
        """Numbers of all nodes."""
        return range(int(self.static("mempolicy.c", "node_ids")))

    def zones(self):
        """The zone of each node."""
        return [self.root("zones")[node] for node in self.nodes()]

    def caches(self):
        """All that were ever made, the destroyed ones without users."""
        cache = self.root("slab_caches")
        while cache:
            yield cache.dereference()
            cache = cache["next"]

    def cache_of_row(self, row):
        """What row of the row map stands for: cache and node."""
        shift = int(self.root("row_node_shift"))
        cache = self.root("cache_of_row")[row & ((1 << shift) - 1)]
        return cache.dereference(), row >> shift

    def cache_node(self, cache, node):
        """What a cache keeps on a node, or None."""
        pointer = cache["node"][node]
        return pointer.dereference() if pointer else None

    # --- pages ---

    def has(self, address):
        """Is it within the reservation?"""
        mem = self.root("mem")
        return 0 <= address - int(mem["base"]) < int(mem["bytes"])

    def pfn(self, address):
        """Number of the page that an address within is on."""
        offset = address - int(self.root("mem")["base"])
        return offset >> self.const("page_shift")

    def address(self, pfn):
        """Where a page begins."""
        base = int(self.root("mem")["base"])
        return base + (pfn << self.const("page_shift"))

    def row(self, address):
        """Row of the slab that an address within is in, or 0."""
        mem = self.root("mem")
        # A core file lacks what was never written to.
        if not self.is_open(self.pfn(address) >> self.const("pageblock_order")):
            return 0
        offset = address - int(mem["base"])
        return int(mem["row_map"][offset >> self.const("row_shift")])

    def is_open(self, block):
        """Was the pageblock ever up, so that its descriptors are there?"""
        word = int(self.static("sparse.c", "opened")[block // 64])
        return bool(word >> block % 64 & 1)

    # --- slots and sheaves ---

    def slots(self, row):
        """The slots of a row that a CPU has used."""
        pcpu = self.static("percpu.c", "pcpu")
        opened = pcpu["opened"]
        units = opened.type.target().sizeof * 8
        at = row << self.const("slot_shift")
        unit = at // ((1 << self.const("slots_shift")) // units)
        kind = gdb.lookup_type("struct slot").pointer()
        for index in range(int(pcpu["nr"])):
            if int(opened[index]) >> unit & 1:
                slot = int(pcpu["slots"]) + at
                slot += index << self.const("slots_shift")
                yield gdb.Value(slot).cast(kind).dereference()

    def slot_sheaves(self, slot):
        """Those in a slot, main and spare."""
        for i in range(2):
            if slot["sheaf"][i]:
                yield slot["sheaf"][i].dereference()

    def barn_sheaves(self, barn):
        """Those with objects in a barn."""
        kind = gdb.lookup_type("struct sheaf").pointer()
        base = int(self.root("sheaf_base"))
        number = int(barn["full"])
        for _ in range(int(barn["nr_full"])):
            at = base + number * self.const("sheaf_unit")
            sheaf = gdb.Value(at).cast(kind).dereference()
            yield sheaf
            number = int(sheaf["next"])

    def sheaf_word(self, sheaf):
        """Its objects, and the operations that it counts."""
        bits = self.const("sheaf_count_bits")
        word = int(sheaf["word"])
        return word & ((1 << bits) - 1), word >> bits

    def sheaf_objects(self, sheaf):
        """Addresses of the objects in it."""
        nr, _ = self.sheaf_word(sheaf)
        size = gdb.lookup_type("void").pointer().sizeof
        if not nr:
            return []
        data = gdb.selected_inferior().read_memory(
            int(sheaf["objects"].address), nr * size).tobytes()
        return [int.from_bytes(data[i:i + size], "little")
                for i in range(0, len(data), size)]


def libraries():
    """Each copy that the program has used; none is an error."""
    found = [Library(s) for s in gdb.lookup_static_symbols(ROOTS)]
    if not found:
        raise gdb.GdbError("no libslab with debugging information is here")
    used = [lib for lib in found if lib.is_used()]
    if not used:
        raise gdb.GdbError("the program has not used libslab yet")
    return used


def library_of(address):
    """The copy whose memory an address is in."""
    for lib in libraries():
        if lib.has(address):
            return lib
    raise gdb.GdbError(f"{address:#x}: not memory of libslab")


class Command(gdb.Command):
    """A command of ours: what goes wrong is said in one line."""

    def __init__(self, name, complete=gdb.COMPLETE_NONE):
        super().__init__(name, gdb.COMMAND_DATA, complete)
        self.name = name

    def run(self, argument):
        """What the command does."""
        raise NotImplementedError

    def invoke(self, argument, from_tty):
        """Called by gdb."""
        try:
            self.run(argument)
        except gdb.error as error:
            raise gdb.GdbError(f"{self.name}: {error}") from error


class Report(Command):
    """A command without arguments that prints something of each copy."""

    def lines(self, lib):
        """What there is to be printed."""
        raise NotImplementedError

    def run(self, argument):
        if argument:
            raise gdb.GdbError(f"{self.name} takes no argument")
        libs = libraries()
        for lib in libs:
            if len(libs) > 1:
                print(f"# {lib.name}")
            for line in self.lines(lib):
                print(line)


class Inspect(Command):
    """A command on an address."""

    def __init__(self, name):
        super().__init__(name, gdb.COMPLETE_EXPRESSION)

    def lines(self, lib, address):
        """What there is to be printed."""
        raise NotImplementedError

    def run(self, argument):
        if not argument:
            raise gdb.GdbError(f"{self.name} ADDR: an address is missing")
        bits = 8 * gdb.lookup_type("void").pointer().sizeof
        address = int(gdb.parse_and_eval(argument)) & ((1 << bits) - 1)
        for line in self.lines(library_of(address), address):
            print(line)
