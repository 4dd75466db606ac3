// SPDX-License-Identifier: MIT
/*
 * What the caches of a process that runs have and have done, from its memory,
 * counted as mm/usage.c does.
 */
#include <stdlib.h>
#include <string.h>
#include "process.h"
#include "slabinfo.h"

/* More than any process has: or the list goes in a circle. */
#define MOST_CACHES	(1U << 20)

/* Pointers that lead nowhere may have been read while they changed. */
#define TRIES		3

static void add_sheaf(struct reader *r, uint64_t at, struct cache *c,
		      uint64_t *free)
{
	const unsigned int bits = r->page->sheaf_count_bits;
	uint64_t word, nr, held, operations;
	structure sheaf;

	if (!at || !fetch_struct(r, at, STATS_SHEAF, sheaf))
		return;
	word = get(r, sheaf, SHEAF_WORD);
	held = get(r, sheaf, SHEAF_HELD);
	nr = word & ((1ULL << bits) - 1);
	operations = word >> bits;
	*free += nr;
	/* Pops and pushes since it came into its slot: see sheaf_counts(). */
	if (operations < (nr < held ? held - nr : nr - held))
		return;
	c->allocs += (operations + held - nr) / 2;
	c->frees += (operations + nr - held) / 2;
}

static void add_slot(struct reader *r, uint64_t at, struct cache *c,
		     uint64_t *free)
{
	structure slot, slab;
	uint64_t active;

	if (!fetch_struct(r, at, STATS_SLOT, slot))
		return;
	add_sheaf(r, get(r, slot, SLOT_MAIN), c, free);
	add_sheaf(r, get(r, slot, SLOT_SPARE), c, free);
	active = get(r, slot, SLOT_ACTIVE);
	if (active && fetch_struct(r, active, STATS_SLAB, slab))
		*free += get(r, slab, SLAB_PRIVATE) +
			get(r, slab, SLAB_HOLLOW) +
			c->per_slab - get(r, slab, SLAB_FRESH);
}

static void add_node(struct reader *r, uint64_t row, uint64_t at,
		     struct cache *c)
{
	const struct stats_page *page = r->page;
	uint64_t objects, slow_allocs, slow_frees, free = 0;
	structure n;

	if (!fetch_struct(r, at, STATS_NODE, n))
		return;
	for (uint64_t cpu = 0; cpu < page->nr_cpus; cpu++)
		add_slot(r, page->slots + (cpu << page->slots_shift) +
			 (row << page->slot_shift), c, &free);
	free += get(r, n, NODE_BARN_OBJECTS) + get(r, n, NODE_FREE);
	objects = get(r, n, NODE_SLABS) * c->per_slab;
	c->slabs += get(r, n, NODE_SLABS);
	c->objects += objects;
	/* While others run, the parts are from different moments. */
	c->active += objects > free ? objects - free : 0;
	slow_allocs = get(r, n, NODE_ALLOC_SLOW);
	slow_frees = get(r, n, NODE_FREE_SLOW);
	c->slow_allocs += slow_allocs;
	c->slow_frees += slow_frees;
	c->allocs += slow_allocs + get(r, n, NODE_BARN_ALLOCS);
	c->frees += slow_frees + get(r, n, NODE_BARN_FREES);
}

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

static void add_cache(struct reader *r, const structure from,
		      struct caches *all)
{
	struct cache *c = add_to(all);
	uint64_t array = get(r, from, CACHE_NODE);
	uint64_t row = get(r, from, CACHE_ROW);

	*c = (struct cache){
		.name = name_of(r, from),
		.size = get(r, from, CACHE_SIZE),
		.per_slab = get(r, from, CACHE_OBJECTS),
		.pages_per_slab = get(r, from, CACHE_PAGES),
	};
	for (uint64_t node = 0; node < r->page->nr_nodes; node++) {
		uint64_t at;

		if (fetch(r, array + node * sizeof(at), &at, sizeof(at)) && at)
			add_node(r, row + (node << r->page->row_node_shift),
				 at, c);
	}
	if (r->state == FINE && !complete(c))
		r->state = TORN;
}

static void add_copy(struct reader *r, struct caches *all)
{
	structure cache;
	uint64_t at;

	if (!fetch(r, r->page->caches, &at, sizeof(at)))
		return;
	while (at && fetch_struct(r, at, STATS_CACHE, cache)) {
		if (r->nr_caches++ == MOST_CACHES)
			r->state = TORN;
		/* Those without users are destroyed. */
		if (get(r, cache, CACHE_REFCOUNT))
			add_cache(r, cache, all);
		at = get(r, cache, CACHE_NEXT);
	}
}

bool read_process(const struct process *p, struct caches *all)
{
	struct reader r;

	for (int i = 0; i < TRIES; i++) {
		r = (struct reader){ .process = p };
		*all = (struct caches){ 0 };
		for (unsigned int copy = 0; copy < p->nr; copy++) {
			r.page = &p->copy[copy];
			add_copy(&r, all);
		}
		if (r.state == FINE)
			return true;
		free_caches(all);
		if (r.state == ENDED)
			return false;
	}
	die("process %s: its statistics lead nowhere", p->name);
}
