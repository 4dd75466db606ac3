// SPDX-License-Identifier: MIT
/*
 * Slabs: a run of 2^order pages cut into objects of one size.
 *
 * Lock: list_lock of the cache_node covers its lists and, of each slab, what
 * struct page says. A slab that is SLAB_ACTIVE belongs to a slot or to one
 * refill, its owner, who takes objects from its private freelist and from the
 * fresh ones without a lock; frees go to its shared freelist all the same.
 *
 * A slab that has drained so far that pages of it are free is listed apart, for
 * who gives these back (mm/waste.c, mm/hollow.c).
 */
#include "freelist.h"

u64 slab_secret;

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
	if (slab->state != SLAB_EMPTY)
		return;
	n->nr_empty--;
	n->low_empty = min(n->low_empty, n->nr_empty);
}

/* Objects that are not out, of a slab that nobody owns. */
static unsigned int free_objects(const struct rn_cache *c, struct page *slab)
{
	return slab->nr_free + fresh_objects(c, slab) +
		slab_hollow(slab)->nr_hollow;
}

/* Has a slab drained so far since it was looked at that more pages are free? */
static bool has_drained(const struct rn_cache *c, unsigned int out,
			unsigned int seen)
{
	unsigned int low = min(c->pages, c->objects);

	return c->size >= PAGE_BYTES ? out != seen :
		QUARTERS * out / low != QUARTERS * seen / low;
}

/*
 * With fewer objects out than it has pages, a slab has pages that are free: the
 * buckets below HIGH_BUCKETS, the first of them if it was looked at for these.
 * The others go by the share that is out.
 */
static unsigned int bucket_of(const struct rn_cache *c, unsigned int out,
			      unsigned int seen)
{
	unsigned int low = min(c->pages, c->objects);

	if (out >= low)
		return HIGH_BUCKETS + QUARTERS * out / c->objects;
	return QUARTERS * out / low +
		(has_drained(c, out, seen) ? DRAINED_BUCKETS : 0);
}

/* Where a slab that nobody owns belongs, from its count of free objects. */
static void settle(struct rn_cache *c, struct cache_node *n, struct page *slab)
{
	unsigned int nr_free = free_objects(c, slab);
	unsigned int out = c->objects - nr_free, bucket;
	u8 state = !nr_free ? SLAB_FULL :
		   nr_free < c->objects ? SLAB_PARTIAL : SLAB_EMPTY;

	/* What was filled since then may be hollow again. */
	if (out > slab_hollow(slab)->seen)
		slab_hollow(slab)->seen = NOT_SEEN;
	bucket = bucket_of(c, out, slab_hollow(slab)->seen);
	if (state == slab->state && bucket == slab->bucket)
		return;
	if (slab->state == SLAB_PARTIAL || slab->state == SLAB_EMPTY)
		list_remove(n, slab);
	slab->state = state;
	slab->bucket = bucket;
	if (state != SLAB_FULL)
		list_insert(n, slab);
}

/* --- empty slabs --- */

void slab_count(struct rn_cache *c, struct cache_node *n, int more)
{
	WRITE_ONCE(n->nr_slabs, n->nr_slabs + more);
	barn_set_most(c, n);
}

/* Empty slabs kept on a node: a sixteenth, so that a swing does not thrash. */
static unsigned int keep_empty(const struct rn_cache *c,
			       const struct cache_node *n)
{
	if (slabs_are_wasteful())
		return 0;
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
		/* In the caller's hands, for who finds it by its pages. */
		slab->state = SLAB_ACTIVE;
		slab->next = chain;
		chain = page_to_pfn(slab);
		slab_count(c, n, -1);
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
	count_waste(c, n);
	return slab_discard(c, chain);
}

/* --- the owner's side --- */

/* The fullest partial slab, so that others drain; an empty one; a starved one. */
struct page *slab_pick(struct cache_node *n)
{
	u32 starved = n->partial[STARVED_BUCKET];

	for (int i = STARVED_BUCKET - 1; i >= 0; i--)
		if (n->partial[i] != NO_PFN)
			return pfn_to_page(n->partial[i]);
	if (n->empty != NO_PFN)
		return pfn_to_page(n->empty);
	if (likely(starved == NO_PFN) || pages_are_short(starved))
		return NULL;
	return pfn_to_page(starved);
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

/* @slab, which is on a list, becomes the caller's. */
static void own(const struct rn_cache *c, struct cache_node *n,
		struct page *slab)
{
	list_remove(n, slab);
	slab->state = SLAB_ACTIVE;
	add_free(n, -(u64)(fresh_objects(c, slab) + slab_hollow(slab)->nr_hollow));
	take_freelist(n, slab);
}

/* One that is on a list, now the caller's; or NULL. */
static struct page *take_listed(struct cache_node *n, const struct rn_cache *c)
{
	struct page *slab;

