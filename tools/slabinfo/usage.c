// SPDX-License-Identifier: MIT
/*
 * What the caches and nodes of a process that runs have and have done, from its
 * memory, counted as mm/usage.c and mm/vmstat.c do.
 */
#include <string.h>
#include "process.h"
#include "slabinfo.h"

/* More than any process has: or the list goes in a circle. */
#define MOST_CACHES	(1U << 20)

/* Pointers that lead nowhere may have been read while they changed. */
#define TRIES		3

/**
 * struct usage - figures on one node, or of one cache
 * @objects: in all slabs
 * @active: of those, in users' hands
 * @slabs: number of slabs
 * @slab_pages: of them, of RN_PAGE_SIZE bytes
 * @allocs: objects allocated
 * @frees: objects freed
 * @slow_allocs: of the allocations, those by the slow path
 * @slow_frees: of the frees
 * @miss: as rn_vmstat() has it, and those that follow
 */
struct usage {
	uint64_t objects, active, slabs, slab_pages;
	uint64_t allocs, frees, slow_allocs, slow_frees;
	uint64_t miss, foreign, interleave, other;
};

/* What is the same on all nodes. */
struct shape {
	uint64_t row, per_slab, pages_per_slab, nodes;
};

/* --- a cache on a node --- */

static void add_sheaf(struct reader *r, uint64_t at, struct usage *u,
		      uint64_t *free)
{
	const unsigned int bits = r->page->sheaf_count_bits;
	uint64_t word, nr, held, operations, allocs, tag;
	structure sheaf;

	if (!at || !fetch_struct(r, at, STATS_SHEAF, sheaf))
		return;
	word = get(r, sheaf, SHEAF_WORD);
	held = get(r, sheaf, SHEAF_HELD);
	tag = get(r, sheaf, SHEAF_TAG);
	nr = word & ((1ULL << bits) - 1);
	operations = word >> bits;
	*free += nr;
	/* Pops and pushes since it came into its slot: see sheaf_counts(). */
	if (operations < (nr < held ? held - nr : nr - held))
		return;
	allocs = (operations + held - nr) / 2;
	u->allocs += allocs;
	u->frees += (operations + nr - held) / 2;
	u->other += tag & STATS_TAG_OTHER ? allocs : 0;
	u->interleave += tag & STATS_TAG_INTERLEAVE ? allocs : 0;
}

static void add_slot(struct reader *r, uint64_t at, uint64_t per_slab,
		     struct usage *u, uint64_t *free)
{
	structure slot, slab;
	uint64_t active;

	if (!fetch_struct(r, at, STATS_SLOT, slot))
		return;
	add_sheaf(r, get(r, slot, SLOT_MAIN), u, free);
	add_sheaf(r, get(r, slot, SLOT_SPARE), u, free);
	active = get(r, slot, SLOT_ACTIVE);
	if (active && fetch_struct(r, active, STATS_SLAB, slab))
		*free += get(r, slab, SLAB_PRIVATE) +
			get(r, slab, SLAB_HOLLOW) +
			per_slab - get(r, slab, SLAB_FRESH);
}

static void add_slabs(struct reader *r, const structure n,
		      const struct shape *shape, uint64_t free,
		      struct usage *u)
{
	uint64_t slabs = get(r, n, NODE_SLABS);
	uint64_t objects = slabs * shape->per_slab;

	u->slabs += slabs;
	u->slab_pages += slabs * shape->pages_per_slab;
	u->objects += objects;
	/* While others run, the parts are from different moments. */
	u->active += objects > free ? objects - free : 0;
}

static void add_counts(struct reader *r, const structure n, struct usage *u)
{
	uint64_t slow_allocs = get(r, n, NODE_ALLOC_SLOW);
	uint64_t slow_frees = get(r, n, NODE_FREE_SLOW);

	u->slow_allocs += slow_allocs;
	u->slow_frees += slow_frees;
	u->allocs += slow_allocs + get(r, n, NODE_BARN_ALLOCS);
	u->frees += slow_frees + get(r, n, NODE_BARN_FREES);
	u->miss += get(r, n, NODE_MISS);
	u->foreign += get(r, n, NODE_FOREIGN);
	u->interleave += get(r, n, NODE_INTERLEAVE);
	u->other += get(r, n, NODE_OTHER);
}

