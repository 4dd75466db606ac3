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

/* Sets the hooks that the options want; before the first object. */
void harden_init(void);
void vmstat_harden(struct seq *s);

/* All objects of a slab that nobody has seen, on its private list. */
void slab_shuffle(struct rn_cache *c, struct page *slab);

/* An object that is about to be the program's. */
void harden_alloc(struct rn_cache *c, void *object);
/* What the program gives back, and lies in a slab of @row, is an object. */
void harden_free(unsigned int row, void *object);
/* Objects of a sheaf are as they were when they were freed. */
void harden_check(const struct rn_cache *c, const struct sheaf *s);

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
