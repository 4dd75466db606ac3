// SPDX-License-Identifier: MIT
/*
 * Threads in a tree of groups under tight limits: whoever allocates, waits, is
 * declined, and frees what another allocated, each byte is charged where it is
 * in use, and to nobody when it is free.
 */
#define _GNU_SOURCE
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#define THREADS		8
#define GROUPS		6
#define PLACES		512
#define PHASES		12

static const int parent_of[GROUPS] = { -1, 0, 0, 1, 1, 2 };
static const size_t max_of[GROUPS] = {
	900001, 500000, 450003, 300000, RN_MEMCG_NO_LIMIT, 250001,
};

static struct rn_memcg *groups[GROUPS];
static void *places[PLACES];
static pthread_barrier_t barrier;
static unsigned int busy;	/* threads in the middle of a phase */

static size_t random_size(uint64_t *random)
{
	unsigned int bits = xorshift(random) % 15;
	size_t size = sizeof(size_t) + xorshift(random) % (1UL << bits);

	return xorshift(random) % 100 ? size : 65537 + xorshift(random) % 60000;
}

static rn_gfp_t random_flags(uint64_t *random)
{
	static const rn_gfp_t flags[] = { 0, 0, 0, RN_NORETRY, RN_RETRIES(1) };

	return flags[xorshift(random) % ARRAY_LEN(flags)];
}

/* The first word says what the others are to be. */
static void *new_object(uint64_t *random)
{
	struct rn_memcg *m = groups[xorshift(random) % GROUPS];
	size_t size = random_size(random);
	size_t *p = rn_memcg_alloc(m, size, random_flags(random));

	if (!p) {
		if (errno != ENOMEM && errno != ETIMEDOUT)
			ck_abort_msg("%s", strerror(errno));
		return NULL;
	}
	if (rn_memcg_of(p) != m)
		ck_abort_msg("%p is not of its group", (void *)p);
	*p = size;
	pattern_set(p + 1, size - sizeof(*p), size);
	return p;
}

static void end_object(size_t *p)
{
	if (!p)
		return;
	if (!pattern_ok(p + 1, *p - sizeof(*p), *p))
		ck_abort_msg("%p: the contents changed", (void *)p);
	/* Who is given it next must not find it whole. */
	*p = 0;
	rn_free(p);
}

static void one_operation(uint64_t *random)
{
	void **place = &places[xorshift(random) % PLACES];
	void *p = xorshift(random) % 2 ? new_object(random) : NULL;

	end_object(__atomic_exchange_n(place, p, __ATOMIC_ACQ_REL));
}

/* Between the two barriers of a phase only the test itself does anything. */
static void *work(void *arg)
{
	uint64_t random = 0x9e3779b9 * ((uintptr_t)arg + 1);

	for (int phase = 0; phase < PHASES; phase++) {
		for (int i = 0; i < 4000 / LESS; i++)
			one_operation(&random);
		__atomic_fetch_sub(&busy, 1, __ATOMIC_ACQ_REL);
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

/* --- while nobody runs --- */

static void expect_exact(void)
{
	size_t sums[GROUPS] = { 0 };

	for (int i = 0; i < PLACES; i++) {
		int g = 0;

		if (!places[i])
			continue;
		while (rn_memcg_of(places[i]) != groups[g])
			ck_assert_int_lt(++g, GROUPS);
		for (; g >= 0; g = parent_of[g])
			sums[g] += rn_size(places[i]);
	}
	for (int g = 0; g < GROUPS; g++) {
		ck_assert_uint_eq(rn_memcg_usage(groups[g]), sums[g]);
		ck_assert_uint_le(rn_memcg_peak(groups[g]), max_of[g]);
		ck_assert_uint_le(charged(groups[g]), max_of[g]);
	}
}

static void make_groups(void)
{
	for (int g = 0; g < GROUPS; g++) {
		groups[g] = group_of(g ? groups[parent_of[g]] : NULL, "tree",
				     max_of[g]);
		ck_assert_int_eq(rn_memcg_set_timeout(groups[g], 2), 0);
	}
}

static void all_end(void)
{
	unsigned long held = 0, failed = 0;

	for (int i = 0; i < PLACES; i++) {
		end_object(places[i]);
		places[i] = NULL;
	}
	for (int g = GROUPS - 1; g >= 0; g--) {
		held += rn_memcg_event(groups[g], RN_MEMCG_EVENT_HELD);
		failed += rn_memcg_event(groups[g], RN_MEMCG_EVENT_FAIL);
		group_end(groups[g]);
	}
	/* The limits were in the way. */
	ck_assert_uint_gt(held, 0);
	ck_assert_uint_gt(failed, 0);
}

/* --- from CPU to CPU --- */

static int next_cpu(const cpu_set_t *allowed, int cpu)
{
	do
		cpu = (cpu + 1) % CPU_SETSIZE;
	while (!CPU_ISSET(cpu, allowed));
	return cpu;
}

static void move_threads(const pthread_t *threads)
{
	cpu_set_t allowed, one;
	int cpu = 0;

	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	while (__atomic_load_n(&busy, __ATOMIC_ACQUIRE)) {
		for (int i = 0; i < THREADS; i++) {
			cpu = next_cpu(&allowed, cpu);
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			pthread_setaffinity_np(threads[i], sizeof(one), &one);
		}
		/* Each has another CPU the next time round. */
		cpu = next_cpu(&allowed, cpu);
	}
}

/* Without, and with migration. */
START_TEST(in_a_tree)
{
	pthread_t threads[THREADS];

	make_groups();
	busy = THREADS;
	pthread_barrier_init(&barrier, NULL, THREADS + 1);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work,
						(void *)i), 0);
	for (int phase = 0; phase < PHASES; phase++) {
		if (_i)
			move_threads(threads);
		pthread_barrier_wait(&barrier);
		expect_exact();
		busy = THREADS;
		pthread_barrier_wait(&barrier);
	}
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	all_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg_threads");
	TCase *tc = tcase_create("threads");

	tcase_add_loop_test(tc, in_a_tree, 0, 2);
	tcase_set_timeout(tc, 120);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
