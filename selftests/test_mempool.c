// SPDX-License-Identifier: MIT
/*
 * Memory pools, by one thread: where an element comes from, and where it goes.
 */
#include "pools.h"

#include <errno.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <stdlib.h>
#include <time.h>

/* --- what is refused --- */

START_TEST(bad_input)
{
	struct rn_mempool *pool;

	errno = 0;
	ck_assert_ptr_null(rn_mempool_create(0, own_alloc, own_free, &own));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(rn_mempool_create(1, NULL, own_free, &own));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(rn_mempool_create(1, own_alloc, NULL, &own));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(rn_mempool_create_cache(1, NULL));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(rn_mempool_create_size(1, 0));
	ck_assert_int_eq(errno, EINVAL);
	errno = 0;
	ck_assert_ptr_null(rn_mempool_create_pages(1, RN_MAX_ORDER + 1));
	ck_assert_int_eq(errno, EINVAL);
	ck_assert_int_eq(rn_mempool_destroy(NULL), 0);
	pool = poor_pool(1);
	rn_mempool_free(NULL, pool);
	ck_assert_int_eq(rn_mempool_resize(pool, 0), -EINVAL);
	for (unsigned int bit = 0; bit < 32; bit++) {
		rn_gfp_t flag = 1U << bit;

		if (flag & (RN_NOWAIT | RN_NOFAIL | RN_NORETRY |
			    RN_RETRIES(255)))
			continue;
		errno = 0;
		ck_assert_ptr_null(rn_mempool_alloc(pool, flag));
		ck_assert_int_eq(errno, EINVAL);
		errno = 0;
		ck_assert_ptr_null(rn_mempool_alloc_timeout(pool, flag, 1));
		ck_assert_int_eq(errno, EINVAL);
	}
	expect_whole(pool);
}
END_TEST

START_TEST(create_fails)
{
	for (long calls = 0; calls < 5; calls++) {
		let_succeed(calls);
		errno = 0;
		ck_assert_ptr_null(rn_mempool_create(5, own_alloc, own_free,
						     &own));
		ck_assert_int_eq(errno, ENOMEM);
		ck_assert_int_eq(live(), 0);
	}
}
END_TEST

/* --- one thread --- */

START_TEST(sources_in_order)
{
	struct rn_mempool *pool = poor_pool(2);
	void *p[3];

	/* The allocator first, whatever is in the reserve. */
	let_succeed(1);
	p[0] = rn_mempool_alloc(pool, RN_RETRIES(3));
	ck_assert_ptr_nonnull(p[0]);
	ck_assert_uint_eq(own.flags, RN_NORETRY);
	ck_assert_uint_eq(rn_mempool_available(pool), 2);
	/* Then the reserve. */
	errno = 99;
	for (int i = 1; i < 3; i++) {
		p[i] = rn_mempool_alloc(pool, RN_NOWAIT);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_eq(own.flags, RN_NOWAIT);
		ck_assert_uint_eq(rn_mempool_available(pool), 2 - i);
	}
	ck_assert_int_eq(errno, 99);
	ck_assert_ptr_null(rn_mempool_alloc(pool, RN_NOWAIT));
	ck_assert_int_eq(errno, ENOMEM);
	/* What comes back fills it up, and then goes on to the allocator. */
	errno = 99;
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(live(), 3);
		rn_mempool_free(p[i], pool);
		ck_assert_uint_eq(rn_mempool_available(pool), i < 1 ? 1 : 2);
	}
	ck_assert_int_eq(errno, 99);
	expect_whole(pool);
}
END_TEST

/* Without RN_NOWAIT it asks once more, as it was asked, before it waits. */
START_TEST(asks_again)
{
	struct rn_mempool *pool = poor_pool(1);
	void *p = rn_mempool_alloc_preallocated(pool);
	long calls = own.calls;

	errno = 0;
	ck_assert_ptr_null(rn_mempool_alloc_timeout(pool, RN_RETRIES(3), 0));
	ck_assert_int_eq(errno, ETIMEDOUT);
	ck_assert_int_eq(own.calls, calls + 2);
	ck_assert_uint_eq(own.flags, RN_RETRIES(3));
	rn_mempool_free(p, pool);
	expect_whole(pool);
}
END_TEST

