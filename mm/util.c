// SPDX-License-Identifier: MIT
/*
 * The rest of the API, built on rn_alloc() and rn_free(): arrays, copies,
 * resizing, and questions about an object.
 */
#include "debug/harden.h"
#include "debug/kfence.h"
#include "memcontrol.h"
#include "debug/profile.h"
#include "debug/sanitizer.h"

#include <string.h>

/* The product, or a size that no request can be met for. */
static size_t array_size(size_t n, size_t size)
{
	size_t bytes;

	return __builtin_mul_overflow(n, size, &bytes) ? SIZE_MAX : bytes;
}

/**
 * rn_alloc_array() - allocate an array
 * @n: number of elements
 * @size: bytes of each
 * @flags: as for rn_alloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc(); a product that overflows is ENOMEM.
 */
RN_API void *rn_alloc_array(size_t n, size_t size, rn_gfp_t flags)
{
	return rn_alloc(array_size(n, size), flags);
}

/**
 * rn_calloc() - allocate a zeroed array
 * @n: number of elements
 * @size: bytes of each
 * @flags: as for rn_alloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc_array().
 */
RN_API void *rn_calloc(size_t n, size_t size, rn_gfp_t flags)
{
	return rn_zalloc(array_size(n, size), flags);
}

/**
 * rn_memdup() - copy bytes into memory of their own
 * @src: what to copy
 * @len: bytes
 * @flags: as for rn_alloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc().
 */
RN_API void *rn_memdup(const void *src, size_t len, rn_gfp_t flags)
{
	void *p = rn_alloc(len, flags);

	return p && len ? memcpy(p, src, len) : p;
}

static char *dup_string(const char *s, size_t len, rn_gfp_t flags)
{
	char *p = rn_alloc(len + 1, flags);

	if (!p)
		return NULL;
	memcpy(p, s, len);
	p[len] = '\0';
	return p;
}

/**
 * rn_strdup() - copy a string
 * @s: the string, or NULL
 * @flags: as for rn_alloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_alloc(); NULL (errno untouched) for NULL.
 */
RN_API char *rn_strdup(const char *s, rn_gfp_t flags)
{
	return s ? dup_string(s, strlen(s), flags) : NULL;
}

/**
 * rn_strndup() - copy the start of a string
 * @s: the string, or NULL
 * @max: bytes to copy at most, without the end
 * @flags: as for rn_alloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_strdup().
 */
RN_API char *rn_strndup(const char *s, size_t max, rn_gfp_t flags)
{
	return s ? dup_string(s, strnlen(s, max), flags) : NULL;
}

/* --- questions --- */

static size_t size_of(const struct rn_cache *c, const void *object)
{
	if (unlikely(c->debug))
		return debug_size(c, object);
	return unlikely(c->canary) ? canary_size(c, object) : c->usable;
}

/* The object that @p points into: its start in *@start. False if none. */
static bool find_object(const void *p, const char **start, size_t *usable,
			const struct rn_cache **cache)
{
	const struct rn_cache *c;
	const struct page *page;
	unsigned int row, index;

	*cache = NULL;
	if (!ptr_to_page(p))
		return kfence_find(p, start, usable, cache) ||
		       asan_heap_find(p, start, usable, cache);
	row = ptr_to_row(p);
	if (!row) {
		page = large_find(p);
		if (!page || page->type != PAGE_LARGE)
			return false;
		c = profile_cache(page);
		*start = slab_address(page);
		*usable = c ? c->usable : large_size(page);
		*cache = c;
		return true;
	}
	c = row_to_cache(row);
	page = ptr_to_slab(c, p);
	index = slab_index(c, (const char *)p - slab_address(page));
	if (index >= c->objects)
		return false;
	*start = slab_object(c, page, index);
	/* Or it is in the rest of the page before. */
	if ((const char *)p < *start)
		return false;
	*usable = size_of(c, *start);
	*cache = c;
	return true;
}

/**
 * rn_size() - the usable size of an object
 * @p: start of an object of this library, NULL or RN_ZERO_SIZE_PTR
 *
 * All of it may be written, whatever size was asked for; but the compiler does
 * not know that, and _FORTIFY_SOURCE stops a write beyond that size: where it
 * matters, ask for rn_size_roundup() bytes. Anything else than the start of an
 * object is reported and the program aborted.
 *
 * Of an object that is debugged, has a canary (RN_HARDENED), is between guard
 * pages (RN_KFENCE) or known to a sanitizer, that is what was asked for.
 *
 * Context: any; the object must not be freed meanwhile.
 * Return: bytes; 0 for NULL and RN_ZERO_SIZE_PTR.
 */
RN_API size_t rn_size(const void *p)
{
	const struct rn_cache *c;
	const char *start;
	size_t usable;

	if (!p || p == RN_ZERO_SIZE_PTR)
		return 0;
	if (!find_object(p, &start, &usable, &c) || start != p)
		bug("BUG: rn_size(%p): not an object of this library", p);
	return usable;
}

