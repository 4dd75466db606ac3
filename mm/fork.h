/* SPDX-License-Identifier: MIT */
/*
 * What a child of fork() forgets: threads that it does not have, in lists of
 * what lies on their stacks. Called in the child before any thread of its own
 * can begin, on whose stack something else may come to lie.
 */
#ifndef MM_FORK_H
#define MM_FORK_H

#include "internal.h"

#pragma GCC visibility push(hidden)

/* A thread of the parent's that is not in this child. By its tag, not 0. */
bool thread_is_gone(u32 tag);

void vmscan_after_fork(void);
void stats_after_fork(void);
void kswapd_after_fork(void);
void shrinker_after_fork(void);
void mempool_after_fork(void);
void counter_after_fork(void);
void pools_after_fork(void);
void profile_after_fork(void);

#pragma GCC visibility pop

#endif /* MM_FORK_H */
