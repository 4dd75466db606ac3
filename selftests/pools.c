// SPDX-License-Identifier: MIT
#include "pools.h"

#include <stdlib.h>
#include <unistd.h>

struct own own;
static __thread struct taker *me;

static void note_asked(void)
{
	if (me)
		__atomic_fetch_add(&me->asked, 1, __ATOMIC_RELEASE);
}

void *own_alloc(rn_gfp_t flags, void *data)
{
	long left = __atomic_load_n(&own.left, __ATOMIC_RELAXED);

	must(data == &own);
	__atomic_fetch_add(&own.calls, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&own.flags, flags, __ATOMIC_RELAXED);
	note_asked();
	if (!left)
		return NULL;
	if (left > 0)
		__atomic_fetch_sub(&own.left, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&own.live, 1, __ATOMIC_RELAXED);
	return calloc(1, sizeof(struct element));
}

void own_free(void *element, void *data)
{
	must(data == &own);
	__atomic_fetch_sub(&own.live, 1, __ATOMIC_RELAXED);
	free(element);
}

void let_succeed(long calls)
{
	__atomic_store_n(&own.left, calls, __ATOMIC_RELAXED);
}

long live(void)
{
	return __atomic_load_n(&own.live, __ATOMIC_RELAXED);
}

struct rn_mempool *poor_pool(unsigned int min)
{
	struct rn_mempool *pool;

	let_succeed(-1);
	pool = rn_mempool_create(min, own_alloc, own_free, &own);
	ck_assert_ptr_nonnull(pool);
	let_succeed(0);
	return pool;
}

void expect_whole(struct rn_mempool *pool)
{
	ck_assert_uint_eq(rn_mempool_available(pool), rn_mempool_min(pool));
	ck_assert_int_eq(live(), rn_mempool_min(pool));
	ck_assert_int_eq(rn_mempool_destroy(pool), 0);
	ck_assert_int_eq(live(), 0);
}

static void *take_one(void *arg)
{
	struct taker *t = arg;
	void *element;

	me = t;
	element = rn_mempool_alloc(t->pool, RN_KERNEL);
	__atomic_store_n(&t->got, element, __ATOMIC_RELEASE);
	return NULL;
}

static void start(struct taker *t, struct rn_mempool *pool)
{
	*t = (struct taker){ .pool = pool };
	ck_assert_int_eq(pthread_create(&t->thread, NULL, take_one, t), 0);
}

/* Before it joins the queue it asks twice. */
static void wait_until_queued(struct taker *t)
{
	while (__atomic_load_n(&t->asked, __ATOMIC_ACQUIRE) < 3)
		usleep(1000);
}

void start_and_queue(struct taker *t, struct rn_mempool *pool)
{
	start(t, pool);
	wait_until_queued(t);
}

void *got(struct taker *t)
{
	return __atomic_load_n(&t->got, __ATOMIC_ACQUIRE);
}
