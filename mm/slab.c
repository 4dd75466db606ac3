// SPDX-License-Identifier: MIT
/*
 * Slabs: a run of 2^order pages cut into objects of one size.
 *
 * Lock: list_lock of the cache_node covers its lists and, of each slab, what
 * struct page says. A slab that is SLAB_ACTIVE belongs to a slot or to one
 * refill, its owner, who takes objects from its private freelist and from the
 * fresh ones without a lock; frees go to its shared freelist all the same.
 *
 * A free object holds a link to the next one, as next ^ key ^ swab(where): a
 * word that somebody wrote after the free does not decode to an object of the
 * slab, and one that does decode before a free gives a second free away. The
 * key is the slab's, new with each slab, so that a link left in memory by the
 * slab that was there before is none.
 */
#include "slab.h"

#include <string.h>

u64 slab_secret;

/* --- links --- */

static u64 *link_of(const struct rn_cache *c, const void *object)
{
	return (u64 *)((char *)object + c->free_offset);
}

static u64 link_code(const struct page *slab, const u64 *where,
		     const void *next)
{
	return (u64)next ^ slab->key ^ __builtin_bswap64((u64)where);
}

/* The index that a link leads to: NO_OBJECT at the end, -1 for no link. */
static int link_decode(const struct rn_cache *c, const struct page *slab,
		       const u64 *where)
{
	u64 word = READ_ONCE(*where), next = word ^ link_code(slab, where, NULL);
	unsigned int index;

	if (!next)
		return NO_OBJECT;
	index = slab_find(c, slab, (void *)next);
	return index == NO_OBJECT ? -1 : (int)index;
}

static void link_set(const struct rn_cache *c, const struct page *slab,
		     void *object, unsigned int next)
{
	u64 *where = link_of(c, object);

	WRITE_ONCE(*where, link_code(slab, where, next == NO_OBJECT ? NULL :
				     slab_object(c, slab, next)));
}

static unsigned int link_next(const struct rn_cache *c,
			      const struct page *slab, unsigned int index)
{
	void *object = slab_object(c, slab, index);
	int next = link_decode(c, slab, link_of(c, object));

	if (unlikely(next < 0))
		bug("BUG %s: object %p was written to after it was freed",
		    c->name, object);
	return next;
}

unsigned int slab_find(const struct rn_cache *c, const struct page *slab,
		       const void *p)
{
	unsigned int index = slab_index(c, (const char *)p -
					   slab_address(slab));

	return index < c->objects && slab_object(c, slab, index) == p ?
	       index : NO_OBJECT;
}

/* --- lists, under list_lock --- */

/* Read by cache_usage() without the lock. */
static void add_free(struct cache_node *n, u64 nr)
{
	WRITE_ONCE(n->nr_free, n->nr_free + nr);
}

static unsigned int fresh_objects(const struct rn_cache *c,
				  const struct page *slab)
{
	return c->objects - slab->fresh;
}

static u32 *list_head(struct cache_node *n, const struct page *slab)
{
	return slab->state == SLAB_EMPTY ? &n->empty : &n->partial[slab->bucket];
}

static void list_insert(struct cache_node *n, struct page *slab)
{
	u32 *head = list_head(n, slab), pfn = page_to_pfn(slab);

	slab->next = *head;
	slab->prev = NO_PFN;
	if (*head != NO_PFN)
		pfn_to_page(*head)->prev = pfn;
	*head = pfn;
	n->nr_empty += slab->state == SLAB_EMPTY;
}

static void list_remove(struct cache_node *n, struct page *slab)
{
	if (slab->prev == NO_PFN)
		*list_head(n, slab) = slab->next;
	else
		pfn_to_page(slab->prev)->next = slab->next;
	if (slab->next != NO_PFN)
		pfn_to_page(slab->next)->prev = slab->prev;
	n->nr_empty -= slab->state == SLAB_EMPTY;
}

/* Where a slab that nobody owns belongs, from its count of free objects. */
static void settle(struct rn_cache *c, struct cache_node *n, struct page *slab)
{
	unsigned int nr_free = slab->nr_free + fresh_objects(c, slab);
	unsigned int bucket = (c->objects - nr_free) * NR_BUCKETS / c->objects;
	u8 state = !nr_free ? SLAB_FULL :
		   nr_free < c->objects ? SLAB_PARTIAL : SLAB_EMPTY;

	if (state == slab->state && bucket == slab->bucket)
		return;
	if (slab->state == SLAB_PARTIAL || slab->state == SLAB_EMPTY)
		list_remove(n, slab);
	slab->state = state;
	slab->bucket = bucket;
	if (state != SLAB_FULL)
		list_insert(n, slab);
}

