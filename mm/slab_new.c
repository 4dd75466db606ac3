// SPDX-License-Identifier: MIT
/*
 * New slabs, and their end.
 */
#include "debug/harden.h"
#include "debug/sanitizer.h"
#include "tracepoint.h"
#include "zone.h"

static void set_rows(const struct rn_cache *c, u32 pfn, unsigned int row)
{
	u32 first = pfn >> SLAB_MIN_ORDER;

	for (u32 i = 0; i < c->pages >> SLAB_MIN_ORDER; i++)
		WRITE_ONCE(mem.row_map[first + i], row);
}

/* An odd constant without structure (2^64 / golden ratio) mixes all of it. */
static u64 next_key(u64 key, u32 pfn)
{
	return (key + slab_secret + pfn) * 0x9e3779b97f4a7c15;
}

struct page *slab_new(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	struct cache_node *n;
	struct page *slab;
	u32 pfn;

	pfn = pages_alloc(c->pages, *node, flags | c->gfp, NULL);
	if (pfn == NO_PFN)
		return NULL;
	trace_pages(mm_page_alloc, pfn, c->pages, flags | c->gfp);
	*node = pfn_to_node(pfn);
	n = cache_node_get(c, *node);
	if (!n) {
		trace_pages(mm_page_free, pfn, c->pages);
		pages_free(pfn, c->pages);
		errno = ENOMEM;
		return NULL;
	}
	slab = pfn_to_page(pfn);
	/* Of a page that nobody touched, a read and a write are two faults. */
	WRITE_ONCE(slab->type, PAGE_SLAB);
	barrier();
	/* Who finds slabs by the row map may look at the one that was here. */
	lock(&n->list_lock);
	*slab = (struct page){
		.type = PAGE_SLAB, .state = SLAB_ACTIVE, .order = c->order,
		.freelist = NO_OBJECT, .private = NO_OBJECT,
		.row = row_on(c, *node), .next = NO_PFN, .prev = NO_PFN,
		.key = next_key(slab->key, pfn),
	};
	slab_count(c, n, 1);
	unlock(&n->list_lock);
	set_rows(c, pfn, slab->row);
	slab_hollow(slab)->hollow = 0;
	slab_hollow(slab)->nr_hollow = 0;
	slab_hollow(slab)->seen = NOT_SEEN;
	if (unlikely(c->debug))
		debug_init_slab(c, slab);
	else if (unlikely(options.freelist_random))
		slab_shuffle(c, slab);
	return slab;
}

/* Of its pages, those in the mask have no memory. */
static void discard_hollow(const struct rn_cache *c, struct page *slab,
			   u64 hollow)
{
	struct cache_node *n = row_to_cache_node(slab->row);

	__atomic_fetch_sub(&n->nr_hollow, __builtin_popcountll(hollow),
			   __ATOMIC_RELAXED);
	pages_free_hollow(page_to_pfn(slab), c->pages, hollow);
}

unsigned int slab_discard(struct rn_cache *c, u32 first)
{
	unsigned int nr = 0;

	while (first != NO_PFN) {
		struct page *slab = pfn_to_page(first);
		u64 hollow = slab_hollow(slab)->hollow;
		u32 next = slab->next;

		if (unlikely(c->debug))
			debug_end_slab(c, slab);
		else if (unlikely(c->canary))
			canary_end_slab(c, slab);
		trace_pages(mm_page_free, first, c->pages);
		set_rows(c, first, 0);
		WRITE_ONCE(slab->type, PAGE_NONE);
		if (unlikely(hollow))
			discard_hollow(c, slab, hollow);
		else
			pages_free(first, c->pages);
		first = next;
		nr++;
	}
	return nr;
}

static void forget_slabs(struct cache_node *n)
{
	lock(&n->list_lock);
	for (int i = 0; i < NR_BUCKETS; i++)
		n->partial[i] = NO_PFN;
	n->empty = NO_PFN;
	n->nr_empty = 0;
	WRITE_ONCE(n->nr_slabs, 0);
	WRITE_ONCE(n->nr_free, 0);
	forget_waste(n);
	unlock(&n->list_lock);
}

/* Of a pageblock whose descriptors are open. */
static void for_each_in(u32 block, const struct rn_cache *c, slab_look_t look,
			void *arg)
{
	u32 pfn = block << PAGEBLOCK_ORDER, end = pfn + PAGEBLOCK_PAGES;
	const struct rn_cache *of;
	unsigned int row;

	for (; pfn < end; pfn += 1U << SLAB_MIN_ORDER) {
		row = READ_ONCE(mem.row_map[pfn >> SLAB_MIN_ORDER]);
		if (!row)
			continue;
		of = row_to_cache(row);
		/* The others are those of a slab that is longer. */
		if ((!c || of == c) && !(pfn & ((1U << of->order) - 1)))
			look(arg, row, pfn_to_page(pfn));
	}
}

/* Those of which all objects are out are on no list: the row map has them. */
void slab_for_each(const struct rn_cache *c, slab_look_t look, void *arg)
{
	for (u32 block = block_next_used(0); block != NO_BLOCK;
	     block = block_next_used(block + 1))
		for_each_in(block, c, look, arg);
}

/* rn_validate() of all caches may be looking at it. */
static void chain_slab(void *arg, unsigned int row, struct page *slab)
{
	struct cache_node *n = row_to_cache_node(row);
	u32 *chain = arg;

	lock(&n->list_lock);
	slab->state = SLAB_ACTIVE;
	unlock(&n->list_lock);
	slab->next = *chain;
	*chain = page_to_pfn(slab);
}

void slab_discard_all(struct rn_cache *c)
{
	u32 chain = NO_PFN;

	quarantine_empty(c);
	for (int node = 0; node < nr_node_ids(); node++)
		if (c->node[node])
			forget_slabs(c->node[node]);
	slab_for_each(c, chain_slab, &chain);
	slab_discard(c, chain);
}
