/* SPDX-License-Identifier: MIT */
/*
 * A pool, as mm/mempool.c (elements, and who waits for them) and
 * mm/mempool_create.c (making, resizing and destroying one) see it.
 */
#ifndef MM_MEMPOOL_H
#define MM_MEMPOOL_H

#include "internal.h"

#include <rn/mempool.h>

#pragma GCC visibility push(hidden)

/**
 * struct waiter - a thread in the queue of a pool; under the pool's lock
 * @next: who came after it
 * @element: what it was given
 * @served: @element is there; also the futex it sleeps on
 * @tag: the thread's
 * @pool: that it waits for
 */
struct waiter {
	struct waiter *next;
	void *element;
	u32 served;
	u32 tag;
	struct rn_mempool *pool;
};

/**
 * struct rn_mempool - a pool
 * @lock: covers @min_nr to @waiters
 * @min_nr: what the reserve is to hold
 * @nr: what it holds
 * @reserve: its elements, with room for @min_nr at least
 * @waiters: the queue, first come first
 * @out: elements in somebody's hands, a user's or a waiter's; whoever lowers it
 *	without the lock does not touch the pool afterwards
 * @alloc: the allocator behind it
 * @free: likewise
 * @data: handed to both
 * @next: in the list of all pools, under mempools_lock
 */
struct rn_mempool {
	struct lock lock;
	u32 min_nr;
	u32 nr;
	void **reserve;
	struct waiter *waiters;
	u64 out;
	rn_mempool_alloc_t alloc;
	rn_mempool_free_t free;
	void *data;
	struct rn_mempool *next;
};

/* All of them. */
extern struct rn_mempool *mempools;

static inline unsigned int pool_lock(struct rn_mempool *pool)
{
	unsigned int ticket = gate_enter();

	lock(&pool->lock);
	return ticket;
}

static inline void pool_unlock(struct rn_mempool *pool, unsigned int ticket)
{
	unlock(&pool->lock);
	gate_exit(ticket);
}

/* --- mempool.c --- */

/* Both count the element as out, or as out no more. */
void *element_alloc(struct rn_mempool *pool, rn_gfp_t flags);
void element_free(struct rn_mempool *pool, void *element);
/* One that is out goes to who waits, into the reserve, or to the allocator. */
void element_put(struct rn_mempool *pool, void *element);
/* Under the pool's lock: one of the reserve, which is out then; or NULL. */
void *reserve_pop(struct rn_mempool *pool);

#pragma GCC visibility pop

#endif /* MM_MEMPOOL_H */
