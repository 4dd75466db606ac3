// SPDX-License-Identifier: MIT
/*
 * Canaries: a word behind each object, that only the library can make.
 *
 *   what was asked for | RED_ACTIVE ... | canary_code() ^ what was asked for
 *                                       ^ object + rn_cache.canary
 *
 * Of an object that is free, or of a cache, all of it was asked for: 0.
 *
 * Locks: none. The word is right from when its slab is made until that ends,
 * but on hollow pages, whoever has the object: so anybody may look at it who
 * keeps the slab. The bytes before it are right while the word is the same.
 */
#include "freelist.h"
#include "harden.h"
#include "slab_debug.h"

#include <stdio.h>
#include <string.h>

/* In what a canary is made from, as MARK is. */
#define CANARY		((void *)2)

/* From the next word on, so many bytes are looked at, at most. */
#define FILL_MOST	64UL

static u64 *canary_of(const struct rn_cache *c, const void *object)
{
	return (u64 *)((char *)object + c->canary);
}

/* The upper half of a product: who reads it does not know the slab's key. */
static u64 canary_code(const struct page *slab, const u64 *where)
{
	unsigned __int128 code = link_code(slab, where, CANARY);

	return code * (slab_secret | 1) >> 64;
}

/* What was asked for; more than @c->usable: that is no canary. */
static u64 canary_read(const struct rn_cache *c, const struct page *slab,
		       const void *object)
{
	const u64 *where = canary_of(c, object);

	return READ_ONCE(*where) ^ canary_code(slab, where);
}

static size_t fill_bytes(const struct rn_cache *c, size_t asked)
{
	size_t end = min(ALIGN(asked, sizeof(u64)) + FILL_MOST,
			 (size_t)c->canary);

	return asked ? end - asked : 0;
}

void canary_set(const struct rn_cache *c, const struct page *slab,
		void *object, size_t asked)
{
	u64 *where = canary_of(c, object);

	memset((char *)object + asked, RED_ACTIVE, fill_bytes(c, asked));
	WRITE_ONCE(*where, canary_code(slab, where) ^ asked);
}

/* Others may have the object, and write to it. */
static __no_tsan bool fill_is_whole(const struct rn_cache *c,
				    const void *object, size_t asked)
{
	const u64 red = RED_ACTIVE * (~0ULL / 0xff);
	const volatile u8 *at = (const u8 *)object + asked;
	const volatile u8 *end = at + fill_bytes(c, asked);

	for (; at < end && (uintptr_t)at % sizeof(u64); at++)
		if (*at != RED_ACTIVE)
			return false;
	for (; at < end; at += sizeof(u64))
		if (*(const volatile u64 *)at != red)
			return false;
	return true;
}

bool canary_is_lost(const struct rn_cache *c, const struct page *slab,
		    const void *object)
{
	u64 asked;

	do {
		asked = canary_read(c, slab, object);
		if (asked > c->usable)
			return true;
		if (fill_is_whole(c, object, asked))
			return false;
	} while (canary_read(c, slab, object) != asked);
	return true;
}

static __noreturn void written_beyond(const struct rn_cache *c,
				      const void *object)
{
	bug("BUG %s: object %p: written beyond its end", c->name, object);
}

void canary_check(const struct rn_cache *c, const struct page *slab,
		  const void *object)
{
	if (unlikely(canary_is_lost(c, slab, object)))
		written_beyond(c, object);
}

/*
 * The word alone: what was written before an object is there. On a page that
 * became hollow, or is none any more, at this moment, the second look sees it;
 * the first pairs with the release in link_page().
 */
void canary_check_before(const struct rn_cache *c, const struct page *slab,
			 unsigned int index)
{
	const u64 *hollow = &slab_hollow(slab)->hollow;
	const void *object;

	if (!index)
		return;
	object = slab_object(c, slab, index - 1);
	for (int look = 0; look < 2; look++) {
		if (unlikely(smp_load_acquire(hollow)) &&
		    hollow_has(c, slab, index - 1))
			return;
		if (likely(canary_read(c, slab, object) <= c->usable))
			return;
		smp_mb();
	}
	written_beyond(c, object);
}

void canary_end_slab(const struct rn_cache *c, const struct page *slab)
{
	for (unsigned int i = 0; i < c->objects; i++)
		if (!hollow_has(c, slab, i))
			canary_check(c, slab, slab_object(c, slab, i));
}

size_t canary_size(const struct rn_cache *c, const void *object)
{
	u64 asked = canary_read(c, ptr_to_slab(c, object), object);

	return asked && asked <= c->usable ? asked : c->usable;
}

void canary_resize(void *p, size_t size)
{
	unsigned int row = mem_has(p) ? ptr_to_row(p) : 0;
	const struct rn_cache *c = row ? row_to_cache(row) : NULL;
	const struct page *slab;

	if (!c || !c->canary)
		return;
	slab = ptr_to_slab(c, p);
	canary_check(c, slab, p);
	canary_set(c, slab, p, size);
}

/* --- sizes at a free --- */

static __noreturn void wrong_size(const char *name, const void *p, size_t size,
				  size_t had)
{
	bug("BUG %s: object %p: freed with a size of %zu, allocated with %zu",
	    name, p, size, had);
}

/* Some of its pages may be what another size would have had as well. */
static void check_run_size(const void *p, size_t size)
{
	const struct page *page = ptr_to_page(p);

	if (page && page->type == PAGE_LARGE && size > large_size(page))
		wrong_size("pages", p, size, large_size(page));
}

/* Of a cache only a bound is known: sizes differ where it is shared. */
void canary_check_size(const void *p, size_t size)
{
	unsigned int row = mem_has(p) ? ptr_to_row(p) : 0;
	const struct rn_cache *c = row ? row_to_cache(row) : NULL;
	const struct page *slab;
	u64 asked;

	if (!c && mem_has(p))
		check_run_size(p, size);
	if (!c || !c->canary)
		return;
	slab = ptr_to_slab(c, p);
	/* What is no object is found by the free that follows. */
	if (slab_find(c, slab, p) == NO_OBJECT)
		return;
	asked = canary_read(c, slab, p);
	if (asked > c->usable)
		written_beyond(c, p);
	if (asked ? size != asked : size > c->usable)
		wrong_size(c->name, p, size, canary_size(c, p));
}

/* --- rn_validate() --- */

bool canary_fault(struct fault *f, const struct page *slab, unsigned int *next)
{
	const struct rn_cache *c = f->c;

	for (; c->canary && *next < c->objects; ++*next) {
		const void *object = slab_object(c, slab, *next);

		if (hollow_has(c, slab, *next) ||
		    !canary_is_lost(c, slab, object))
			continue;
		snprintf(f->what, sizeof(f->what),
			 "object %p: written beyond its end", object);
		f->fix = "Not fixed";
		fault_copy(f, slab);
		++*next;
		return true;
	}
	return false;
}