/**
 * rn_check_object() - does a range of bytes lie within one object?
 * @p: first byte
 * @len: number of bytes
 *
 * In objects of a cache with a user region (struct rn_cache_args), the range
 * must lie within that.
 *
 * Context: any; the object must not be freed meanwhile.
 * Return: 0, or -EFAULT.
 */
RN_API int rn_check_object(const void *p, size_t len)
{
	size_t usable, from = 0, size;
	const struct rn_cache *c;
	const char *start;

	if (!find_object(p, &start, &usable, &c))
		return -EFAULT;
	size = usable;
	if (c) {
		from = c->useroffset;
		size = min(c->usersize, usable - from);
	}
	if ((const char *)p < start + from || len > size ||
	    (size_t)((const char *)p - start - from) > size - len)
		return -EFAULT;
	return 0;
}

/**
 * rn_memcg_of() - the group that memory is charged to
 * @p: any address within an object, or anywhere else
 *
 * Context: any; the object must not be freed meanwhile.
 * Return: the group, one that was reparented as well; NULL for none.
 */
RN_API struct rn_memcg *rn_memcg_of(const void *p)
{
	const struct rn_cache *c;
	const struct page *head;
	const char *start;
	size_t usable;

	if (!find_object(p, &start, &usable, &c))
		return NULL;
	if (c)
		return counter_to_memcg(c->counter);
	head = mem_has(p) ? large_find(p) : NULL;
	return head && head->counter ? memcg_by_id(head->counter) : NULL;
}

/* --- resizing --- */

/* To where there is room for @fit bytes, if that is not 0. */
static void *move(void *p, size_t old, size_t fit, size_t size, rn_gfp_t flags)
{
	struct rn_memcg *group = rn_memcg_of(p);
	void *new = group ? rn_memcg_alloc(group, size, flags) :
		    fit ? kmalloc_fit(fit, size) : rn_alloc(size, flags);

	if (!new)
		return NULL;
	memcpy(new, p, min(old, size));
	rn_free(p);
	return new;
}

/* It counts as another allocation in a profile. */
static void *realloc_large(void *p, size_t old, size_t size, rn_gfp_t flags,
			   const void *caller)
{
	unsigned int ticket = gate_enter();
	char *new = large_realloc(p, size, flags);

	gate_exit(ticket);
	new = profile_run(new, size, caller);
	age_poll_deep();
	/* The rest of its last page is usable, and must not keep old bytes. */
	if (new && flags & RN_ZERO && size < old)
		memset(new + size, 0, rn_size(new) - size);
	return new;
}

void *realloc_fit(void *p, size_t fit, size_t size, rn_gfp_t flags,
		  const void *caller)
{
	size_t old = rn_size(p);
	void *new;

	if (size <= old && (size > old / 2 || old == sizeof(void *))) {
		if (flags & RN_ZERO)
			memset((char *)p + size, 0, old - size);
		if (unlikely(slab_debug_on))
			debug_resize(p, size, caller);
		if (unlikely(options.hardened))
			canary_resize(p, size);
		return p;
	}
	if (old > KMALLOC_MAX && size > KMALLOC_MAX && mem_has(p) &&
	    !rn_memcg_of(p)) {
		new = realloc_large(p, old, size, flags, caller);
		if (new)
			return new;
	}
	return move(p, old, fit, size, flags);
}

/**
 * rn_realloc() - change the size of an object
 * @p: the object; NULL means rn_alloc(), RN_ZERO_SIZE_PTR likewise
 * @size: bytes wanted; 0 frees and returns RN_ZERO_SIZE_PTR
 * @flags: as for rn_alloc(). With RN_ZERO given here and at every earlier
 *	allocation of the object, bytes that are new are zero.
 *
 * Stays in place while @size fits and uses more than half; large objects also
 * grow in place, or move by remapping rather than by a copy, unless they are a
 * group's (<rn/memcg.h>), in which they stay.
 *
 * Context: as rn_alloc().
 * Return: the object, perhaps elsewhere; or NULL with errno as rn_alloc(), and
 * @p is as it was.
 */
RN_API void *rn_realloc(void *p, size_t size, rn_gfp_t flags)
{
	if (flags & ~RN_GFP_MASK || !rn_size(p) || size > RN_MAX_SIZE)
		return rn_alloc(size, flags);
	if (!size) {
		rn_free(p);
		return RN_ZERO_SIZE_PTR;
	}
	return realloc_fit(p, 0, size, flags, __builtin_return_address(0));
}

/**
 * rn_realloc_array() - change the size of an array
 * @p: as for rn_realloc()
 * @n: number of elements
 * @size: bytes of each
 * @flags: as for rn_realloc()
 *
 * Context: as rn_alloc().
 * Return: as rn_realloc(); a product that overflows is ENOMEM.
 */
RN_API void *rn_realloc_array(void *p, size_t n, size_t size, rn_gfp_t flags)
{
	return rn_realloc(p, array_size(n, size), flags);
}