/* --- new slabs, and their end --- */

/* What a barn keeps of any cache, in bytes and in sheaves. */
#define BARN_BYTES	(512UL << 10)
#define BARN_SHEAVES	4

/*
 * Under list_lock. With the number of slabs changes what the barn keeps: some
 * sheaves for a balance that swings, and a 32nd of the objects on the node for
 * a large heap that does.
 */
static void set_nr_slabs(struct rn_cache *c, struct cache_node *n, u32 nr)
{
	u64 objects = (u64)nr * c->objects / 32;
	u32 sheaves = 1;

	if (c->size <= BIG_OBJECT) {
		objects += BARN_BYTES / c->size;
		sheaves = BARN_SHEAVES;
	}
	WRITE_ONCE(n->nr_slabs, nr);
	WRITE_ONCE(n->barn.max_full, sheaves + objects / c->sheaf_capacity);
}

static void set_rows(const struct rn_cache *c, u32 pfn, unsigned int row)
{
	u32 first = pfn >> SLAB_MIN_ORDER;

	for (u32 i = 0; i < c->pages >> SLAB_MIN_ORDER; i++)
		mem.row_map[first + i] = row;
}

/* An odd constant without structure (2^64 / golden ratio) mixes all of it. */
static u64 next_key(u64 key, u32 pfn)
{
	return (key + slab_secret + pfn) * 0x9e3779b97f4a7c15;
}

static struct page *slab_new(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	struct cache_node *n;
	struct page *slab;
	u32 pfn;

	pfn = pages_alloc(c->pages, *node, flags | c->gfp, NULL);
	if (pfn == NO_PFN)
		return NULL;
	*node = pfn_to_node(pfn);
	n = cache_node_get(c, *node);
	if (!n) {
		pages_free(pfn, c->pages);
		errno = ENOMEM;
		return NULL;
	}
	slab = pfn_to_page(pfn);
	/* Of a page that nobody touched, a read and a write are two faults. */
	WRITE_ONCE(slab->type, PAGE_SLAB);
	barrier();
	*slab = (struct page){
		.type = PAGE_SLAB, .state = SLAB_ACTIVE, .order = c->order,
		.freelist = NO_OBJECT, .private = NO_OBJECT,
		.row = row_on(c, *node), .next = NO_PFN, .prev = NO_PFN,
		.key = next_key(slab->key, pfn),
	};
	set_rows(c, pfn, slab->row);
	lock(&n->list_lock);
	set_nr_slabs(c, n, n->nr_slabs + 1);
	unlock(&n->list_lock);
	return slab;
}

