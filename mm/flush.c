// SPDX-License-Identifier: MIT
/*
 * From slots and barns into the slabs.
 */
#include "debug/harden.h"
#include "debug/sanitizer.h"

void count_tagged(struct cache_node *n, unsigned int tag, u64 allocs)
{
	if (tag & NUMA_OTHER)
		stat_add(&n->other, allocs);
	if (tag & NUMA_INTERLEAVE)
		stat_add(&n->interleave, allocs);
}

void sheaf_left_slot(struct cache_node *n, const struct sheaf *s)
{
	u64 allocs, frees;

	if (!s->next)
		return;
	sheaf_counts(s, &allocs, &frees);
	count_tagged(n, s->next, allocs);
}

void sheaf_flush(struct rn_cache *c, struct cache_node *n, struct sheaf *s)
{
	unsigned int nr = sheaf_count(s);

	if (unlikely(slab_hooked(HOOK_HARDENED)))
		harden_check(c, s);
	slab_free_objects(c, n, s->objects, nr);
	WRITE_ONCE(s->word, s->word - nr);
	stat_inc(&n->flushes);
	cache_uncharge(c, nr);
}

/* --- all of them --- */

static void flush_sheaf(struct rn_cache *c, struct cache_node *n,
			struct sheaf *s)
{
	barn_count(&n->barn, s);
	if (sheaf_count(s))
		sheaf_flush(c, n, s);
	sheaf_free(s);
}

void slot_flush(unsigned int row, struct sheaf *s[2], struct page *active)
{
	struct rn_cache *c = row_to_cache(row);
	struct cache_node *n = row_to_cache_node(row);

	for (int i = 0; i < 2; i++) {
		if (!s[i])
			continue;
		sheaf_left_slot(n, s[i]);
		flush_sheaf(c, n, s[i]);
	}
	if (active)
		slab_put(c, active);
}

static void take_slot(void *arg, unsigned int row, struct sheaf *s[2],
		      struct page *active)
{
	(void)arg;
	slot_flush(row, s, active);
}

static void flush_barn(struct rn_cache *c, struct cache_node *n)
{
	struct sheaf *s;

	while ((s = barn_take(&n->barn)))
		flush_sheaf(c, n, s);
}

void barn_flush(struct rn_cache *c, struct cache_node *n, u32 keep)
{
	struct sheaf *s;

	while ((s = barn_take_excess(&n->barn, keep)))
		flush_sheaf(c, n, s);
}

bool cache_flush_slots(struct rn_cache *c)
{
	bool done = true;

	for (int node = 0; node < nr_node_ids(); node++)
		if (smp_load_acquire(&c->node[node]))
			done &= percpu_drain(row_on(c, node), take_slot, NULL);
	return done;
}

bool cache_flush(struct rn_cache *c)
{
	bool done = cache_flush_slots(c);

	quarantine_empty(c);
	for (int node = 0; node < nr_node_ids(); node++) {
		struct cache_node *n = smp_load_acquire(&c->node[node]);

		if (!n)
			continue;
		flush_barn(c, n);
		slab_trim(c, n, 0);
	}
	return done;
}

/* One by one: a child of a handler's fork() loses what is in our hands. */
static void barn_decay(struct rn_cache *c, struct cache_node *n, u32 part)
{
	u32 nr = barn_age(&n->barn, part);
	struct sheaf *s;
	u64 objects = 0;

	while (nr-- && (s = barn_take_excess(&n->barn, 0))) {
		objects += sheaf_count(s);
		flush_sheaf(c, n, s);
	}
	if (objects)
		reclaim_count(WHY_DECAY, PLACE_BARN, objects * c->size);
}

void cache_age(struct rn_cache *c, u32 part)
{
	for (int node = 0; node < nr_node_ids(); node++) {
		struct cache_node *n = smp_load_acquire(&c->node[node]);

		if (!n)
			continue;
		barn_decay(c, n, part);
		slab_age(c, n, part);
	}
}
