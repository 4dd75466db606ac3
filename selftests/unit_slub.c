// SPDX-License-Identifier: MIT
/*
 * The slow path: what a thread does that finds all CPUs filling sheaves, and how
 * large the sheaves are. sched_yield() is this test's, so that it says what
 * happens while a thread waits.
 */
#define _GNU_SOURCE
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

/* --- the size of sheaves --- */

#define MANY	4096

static void *many[MANY];

/* On this CPU, whose sheaves are looked at. */
static void stay(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
}

/* Objects that fit into the main sheaf. */
static unsigned int main_room(void)
{
	struct slot_view v;

	percpu_view(row_on(c, numa_local_node()), &v);
	ck_assert_ptr_nonnull(v.main);
	return sheaf_room(v.main);
}

static void swing(void)
{
	for (int i = 0; i < MANY; i++)
		many[i] = rn_cache_alloc(c, 0);
	for (int i = 0; i < MANY; i++)
		rn_cache_free(c, many[i]);
}

START_TEST(a_cache_hardly_used_has_a_small_sheaf)
{
	void *p, *q;

	stay();
	p = begin();
	q = rn_cache_alloc(c, 0);
	ck_assert_uint_le(main_room(), 62);
	rn_cache_free(c, p);
	rn_cache_free(c, q);
	end();
}
END_TEST

/* The small ones go back to the pool; what comes in their place is whole. */
START_TEST(sheaves_grow_with_the_cache)
{
	u64 bytes, unused, unused_after;
	void *p;

	stay();
	sheaf_pool_stats(&bytes, &unused);
	p = begin();
	for (int round = 0; round < 4; round++)
		swing();
	ck_assert_uint_eq(main_room(), c->sheaf_capacity);
	ck_assert_uint_eq(n->barn.room, c->sheaf_capacity);
	sheaf_pool_stats(&bytes, &unused_after);
	ck_assert_uint_gt(unused_after, unused);
	rn_cache_free(c, p);
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
	tc = tcase_create("sheaves");
	tcase_add_test(tc, a_cache_hardly_used_has_a_small_sheaf);
	tcase_add_test(tc, sheaves_grow_with_the_cache);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
