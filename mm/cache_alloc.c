// SPDX-License-Identifier: MIT
/*
 * Objects of caches: the fast paths, and the checks in front of the slow ones,
 * as kmalloc.c has them for sizes.
 */
#include "debug/slab_debug.h"
#include "debug/kfence.h"
#include "debug/profile.h"
#include "debug/sanitizer.h"
#include "slab_hooks.h"
#include "tracepoint.h"

#include <string.h>

static noinline void *cache_alloc_slow(struct rn_cache *c, rn_gfp_t flags,
				       int node)
{
	size_t size = READ_ONCE(c->object_size);
	int error = alloc_check(flags, node);
	void *object;

	if (unlikely(!READ_ONCE(c->refcount)))
		bug("BUG %s: allocation from a destroyed cache", c->name);
	/* Its objects lie where they lie: the flag would be no promise. */
	if (!error && flags & RN_HUGETLB & ~c->gfp)
		error = EINVAL;
	object = error ? alloc_fail(error, flags, size)
		       : slab_alloc(c, size, flags, node, CALL_SITE);
	trace_kmem(kmem_cache_alloc, CALL_SITE, object, c, flags, node);
	return object;
}

/* Nothing in the slot, or several nodes; or no rseq, and then no fast path. */
static noinline void *cache_alloc_other(struct rn_cache *c, rn_gfp_t flags)
{
	void *object = NULL;

	if (flags == RN_ZERO)
		return rn_cache_zalloc(c, 0);
	if (!flags && !READ_ONCE(c->fast_at) && below_acquire(0, &hot.medium_max))
		object = fast_pop(slot_at(local_row(c->row)));
	return object ? object : cache_alloc_slow(c, flags, RN_NO_NODE);
}

/**
 * rn_cache_alloc() - allocate an object of a cache
 * @cache: from rn_cache_create() or RN_CACHE()
 * @flags: as for rn_alloc(); RN_HUGETLB only for a cache that was made with
 *	RN_CACHE_HUGETLB, else it is EINVAL
 *
 * Context: as rn_alloc().
 * Return: the object, or NULL with errno as rn_alloc().
 */
RN_API __fastpath void *rn_cache_alloc(struct rn_cache *cache, rn_gfp_t flags)
{
	size_t at = READ_ONCE(cache->fast_at);
	void *object;

	if (likely(at && !flags)) {
		object = fast_pop(at);
		if (likely(object))
			return object;
	}
	return cache_alloc_other(cache, flags);
}

/**
 * rn_cache_zalloc() - allocate a zeroed object of a cache
 * @cache: without a constructor, whose work would be undone
 * @flags: as for rn_alloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_cache_alloc().
 */
RN_API void *rn_cache_zalloc(struct rn_cache *cache, rn_gfp_t flags)
{
	void *object = rn_cache_alloc(cache, flags & ~RN_ZERO);

	return object ? memset(object, 0, cache->usable) : NULL;
}

/**
 * rn_cache_alloc_node() - allocate an object of a cache on a node
 * @cache: from rn_cache_create() or RN_CACHE()
 * @flags: as for rn_alloc_node()
 * @node: as for rn_alloc_node()
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc_node().
 */
RN_API void *rn_cache_alloc_node(struct rn_cache *cache, rn_gfp_t flags,
				 int node)
{
	return cache_alloc_slow(cache, flags, node);
}

/*
 * The cache of the slab that @p lies in, or whose sample it is; or NULL. Of
 * what is guarded, or on AddressSanitizer's heap, and not out @cache: that is
 * reported when it is freed.
 */
static const struct rn_cache *cache_of(const struct rn_cache *cache,
				       const void *p)
{
	unsigned int row = mem_has(p) ? ptr_to_row(p) : 0;
	const struct rn_cache *of = cache;
	const char *start;
	size_t size;

	if (row)
		return row_to_cache(row);
	if (kfence_has(p)) {
		kfence_find(p, &start, &size, &cache);
		return cache;
	}
	if (mem_has(p))
		return profile_cache_of(p);
	if (asan_heap_find(p, &start, &size, &of) || asan_heap_reports(p))
		return of;
	return NULL;
}

static noinline void cache_free_slow(struct rn_cache *cache, void *object)
{
	const struct rn_cache *of;

	if (!object)
		return;
	of = cache_of(cache, object);
	if (!of) {
		sanitizer_invalid_free(object);
		bug("BUG %s: invalid free of %p: not an object of any cache",
		    cache->name, object);
	}
	if (of != cache)
		debug_wrong_cache(cache, of, object, CALL_SITE);
	trace_kmem(kmem_cache_free, CALL_SITE, object, cache);
	if (!fast_free(object))
		free_checked(object, CALL_SITE);
}

/**
 * rn_cache_free() - free an object of a cache
 * @cache: the one it was allocated from
 * @object: or NULL, which does nothing
 *
 * An object of another cache is reported and the program aborted.
 *
 * Context: as rn_free().
 */
RN_API __fastpath void rn_cache_free(struct rn_cache *cache, void *object)
{
	unsigned int row;

	if (likely(fast_find(object, &row) && row == cache->row &&
		   fast_push(slot_at(row), object)))
		return;
	cache_free_slow(cache, object);
}

/**
 * rn_cache_alloc_bulk() - allocate many objects of a cache
 * @cache: from rn_cache_create() or RN_CACHE()
 * @flags: as for rn_alloc()
 * @n: how many
 * @p: array of @n pointers, filled from the start
 *
 * Context: as rn_alloc().
 * Return: how many were allocated; below @n, errno says why.
 */
RN_API size_t rn_cache_alloc_bulk(struct rn_cache *cache, rn_gfp_t flags,
				  size_t n, void **p)
{
	size_t i;

	for (i = 0; i < n; i++) {
		p[i] = rn_cache_alloc(cache, flags);
		if (unlikely(!p[i]))
			break;
	}
	return i;
}

/**
 * rn_cache_free_bulk() - free many objects of a cache
 * @cache: the one they were allocated from
 * @n: how many
 * @p: array of @n pointers
 *
 * Context: as rn_cache_free().
 */
RN_API void rn_cache_free_bulk(struct rn_cache *cache, size_t n,
			       void *const *p)
{
	for (size_t i = 0; i < n; i++)
		rn_cache_free(cache, p[i]);
}
