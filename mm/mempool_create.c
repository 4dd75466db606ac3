// SPDX-License-Identifier: MIT
/*
 * Making memory pools, changing the size of their reserve, and their end. The
 * list of all of them is for the child of a fork() (mempool_after_fork()).
 *
 * Locks: mempools_lock for that list, a leaf.
 */
#include "mempool.h"

#include <pthread.h>
#include <rn/slab.h>
#include <string.h>

struct rn_mempool *mempools;
static struct lock mempools_lock;

static void pool_release(struct rn_mempool *pool)
{
	for (u32 i = 0; i < pool->nr; i++)
		pool->free(pool->reserve[i], pool->data);
	rn_free(pool->reserve);
	rn_free(pool);
}

static bool pool_fill(struct rn_mempool *pool)
{
	while (pool->nr < pool->min_nr) {
		void *element = pool->alloc(RN_KERNEL, pool->data);

		if (!element)
			return false;
		pool->reserve[pool->nr++] = element;
	}
	return true;
}

static void pools_add(struct rn_mempool *pool)
{
	unsigned int ticket = gate_enter();

	lock(&mempools_lock);
	pool->next = mempools;
	/* A child may be forked by a handler that comes in between. */
	smp_store_release(&mempools, pool);
	unlock(&mempools_lock);
	gate_exit(ticket);
}

static void pools_del(struct rn_mempool *pool)
{
	unsigned int ticket = gate_enter();
	struct rn_mempool **at = &mempools;

	lock(&mempools_lock);
	while (*at != pool)
		at = &(*at)->next;
	smp_store_release(at, pool->next);
	unlock(&mempools_lock);
	gate_exit(ticket);
}

static struct rn_mempool *pool_new(u32 min_nr, rn_mempool_alloc_t alloc,
				   rn_mempool_free_t free, void *data)
{
	struct rn_mempool *pool = rn_zalloc(sizeof(*pool), RN_KERNEL);

	if (!pool)
		return NULL;
	pool->min_nr = min_nr;
	pool->alloc = alloc;
	pool->free = free;
	pool->data = data;
	pool->reserve = rn_alloc_array(min_nr, sizeof(void *), RN_KERNEL);
	if (!pool->reserve || !pool_fill(pool)) {
		pool_release(pool);
		return NULL;
	}
	pools_add(pool);
	return pool;
}

/**
 * rn_mempool_create() - make a pool over any allocator
 * @min_nr: elements that the reserve is to hold, at least 1
 * @alloc: gets flags of <rn/gfp.h>, among them RN_NOWAIT or RN_NORETRY where it
 *	is not to take long, and @pool_data; an element, or NULL
 * @free: gives an element back; gets @pool_data too
 * @pool_data: the program's
 *
 * The reserve is filled before this returns.
 *
 * Context: calls @alloc. No place where a thread is cancelled.
 * Return: the pool, or NULL with errno: EINVAL for a @min_nr of 0 or a function
 * that is missing, ENOMEM.
 */
RN_API struct rn_mempool *rn_mempool_create(unsigned int min_nr,
					    rn_mempool_alloc_t alloc,
					    rn_mempool_free_t free,
					    void *pool_data)
{
	struct rn_mempool *pool;
	int state;

	if (!min_nr || !alloc || !free) {
		errno = EINVAL;
		return NULL;
	}
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pool = pool_new(min_nr, alloc, free, pool_data);
	pthread_setcancelstate(state, NULL);
	if (!pool)
		errno = ENOMEM;
	return pool;
}

static void *alloc_of_cache(rn_gfp_t flags, void *data)
{
	return rn_cache_alloc(data, flags);
}

static void free_of_cache(void *element, void *data)
{
	rn_cache_free(data, element);
}

/**
 * rn_mempool_create_cache() - make a pool of objects of a cache
 * @min_nr: as for rn_mempool_create()
 * @cache: from rn_cache_create(); has to outlive the pool
 *
 * Context: as rn_mempool_create().
 * Return: as rn_mempool_create(); EINVAL also for no cache.
 */
RN_API struct rn_mempool *rn_mempool_create_cache(unsigned int min_nr,
						  struct rn_cache *cache)
{
	return rn_mempool_create(min_nr, cache ? alloc_of_cache : NULL,
				 free_of_cache, cache);
}

static void *alloc_of_size(rn_gfp_t flags, void *data)
{
	return rn_alloc((size_t)data, flags);
}

static void free_of_size(void *element, void *data)
{
	rn_free_sized(element, (size_t)data);
}

/**
 * rn_mempool_create_size() - make a pool of objects of one size
 * @min_nr: as for rn_mempool_create()
 * @size: bytes of each, as for rn_alloc(), but not 0
 *
 * Context: as rn_mempool_create().
 * Return: as rn_mempool_create(); EINVAL also for a size of 0.
 */
RN_API struct rn_mempool *rn_mempool_create_size(unsigned int min_nr,
						 size_t size)
{
	return rn_mempool_create(min_nr, size ? alloc_of_size : NULL,
				 free_of_size, (void *)size);
}

static void *alloc_of_pages(rn_gfp_t flags, void *data)
{
	return rn_alloc_pages((unsigned int)(uintptr_t)data, flags, RN_NO_NODE);
}

