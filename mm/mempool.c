// SPDX-License-Identifier: MIT
/*
 * Memory pools: a reserve of elements in front of any allocator, and a queue of
 * those who wait. Documentation/core-api/mempool.rst says what they promise.
 *
 * Who waits is in the queue, on his stack, until he takes himself out of it. An
 * element that comes back goes to the first who has none yet, and only when
 * there is nobody into the reserve: as long as one waits with empty hands the
 * reserve is empty.
 *
 * Lock: that of the pool, for the reserve and the queue. A leaf, and not held
 * over a callback or a sleep.
 */
#include "fork.h"
#include "mempool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* So long a waiter sleeps before it asks the allocator again. */
#define NAP_NS		(100 * 1000000UL)

#define FOREVER		UINT64_MAX

/* Of the flags, those that an element of the reserve keeps as well as any. */
#define POOL_FLAGS	(RN_NOWAIT | RN_NOFAIL | RN_NORETRY | RN_RETRIES(0xff))

/* --- elements --- */

void *element_alloc(struct rn_mempool *pool, rn_gfp_t flags)
{
	void *element = pool->alloc(flags, pool->data);

	if (element)
		stat_inc(&pool->out);
	return element;
}

void element_free(struct rn_mempool *pool, void *element)
{
	pool->free(element, pool->data);
	/* Pairs with the acquire of rn_mempool_destroy(). */
	__atomic_fetch_sub(&pool->out, 1, __ATOMIC_RELEASE);
}

void *reserve_pop(struct rn_mempool *pool)
{
	if (!pool->nr)
		return NULL;
	stat_inc(&pool->out);
	WRITE_ONCE(pool->nr, pool->nr - 1);
	return pool->reserve[pool->nr];
}

static void reserve_push(struct rn_mempool *pool, void *element)
{
	pool->reserve[pool->nr] = element;
	WRITE_ONCE(pool->nr, pool->nr + 1);
	stat_add(&pool->out, -1);
}

static struct waiter *first_unserved(struct rn_mempool *pool)
{
	struct waiter *w = pool->waiters;

	while (w && w->element)
		w = w->next;
	return w;
}

/* Of two things that want @element, the more urgent. False: neither does. */
static bool place(struct rn_mempool *pool, void *element, u32 **wake)
{
	struct waiter *w = first_unserved(pool);

	if (w) {
		w->element = element;
		*wake = &w->served;
		smp_store_release(&w->served, 1);
	} else if (pool->nr < pool->min_nr) {
		reserve_push(pool, element);
	} else {
		return false;
	}
	return true;
}

/* Back from somebody's hands. */
void element_put(struct rn_mempool *pool, void *element)
{
	u32 *wake = NULL;
	unsigned int ticket = pool_lock(pool);
	bool kept = place(pool, element, &wake);

	pool_unlock(pool, ticket);
	/* The waiter may have gone on by now: of this only the address is used. */
	if (wake)
		syscall(SYS_futex, wake, FUTEX_WAKE_PRIVATE, 1);
	if (!kept)
		element_free(pool, element);
}

static void *take_reserved(struct rn_mempool *pool)
{
	unsigned int ticket = pool_lock(pool);
	void *element = reserve_pop(pool);

	pool_unlock(pool, ticket);
	return element;
}

/* --- who waits --- */

static u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (u64)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Joins the queue, unless there is something in the reserve. */
static void *take_or_join(struct rn_mempool *pool, struct waiter *w)
{
	unsigned int ticket = pool_lock(pool);
	void *element = reserve_pop(pool);
	struct waiter **end = &pool->waiters;

	if (!element) {
		while (*end)
			end = &(*end)->next;
		*end = w;
	}
	pool_unlock(pool, ticket);
	return element;
}

static void leave_queue(struct waiter *w)
{
	unsigned int ticket = pool_lock(w->pool);
	struct waiter **at = &w->pool->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	pool_unlock(w->pool, ticket);
}

static void cancelled(void *arg)
{
	struct waiter *w = arg;

	leave_queue(w);
	if (w->element)
		element_put(w->pool, w->element);
}

/* False when it was @until already. */
static bool nap(struct waiter *w, u64 until)
{
	u64 now = now_ns(), ns = NAP_NS;
	struct timespec t;

	if (until != FOREVER) {
		if (now >= until)
			return false;
		ns = min(ns, until - now);
	}
	t = (struct timespec){ .tv_nsec = (long)ns };
	syscall(SYS_futex, &w->served, FUTEX_WAIT_PRIVATE, 0, &t);
	return true;
}

/*
 * Until @w is served, or it is @until, or the allocator has one after all; that
 * one is returned. All that a thread may be cancelled in is here.
 */
static void *sleep_until_served(struct waiter *w, u64 until)
{
	void *element;

	while (!smp_load_acquire(&w->served)) {
		if (!nap(w, until))
			return NULL;
		if (smp_load_acquire(&w->served))
			break;
		pthread_testcancel();
		element = element_alloc(w->pool, RN_NORETRY);
		if (element)
			return element;
	}
	return NULL;
}

static void *wait_for_one(struct rn_mempool *pool, u64 until)
{
	struct waiter w = { .tag = thread_tag(), .pool = pool };
	void *element = take_or_join(pool, &w);

	if (element)
		return element;
	pthread_cleanup_push(cancelled, &w);
	element = sleep_until_served(&w, until);
	pthread_cleanup_pop(0);
	leave_queue(&w);
	if (!w.element)
		return element;
	if (element)
		element_put(pool, element);
	return w.element;
}

/* --- allocating --- */