static struct shape shape_of(const struct reader *r, const structure cache)
{
	return (struct shape){
		.row = get(r, cache, CACHE_ROW),
		.per_slab = get(r, cache, CACHE_OBJECTS),
		.pages_per_slab = get(r, cache, CACHE_PAGES),
		.nodes = get(r, cache, CACHE_NODE),
	};
}

static void add_usage_on(struct reader *r, const struct shape *shape,
			 uint64_t node, struct usage *u)
{
	const struct stats_page *page = r->page;
	uint64_t row = shape->row + (node << page->row_node_shift);
	uint64_t at, free = 0;
	structure n;

	if (!fetch(r, shape->nodes + node * sizeof(at), &at, sizeof(at)) ||
	    !at || !fetch_struct(r, at, STATS_NODE, n))
		return;
	for (uint64_t cpu = 0; cpu < page->nr_cpus; cpu++)
		add_slot(r, page->slots + (cpu << page->slots_shift) +
			 (row << page->slot_shift), shape->per_slab, u, &free);
	free += get(r, n, NODE_BARN_OBJECTS) + get(r, n, NODE_FREE);
	add_slabs(r, n, shape, free, u);
	add_counts(r, n, u);
}

/* --- all caches --- */

/**
 * struct reading - what is made of a process
 * @cache: for each cache of a copy of the library, those destroyed too
 * @copy: behind them, or NULL
 * @clear: all of it, as it was before
 */
struct reading {
	void (*cache)(struct reader *r, const structure cache, void *into);
	void (*copy)(struct reader *r, void *into);
	void (*clear)(void *into);
};

static void read_copy(struct reader *r, const struct reading *what, void *into)
{
	structure cache;
	uint64_t at;

	if (!fetch(r, r->page->caches, &at, sizeof(at)))
		return;
	while (at && fetch_struct(r, at, STATS_CACHE, cache)) {
		if (r->nr_caches++ == MOST_CACHES)
			r->state = TORN;
		what->cache(r, cache, into);
		at = get(r, cache, CACHE_NEXT);
	}
	if (what->copy && r->state == FINE)
		what->copy(r, into);
}

/* False: it has ended; *@into is clear then. */
static bool read_all(const struct process *p, const struct reading *what,
		     void *into)
{
	for (int i = 0; i < TRIES; i++) {
		struct reader r = { .process = p };

		for (unsigned int copy = 0; copy < p->nr; copy++) {
			r.page = &p->copy[copy];
			read_copy(&r, what, into);
		}
		if (r.state == FINE)
			return true;
		what->clear(into);
		if (r.state == ENDED)
			return false;
	}
	die("process %s: its statistics lead nowhere", p->name);
}

/* --- by cache --- */

static char *name_of(const struct reader *r, const structure from)
{
	const char *text = (const char *)from + r->page->field[CACHE_NAME].at;
	char *name = strndup(text, r->page->field[CACHE_NAME].bytes);

	if (!name)
		die("out of memory");
	return name;
}

/* False: what was read makes no sense. */
static bool complete(struct cache *c)
{
	uint64_t slab = c->pages_per_slab * RN_PAGE_SIZE;

	return c->active <= c->objects &&
		!__builtin_mul_overflow(c->slabs, slab, &c->space) &&
		!__builtin_mul_overflow(c->active, c->size, &c->used) &&
		c->used <= c->space;
}

static void add_cache(struct reader *r, const structure from, void *into)
{
	struct shape shape = shape_of(r, from);
	struct usage u = { 0 };
	struct cache *c;

	/* Those without users are destroyed. */
	if (!get(r, from, CACHE_REFCOUNT))
		return;
	for (uint64_t node = 0; node < r->page->nr_nodes; node++)
		add_usage_on(r, &shape, node, &u);
	c = add_to(into);
	*c = (struct cache){
		.name = name_of(r, from),
		.size = get(r, from, CACHE_SIZE),
		.per_slab = shape.per_slab,
		.pages_per_slab = shape.pages_per_slab,
		.active = u.active, .objects = u.objects, .slabs = u.slabs,
		.allocs = u.allocs, .frees = u.frees,
		.slow_allocs = u.slow_allocs, .slow_frees = u.slow_frees,
	};
	if (r->state == FINE && !complete(c))
		r->state = TORN;
}