	lock(&n->list_lock);
	slab = slab_pick(n);
	if (slab) {
		own(c, n, slab);
		/* Other objects may be out of it when it comes back. */
		slab_hollow(slab)->seen = NOT_SEEN;
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
		WRITE_ONCE(*link_of(c, object),
			   link_mark(slab, link_of(c, object)));
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

/*
 * Under list_lock: anybody's from there on. The owner can use nothing of it;
 * some of it is out, since no pages are made hollow of a slab that is empty.
 */
static void leave(struct cache_node *n, struct page *slab)
{
	unsigned int hollow = slab_hollow(slab)->nr_hollow;

	slab_hollow(slab)->seen = NOT_SEEN;
	slab->state = hollow ? SLAB_PARTIAL : SLAB_FULL;
	if (likely(!hollow))
		return;
	slab->bucket = STARVED_BUCKET;
	add_free(n, hollow);
	list_insert(n, slab);
}

/* Is there more, or are there hollow pages that may do? Else it is left. */
static bool reload(struct cache_node *n, struct page *slab, bool hollow_may_do)
{
	bool more;

	lock(&n->list_lock);
	take_freelist(n, slab);
	more = slab->nr_private ||
		(hollow_may_do && slab_hollow(slab)->nr_hollow);
	if (!more)
		leave(n, slab);
	unlock(&n->list_lock);
	return more;
}

bool slab_reload(struct rn_cache *c, struct cache_node *n, struct page *slab)
{
	if (!reload(n, slab, true))
		return false;
	return slab->nr_private || hollow_fill(c, n, slab) ||
		reload(n, slab, false);
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
	add_free(n, slab->nr_private + fresh_objects(c, slab) +
		 slab_hollow(slab)->nr_hollow);
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
	unsigned int index = slab_check_object(c, slab, p);

	if (likely(link_decode(c, slab, link_of(c, p)) < 0))
		return index;
	/* It looks like a free object; it is one if a list has it. */
	if (on_freelist(c, slab, slab->freelist, index) ||
	    on_freelist(c, slab, READ_ONCE(slab->private), index))
		bug("BUG %s: double free of %p", c->name, p);
	return index;
}

void slab_push(struct rn_cache *c, struct cache_node *n, struct page *slab,
	       unsigned int index)
{
	link_set(c, slab, slab_object(c, slab, index), slab->freelist);
	slab->freelist = index;
	slab->nr_free++;
	add_free(n, 1);
	if (slab->state != SLAB_ACTIVE)
		settle(c, n, slab);
}

static void free_one(struct rn_cache *c, struct cache_node *n, void *p)
{
	struct page *slab = ptr_to_slab(c, p);

	tsan_acquire(p);
	slab_push(c, n, slab, check_free(c, slab, p));
}

void *slab_pop(struct rn_cache *c, struct cache_node *n, struct page *slab)
{
	unsigned int index = slab->freelist;

	if (index == NO_OBJECT) {
		index = slab->fresh;
		WRITE_ONCE(slab->fresh, index + 1);
	} else {
		slab->freelist = link_next(c, slab, index);
		slab->nr_free--;
	}
	add_free(n, -1UL);
	settle(c, n, slab);
	return slab_object(c, slab, index);
}

void slab_lose_freelist(struct rn_cache *c, struct cache_node *n,
			struct page *slab)
{
	add_free(n, -(u64)slab->nr_free);
	slab->freelist = NO_OBJECT;
	slab->nr_free = 0;
	settle(c, n, slab);
}

/* @slab, which is on a list, becomes the caller's, in a chain. */
static void take_drained(struct rn_cache *c, struct cache_node *n,
			 struct page *slab, u32 *chain)
{
	slab_hollow(slab)->seen = c->objects - free_objects(c, slab);
	own(c, n, slab);
	slab->next = *chain;
	*chain = page_to_pfn(slab);
}

/* Free pages of the slabs in the chain. */
static void give_pages(struct rn_cache *c, struct cache_node *n, u32 chain,
		       enum reclaim_why why)
{
	hollow_make(c, n, chain, why);
	while (chain != NO_PFN) {
		struct page *slab = pfn_to_page(chain);

		chain = slab->next;
		slab_put(c, slab);
	}
}

/* Empty ones in a chain go back to the pages. */
static void give_slabs(struct rn_cache *c, u32 chain, enum reclaim_why why)
{
	u64 pages = (u64)slab_discard(c, chain) * c->pages;

	if (pages)
		reclaim_count(why, PLACE_SLAB, pages << PAGE_SHIFT);
}

void slab_unlock(struct rn_cache *c, struct cache_node *n)
{
	u32 chain = take_empty(c, n, keep_empty(c, n));

	unlock(&n->list_lock);
	count_waste(c, n);
	give_slabs(c, chain, WHY_FREE);
}

void slab_free_objects(struct rn_cache *c, struct cache_node *n,
		       void *const *objects, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		__builtin_prefetch(ptr_to_slab(c, objects[i]), 1);
		__builtin_prefetch(link_of(c, objects[i]), 1);
	}
	lock(&n->list_lock);
	for (unsigned int i = 0; i < nr; i++)
		free_one(c, n, objects[i]);
	slab_unlock(c, n);
}

/* --- what more there is to give back --- */

/* Slabs that are taken at a time: nobody waits long for the lock. */
#define LOOK_SLABS	32

/* Under list_lock: slabs that have drained, at most so many. */
static u32 find_drained(struct rn_cache *c, struct cache_node *n)
{
	u32 chain = NO_PFN, nr = 0;

	for (int i = DRAINED_BUCKETS; i < HIGH_BUCKETS; i++)
		for (; n->partial[i] != NO_PFN && nr < LOOK_SLABS; nr++)
			take_drained(c, n, pfn_to_page(n->partial[i]), &chain);
	return chain;
}

void slab_give_pages(struct rn_cache *c, struct cache_node *n,
		     enum reclaim_why why)
{
	u32 chain;

	/* Nobody may own a slab of these. */
	if (c->debug)
		return;
	do {
		lock(&n->list_lock);
		chain = find_drained(c, n);
		unlock(&n->list_lock);
		give_pages(c, n, chain, why);
	} while (chain != NO_PFN);
	count_waste(c, n);
}

void slab_age(struct rn_cache *c, struct cache_node *n, u32 part)
{
	u32 chain;

	lock(&n->list_lock);
	chain = take_empty(c, n, n->nr_empty - DIV_ROUND_UP(n->low_empty, part));
	n->low_empty = n->nr_empty;
	unlock(&n->list_lock);
	give_slabs(c, chain, WHY_DECAY);
	slab_give_pages(c, n, WHY_DECAY);
}
