// SPDX-License-Identifier: MIT
/*
 * What a tracer's attaching does to the fast paths: here it is this test that
 * counts in the semaphore. What the probes say is in test_tracepoints.sh.
 */
#include "helpers.h"
#include "slab.h"
#include "tracepoint.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#ifdef RN_USDT

#define OBJECTS	1000
#define THREADS	4
#define ROUNDS	200

static struct rn_cache *new_cache(size_t size)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = size, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("traced", &args);

	ck_assert_ptr_nonnull(c);
	return c;
}

static void attach(int by)
{
	__atomic_fetch_add(&hot.traced, by, __ATOMIC_RELAXED);
}

/* As they are where nobody traces. */
static void expect_open(const struct rn_cache *c)
{
	bool open = percpu_has_rseq();

	ck_assert_uint_eq(hot.span, open ? mem.bytes : 0);
	ck_assert_uint_eq(hot.local_max,
			  open && !hot.node_rows ? SMALL_MAX : 0);
	ck_assert_uint_eq(c->fast_at, open && !hot.node_rows ?
			  slot_at(c->row) : 0);
}

static void expect_shut(const struct rn_cache *c)
{
	ck_assert_uint_eq(hot.span, 0);
	ck_assert_uint_eq(hot.local_max, 0);
	ck_assert_uint_eq(c->fast_at, 0);
}

/* By the very next free, of whatever; so it opens again. */
START_TEST(a_free_sees_it)
{
	struct rn_cache *c = new_cache(64);
	void *p = rn_cache_alloc(c, 0), *q = rn_alloc(100, 0);

	ck_assert(p && q);
	expect_open(c);
	attach(2);
	rn_free(q);
	expect_shut(c);
	attach(-1);
	rn_cache_free(c, p);
	expect_shut(c);
	p = rn_cache_alloc(c, 0);
	attach(-1);
	rn_cache_free(c, p);
	expect_open(c);
}
END_TEST

/* A program that does not free: when a sheaf is empty. */
START_TEST(allocations_see_it)
{
	struct rn_cache *c = new_cache(64);
	unsigned int nr = 0, most = sheaf_capacity(64);
	static void *p[OBJECTS];

	p[nr++] = rn_cache_alloc(c, 0);
	expect_open(c);
	attach(1);
	while (c->fast_at && nr < OBJECTS)
		p[nr++] = rn_cache_alloc(c, 0);
	ck_assert_uint_le(nr, 2 * most + 1);
	if (percpu_has_rseq() && !hot.node_rows)
		expect_shut(c);
	attach(-1);
	while (nr)
		rn_cache_free(c, p[--nr]);
	expect_open(c);
}
END_TEST

/* So is a cache that is made meanwhile, of new memory or of an old one's. */
START_TEST(new_caches_are_shut)
{
	struct rn_cache *c = new_cache(64);

	attach(1);
	rn_free(rn_alloc(100, 0));
	rn_free(rn_alloc(100, 0));
	expect_shut(c);
	expect_shut(new_cache(72));
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	c = new_cache(80);
	expect_shut(c);
	attach(-1);
	rn_free(rn_alloc(100, 0));
	expect_open(c);
}
END_TEST

static const char *wrong;

/* What is allocated on one way may be freed on the other. */
static void *allocate(void *arg)
{
	void *p[OBJECTS];

	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < OBJECTS; i++) {
			p[i] = rn_alloc(8 + i, 0);
			if (!p[i])
				WRITE_ONCE(wrong, "no memory");
			else
				*(int *)p[i] = i;
		}
		for (int i = 0; i < OBJECTS; i++) {
			if (p[i] && *(int *)p[i] != i)
				WRITE_ONCE(wrong, "not mine");
			rn_free(p[i]);
		}
	}
	return arg;
}

static u64 active(void)
{
	u64 sum = 0;

	for (struct rn_cache *c = slab_caches; c; c = c->next) {
		struct cache_usage u;

		cache_usage(c, &u);
		sum += u.active;
	}
	return sum;
}

START_TEST(threads_go_on)
{
	u64 before = active();
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL,
						allocate, NULL), 0);
	for (int round = 0; round < ROUNDS; round++) {
		attach(1);
		rn_free(rn_alloc(100, 0));
		attach(-1);
		rn_free(rn_alloc(100, 0));
	}
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_msg(!wrong, "%s", wrong);
	rn_free(rn_alloc(100, 0));
	ck_assert_uint_eq(active(), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trace");
	TCase *tc = tcase_create("trace");

	setenv("RN_DECAY_MS", "-1", 1);
	tcase_add_test(tc, a_free_sees_it);
	tcase_add_test(tc, allocations_see_it);
	tcase_add_test(tc, new_caches_are_shut);
	tcase_add_test(tc, threads_go_on);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}

#else

int main(void)
{
	puts("the library was built without sys/sdt.h, and has no probes");
	return 77;
}

#endif /* RN_USDT */
