/* SPDX-License-Identifier: MIT */
/*
 * Stacks by number: each is kept once, and for ever.
 */
#ifndef MM_STACKDEPOT_H
#define MM_STACKDEPOT_H

#include "internal.h"

#pragma GCC visibility push(hidden)

#define DEPOT_MAX	32767U	/* the last number; 0 is no stack's */

/**
 * struct depot_stack - a stack, which does not change any more
 * @next: number of the next one of its hash; under depot_lock
 * @hash: of @frames
 * @nr: of @frames
 * @frames: return addresses, who called last first
 */
struct depot_stack {
	u32 next;
	u32 hash;
	u32 nr;
	const void *frames[];
};

/* Inside of the gate: its number; 0: there is no room for it, or @nr is 0. */
u32 depot_save(const void *const *frames, u32 nr);
const struct depot_stack *depot_fetch(u32 id);
u32 depot_last(void);		/* numbers up to here are stacks */

#pragma GCC visibility pop

#endif /* MM_STACKDEPOT_H */
