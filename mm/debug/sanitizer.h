/* SPDX-License-Identifier: MIT */
/*
 * Who watches the program and is told of objects: memcheck, AddressSanitizer.
 * Documentation/dev-tools/sanitizers.rst is the design.
 *
 * Memory is allowed or forbidden. That of the page allocator is allowed, of a
 * slab so are links and meta, and objects from sanitizer_open() to
 * sanitizer_close().
 */
#ifndef MM_SANITIZER_H
#define MM_SANITIZER_H

#include "slab_debug.h"

#pragma GCC visibility push(hidden)

/* Of rn_cache.debug: what is around its objects is forbidden. */
#define DEBUG_SANITIZER		(1U << 31)
/* Likewise: they may be chunks of AddressSanitizer's malloc(). */
#define DEBUG_ASAN_HEAP		(1U << 30)

static inline bool is_sanitized(const struct rn_cache *c)
{
	return c->debug & DEBUG_SANITIZER;
}

/* Is there AddressSanitizer? At any time. */
bool sanitizer_wants_stacks(void);
/* Who is to be told: an option or two depend on it. */
enum sanitizer sanitizer_find(void);
/* Before the first cache, and when there is a reservation. */
void sanitizer_init(void);
int sanitizer_start(void);

/* What a cache has that would have @flags; the zone on either side. */
unsigned int sanitizer_debug_flags(unsigned int flags);
size_t sanitizer_zone(size_t object);

/* All of a slab but links and meta; all of it is the page allocator's again. */
void sanitizer_new_slab(const struct rn_cache *c, const struct page *slab);
void sanitizer_end_slab(const struct rn_cache *c, const struct page *slab);

/* The library writes it first, or, if it is @written, leaves it as it is. */
void sanitizer_open(const void *p, size_t size, bool written);
/* Of @room bytes that are open the user has @size. */
void sanitizer_alloc(const void *p, size_t size, size_t room, bool written);
void sanitizer_resize(const void *p, size_t old, size_t size);
/* Somebody frees @p: memcheck says so if that is nothing he can free. */
void sanitizer_free(const void *p);
/* @p lies in no slab, and cannot be freed: what they know of it. */
void sanitizer_invalid_free(const void *p);
/* What AddressSanitizer knows of an address that is not in @mem. */
void sanitizer_describe(const void *p);
/* What only the library finds is an error of memcheck's, too. */
void sanitizer_count(const struct rn_cache *c);
/* That was right: nobody has these bytes any more. */
void sanitizer_close(const void *p, size_t size);

/* --- quarantine.c: what is freed and waits --- */

int quarantine_init(void);
/* An object or a run of so many bytes, held back; the oldest ones go. */
void quarantine_put(void *p, size_t bytes);
/* Those of a cache go, or all; under slab_mutex or with nobody beside. */
void quarantine_empty(const struct rn_cache *c);

/* --- asan_heap.c: objects that AddressSanitizer's malloc() has --- */

/* Constant once initialised. */
extern bool asan_heap_on;

/* Has the runtime what it takes? */
bool asan_heap_is_possible(void);
int asan_heap_start(void);
/*
 * As slab_alloc(), a large object where @c is NULL; or NULL: it must lie
 * elsewhere.
 */
void *asan_heap_alloc(struct rn_cache *c, size_t size, rn_gfp_t flags, int node,
		      const void *caller);
/* Frees @p or has the runtime report it; false: it is no chunk of ours. */
bool asan_heap_free(const void *p);
/* Is @p in a chunk, but begins none: would the runtime report the free? */
bool asan_heap_reports(const void *p);
/* One that stays where it is. */
void asan_heap_resize(const void *p, size_t size);
/* The object that @p points into, if there is one. */
bool asan_heap_find(const void *p, const char **start, size_t *size,
		    const struct rn_cache **c);
/* Objects of a cache that are out. */
unsigned long asan_heap_left(const struct rn_cache *c);
void vmstat_asan_heap(struct seq *s);

/**
 * struct asan_object - one that is out
 * @start: its first byte
 * @size: that were asked for
 * @c: the cache, or NULL
 * @caller: who asked
 */
struct asan_object {
	const char *start;
	size_t size;
	const struct rn_cache *c;
	const void *caller;
};

/* The next one behind number *@i, from 0 on; false: there is none. */
bool asan_heap_next(u32 *i, struct asan_object *o);
/* Who allocated it, as stack_save_deep(). */
unsigned int asan_heap_stack(const struct asan_object *o, const void **frames,
			     unsigned int most);
/* Lists what is left of a cache. */
void asan_heap_report_left(const struct rn_cache *c);

#pragma GCC visibility pop

#endif /* MM_SANITIZER_H */
