// SPDX-License-Identifier: MIT
/*
 * What is free in slabs and barns, and what of it goes back within the frees.
 *
 * Of each cache a barn keeps some objects (barn_set_most()). What comes beyond
 * that is kept too, but added up, over all caches: now and then a free takes all
 * of it to the slabs. A free that finds its slab takes some 30 ns of cache
 * misses, so most take none of that and one in a thousand takes it for many.
 *
 * What is free in all, with memory to it, is added up likewise. Beyond its bound
 * barns keep less, no empty slab is kept, and with the excess go the free pages
 * of slabs that have drained (mm/hollow.c).
 *
 * Locks: slab_mutex for who gives back, by trylock: one at a time, and never who
 * interrupted him.
 */
#include "slab.h"

/* The caches' half of what may be free (Documentation/mm/reclaim.rst). */
#define FREE_MIN	(8UL << 20)
#define PEAK_SHARE	64

/* This part of it may lie in barns beyond what they keep. */
#define EXCESS_SHARE	4

/* Free bytes of a cache_node are added up when they have changed by so much. */
#define WASTE_BATCH	(64L << 10)

/* What a barn keeps of any cache, in bytes and in sheaves. */
#define BARN_BYTES	(512UL << 10)
#define BARN_SHEAVES	4

static u64 waste;		/* free bytes of all caches */

/* Those in barns beyond what they keep, and so many may be; read together. */
static struct {
	u64 bytes, most;
} excess = { .most = FREE_MIN / EXCESS_SHARE };

static u64 bound(void)
{
	return max(FREE_MIN, pages_peak() / PEAK_SHARE);
}

bool slabs_are_wasteful(void)
{
	u64 free = READ_ONCE(waste);

	return unlikely(free > FREE_MIN) && free > bound();
}

/* With the sheaves that have them. */
static u64 free_bytes(const struct rn_cache *c, const struct cache_node *n)
{
	u64 cached = READ_ONCE(n->barn.objects);
	u64 bytes = (READ_ONCE(n->nr_free) + cached) * c->size;
	u64 hollow = READ_ONCE(n->nr_hollow) << PAGE_SHIFT;

	return bytes - min(bytes, hollow) + cached * sizeof(void *);
}

void count_waste(const struct rn_cache *c, struct cache_node *n)
{
	u64 had = READ_ONCE(n->waste), now = free_bytes(c, n);
	long more = (long)(now - had);

	if (more < WASTE_BATCH && more > -WASTE_BATCH)
		return;
	if (__atomic_compare_exchange_n(&n->waste, &had, now, false,
					__ATOMIC_RELAXED, __ATOMIC_RELAXED))
		__atomic_fetch_add(&waste, more, __ATOMIC_RELAXED);
}

void forget_waste(struct cache_node *n)
{
	u64 had = __atomic_exchange_n(&n->waste, 0, __ATOMIC_RELAXED);

	__atomic_fetch_sub(&waste, had, __ATOMIC_RELAXED);
}

/*
 * Some sheaves for a balance that swings, and a 32nd of the objects that are out
 * for a large heap that does; where much is free no more than a share of those,
 * since each may be the last one of its slab.
 */
void barn_set_most(const struct rn_cache *c, struct cache_node *n)
{
	u64 all = (u64)READ_ONCE(n->nr_slabs) * c->objects;
	u64 free = READ_ONCE(n->nr_free), out = all > free ? all - free : 0;
	u64 most = c->sheaf_capacity;

	if (c->size <= BIG_OBJECT)
		most = BARN_SHEAVES * c->sheaf_capacity + BARN_BYTES / c->size;
	if (slabs_are_wasteful())
		most = min(most, out / 8);
	WRITE_ONCE(n->barn.max_full, (out / 32 + most) / c->sheaf_capacity);
}

void count_excess(const struct rn_cache *c, struct cache_node *n,
		  unsigned int objects)
{
	__atomic_fetch_add(&excess.bytes, (u64)objects * c->size,
			   __ATOMIC_RELAXED);
	count_waste(c, n);
}

static void give_excess(struct rn_cache *c, struct cache_node *n)
{
	barn_set_most(c, n);
	barn_flush(c, n, READ_ONCE(n->barn.max_full));
	count_waste(c, n);
	if (!slabs_are_wasteful())
		return;
	slab_trim(c, n, 0);
	slab_give_pages(c, n, WHY_FREE);
}

void give_if_excessive(void)
{
	struct cache_node *n;

	if (likely(READ_ONCE(excess.bytes) < READ_ONCE(excess.most)) ||
	    !trylock_caches())
		return;
	WRITE_ONCE(excess.bytes, 0);
	WRITE_ONCE(excess.most, bound() / EXCESS_SHARE);
	for (struct rn_cache *c = slab_caches; c; c = c->next)
		for (int node = 0; node < nr_node_ids(); node++) {
			n = smp_load_acquire(&c->node[node]);
			if (n)
				give_excess(c, n);
		}
	unlock(&slab_mutex);
}
