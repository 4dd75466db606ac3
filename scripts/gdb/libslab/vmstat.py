# SPDX-License-Identifier: MIT
"""rn-vmstat: lines of rn_vmstat(), by the same names."""

from collections import Counter

from libslab.library import Report
from libslab.slabinfo import usage_on


def _percpu(lib):
    pcpu = lib.static("percpu.c", "pcpu")
    nr = int(pcpu["nr"])
    units = pcpu["opened"].type.target().sizeof * 8
    opened = sum(bin(int(pcpu["opened"][i])).count("1") for i in range(nr))
    yield "percpu_rseq", int(pcpu["rseq"])
    yield "percpu_index_mm_cid", int(pcpu["cid"])
    yield "percpu_fallback", int(not pcpu["rseq"])
    yield "percpu_indices", nr
    yield ("percpu_slot_kbytes",
           opened * (1 << lib.const("slots_shift")) // units >> 10)
    yield "rseq_aborts", int(lib.root("rseq_aborts"))


def _slabs(lib, total):
    pool = lib.static("sheaf_pool.c", "pool")
    yield "nr_caches", sum(int(c["refcount"]) != 0 for c in lib.caches())
    yield "nr_slabs", total["slabs"]
    yield "alloc_fastpath", total["fast_allocs"]
    yield "alloc_slowpath", total["slow_allocs"]
    yield "free_fastpath", total["fast_frees"]
    yield "free_slowpath", total["slow_frees"]
    yield "sheaf_refill", total["refills"]
    yield "sheaf_flush", total["flushes"]
    yield "sheaf_kbytes", int(pool["carved"]) >> 10
    yield "sheaf_free_kbytes", int(pool["free_bytes"]) >> 10
    yield "meta_kbytes", int(lib.static("meta.c", "handed_out")) >> 10


def _node(lib, node, total):
    runs = lib.static("mempolicy.c", "runs")[node]
    allocs = (total["fast_frees"] + total["slow_frees"] + total["active"] +
              int(runs["allocs"]))
    miss = total["miss"] + int(runs["miss"])
    other = total["other"] + int(runs["other"])
    yield "objects", total["objects"]
    yield "objects_active", total["active"]
    yield "slabs", total["slabs"]
    yield "slab_kbytes", total["bytes"] >> 10
    yield "numa_hit", max(allocs - miss, 0)
    yield "numa_miss", miss
    yield "numa_foreign", total["foreign"] + int(runs["foreign"])
    yield "interleave_hit", total["interleave"] + int(runs["interleave"])
    yield "local_node", max(allocs - other, 0)
    yield "other_node", other


def _sum(array, name=None):
    first, last = array.type.range()
    values = [array[i] for i in range(first, last + 1)]
    return sum(int(v[name] if name else v) for v in values)


def _rungs(lib, zone):
    rungs = lib.static("ladder.c", "rung_names")
    reasons = lib.static("ladder.c", "step_names")
    for b in range(1, rungs.type.range()[1] + 1):
        rung = rungs[b].string()
        yield f"pageblocks_{rung}", int(zone["nr_up"][b])
        yield f"ladder_{rung}_taken", int(zone["online"][b])
        for why in range(1, reasons.type.range()[1] + 1):
            if int(zone["steps"][b][why]):
                yield (f"ladder_{rung}_{reasons[why].string()}",
                       int(zone["steps"][b][why]))


def _zone(lib, zone):
    kib = (1 << lib.const("page_shift")) >> 10
    pages = zone["pages"]
    released = _sum(pages, "released")
    warm = int(zone["nr_warm"])
    yield from _rungs(lib, zone)
    yield "pageblocks_idle", _sum(zone["nr_idle"])
    yield "pageblocks_blank", int(zone["nr_blank"]) - warm
    yield "pageblocks_warm", warm
    yield "pageblocks_untouched_at_start", int(zone["lazy"])
    yield "pageblocks_reserved", int(zone["reserved"])
    yield "pageblocks_offlined", int(zone["offline"])
    yield "free_kbytes", (_sum(pages, "free") - released) * kib
    yield "released_kbytes", released * kib
    yield "hollow_kbytes", _sum(pages, "hollow") * kib
    yield "pageblocks_broken", int(zone["nr_broken"])
    yield "release_refused", int(zone["refused"])


def _usage_by_node(lib):
    totals = [Counter() for _ in lib.nodes()]
    for cache in lib.caches():
        slab_bytes = int(cache["pages"]) << lib.const("page_shift")
        for node, total in enumerate(totals):
            one = usage_on(lib, cache, node)
            one["bytes"] = one["slabs"] * slab_bytes
            total.update(one)
    return totals


class Vmstat(Report):
    """What libslab counts of caches and pages, as rn_vmstat() writes it.

Lines of that text that take a call to the system, or are about the background
thread, limits and shrinkers, are left out."""

    def __init__(self):
        super().__init__("rn-vmstat")

    @staticmethod
    def figures(lib):
        """Pairs of name and number."""
        totals = _usage_by_node(lib)
        yield from _percpu(lib)
        yield from _slabs(lib, sum(totals, Counter()))
        for node, total in enumerate(totals):
            for name, number in _node(lib, node, total):
                yield f"node{node}_{name}", number
        yield "reservation_bytes", int(lib.root("mem")["bytes"])
        yield "reservation_stripes", int(lib.root("mem")["nr_stripes"])
        yield "meta_mapped_bytes", int(lib.static("meta.c", "mapped"))
        for node, zone in enumerate(lib.zones()):
            for name, number in _zone(lib, zone):
                yield f"node{node}_{name}", number

    def lines(self, lib):
        for name, number in self.figures(lib):
            yield f"{name} {number}"


Vmstat()
