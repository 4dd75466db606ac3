/* SPDX-License-Identifier: MIT */
/*
 * The background thread, and how it waits.
 */
#ifndef MM_KSWAPD_H
#define MM_KSWAPD_H

#include "internal.h"

#pragma GCC visibility push(hidden)

/* There is a thread, or is about to be, and it is to go on. */
static inline bool kswapd_is_on(u32 mode)
{
	return mode == KSWAPD_STARTS || mode == KSWAPD_RUNS ||
		mode == KSWAPD_QUIET || mode == KSWAPD_SLEEPS;
}

/* --- kswapd_wait.c: by the thread, but for the last two --- */

void kswapd_wait_begin(void);
/*
 * A tick long; in KSWAPD_SLEEPS until it is woken, or somewhat shorter. True:
 * memory is short.
 */
bool kswapd_wait(void);
void kswapd_wait_end(void);
void kswapd_wait_wake(void);	/* after a change of the mode */
void kswapd_wait_after_fork(void);

#pragma GCC visibility pop

#endif /* MM_KSWAPD_H */