START_TEST(preallocated)
{
	struct rn_mempool *pool = poor_pool(2);
	void *p, *q;
	long calls;

	let_succeed(-1);
	calls = own.calls;
	p = rn_mempool_alloc_preallocated(pool);
	q = rn_mempool_alloc_preallocated(pool);
	ck_assert(p && q && p != q);
	errno = 0;
	ck_assert_ptr_null(rn_mempool_alloc_preallocated(pool));
	ck_assert_int_eq(errno, ENOMEM);
	ck_assert_int_eq(own.calls, calls);
	rn_mempool_free(p, pool);
	rn_mempool_free(q, pool);
	expect_whole(pool);
}
END_TEST

START_TEST(busy)
{
	struct rn_mempool *pool = poor_pool(2);
	void *p = rn_mempool_alloc(pool, 0), *q;
	char *text;

	let_succeed(1);
	q = rn_mempool_alloc(pool, 0);
	stderr_catch();
	ck_assert_int_eq(rn_mempool_destroy(pool), -EBUSY);
	rn_mempool_free(p, pool);
	ck_assert_uint_eq(rn_mempool_available(pool), 2);
	/* One that came from the allocator counts as well. */
	ck_assert_int_eq(rn_mempool_destroy(pool), -EBUSY);
	text = stderr_caught();
	ck_assert_str_eq(text, "libslab: rn_mempool_destroy: 2 elements are "
			 "still allocated\nlibslab: rn_mempool_destroy: 1 "
			 "elements are still allocated\n");
	free(text);
	rn_mempool_free(q, pool);
	expect_whole(pool);
}
END_TEST

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

START_TEST(timeout)
{
	static const unsigned int some[] = { 0, 30, 250 };
	struct rn_mempool *pool = poor_pool(1);
	void *p = rn_mempool_alloc(pool, 0);

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		double began = seconds();

		errno = 0;
		ck_assert_ptr_null(rn_mempool_alloc_timeout(pool, 0, some[i]));
		ck_assert_int_eq(errno, ETIMEDOUT);
		ck_assert(seconds() - began >= some[i] / 1e3);
		errno = 0;
		ck_assert_ptr_null(rn_mempool_alloc_timeout(pool, RN_NOWAIT,
							    some[i]));
		ck_assert_int_eq(errno, ENOMEM);
	}
	rn_mempool_free(p, pool);
	p = rn_mempool_alloc_timeout(pool, 0, 1000);
	ck_assert_ptr_nonnull(p);
	rn_mempool_free(p, pool);
	expect_whole(pool);
}
END_TEST

START_TEST(resize)
{
	struct rn_mempool *pool = poor_pool(2);
	void *p = rn_mempool_alloc(pool, 0);

	for (long calls = 0; calls < 3; calls++) {
		let_succeed(calls);
		ck_assert_int_eq(rn_mempool_resize(pool, 5), -ENOMEM);
		ck_assert_int_eq(live(), 2);
		ck_assert_uint_eq(rn_mempool_min(pool), 2);
		ck_assert_uint_eq(rn_mempool_available(pool), 1);
	}
	let_succeed(-1);
	ck_assert_int_eq(rn_mempool_resize(pool, 5), 0);
	ck_assert_uint_eq(rn_mempool_min(pool), 5);
	ck_assert_uint_eq(rn_mempool_available(pool), 4);
	ck_assert_int_eq(rn_mempool_resize(pool, 5), 0);
	ck_assert_int_eq(live(), 5);
	ck_assert_int_eq(rn_mempool_resize(pool, 3), 0);
	ck_assert_uint_eq(rn_mempool_available(pool), 3);
	ck_assert_int_eq(live(), 4);
	rn_mempool_free(p, pool);
	ck_assert_int_eq(live(), 3);
	ck_assert_int_eq(rn_mempool_resize(pool, 100), 0);
	ck_assert_int_eq(rn_mempool_resize(pool, 1), 0);
	expect_whole(pool);
}
END_TEST

