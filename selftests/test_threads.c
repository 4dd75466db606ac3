// SPDX-License-Identifier: MIT
/*
 * Many threads: what each allocates stays its own until it is freed, whoever
 * frees it and wherever the threads run, and nothing is lost in the count.
 */
#define _GNU_SOURCE
#include "helpers.h"
#include "stress.h"

#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* How slots are indexed; 0 is what the program was started with. */
static bool index_by_cid(int i, const char *test)
{
	if (!i)
		return true;
	setenv("RN_PERCPU", "cid", 1);
	if (vmstat("percpu_index_mm_cid") == 1)
		return true;
	skip_part(test, vmstat("percpu_rseq") == 1 ?
		  "the kernel has no mm_cid" : "there is no rseq");
	return false;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static unsigned long active_in(const struct rn_cache *c)
{
	struct slabinfo s;

	ck_assert(slabinfo_of(rn_cache_name(c), &s));
	return s.active;
}

/* While nobody runs, every object is accounted for; then none is left. */
static void expect_exact(unsigned long before)
{
	for (unsigned int i = 0; i < STRESS_CACHES; i++)
		ck_assert_uint_eq(active_in(stress_caches[i]), stress_held(i));
	stress_clear();
	for (unsigned int i = 0; i < STRESS_CACHES; i++)
		ck_assert_uint_eq(active_in(stress_caches[i]), 0);
	ck_assert_uint_eq(slabinfo_active(), before);
	stress_destroy_caches();
}

START_TEST(random_operations)
{
	unsigned long before;

	if (!index_by_cid(_i, "random_operations by mm_cid"))
		return;
	stress_make_caches();
	before = slabinfo_active();
	stress_start(STRESS_THREADS, 40000 / LESS);
	stress_join();
	expect_exact(before);
}
END_TEST

/* --- migration --- */

static int next_cpu(const cpu_set_t *allowed, int cpu)
{
	do
		cpu = (cpu + 1) % CPU_SETSIZE;
	while (!CPU_ISSET(cpu, allowed));
	return cpu;
}

static void move_threads(const cpu_set_t *allowed, unsigned int nr,
			 int *cpu)
{
	for (unsigned int i = 0; i < nr; i++) {
		cpu_set_t one;

		*cpu = next_cpu(allowed, *cpu);
		CPU_ZERO(&one);
		CPU_SET(*cpu, &one);
		sched_setaffinity(stress_tid(i), sizeof(one), &one);
	}
	/* Each has another CPU the next time round. */
	*cpu = next_cpu(allowed, *cpu);
}

START_TEST(migration)
{
	enum { THREADS = 3 };
	double end = now() + 1, limit = now() + 20;
	unsigned long before;
	cpu_set_t allowed;
	long aborts;
	int cpu = 0;

	if (!index_by_cid(_i, "migration by mm_cid"))
		return;
	ck_assert_int_eq(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
	stress_make_caches();
	before = slabinfo_active();
	stress_start(THREADS, 0);
	do {
		for (int i = 0; i < 100; i++)
			move_threads(&allowed, THREADS, &cpu);
		aborts = vmstat("rseq_aborts");
	} while (now() < end || (vmstat("percpu_rseq") == 1 && !aborts &&
				 now() < limit));
	stress_join();
	if (vmstat("percpu_rseq") == 1)
		ck_assert_int_gt(aborts, 0);
	else
		ck_assert_int_eq(aborts, 0);
	expect_exact(before);
}
END_TEST

/* --- other CPUs' slots emptied while they are used --- */

START_TEST(shrink_beside)
{
	enum { THREADS = 4 };
	double end = now() + 1.5;
	unsigned long before, shrinks = 0;

	if (!index_by_cid(_i, "shrink_beside by mm_cid"))
		return;
	stress_make_caches();
	before = slabinfo_active();
	stress_start(THREADS, 0);
	while (now() < end || shrinks < 2) {
		if (shrinks++ % 4)
			rn_cache_shrink(stress_caches[shrinks % 3]);
		else
			rn_shrink_all();
		/* In passing: the figures must be readable at any moment. */
		free(dump_text(rn_slabinfo));
		free(dump_text(rn_vmstat));
	}
	stress_join();
	/* Of debugged caches nothing lies in slots. */
	if (vmstat("percpu_rseq") == 1 && !all_debugged()) {
		ck_assert_int_gt(vmstat("slot_drains"), 0);
		ck_assert_int_ge(vmstat("slot_fences"), vmstat("slot_drains"));
	}
	expect_exact(before);
}
END_TEST

/* --- threads that come and go --- */

enum { BATCH = 200 };

/* Allocates a batch, and frees every other one itself. */
static void *short_life(void *arg)
{
	uint64_t random = (uint64_t)arg | 1;
	void **p = arg;

	for (int i = 0; i < BATCH; i++)
		p[i] = stress_new(&random);
	for (int i = 0; i < BATCH; i += 2) {
		stress_end(p[i]);
		p[i] = NULL;
	}
	return NULL;
}

static void *only_frees(void *arg)
{
	void **p = arg;

	for (int i = 0; i < BATCH; i++)
		stress_end(p[i]);
	return NULL;
}

static void run_four(void *(*what)(void *), void *p[4][BATCH])
{
	pthread_t t[4];

	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, what, p[i]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
}

START_TEST(threads_end)
{
	static void *p[4][BATCH];
	unsigned long before;

	stress_make_caches();
	before = slabinfo_active();
	for (int round = 0; round < 250 / LESS; round++) {
		run_four(short_life, p);
		/* Who frees has never seen the library before. */
		run_four(only_frees, p);
	}
	expect_exact(before);
}
END_TEST

/* The first call of the library comes from many threads at once. */
static pthread_barrier_t start_line;

static void *first_call(void *arg)
{
	uint64_t random = (uint64_t)&random;
	void *p;

	pthread_barrier_wait(&start_line);
	p = rn_alloc(1 + xorshift(&random) % 2000, 0);
	if (!p)
		ck_abort_msg("the first call failed");
	rn_free(p);
	return NULL;
}

START_TEST(first_call_races)
{
	pthread_t t[STRESS_THREADS];

	pthread_barrier_init(&start_line, NULL, STRESS_THREADS);
	for (int i = 0; i < STRESS_THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, first_call, NULL),
				 0);
	for (int i = 0; i < STRESS_THREADS; i++)
		pthread_join(t[i], NULL);
	ck_assert_uint_eq(slabinfo_active(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("threads");
	TCase *tc = tcase_create("threads");
	/* Where the fallback is forced there is one way only. */
	int ways = forced_fallback() ? 1 : 2;

	tcase_add_loop_test(tc, random_operations, 0, ways);
	tcase_add_loop_test(tc, migration, 0, ways);
	tcase_add_loop_test(tc, shrink_beside, 0, ways);
	tcase_add_test(tc, threads_end);
	tcase_add_loop_test(tc, first_call_races, 0, 10);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
