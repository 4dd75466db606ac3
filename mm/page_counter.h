/* SPDX-License-Identifier: MIT */
/*
 * Counters of memory with limits, one above the other, and the queues of those
 * who wait for room.
 */
#ifndef MM_PAGE_COUNTER_H
#define MM_PAGE_COUNTER_H

#include "internal.h"

#include <rn/memcg.h>

#pragma GCC visibility push(hidden)

struct waiter;

/**
 * struct page_counter - bytes charged, and what they may be
 * @usage: charged here and to all counters below
 * @max: never exceeded; RN_MEMCG_NO_LIMIT for none
 * @high: above, who allocates shrinks first
 * @low: protected from others unless nothing else is left
 * @min: protected from others
 * @peak: the most that @usage was
 * @failcnt: charges that @max refused
 * @events: enum rn_memcg_event
 * @tight: a charge was refused and @usage is near @max: no stock is kept
 * @stockless: no stock is kept, ever
 * @parent: the one above, or NULL
 * @queue: the counter in whose queue those stand who wait for a charge here:
 *	itself, or one above
 * @first: who waits for a charge here, first come first (under counter_lock, as
 *	the next two)
 * @last: where the next one is to be linked
 * @next_waiting: in the list of counters with waiters
 */
struct page_counter {
	u64 usage __aligned(64);
	u64 max, high, low, min;
	u64 peak;
	u64 failcnt;
	u64 events[RN_MEMCG_NR_EVENTS];
	u32 tight;
	bool stockless;
	struct page_counter *parent;
	struct page_counter *queue;
	struct waiter *first, **last;
	struct page_counter *next_waiting;
};

/* Ids from 1; an id fits into the descriptor of a run. */
#define MAX_COUNTERS	4096

extern struct page_counter *counters[MAX_COUNTERS];	/* by id */

void counter_init(struct page_counter *c, struct page_counter *parent);
/* From here on, and nobody waits yet: one queue for @c and its parent. */
void counter_share_queue(struct page_counter *c);

/* Something became of a request for a charge to @c: counted where it queues. */
static inline void counter_event(const struct page_counter *c,
				 enum rn_memcg_event event)
{
	stat_inc(&c->queue->events[event]);
}

/* NULL, or the counter that refused; then nothing is charged. */
struct page_counter *counter_try_charge(struct page_counter *c, u64 bytes);
/*
 * Charges as many objects of @size as there is room for, at most @want; and
 * only a part of the room that is left, so that others find some, too.
 */
unsigned int counter_charge_objects(struct page_counter *c, size_t size,
				    unsigned int want);
/* Who waits is given what fits now. */
void counter_uncharge(struct page_counter *c, u64 bytes);
/*
 * While shrinkers run nothing gets loose: what they free is for who asked, not
 * for the stock of some CPU.
 */
void counter_ask(bool begin);
/* What has to be freed until the usage of @c and @bytes are at most @limit. */
static inline u64 counter_excess(const struct page_counter *c, u64 limit,
				 u64 bytes)
{
	u64 usage = READ_ONCE(c->usage);

	if (__builtin_add_overflow(usage, bytes, &usage))
		return limit == RN_MEMCG_NO_LIMIT ? 0 : RN_MEMCG_NO_LIMIT;
	return usage > limit ? usage - limit : 0;
}

/* How far below its max a counter that was tight gets loose again. */
u64 counter_margin(const struct page_counter *c);
/* @c, or the first above it, that has no room for @bytes; or NULL. */
struct page_counter *counter_full(struct page_counter *c, u64 bytes);
/* Could @bytes be charged if nothing else were? */
bool counter_fits_ever(const struct page_counter *c, u64 bytes);
/* Is @c, or one above it, tight? */
bool counter_is_tight(const struct page_counter *c);
/* Is @c @above, or below it? */
bool counter_is_below(const struct page_counter *c,
		      const struct page_counter *above);
/* Does somebody wait for a charge to @c? */
bool counter_has_waiters(const struct page_counter *c);
/* Limits were raised, or a group went: there may be room. */
void counter_wake(void);
/* There is more to be given up than before: who waits first for @c looks. */
void counter_kick(struct page_counter *c);

/**
 * struct charge_request - a charge that has to wait
 * @counter: what is to be charged
 * @bytes: so much
 * @ms: for so long at most; RN_MEMCG_FOREVER for ever
 * @flags: of the allocation
 * @look: called from time to time, outside of the gate, while it is the first:
 *	makes room if it can, and says whether there may be more to have
 */
struct charge_request {
	struct page_counter *counter;
	u64 bytes;
	unsigned int ms;
	rn_gfp_t flags;
	bool (*look)(const struct charge_request *request);
};

/*
 * Waits at the end of the queue until the charge is made: then 0, inside of the
 * gate; or -ETIMEDOUT. A cancellation point; the caller is outside of the gate.
 */
int counter_wait(const struct charge_request *request, unsigned int *ticket);

#pragma GCC visibility pop

#endif /* MM_PAGE_COUNTER_H */