/* 0, or the errno of a call that nothing can be done for. */
static int check_flags(rn_gfp_t flags, u64 until)
{
	int error = 0;

	/* RN_ZERO, a node, hugetlb: of the reserve nobody can promise that. */
	if (flags & ~POOL_FLAGS || (flags & RN_NOFAIL &&
				    (flags & RN_NOWAIT || until != FOREVER)))
		error = EINVAL;
	/* A sleeper inside of the gate would stop whoever forks, and frees. */
	else if (thread_self.depth && !(flags & RN_NOWAIT))
		error = EDEADLK;
	if (error && flags & RN_NOFAIL)
		bug("RN_NOFAIL: a request to a mempool (flags %#x) can never be "
		    "met: %s", flags, error_text(error));
	return error;
}

static void *get(struct rn_mempool *pool, rn_gfp_t flags, u64 until, int late)
{
	int saved = errno, error = check_flags(flags, until);
	void *element;

	if (error) {
		errno = error;
		return NULL;
	}
	element = element_alloc(pool, flags & RN_NOWAIT ? RN_NOWAIT
							: RN_NORETRY);
	if (!element)
		element = take_reserved(pool);
	if (!element && !(flags & RN_NOWAIT)) {
		element = element_alloc(pool, flags & ~RN_NOFAIL);
		if (!element)
			element = wait_for_one(pool, until);
	}
	errno = element ? saved : late;
	return element;
}

/**
 * rn_mempool_alloc() - an element, from the allocator or the reserve
 * @pool: the pool
 * @flags: RN_KERNEL or, of <rn/gfp.h>, RN_NOWAIT, RN_NOFAIL, RN_NORETRY,
 *	RN_RETRIES()
 *
 * Asks the allocator, with RN_NORETRY; then takes from the reserve; then asks
 * again, with @flags; then waits until an element is freed. With RN_NOWAIT it
 * asks with that, and does not go beyond the reserve.
 *
 * Context: calls the pool's functions; a place where a thread may be cancelled,
 * but with RN_NOWAIT. Not from a constructor of a cache, but with RN_NOWAIT.
 * Return: an element; or NULL with errno EINVAL for other flags, or RN_NOFAIL
 * and RN_NOWAIT together, EDEADLK in a constructor (both are a report and the
 * end with RN_NOFAIL), ENOMEM with RN_NOWAIT.
 */
RN_API void *rn_mempool_alloc(struct rn_mempool *pool, rn_gfp_t flags)
{
	return get(pool, flags, FOREVER, ENOMEM);
}

/**
 * rn_mempool_alloc_timeout() - likewise, for so long
 * @pool: the pool
 * @flags: as for rn_mempool_alloc(), without RN_NOFAIL
 * @ms: milliseconds to wait at most, when all else has failed
 *
 * Context: as rn_mempool_alloc().
 * Return: as rn_mempool_alloc(); NULL with errno ETIMEDOUT when none was freed.
 */
RN_API void *rn_mempool_alloc_timeout(struct rn_mempool *pool, rn_gfp_t flags,
				      unsigned int ms)
{
	return get(pool, flags, now_ns() + (u64)ms * 1000000,
		   flags & RN_NOWAIT ? ENOMEM : ETIMEDOUT);
}

/**
 * rn_mempool_alloc_preallocated() - an element of the reserve alone
 * @pool: the pool
 *
 * Context: calls nothing and waits for nothing.
 * Return: an element, or NULL with errno ENOMEM.
 */
RN_API void *rn_mempool_alloc_preallocated(struct rn_mempool *pool)
{
	void *element = take_reserved(pool);

	if (!element)
		errno = ENOMEM;
	return element;
}

/**
 * rn_mempool_free() - give an element back
 * @element: from one of the functions above, or NULL
 * @pool: the pool it is of
 *
 * To the first who waits, or into the reserve, or to the allocator.
 *
 * Context: may call the pool's free function. errno is kept.
 */
RN_API void rn_mempool_free(void *element, struct rn_mempool *pool)
{
	int saved = errno;

	if (!element)
		return;
	/*
	 * Without the lock an old figure may be seen. Not by whoever emptied the
	 * reserve: so there is one who fills it, or serves who waits.
	 */
	if (READ_ONCE(pool->nr) < READ_ONCE(pool->min_nr))
		element_put(pool, element);
	else
		element_free(pool, element);
	errno = saved;
}

/**
 * rn_mempool_min() - how much the reserve is to hold
 * @pool: the pool
 *
 * Context: any.
 * Return: elements.
 */
RN_API unsigned int rn_mempool_min(const struct rn_mempool *pool)
{
	return READ_ONCE(pool->min_nr);
}

/**
 * rn_mempool_available() - how much it holds
 * @pool: the pool
 *
 * Context: any.
 * Return: elements, a moment ago.
 */
RN_API unsigned int rn_mempool_available(const struct rn_mempool *pool)
{
	return READ_ONCE(pool->nr);
}

/* --- after fork(), in the child --- */

/* Waiters that are no threads here, with an element in hand or without. */
static void forget_waiters(struct rn_mempool *pool, bool served)
{
	struct waiter **at = &pool->waiters, *w;
	u32 *wake;

	while ((w = *at)) {
		if (!thread_is_gone(w->tag) || !!w->element != served) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		/* What there is no room for is lost, as its thread is. */
		if (served && !place(pool, w->element, &wake))
			stat_add(&pool->out, -1);
	}
}

/* Their stacks are still what they were; no other thread has begun yet. */
void mempool_after_fork(void)
{
	for (struct rn_mempool *pool = mempools; pool; pool = pool->next) {
		/* First those who would be served with what is found. */
		forget_waiters(pool, false);
		forget_waiters(pool, true);
	}
}
