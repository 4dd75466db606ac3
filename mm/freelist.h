/* SPDX-License-Identifier: MIT */
/*
 * The links of free objects.
 *
 * A free object holds a link to the next one, as next ^ key ^ swab(where): a
 * word that somebody wrote after the free does not decode to an object of the
 * slab, and one that does decode before a free gives a second free away. The
 * key is the slab's, new with each slab, so that a link left in memory by the
 * slab that was there before is none.
 */
#ifndef MM_FREELIST_H
#define MM_FREELIST_H

#include "slab.h"

static inline u64 *link_of(const struct rn_cache *c, const void *object)
{
	return (u64 *)((char *)object + c->free_offset);
}

static inline u64 link_code(const struct page *slab, const u64 *where,
		     const void *next)
{
	return (u64)next ^ slab->key ^ __builtin_bswap64((u64)where);
}

/* The index that a link leads to: NO_OBJECT at the end, -1 for no link. */
static inline int link_decode(const struct rn_cache *c, const struct page *slab,
		       const u64 *where)
{
	u64 word = READ_ONCE(*where), next = word ^ link_code(slab, where, NULL);
	unsigned int index;

	if (!next)
		return NO_OBJECT;
	index = slab_find(c, slab, (void *)next);
	return index == NO_OBJECT ? -1 : (int)index;
}

static inline void link_set(const struct rn_cache *c, const struct page *slab,
		     void *object, unsigned int next)
{
	u64 *where = link_of(c, object);

	WRITE_ONCE(*where, link_code(slab, where, next == NO_OBJECT ? NULL :
				     slab_object(c, slab, next)));
}

static inline unsigned int link_next(const struct rn_cache *c,
			      const struct page *slab, unsigned int index)
{
	void *object = slab_object(c, slab, index);
	int next = link_decode(c, slab, link_of(c, object));

	if (unlikely(next < 0))
		bug("BUG %s: object %p was written to after it was freed",
		    c->name, object);
	return next;
}

/*
 * A freelist is a chain of cache misses; where most of the slab is on it, all are
 * fetched at once by address. Inlined always: gcc takes a function that only
 * prefetches for one without effect, and drops the call.
 */
static __always_inline void fetch_objects(const struct rn_cache *c,
					  const struct page *slab)
{
	char *object = slab_address(slab);

	if (slab->nr_private < slab->fresh / 2 || slab_hollow(slab)->nr_hollow)
		return;
	for (unsigned int i = 0; i < slab->fresh;
	     object = slab_next(c, object, i++))
		__builtin_prefetch(object + c->free_offset, 1);
}

/*
 * What an object has instead that was taken off a freelist and is nobody's yet,
 * or has been freed and is on none: a link to where no object is, by which a
 * second free is known (mm/debug/harden.c), or 0.
 */
#define MARK	((void *)1)

static inline u64 link_mark(const struct page *slab, const u64 *where)
{
	return unlikely(options.hardened) ? link_code(slab, where, MARK) : 0;
}

/* The index of the object at @p, which may be out; anything else is a bug. */
static inline unsigned int slab_check_object(const struct rn_cache *c,
					     const struct page *slab,
					     const void *p)
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
	if (unlikely(READ_ONCE(slab_hollow(slab)->hollow)) &&
	    hollow_has(c, slab, index))
		bug("BUG %s: double free of %p", c->name, p);
	return index;
}

#endif /* MM_FREELIST_H */
