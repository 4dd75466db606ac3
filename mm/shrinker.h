/* SPDX-License-Identifier: MIT */
/*
 * Asking the program's shrinkers for memory (Documentation/mm/shrinker.rst).
 * All of it outside of every lock and of the gate.
 */
#ifndef MM_SHRINKER_H
#define MM_SHRINKER_H

#include "internal.h"

#include <rn/shrinker.h>

#pragma GCC visibility push(hidden)

/*
 * Asks once, at the priority of @sc, those of its group for its bytes, or all
 * there are for NULL; for flags with RN_NOWAIT, inside of a callback or of the
 * gate, nobody.
 * Return: what they freed, in units of their own.
 */
unsigned long shrink_all(const struct rn_shrink_control *sc);
/* All, from @priority on down until one frees something. */
unsigned long shrink_until_freed(rn_gfp_t flags, unsigned int priority);

/* Is this thread in a callback? */
bool is_shrinking(void);

void vmstat_shrinkers(struct seq *out);

/* The n of RN_RETRIES(n). */
static inline unsigned int gfp_retries(rn_gfp_t flags)
{
	return flags >> 8 & 0xff;
}

#pragma GCC visibility pop

#endif /* MM_SHRINKER_H */
