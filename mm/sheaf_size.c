// SPDX-License-Identifier: MIT
/*
 * How large refills and sheaves are: little for a cache of which little is used
 * (Documentation/mm/sheaves.rst, Adaptive fill). No locks: a lost update costs
 * one more visit.
 */
#include "slab.h"

/* A sheaf is not made to hold more than this part of a node's objects. */
#define SHEAF_SHARE	4

unsigned int refill_size(const struct rn_cache *c, const struct cache_node *n)
{
	return min(READ_ONCE(n->fill), (u32)c->sheaf_capacity);
}

/*
 * Objects that a sheaf is made for, a whole one at last. That is all the objects
 * of the refills so far: what a thread frees and allocates in turn then stays
 * within one sheaf, as it would not if they just filled it.
 */
static unsigned int sheaf_size(const struct rn_cache *c,
			       const struct cache_node *n)
{
	return min(4 * READ_ONCE(n->fill) + 6, (u32)c->sheaf_capacity);
}

/*
 * Who comes here comes too often: refills, and sheaves that are made from now
 * on, are of the next size, up to a whole sheaf. But if sheaves held a good part
 * of all objects, the slabs would have to grow, and they with them again.
 */
void sheaves_grow(const struct rn_cache *c, struct cache_node *n)
{
	u64 objects = (u64)READ_ONCE(n->nr_slabs) * c->objects;
	unsigned int had = refill_size(c, n);

	if (had == c->sheaf_capacity ||
	    sheaf_size(c, n) > objects / SHEAF_SHARE)
		return;
	WRITE_ONCE(n->fill, 2 * had + 2);
	WRITE_ONCE(n->barn.room, sheaf_size(c, n));
}

/* Visits to a barn between two ticks that are no sign of use. */
#define VISITS_HARDLY	2

static void shrink_on(struct rn_cache *c, struct cache_node *n)
{
	u64 visits = READ_ONCE(n->barn.alloc_slow) +
		     READ_ONCE(n->barn.free_slow);
	bool hardly = visits - n->visits < VISITS_HARDLY;

	n->visits = visits;
	if (hardly)
		barn_drop_empty(&n->barn);
	if (!hardly || READ_ONCE(n->fill) <= FILL_LEAST)
		return;
	/* The step before, see sheaves_grow(). */
	WRITE_ONCE(n->fill, max(refill_size(c, n) / 2 - 1, FILL_LEAST));
	WRITE_ONCE(n->barn.room, sheaf_size(c, n));
}

void sheaves_shrink(struct rn_cache *c)
{
	for (int node = 0; node < nr_node_ids(); node++) {
		struct cache_node *n = smp_load_acquire(&c->node[node]);

		if (n)
			shrink_on(c, n);
	}
}

/* @s, if there is one and it is as large as it should be, or a new sheaf. */
struct sheaf *sheaf_or_new(const struct rn_cache *c,
			   const struct cache_node *n, struct sheaf *s)
{
	unsigned int size = sheaf_size(c, n);

	if (s && sheaf_room(s) >= size)
		return s;
	if (s)
		sheaf_free(s);
	return sheaf_alloc(size);
}