/* --- what pools are made of --- */

static void use_pool(struct rn_mempool *pool, size_t size)
{
	void *p[10];

	ck_assert_ptr_nonnull(pool);
	ck_assert_uint_eq(rn_mempool_available(pool), 4);
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = rn_mempool_alloc(pool, i % 2 ? RN_NOFAIL : RN_KERNEL);
		ck_assert_ptr_nonnull(p[i]);
		ck_assert_uint_ge(rn_size(p[i]), size);
		pattern_set(p[i], size, i);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		ck_assert(pattern_ok(p[i], size, i));
		rn_mempool_free(p[i], pool);
	}
	ck_assert_uint_eq(rn_mempool_available(pool), 4);
	ck_assert_int_eq(rn_mempool_destroy(pool), 0);
}

START_TEST(kinds)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 300, .flags = RN_NOMERGE,
	};
	struct rn_cache *c = rn_cache_create("pooled", &args);

	use_pool(rn_mempool_create_cache(4, c), 300);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	use_pool(rn_mempool_create_size(4, 77), 77);
	use_pool(rn_mempool_create_size(4, 200000), 200000);
	use_pool(rn_mempool_create_pages(4, 0), RN_PAGE_SIZE);
	use_pool(rn_mempool_create_pages(4, 3), RN_PAGE_SIZE << 3);
}
END_TEST

/* Nothing is left of the memory, and there is the reserve. */
START_TEST(exhausted)
{
	struct rn_mempool *pool;
	void *p[4], *q, **chain = NULL;

	setenv("RN_RESERVATION", "64M", 1);
	pool = rn_mempool_create_size(4, 5000);
	ck_assert_ptr_nonnull(pool);
	while ((q = rn_alloc(5000, 0))) {
		*(void **)q = chain;
		chain = q;
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++) {
		p[i] = rn_mempool_alloc(pool, 0);
		ck_assert_ptr_nonnull(p[i]);
	}
	ck_assert_ptr_null(rn_mempool_alloc_timeout(pool, 0, 150));
	ck_assert_int_eq(errno, ETIMEDOUT);
	/* What is freed past the pool is found too, if later. */
	q = chain;
	chain = *chain;
	rn_free(q);
	q = rn_mempool_alloc(pool, 0);
	ck_assert_ptr_nonnull(q);
	rn_mempool_free(q, pool);
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		rn_mempool_free(p[i], pool);
	ck_assert_int_eq(rn_mempool_destroy(pool), 0);
	while ((q = chain)) {
		chain = *chain;
		rn_free(q);
	}
}
END_TEST

static struct rn_mempool *inner;
static int inner_errors;

static void build(void *object)
{
	void *p = rn_mempool_alloc(inner, RN_NOWAIT);

	inner_errors += !p;
	rn_mempool_free(p, inner);
	errno = 0;
	inner_errors += rn_mempool_alloc(inner, 0) || errno != EDEADLK;
}

START_TEST(in_constructor)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .ctor = build,
	};
	struct rn_cache *c = rn_cache_create("built", &args);

	inner = poor_pool(1);
	rn_cache_free(c, rn_cache_alloc(c, 0));
	ck_assert_int_eq(inner_errors, 0);
	ck_assert_int_eq(rn_cache_destroy(c), 0);
	expect_whole(inner);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mempool");
	TCase *alone = tcase_create("alone");

	tcase_add_test(alone, bad_input);
	tcase_add_test(alone, create_fails);
	tcase_add_test(alone, sources_in_order);
	tcase_add_test(alone, asks_again);
	tcase_add_test(alone, preallocated);
	tcase_add_test(alone, busy);
	tcase_add_test(alone, timeout);
	tcase_add_test(alone, resize);
	tcase_add_test(alone, kinds);
	tcase_add_test(alone, exhausted);
	tcase_add_test(alone, in_constructor);
	tcase_set_timeout(alone, 60);
	suite_add_tcase(s, alone);
	return suite_main(s);
}
