// SPDX-License-Identifier: MIT
/*
 * What a cache has and has done: in its slabs, in the barn, and in the slots of
 * all CPUs, which go on meanwhile. Takes no lock.
 */
#include "slab.h"

#include <string.h>

struct slot_sum {
	struct rn_cache *c;
	u64 objects;		/* held, in sheaves and private to active slabs */
	u64 cached;		/* in sheaves */
	u64 allocs, frees;
	u64 interleave, other;
};

static void look_at_sheaf(struct slot_sum *sum, const struct sheaf *s)
{
	unsigned int tag;
	u64 allocs, frees;

	if (!s)
		return;
	sheaf_counts(s, &allocs, &frees);
	tag = READ_ONCE(s->next);
	sum->objects += sheaf_count(s);
	sum->cached += sheaf_count(s);
	sum->allocs += allocs;
	sum->frees += frees;
	if (tag & NUMA_OTHER)
		sum->other += allocs;
	if (tag & NUMA_INTERLEAVE)
		sum->interleave += allocs;
}

/* The active slab may be another's by now, and its descriptor new. */
static __no_tsan void look_at_slot(void *arg, const struct slot *slot)
{
	const struct page *active = READ_ONCE(slot->active);
	struct slot_sum *sum = arg;

	look_at_sheaf(sum, READ_ONCE(slot->sheaf[0]));
	look_at_sheaf(sum, READ_ONCE(slot->sheaf[1]));
	if (active)
		sum->objects += READ_ONCE(active->nr_private) +
				READ_ONCE(slab_hollow(active)->nr_hollow) +
				sum->c->objects - READ_ONCE(active->fresh);
}

void cache_usage_on(struct rn_cache *c, int node, struct cache_usage *u)
{
	struct cache_node *n = smp_load_acquire(&c->node[node]);
	struct slot_sum sum = { .c = c };
	u64 objects, free, slabs, samples, sampled;

	if (!n)
		return;
	percpu_for_each(row_on(c, node), look_at_slot, &sum);
	free = sum.objects + READ_ONCE(n->barn.objects) + READ_ONCE(n->nr_free);
	slabs = READ_ONCE(n->nr_slabs);
	objects = slabs * c->objects;
	u->fast_allocs += sum.allocs + READ_ONCE(n->barn.allocs);
	u->fast_frees += sum.frees + READ_ONCE(n->barn.frees);
	samples = READ_ONCE(n->samples);
	sampled = READ_ONCE(n->sampled);
	u->slabs += slabs;
	u->samples += samples;
	u->objects += objects + samples;
	u->cached += sum.cached + READ_ONCE(n->barn.objects);
	/* While others run, the parts are from different moments. */
	u->active += samples + (objects > free ? objects - free : 0);
	u->slow_allocs += READ_ONCE(n->barn.alloc_slow) + sampled;
	u->slow_frees += READ_ONCE(n->barn.free_slow) + sampled - samples;
	u->refills += READ_ONCE(n->refills);
	u->flushes += READ_ONCE(n->flushes);
	u->miss += READ_ONCE(n->miss);
	u->foreign += READ_ONCE(n->foreign);
	u->interleave += READ_ONCE(n->interleave) + sum.interleave;
	u->other += READ_ONCE(n->other) + sum.other;
}

void cache_usage(struct rn_cache *c, struct cache_usage *u)
{
	memset(u, 0, sizeof(*u));
	for (int node = 0; node < nr_node_ids(); node++)
		cache_usage_on(c, node, u);
}