static void clear_caches(void *into)
{
	free_caches(into);
}

bool read_process(const struct process *p, struct caches *all)
{
	static const struct reading caches = {
		.cache = add_cache, .clear = clear_caches,
	};

	*all = (struct caches){ 0 };
	return read_all(p, &caches, all);
}

/* --- by node, as vmstat_node() --- */

/* One copy of the library, and all that were before it. */
struct by_node {
	struct usage copy[MAX_NODES];
	struct nodes *all;
};

static void add_to_nodes(struct reader *r, const structure from, void *into)
{
	struct shape shape = shape_of(r, from);
	struct by_node *b = into;

	for (uint64_t node = 0; node < r->page->nr_nodes; node++)
		add_usage_on(r, &shape, node, &b->copy[node]);
}

static void add_pageblocks(struct reader *r, uint64_t node, uint64_t *figure)
{
	structure zone;

	if (!fetch_struct(r, r->page->zones + node * r->page->zone_stride,
			  STATS_ZONE, zone))
		return;
	figure[FIGURE_HUGETLB] += get(r, zone, ZONE_HUGETLB);
	figure[FIGURE_THP] += get(r, zone, ZONE_THP);
	figure[FIGURE_SMALL] += get(r, zone, ZONE_SMALL);
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static void add_hits(struct reader *r, uint64_t node, const struct usage *u,
		     uint64_t *figure)
{
	uint64_t allocs, miss, other;
	structure runs;

	if (!fetch_struct(r, r->page->runs + node * r->page->runs_stride,
			  STATS_RUNS, runs))
		return;
	allocs = u->frees + u->active + get(r, runs, RUNS_ALLOCS);
	miss = u->miss + get(r, runs, RUNS_MISS);
	other = u->other + get(r, runs, RUNS_OTHER);
	figure[FIGURE_HIT] += less(allocs, miss);
	figure[FIGURE_MISS] += miss;
	figure[FIGURE_FOREIGN] += u->foreign + get(r, runs, RUNS_FOREIGN);
	figure[FIGURE_INTERLEAVE] += u->interleave +
				     get(r, runs, RUNS_INTERLEAVE);
	figure[FIGURE_LOCAL] += less(allocs, other);
	figure[FIGURE_OTHER] += other;
}

static void add_copy_to_nodes(struct reader *r, void *into)
{
	struct by_node *b = into;

	for (uint64_t node = 0; node < r->page->nr_nodes; node++) {
		uint64_t *figure = b->all->figure[node];
		struct usage *u = &b->copy[node];

		if (u->active > u->objects)
			r->state = TORN;
		figure[FIGURE_OBJECTS] += u->objects;
		figure[FIGURE_ACTIVE] += u->active;
		figure[FIGURE_SLABS] += u->slabs;
		figure[FIGURE_SLAB_KB] += u->slab_pages * (RN_PAGE_SIZE >> 10);
		add_pageblocks(r, node, figure);
		add_hits(r, node, u, figure);
	}
	if (b->all->nr < r->page->nr_nodes)
		b->all->nr = r->page->nr_nodes;
	memset(b->copy, 0, sizeof(b->copy));
}

static void clear_nodes(void *into)
{
	struct by_node *b = into;

	memset(b->copy, 0, sizeof(b->copy));
	memset(b->all, 0, sizeof(*b->all));
}

bool read_process_nodes(const struct process *p, struct nodes *all)
{
	static const struct reading nodes = {
		.cache = add_to_nodes, .copy = add_copy_to_nodes,
		.clear = clear_nodes,
	};
	static struct by_node b;

	b.all = all;
	clear_nodes(&b);
	return read_all(p, &nodes, &b);
}