static void free_of_pages(void *element, void *data)
{
	rn_free_pages(element, (unsigned int)(uintptr_t)data);
}

/**
 * rn_mempool_create_pages() - make a pool of runs of pages
 * @min_nr: as for rn_mempool_create()
 * @order: of each run, as for rn_alloc_pages()
 *
 * Context: as rn_mempool_create().
 * Return: as rn_mempool_create(); EINVAL also for an order that is too large.
 */
RN_API struct rn_mempool *rn_mempool_create_pages(unsigned int min_nr,
						  unsigned int order)
{
	return rn_mempool_create(min_nr,
				 order <= RN_MAX_ORDER ? alloc_of_pages : NULL,
				 free_of_pages, (void *)(uintptr_t)order);
}

/**
 * rn_mempool_destroy() - give up a pool
 * @pool: from one of the functions that make pools, or NULL
 *
 * All of its elements have to be back. If some are not, a line on stderr says
 * how many, and the pool stays as it was.
 *
 * Context: calls the pool's free function. Nobody may use the pool any more;
 * the last call of rn_mempool_free() need not have returned yet.
 * Return: 0, or -EBUSY.
 */
RN_API int rn_mempool_destroy(struct rn_mempool *pool)
{
	unsigned int ticket;
	bool waiting;
	u64 out;
	int state;

	if (!pool)
		return 0;
	ticket = pool_lock(pool);
	out = smp_load_acquire(&pool->out);
	waiting = pool->waiters != NULL;
	pool_unlock(pool, ticket);
	if (out || waiting) {
		report("rn_mempool_destroy: %lu elements are still allocated",
		       (unsigned long)out);
		return -EBUSY;
	}
	pools_del(pool);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	pool_release(pool);
	pthread_setcancelstate(state, NULL);
	return 0;
}

/* --- another size of the reserve --- */

static u32 alloc_many(struct rn_mempool *pool, void **elements, u32 want)
{
	u32 got = 0;

	while (got < want) {
		elements[got] = element_alloc(pool, RN_KERNEL);
		if (!elements[got])
			break;
		got++;
	}
	return got;
}

/* Room for @min_nr; *@reserve becomes the old array. False: others resize. */
static bool set_reserve(struct rn_mempool *pool, u32 old, u32 min_nr,
			void ***reserve)
{
	unsigned int ticket = pool_lock(pool);
	void **before = pool->reserve;
	/* Somebody who shrinks it may not have come to the end yet. */
	bool ok = pool->min_nr == old && pool->nr <= min_nr;

	if (ok) {
		memcpy(*reserve, before, pool->nr * sizeof(void *));
		pool->reserve = *reserve;
		WRITE_ONCE(pool->min_nr, min_nr);
		*reserve = before;
	}
	pool_unlock(pool, ticket);
	return ok;
}

/* All that can fail comes before anything is changed. */
static int grow(struct rn_mempool *pool, u32 old, u32 min_nr)
{
	void **reserve = rn_alloc_array(min_nr, sizeof(void *), RN_KERNEL);
	void **new = rn_alloc_array(min_nr - old, sizeof(void *), RN_KERNEL);
	u32 got = 0;
	int ret = -ENOMEM;

	if (reserve && new)
		got = alloc_many(pool, new, min_nr - old);
	if (got == min_nr - old)
		ret = set_reserve(pool, old, min_nr, &reserve) ? 0 : -EBUSY;
	while (got) {
		got--;
		if (ret)
			element_free(pool, new[got]);
		else
			element_put(pool, new[got]);
	}
	rn_free(new);
	rn_free(reserve);
	return ret;
}

/* Needs no memory: the array keeps its room. */
static int shrink(struct rn_mempool *pool, u32 old, u32 min_nr)
{
	unsigned int ticket = pool_lock(pool);
	void *surplus;
	bool ok = pool->min_nr == old;

	if (ok)
		WRITE_ONCE(pool->min_nr, min_nr);
	pool_unlock(pool, ticket);
	do {
		ticket = pool_lock(pool);
		surplus = pool->nr > pool->min_nr ? reserve_pop(pool) : NULL;
		pool_unlock(pool, ticket);
		if (surplus)
			element_free(pool, surplus);
	} while (surplus);
	return ok ? 0 : -EBUSY;
}

/**
 * rn_mempool_resize() - change how much the reserve is to hold
 * @pool: the pool
 * @new_min_nr: elements, at least 1
 *
 * To grow, elements are allocated first, and waiters are the first to get them.
 * What is too much is freed.
 *
 * Context: calls the pool's functions; others may allocate and free meanwhile.
 * No place where a thread is cancelled.
 * Return: 0; or, the reserve being as before, -EINVAL for a size of 0, -ENOMEM,
 * -EBUSY when another thread has resized it at the same time.
 */
RN_API int rn_mempool_resize(struct rn_mempool *pool, unsigned int new_min_nr)
{
	u32 old = READ_ONCE(pool->min_nr);
	int ret, state;

	if (!new_min_nr)
		return -EINVAL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	ret = new_min_nr > old ? grow(pool, old, new_min_nr)
			       : shrink(pool, old, new_min_nr);
	pthread_setcancelstate(state, NULL);
	return ret;
}
