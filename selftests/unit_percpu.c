// SPDX-License-Identifier: MIT
/*
 * Slots: emptied from outside while threads pop, push and put sheaves in.
 * Every object has at most one owner at any time, and none is lost.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { THREADS = 4, OBJECTS = 400 };

static struct rn_cache *c;
static unsigned int row;

/* The objects are bytes of this; owned[i]: somebody has objects[i]. */
static char objects[OBJECTS];
static int owned[OBJECTS];
static bool stop;

/* What drains took, for the threads to use again. */
static struct {
	pthread_mutex_t lock;
	void *objects[OBJECTS];
	unsigned int nr;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void own(void *object)
{
	if (__atomic_exchange_n(&owned[(char *)object - objects], 1,
				__ATOMIC_RELAXED))
		ck_abort_msg("object %td is out twice",
			     (char *)object - objects);
}

static void disown(void *object)
{
	__atomic_store_n(&owned[(char *)object - objects], 0,
			 __ATOMIC_RELAXED);
}

static void pool_put(void *object)
{
	pthread_mutex_lock(&pool.lock);
	pool.objects[pool.nr++] = object;
	pthread_mutex_unlock(&pool.lock);
}

static void *pool_get(void)
{
	void *object;

	pthread_mutex_lock(&pool.lock);
	object = pool.nr ? pool.objects[--pool.nr] : NULL;
	pthread_mutex_unlock(&pool.lock);
	return object;
}

static void empty_out(struct sheaf *s)
{
	if (!s)
		return;
	while (sheaf_count(s))
		pool_put(sheaf_take(s));
	s->word = 0;
	sheaf_free(s);
}

static void on_drain(void *arg, unsigned int at, struct sheaf *s[2],
		     struct page *active)
{
	ck_assert_ptr_null(active);
	empty_out(s[0]);
	empty_out(s[1]);
}

/* A sheaf of this thread's, with what it has in hand, goes into the slot. */
static void install(void *object)
{
	struct sheaf *s = sheaf_alloc(14), *old = s;
	struct slot_view v;

	sheaf_add(s, object);
	percpu_view(row, &v);
	if (!percpu_open(row, v.index) && percpu_set_spare(row, &v, s)) {
		old = v.spare;
		v.spare = s;
		percpu_swap(row, &v);
	}
	empty_out(old);
}

static void *use_slots(void *arg)
{
	uint64_t random = (uint64_t)arg + 1;
	void *o;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		o = percpu_pop(row);
		if (!o)
			o = pool_get();
		if (!o)
			continue;
		own(o);
		disown(o);
		if (xorshift(&random) % 16 == 0)
			install(o);
		else if (!percpu_push(row, o))
			pool_put(o);
	}
	return NULL;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void setup(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};

	/* No ticks: what is in these slots is no slab's. */
	setenv("RN_DECAY_MS", "-1", 1);
	c = rn_cache_create("unit", &args);
	ck_assert_ptr_nonnull(c);
	row = row_on(c, numa_local_node());
}

static void expect_all_in_pool(void)
{
	bool seen[OBJECTS] = { false };

	ck_assert_uint_eq(pool.nr, OBJECTS);
	for (unsigned int i = 0; i < OBJECTS; i++) {
		ptrdiff_t k = (char *)pool.objects[i] - objects;

		ck_assert(!seen[k]);
		seen[k] = true;
	}
}

START_TEST(drain_beside)
{
	unsigned long drains = 0;
	double end = now() + 1.5;
	pthread_t t[THREADS];

	for (int i = 0; i < OBJECTS; i++)
		pool_put(&objects[i]);
	for (unsigned long i = 0; i < THREADS; i++)
		pthread_create(&t[i], NULL, use_slots, (void *)i);
	while (now() < end || drains < 20) {
		percpu_drain(row, on_drain, NULL);
		drains++;
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	percpu_drain(row, on_drain, NULL);
	expect_all_in_pool();
}
END_TEST

/* --- one thread, step by step --- */

static unsigned int looked;

static void look(void *arg, const struct slot *slot)
{
	looked++;
	if (slot->main)
		*(const struct slot **)arg = slot;
}

START_TEST(steps)
{
	const struct slot *slot = NULL;
	struct sheaf *a = sheaf_alloc(14), *b = sheaf_alloc(14);
	struct slot_view v;
	cpu_set_t one;

	/* Views and steps of one CPU. */
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
	ck_assert_ptr_null(percpu_pop(row));
	ck_assert(!percpu_push(row, objects));
	percpu_view(row, &v);
	ck_assert_ptr_null(v.main);
	ck_assert_ptr_null(v.spare);
	ck_assert_int_eq(percpu_open(row, v.index), 0);
	ck_assert(percpu_set_spare(row, &v, a));
	/* The view is old: nothing happens. */
	ck_assert(!percpu_set_spare(row, &v, b));
	v.spare = a;
	ck_assert(percpu_swap(row, &v));
	ck_assert(!percpu_swap(row, &v));
	percpu_view(row, &v);
	ck_assert_ptr_eq(v.main, a);
	ck_assert_ptr_null(v.spare);
	ck_assert(percpu_push(row, &objects[0]));
	ck_assert(percpu_push(row, &objects[1]));
	ck_assert_uint_eq(sheaf_count(a), 2);
	ck_assert_uint_eq(sheaf_operations(a), 2);
	ck_assert(percpu_set_spare(row, &v, b));
	percpu_for_each(row, look, &slot);
	ck_assert_uint_ge(looked, 1);
	ck_assert_ptr_eq(slot->main, a);
	ck_assert_ptr_eq(percpu_pop(row), &objects[1]);
	ck_assert_uint_eq(sheaf_operations(a), 3);
	percpu_drain(row, on_drain, NULL);
	ck_assert_uint_eq(pool.nr, 1);
	ck_assert_ptr_null(slot->main);
	ck_assert_ptr_null(percpu_pop(row));
}
END_TEST

/* Each fast path counts itself in the word that it commits. */
START_TEST(pairs_are_counted)
{
	struct cache_usage before, after;
	enum { PAIRS = 10000 };

	rn_cache_free(c, rn_cache_alloc(c, 0));
	cache_usage(c, &before);
	for (int i = 0; i < PAIRS; i++)
		rn_cache_free(c, rn_cache_alloc(c, 0));
	cache_usage(c, &after);
	ck_assert_uint_eq(after.fast_allocs + after.slow_allocs,
			  before.fast_allocs + before.slow_allocs + PAIRS);
	ck_assert_uint_eq(after.fast_frees + after.slow_frees,
			  before.fast_frees + before.slow_frees + PAIRS);
	ck_assert_uint_ge(after.fast_allocs - before.fast_allocs, PAIRS - 10);
	ck_assert_uint_ge(after.fast_frees - before.fast_frees, PAIRS - 10);
	ck_assert_uint_eq(after.active, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("percpu");
	TCase *tc = tcase_create("percpu");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, drain_beside);
	tcase_add_test(tc, steps);
	tcase_add_test(tc, pairs_are_counted);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
