/* SPDX-License-Identifier: MIT */
/*
 * What was given back and came again. Under zone.lock, but for the question.
 */
#ifndef MM_WORKINGSET_H
#define MM_WORKINGSET_H

#include <linux/compiler.h>

#pragma GCC visibility push(hidden)

/**
 * struct workingset - what was given back and came again
 * @gone: what has gone back since the last tick and did not come again
 * @extra: so much more might stay
 * @gone_at: when the last of it went, in ms
 */
struct workingset {
	u32 gone;
	u32 extra;
	u64 gone_at;
};

/* So much went back because too much was free. */
void workingset_evict(struct workingset *w, u32 nr);
/* So much came that was not there any more. */
void workingset_refault(struct workingset *w, u32 nr);
/* Of what counts as @per_block in a pageblock, and was @peak at most. */
u32 workingset_extra(const struct workingset *w, u32 peak, u32 per_block);
/* A part of it was no good. */
void workingset_less(struct workingset *w, u32 part);
void workingset_age(struct workingset *w);	/* a tick */

#pragma GCC visibility pop

#endif /* MM_WORKINGSET_H */
