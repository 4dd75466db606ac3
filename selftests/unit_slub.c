// SPDX-License-Identifier: MIT
/*
 * The slow path among others: what a thread does that finds all CPUs filling
 * sheaves. sched_yield() is this test's, so that it says what happens then.
 */
#include "helpers.h"

#include "slab.h"

#include <sched.h>

static struct rn_cache *c;
static struct cache_node *n;
static void *to_be_freed;	/* by another thread, as it were, meanwhile */
static unsigned int yields;

int sched_yield(void)
{
	yields++;
	rn_cache_free(c, to_be_freed);
	to_be_freed = NULL;
	return 0;
}

/* A cache with an object out and none in slots and barn. */
static void *begin(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};
	void *p;

	c = rn_cache_create("unit", &args);
	ck_assert_ptr_nonnull(c);
	p = rn_cache_alloc(c, 0);
	ck_assert_ptr_nonnull(p);
	n = row_to_cache_node(ptr_to_row(p));
	ck_assert(cache_flush(c));
	yields = 0;
	return p;
}

static void end(void)
{
	n->refilling = 0;
	ck_assert_int_eq(rn_cache_destroy(c), 0);
}

START_TEST(a_crowd_takes_what_is_freed)
{
	void *p = begin();
	u64 refills = n->refills;

	to_be_freed = p;
	n->refilling = nr_cpu_ids();
	ck_assert_ptr_eq(rn_cache_alloc(c, 0), p);
	ck_assert_uint_eq(yields, 1);
	ck_assert_uint_eq(n->refills, refills);
	rn_cache_free(c, p);
	end();
}
END_TEST

/* As if they were in the child of a fork() and never came back. */
START_TEST(nobody_waits_for_ever)
{
	void *p = begin(), *q;
	u64 refills = n->refills;

	n->refilling = nr_cpu_ids();
	q = rn_cache_alloc(c, 0);
	ck_assert_ptr_nonnull(q);
	ck_assert_uint_ge(yields, 1);
	ck_assert_uint_eq(n->refills, refills + 1);
	rn_cache_free(c, p);
	rn_cache_free(c, q);
	end();
}
END_TEST

START_TEST(alone_nobody_waits)
{
	void *p = begin(), *q;

	n->refilling = nr_cpu_ids() - 1;
	q = rn_cache_alloc(c, 0);
	ck_assert_ptr_nonnull(q);
	ck_assert_uint_eq(yields, 0);
	rn_cache_free(c, p);
	rn_cache_free(c, q);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slub");
	TCase *tc = tcase_create("crowd");

	tcase_add_test(tc, a_crowd_takes_what_is_freed);
	tcase_add_test(tc, nobody_waits_for_ever);
	tcase_add_test(tc, alone_nobody_waits);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
