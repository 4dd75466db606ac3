# SPDX-License-Identifier: MIT
"""rn-slabinfo, and the figures of a cache that rn-vmstat adds up, too."""

from collections import Counter

from libslab.library import Report

HEAD = """slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> \
<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : \
slabdata <active_slabs> <num_slabs> <sharedavail>"""


def _look_at_sheaf(lib, sheaf, total):
    nr, operations = lib.sheaf_word(sheaf)
    held = int(sheaf["held"])
    tag = int(sheaf["next"])
    allocs = frees = 0
    # Pops and pushes since it came into its slot; see sheaf_counts().
    if operations >= abs(nr - held):
        allocs = (operations + held - nr) // 2
        frees = (operations + nr - held) // 2
    total["cached"] += nr
    total["fast_allocs"] += allocs
    total["fast_frees"] += frees
    for name in ("other", "interleave"):
        if tag & lib.const("numa_" + name):
            total[name] += allocs


def _owned(slab, objects):
    """Free objects of a slab that only its owner counts."""
    hollow = (slab + 1).dereference()
    slab = slab.dereference()
    return (int(slab["nr_private"]) + int(hollow["nr_hollow"]) +
            objects - int(slab["fresh"]))


def usage_on(lib, cache, node):
    """What cache_usage_on() of mm/usage.c counts."""
    total = Counter()
    n = lib.cache_node(cache, node)
    if n is None:
        return total
    per_slab = int(cache["objects"])
    row = int(cache["row"]) + (node << int(lib.root("row_node_shift")))
    owned = 0
    for slot in lib.slots(row):
        for sheaf in lib.slot_sheaves(slot):
            _look_at_sheaf(lib, sheaf, total)
        if slot["active"]:
            owned += _owned(slot["active"], per_slab)
    barn = n["barn"]
    total["cached"] += int(barn["objects"])
    total["slabs"] = int(n["nr_slabs"])
    total["objects"] = total["slabs"] * per_slab
    free = total["cached"] + owned + int(n["nr_free"])
    total["active"] = max(total["objects"] - free, 0)
    total["fast_allocs"] += int(barn["allocs"])
    total["fast_frees"] += int(barn["frees"])
    total["slow_allocs"] = int(barn["alloc_slow"])
    total["slow_frees"] = int(barn["free_slow"])
    for name in ("refills", "flushes", "miss", "foreign", "interleave",
                 "other"):
        total[name] += int(n[name])
    return total


def usage(lib, cache):
    """The same over all nodes."""
    total = Counter()
    for node in lib.nodes():
        total.update(usage_on(lib, cache, node))
    return total


class Slabinfo(Report):
    """The caches of libslab, as rn_slabinfo() writes them.

The format is that of /proc/slabinfo, version 2.1. What a thread had in its
hands when it was stopped inside of the library counts as in use."""

    def __init__(self):
        super().__init__("rn-slabinfo")

    def lines(self, lib):
        yield HEAD
        for c in lib.caches():
            if not int(c["refcount"]):
                continue
            u = usage(lib, c)
            yield (f"{c['name'].string():<17} {u['active']:6} "
                   f"{u['objects']:6} {int(c['size']):6} "
                   f"{int(c['objects']):4} {int(c['pages']):4} "
                   f": tunables {0:4} {0:4} {0:4} "
                   f": slabdata {u['slabs']:6} {u['slabs']:6} {0:6}")


Slabinfo()
