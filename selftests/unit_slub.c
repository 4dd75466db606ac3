// SPDX-License-Identifier: MIT
/*
 * The slow path: what a thread does that finds all CPUs filling sheaves, how
 * large the sheaves are, and how seldom two CPUs come there of which one frees
 * what the other one allocates. sched_yield() is this test's, so that it says
 * what happens while a thread waits.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

START_TEST(sheaves_shrink_with_disuse)
{
	void *p;

	stay();
	p = begin();
	for (int round = 0; round < 4; round++)
		swing();
	sheaves_shrink(c);
	/* It was used a lot until then. */
	ck_assert_uint_eq(refill_size(c, n), c->sheaf_capacity);
	for (unsigned int size = 126; size >= 6; size = size / 2 - 1) {
		/* That is no more than a program that is idle does. */
		rn_cache_free(c, rn_cache_alloc(c, 0));
		sheaves_shrink(c);
		ck_assert_uint_eq(refill_size(c, n), size);
		ck_assert_uint_le(n->barn.room, 4 * size + 6);
	}
	sheaves_shrink(c);
	ck_assert_uint_eq(refill_size(c, n), 6);
	/* Those of the slot go with a drain, and new ones are small. */
	ck_assert(cache_flush(c));
	rn_cache_free(c, rn_cache_alloc(c, 0));
	ck_assert_uint_le(main_room(), 62);
	/* Used again, they are whole again. */
	for (int round = 0; round < 4; round++)
		swing();
	sheaves_shrink(c);
	ck_assert_uint_eq(refill_size(c, n), c->sheaf_capacity);
	rn_cache_free(c, p);
	end();
}
END_TEST

/* --- a producer and a consumer --- */

#define RING	4096		/* objects under way at most */
#define WARM_MS	500		/* until the budget has found its places */
#define PASSED	(1000000UL / LESS)

static struct {
	void *objects[RING];
	u64 head __aligned(64);
	u64 tail __aligned(64);
	int cpu[2];
	u64 end;		/* after so many; 0 while that is not known */
} ring;

static void pin(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof(one), &one))
		abort();
}

static u64 visits(void)
{
	struct cache_usage u;

	cache_usage(c, &u);
	return u.slow_allocs + u.slow_frees;
}

/* Is the ring full? Then one waits; not by sched_yield(), see above. */
static void put(u64 i)
{
	while (i - smp_load_acquire(&ring.tail) == RING)
		usleep(50);
	ring.objects[i % RING] = rn_cache_alloc(c, 0);
	smp_store_release(&ring.head, i + 1);
}

static void *produce(void *arg)
{
	u64 i = 0, warm = clock_ms() + WARM_MS;

	pin(ring.cpu[0]);
	while (clock_ms() < warm)
		put(i++);
	*(u64 *)arg = visits();
	WRITE_ONCE(ring.end, i + PASSED);
	while (i < ring.end)
		put(i++);
	return arg;
}

static void *consume(void *arg)
{
	pin(ring.cpu[1]);
	for (u64 i = 0; !READ_ONCE(ring.end) || i < READ_ONCE(ring.end);
	     i++) {
		while (i == smp_load_acquire(&ring.head))
			usleep(50);
		rn_cache_free(c, ring.objects[i % RING]);
		smp_store_release(&ring.tail, i + 1);
	}
	return arg;
}

static bool find_cpus(void)
{
	cpu_set_t allowed;
	int found = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return false;
	for (int cpu = 0; cpu < CPU_SETSIZE && found < 2; cpu++)
		if (CPU_ISSET(cpu, &allowed))
			ring.cpu[found++] = cpu;
	return found == 2;
}

/* By budget: objects for each visit to the slow path, at least. */
static const struct {
	const char *budget;
	u64 per_visit;
} passes[] = {
	{ "64M", 50 }, { "64K", 40 }, { "16K", 10 }, { "4K", 2 }, { "1", 0 },
};

START_TEST(from_cpu_to_cpu)
{
	u64 before, came;
	pthread_t t[2];
	void *p;

	setenv("RN_PERCPU_BUDGET", passes[_i].budget, 1);
	if (!find_cpus()) {
		if (!_i)
			skip_part("from_cpu_to_cpu", "one CPU only");
		return;
	}
	p = begin();
	ck_assert_int_eq(pthread_create(&t[0], NULL, produce, &before), 0);
	ck_assert_int_eq(pthread_create(&t[1], NULL, consume, NULL), 0);
	pthread_join(t[0], NULL);
	pthread_join(t[1], NULL);
	came = visits() - before;
	printf("# budget %s: %.4f visits an object\n", passes[_i].budget,
	       (double)came / PASSED);
	ck_assert_uint_le(came * passes[_i].per_visit, PASSED);
	rn_cache_free(c, p);
	end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("slub");
	TCase *tc = tcase_create("crowd");

	/* No ticks but this test's. */
	setenv("RN_DECAY_MS", "-1", 1);
	tcase_add_test(tc, a_crowd_takes_what_is_freed);
	tcase_add_test(tc, nobody_waits_for_ever);
	tcase_add_test(tc, alone_nobody_waits);
	suite_add_tcase(s, tc);
	tc = tcase_create("sheaves");
	tcase_add_test(tc, a_cache_hardly_used_has_a_small_sheaf);
	tcase_add_test(tc, sheaves_grow_with_the_cache);
	tcase_add_test(tc, sheaves_shrink_with_disuse);
	suite_add_tcase(s, tc);
	tc = tcase_create("two CPUs");
	tcase_add_loop_test(tc, from_cpu_to_cpu, 0, ARRAY_LEN(passes));
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