/* @first heads a chain of empty slabs that are on no list any more. */
static unsigned int slab_discard(struct rn_cache *c, u32 first)
{
	unsigned int nr = 0;

	while (first != NO_PFN) {
		struct page *slab = pfn_to_page(first);
		u32 next = slab->next;

		set_rows(c, first, 0);
		slab->type = PAGE_NONE;
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
	unlock(&n->list_lock);
}

/* Those of which all objects are out are on no list: the row map has them. */
void slab_discard_all(struct rn_cache *c)
{
	u32 chain = NO_PFN, end;

	for (int node = 0; node < nr_node_ids(); node++)
		if (c->node[node])
			forget_slabs(c->node[node]);
	for (u32 block = sparse_next_open(0); block != NO_PFN;
	     block = sparse_next_open(block + 1)) {
		end = (block + 1) << PAGEBLOCK_ORDER;
		for (u32 pfn = block << PAGEBLOCK_ORDER; pfn < end;
		     pfn += 1U << c->order) {
			unsigned int row = mem.row_map[pfn >> SLAB_MIN_ORDER];

			if (!row || row_to_cache(row) != c)
				continue;
			pfn_to_page(pfn)->next = chain;
			chain = pfn;
		}
	}
	slab_discard(c, chain);
}

/* Empty slabs kept on a node: a sixteenth, so that a swing does not thrash. */
static unsigned int keep_empty(const struct rn_cache *c,
			       const struct cache_node *n)
{
	if (c->size > BIG_OBJECT)
		return 1 + n->nr_slabs / 64;
	return 2 + n->nr_slabs / 16;
}

/* Takes empty slabs beyond @keep off the list; under list_lock. */
static u32 take_empty(struct rn_cache *c, struct cache_node *n,
		      unsigned int keep)
{
	u32 chain = NO_PFN;

	while (n->nr_empty > keep) {
		struct page *slab = pfn_to_page(n->empty);

		list_remove(n, slab);
		slab->next = chain;
		chain = page_to_pfn(slab);
		set_nr_slabs(c, n, n->nr_slabs - 1);
		add_free(n, -(u64)c->objects);
	}
	return chain;
}

unsigned int slab_trim(struct rn_cache *c, struct cache_node *n,
		       unsigned int keep)
{
	u32 chain;

	lock(&n->list_lock);
	chain = take_empty(c, n, keep);
	unlock(&n->list_lock);
	return slab_discard(c, chain);
}

/* --- the owner's side --- */

/* The fullest partial slab, so that the others drain; then an empty one. */
static struct page *pick(struct cache_node *n)
{
	for (int i = NR_BUCKETS - 1; i >= 0; i--)
		if (n->partial[i] != NO_PFN)
			return pfn_to_page(n->partial[i]);
	return n->empty != NO_PFN ? pfn_to_page(n->empty) : NULL;
}

/* The whole shared freelist becomes the owner's, in one step. */
static void take_freelist(struct cache_node *n, struct page *slab)
{
	add_free(n, -(u64)slab->nr_free);
	WRITE_ONCE(slab->private, slab->freelist);
	WRITE_ONCE(slab->nr_private, slab->nr_free);
	slab->freelist = NO_OBJECT;
	slab->nr_free = 0;
}

/*
 * A freelist is a chain of cache misses, one after the other. Where most of the
 * slab is on it, all are fetched at once by address; their users, who come
 * next, find them in the cache.
 *
 * Inlined always: gcc takes a function that only prefetches for one without
 * effect, and drops the call.
 */
static __always_inline void fetch_objects(const struct rn_cache *c,
					  const struct page *slab)
{
	char *object = slab_address(slab);

	if (slab->nr_private < slab->fresh / 2)
		return;
	for (unsigned int i = 0; i < slab->fresh;
	     object = slab_next(c, object, i++))
		__builtin_prefetch(object + c->free_offset, 1);
}

/* One that is on a list, now the caller's; or NULL. */
static struct page *take_listed(struct cache_node *n, const struct rn_cache *c)
{
	struct page *slab;

	lock(&n->list_lock);
	slab = pick(n);
	if (slab) {
		list_remove(n, slab);
		slab->state = SLAB_ACTIVE;
		add_free(n, -(u64)fresh_objects(c, slab));
		take_freelist(n, slab);
	}
	unlock(&n->list_lock);
	return slab;
}

/* What the next nodes have, before one of them gives a new slab. */
static struct page *take_elsewhere(struct rn_cache *c, int *node)
{
	struct page *slab = NULL;
	int other;

	for (unsigned int i = 1; !slab; i++) {
		struct cache_node *n;

		other = node_fallback(*node, i);
		if (other < 0)
			return NULL;
		n = smp_load_acquire(&c->node[other]);
		if (n)
			slab = take_listed(n, c);
	}
	*node = other;
	return slab;
}

struct page *slab_get(struct rn_cache *c, int *node, rn_gfp_t flags)
{
	struct cache_node *n = cache_node_get(c, *node);
	struct page *slab;

	if (!n)
		return NULL;
	slab = take_listed(n, c);
	if (!slab && !(flags & RN_THISNODE) &&
	    node_was_full(*node, flags | c->gfp))
		slab = take_elsewhere(c, node);
	if (!slab)
		return slab_new(c, node, flags);
	fetch_objects(c, slab);
	return slab;
}

/* Puts @nr objects of the private freelist under what @s has, first on top. */
static void fill_private(struct rn_cache *c, struct page *slab,
			 struct sheaf *s, unsigned int nr)
{
	unsigned int base = sheaf_count(s), index = slab->private;

	for (unsigned int i = nr; i-- > 0;) {
		void *object = slab_object(c, slab, index);

		index = link_next(c, slab, index);
		/* Out now: a free that finds a link has to search the lists. */
		WRITE_ONCE(*link_of(c, object), 0);
		s->objects[base + i] = object;
		tsan_release(object);
	}
	WRITE_ONCE(slab->private, index);
	WRITE_ONCE(slab->nr_private, slab->nr_private - nr);
	WRITE_ONCE(s->word, s->word + nr);
}

/* Fresh objects, by address alone, in rising order from the top. */
static void fill_fresh(struct rn_cache *c, struct page *slab, struct sheaf *s,
		       unsigned int nr)
{
	unsigned int base = sheaf_count(s), index = slab->fresh;
	char *object = slab_object(c, slab, index);

	for (unsigned int i = nr; i-- > 0;
	     object = slab_next(c, object, index++)) {
		if (c->ctor)
			c->ctor(object);
		s->objects[base + i] = object;
		tsan_release(object);
	}
	WRITE_ONCE(slab->fresh, index);
	WRITE_ONCE(s->word, s->word + nr);
}

void slab_fill(struct rn_cache *c, struct page *slab, struct sheaf *s,
	       unsigned int want)
{
	unsigned int room = want - sheaf_count(s);
	unsigned int nr = min(room, (unsigned int)slab->nr_private);

	if (nr)
		fill_private(c, slab, s, nr);
	room -= nr;
	nr = min(room, fresh_objects(c, slab));
	if (nr)
		fill_fresh(c, slab, s, nr);
}

bool slab_reload(struct cache_node *n, struct page *slab)
{
	bool more;

	lock(&n->list_lock);
	take_freelist(n, slab);
	more = slab->nr_private;
	/* From here on anybody's, once the lock is dropped. */
	if (!more)
		slab->state = SLAB_FULL;
	unlock(&n->list_lock);
	return more;
}

/* The private objects become shared; seldom are there some of both. */
static void join_freelists(struct rn_cache *c, struct page *slab)
{
	unsigned int index = slab->private, next;

	if (slab->freelist == NO_OBJECT) {
		slab->freelist = index;
		slab->nr_free = slab->nr_private;
		return;
	}
	for (; index != NO_OBJECT; index = next) {
		void *object = slab_object(c, slab, index);

		next = link_next(c, slab, index);
		link_set(c, slab, object, slab->freelist);
		slab->freelist = index;
		slab->nr_free++;
	}
}

void slab_put(struct rn_cache *c, struct page *slab)
{
	struct cache_node *n = row_to_cache_node(slab->row);
	u32 chain;

	lock(&n->list_lock);
	join_freelists(c, slab);
	add_free(n, slab->nr_private + fresh_objects(c, slab));
	WRITE_ONCE(slab->private, NO_OBJECT);
	WRITE_ONCE(slab->nr_private, 0);
	settle(c, n, slab);
	chain = take_empty(c, n, keep_empty(c, n));
	unlock(&n->list_lock);
	slab_discard(c, chain);
}

/* --- everyone's side --- */

/*
 * Is the object on the freelist that starts at @index? The private one may be
 * popped by its owner meanwhile: then a link does not decode, which ends the
 * walk; an object that is in use was popped before and is not reached.
 */
static bool on_freelist(const struct rn_cache *c, const struct page *slab,
			unsigned int index, unsigned int wanted)
{
	for (unsigned int i = 0; i < c->objects && index != NO_OBJECT; i++) {
		int next;

		if (index == wanted)
			return true;
		next = link_decode(c, slab,
				   link_of(c, slab_object(c, slab, index)));
		if (next < 0)
			return false;
		index = next;
	}
	return false;
}

/* The index of the object at @p, which is out; anything else is a bug. */
static unsigned int check_free(const struct rn_cache *c,
			       const struct page *slab, const void *p)
{
	unsigned int index;

	if (slab->type != PAGE_SLAB || row_to_cache(slab->row) != c)
		bug("BUG %s: invalid free of %p: its slab is gone", c->name, p);
	index = slab_find(c, slab, p);
	if (index == NO_OBJECT)
		bug("BUG %s: invalid free of %p: not the start of an object",
		    c->name, p);
	if (index >= READ_ONCE(slab->fresh))
		bug("BUG %s: invalid free of %p: it was never allocated",
		    c->name, p);
	if (likely(link_decode(c, slab, link_of(c, p)) < 0))
		return index;
	/* It looks like a free object; it is one if a list has it. */
	if (on_freelist(c, slab, slab->freelist, index) ||
	    on_freelist(c, slab, READ_ONCE(slab->private), index))
		bug("BUG %s: double free of %p", c->name, p);
	return index;
}

static void free_one(struct rn_cache *c, struct cache_node *n, void *p)
{
	struct page *slab = ptr_to_slab(c, p);
	unsigned int index;

	tsan_acquire(p);
	index = check_free(c, slab, p);
	link_set(c, slab, p, slab->freelist);
	slab->freelist = index;
	slab->nr_free++;
	add_free(n, 1);
	if (slab->state != SLAB_ACTIVE)
		settle(c, n, slab);
}

void slab_free_objects(struct rn_cache *c, struct cache_node *n,
		       void *const *objects, unsigned int nr)
{
	u32 chain;

	for (unsigned int i = 0; i < nr; i++) {
		__builtin_prefetch(ptr_to_slab(c, objects[i]), 1);
		__builtin_prefetch(link_of(c, objects[i]), 1);
	}
	lock(&n->list_lock);
	for (unsigned int i = 0; i < nr; i++)
		free_one(c, n, objects[i]);
	chain = take_empty(c, n, keep_empty(c, n));
	unlock(&n->list_lock);
	slab_discard(c, chain);
}
