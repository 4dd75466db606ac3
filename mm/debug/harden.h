/* SPDX-License-Identifier: MIT */
/*
 * What makes misuse harmless, by option. Documentation/mm/hardening.rst.
 */
#ifndef MM_HARDEN_H
#define MM_HARDEN_H

#include "slab.h"

#include <rn/debug.h>

#pragma GCC visibility push(hidden)

#define HOOKS_HARDEN_FREE	(HOOK_HARDENED | HOOK_INIT_FREE)

/* Copies of the cache of a class, of which 0 is that of all without options. */
#define NR_RANDOM_CACHES	16

/* Behind an object, where it has a canary (canary.c). */
static inline size_t canary_bytes(void)
{
	return unlikely(options.hardened) ? sizeof(u64) : 0;
}

/* What a request takes of its slab. */
static inline size_t canary_room(size_t size)
{
	return size <= KMALLOC_MAX ? size + canary_bytes() : size;
}

/* Sets the hooks that the options want; before the first object. */
void harden_init(void);
void vmstat_harden(struct seq *s);

/* All objects of a slab that nobody has seen, on its private list. */
void slab_shuffle(struct rn_cache *c, struct page *slab);

/* An object that is about to be the program's; and when it is cleared. */
void harden_alloc(struct rn_cache *c, void *object);
void harden_account(struct rn_cache *c, void *object, size_t size);
/* What the program gives back, and lies in a slab of @row, is an object. */
void harden_free(unsigned int row, void *object);
/* Objects of a sheaf are as they were when they were freed. */
void harden_check(const struct rn_cache *c, const struct sheaf *s);

/* --- canary.c; of caches that have them --- */

/* So many bytes were asked for; 0: all, or none. */
void canary_set(const struct rn_cache *c, const struct page *slab,
		void *object, size_t asked);
size_t canary_size(const struct rn_cache *c, const void *object);
/* Is it overwritten, or what is before it? Not of objects on hollow pages. */
bool canary_is_lost(const struct rn_cache *c, const struct page *slab,
		    const void *object);
/* Then that is the end. */
void canary_check(const struct rn_cache *c, const struct page *slab,
		  const void *object);
/* Of the object before that one, which anybody may have. */
void canary_check_before(const struct rn_cache *c, const struct page *slab,
			 unsigned int index);
/* All of a slab that goes back to the pages. */
void canary_end_slab(const struct rn_cache *c, const struct page *slab);
/* Under list_lock, of a slab that nobody owns: the first one from *@next on. */
struct fault;
bool canary_fault(struct fault *f, const struct page *slab,
		  unsigned int *next);

/* Of any @p: it stays where it is; rn_free_sized(). */
void canary_resize(void *p, size_t size);
void canary_check_size(const void *p, size_t size);

/* Is an object of @c to be zero when it is allocated? */
static inline bool harden_zeroes(const struct rn_cache *c)
{
	return unlikely(slab_hooked(HOOK_INIT_ALLOC)) && !c->ctor &&
	       !(c->debug & RN_POISON);
}

/* Which copy serves the call that returns to @caller. */
static inline unsigned int harden_copy(const void *caller)
{
	const u64 odd = 0x9e3779b97f4a7c15;	/* 2^64 / golden ratio */

	if (likely(!slab_hooked(HOOK_RANDOM_CACHES)))
		return 0;
	return (((u64)caller ^ slab_secret) * odd >> 32) % NR_RANDOM_CACHES;
}

#pragma GCC visibility pop

#endif /* MM_HARDEN_H */
