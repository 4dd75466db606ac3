# SPDX-License-Identifier: MIT
"""The sections of the page that look into allocators."""

import json

from charts import Chart, thinned
from memmap import KINDS, hit_rate
from page import details, escape, figure, number, table

PAGE_KB = 4

LEGEND = {
    "free": "free", "released": "free, without memory",
    "large": "large object", "pages": "on their way",
    "full": "full slab", "partial": "partial slab, by its fill",
    "empty": "empty slab", "active": "a CPU's active slab",
}

CACHE_HEAD = ("cache", "node", "bytes", "in use", "room for", "fill",
              "alloc hits", "free hits", "refills", "flushes", "full sheaves",
              "empty sheaves", "in barn", "in CPUs", "CPUs with a slab",
              "freed to these", "in CPUs of other nodes")


def percent(part):
    """Of a share, or what stands for none."""
    return "–" if part is None else f"{100 * part:.1f} %"


def cache_row(cache):
    """Cells as CACHE_HEAD has it."""
    slots = cache["slots"]
    room = cache["objects"]
    return [cache["name"], cache["node"], f"{cache['size']:,}",
            f"{cache['active']:,}", f"{room:,}",
            percent(cache["active"] / room if room else None),
            percent(hit_rate(cache, "allocs")),
            percent(hit_rate(cache, "frees")),
            f"{cache['refills']:,}", f"{cache['flushes']:,}",
            *(f"{n:,}" for n in cache["barn"]),
            f"{sum(s[1] + s[3] for s in slots):,}",
            str(sum(s[5] is not None for s in slots)),
            f"{cache['queued']:,}", f"{cache['away']:,}"]


def cache_rows(frame):
    """Of all caches."""
    return [cache_row(c) for c in frame.caches.values()]


def picture_data(pic):
    """For the script of the page: each pageblock once, however many frames
    show it as it is, as most do not change from one second to the next."""
    blocks = {}
    frames = []
    for frame in pic.frames:
        indices = [blocks.setdefault(json.dumps(b), len(blocks))
                   for b in frame.blocks]
        frames.append({"t": frame.seconds, "blocks": indices,
                       "owners": frame.owners(), "caches": cache_rows(frame)})
    return {"frames": frames, "blocks": [json.loads(b) for b in blocks]}


def pages_table(picture):
    """What a picture says, for each frame."""
    rows = [[f"{f.seconds:g}", len(f.blocks),
             *(number(n * PAGE_KB / 1024) for n in f.pages.values())]
            for f in picture.frames]
    return table(["second", "pageblocks", *LEGEND.values()], rows,
                 caption="MiB")


def legend():
    """Colours and their names."""
    return "<ul class=legend>" + "".join(
        f'<li><i style="background:var(--{k})"></i>{escape(LEGEND[k])}</li>'
        for k in KINDS) + "</ul>"


def picture(pic, index):
    """The script draws into it; the tables are there without one."""
    last = len(pic.frames) - 1
    caches = table(CACHE_HEAD, cache_rows(pic.frames[last]),
                   caption="classes, sheaves and barns in this frame")
    unknown = sorted({w for f in pic.frames for w in f.unknown})
    note = (f"<p class=quiet>Lines that this page does not know: "
            f"{escape(', '.join(unknown))}.</p>" if unknown else "")
    return f"""<div class=map data-map={index}>
<h3>{escape(pic.name)}</h3>
<div class=controls>
<button type=button data-step=-1>previous</button>
<label for=t{index}>frame</label>
<input type=range id=t{index} min=0 max={last} value={last} step=1>
<button type=button data-step=1>next</button>
<output for=t{index}>second {pic.frames[last].seconds:g}</output>
</div>
{legend()}
<div class=blocks tabindex=0 role=group aria-label="pageblocks of \
{escape(pic.name)}: arrow up and down choose one"></div>
<p class=chosen aria-live=polite></p>
<div class=paper></div>
<noscript><p>The picture needs JavaScript; these tables do not.</p></noscript>
{note}{details("data: pages at each frame", pages_table(pic))}
<div class=caches>{caches}</div>
</div>"""


def class_charts(pic):
    """Fill of classes and hit rates, at the end."""
    caches = pic.frames[-1].caches.values()
    fill = Chart(f"{pic.name}: fill of classes, last frame", "",
                 "percent of the objects in slabs", kind="bars", single=True)
    hits = Chart(f"{pic.name}: hit rate of sheaves, last frame", "",
                 "percent of allocations", kind="bars", single=True)
    for cache in caches:
        name = cache["name"]
        if len({c["node"] for c in caches}) > 1:
            name += f", node {cache['node']}"
        if cache["objects"]:
            share = 100 * cache["active"] / cache["objects"]
            fill.add(name, [(None, share, share, share)])
        rate = hit_rate(cache, "allocs")
        if rate is not None:
            hits.add(name, [(None, 100 * rate, 100 * rate, 100 * rate)])
    return [c for c in (fill, hits) if c.series]


# --- others ---

def history_charts(histories):
    """Memory that may be written to, and what was given back of it."""
    mapped = Chart("mapped to be written to, without a file, over time",
                   "seconds", "MiB", kind="steps")
    given = Chart("given back by madvise(), added up", "seconds", "MiB",
                  kind="steps")
    for history in histories:
        points, _ = thinned(history.busiest.points)
        mapped.add(history.name, [(t, b / 2**20) for t, b, _ in points])
        if points[-1][2]:
            given.add(history.name, [(t, g / 2**20) for t, _, g in points])
    return [c for c in (mapped, given) if c.series]


def history_table(histories):
    """What came of all calls, then the calls by kind."""
    sums = []
    for history in histories:
        program = history.busiest
        writable = [b for _, b, _ in program.points]
        sums.append([history.name, f"{program.nr_calls:,}",
                     *(number(size / 2**20) for size in (
                         max(writable), writable[-1], program.points[-1][2]))])
    rows = [[h.name, p.pid or "–", call, f"{n:,}", number(size / 2**20)]
            for h in histories for p in h.programs
            for call, (n, size) in sorted(p.calls.items())]
    return (table(["file", "calls", "most mapped MiB", "at the end",
                   "given back"], sums,
                  caption="of the program of a file that called most, as in "
                  "the charts; mapped: to be written to, without a file; "
                  "given back: by madvise(), some of it again and again")
            + table(["file", "process", "call", "calls", "MiB"], rows, words=3,
                    caption="calls for memory, of all programs; addresses: "
                    "reserved, not to be written to"))


def stats_texts(stats):
    """What allocators say of themselves, as they say it."""
    return "\n".join(details(name, f"<pre>{escape(text)}</pre>")
                     for name, text in stats)


def figures(charts):
    """All of them, one below the other."""
    return "\n".join(figure(c) for c in charts)
