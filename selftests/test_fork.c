// SPDX-License-Identifier: MIT
/*
 * fork() while other threads allocate: the child's allocator works, what was
 * allocated before is there in both, and the parent goes on undisturbed.
 */
#include "helpers.h"
#include "stress.h"

#include <pthread.h>
#include <rn/pages.h>
#include <rn/slab.h>
#include <rn/vmstat.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define FORKS	(200 / LESS)
#define KEPT	200
#define NEW	300

static void *kept[KEPT];	/* by the thread that forks */

/*
 * The child, without help of malloc() or stdio, whose locks another thread may
 * have held. ck_abort_msg() ends a child with 1.
 */
static void child_works(uint64_t number)
{
	uint64_t random = number;
	void *p[NEW];

	alarm(30);
	for (int i = 0; i < KEPT / 2; i++)
		stress_end(kept[i]);
	for (int i = 0; i < NEW; i++)
		p[i] = stress_new(&random);
	if (number % 4 == 0)
		rn_shrink_all();
	for (int i = 0; i < NEW; i++)
		stress_end(p[i]);
	for (int i = KEPT / 2; i < KEPT; i++)
		stress_end(kept[i]);
}

static void expect_child_ok(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		ck_abort_msg("pid %d, status %#x", pid, status);
}

static void fork_once(int i)
{
	pid_t pid = fork();

	if (!pid) {
		child_works(i + 1);
		_exit(0);
	}
	expect_child_ok(pid);
}

static void keep_some(uint64_t random)
{
	for (int i = 0; i < KEPT; i++)
		kept[i] = stress_new(&random);
}

static void let_go(void)
{
	for (int i = 0; i < KEPT; i++)
		stress_end(kept[i]);
}

static void expect_nothing_left(unsigned long before)
{
	stress_clear();
	ck_assert_uint_eq(slabinfo_active(), before);
	stress_destroy_caches();
}

START_TEST(fork_beside_threads)
{
	unsigned long before;

	stress_make_caches();
	before = slabinfo_active();
	keep_some(7);
	stress_start(STRESS_THREADS, 0);
	for (int i = 0; i < FORKS; i++)
		fork_once(i);
	stress_join();
	let_go();
	expect_nothing_left(before);
}
END_TEST

/* --- several threads fork, children fork again --- */

static void grandchild(uint64_t number)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		child_works(number);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status)
		_exit(2);
}

static void *fork_often(void *arg)
{
	for (int i = 0; i < FORKS / 6; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(60);
			grandchild(i + 1);
			child_works(i + 2);
			_exit(0);
		}
		expect_child_ok(pid);
	}
	return NULL;
}

START_TEST(many_fork)
{
	unsigned long before;
	pthread_t t[3];

	stress_make_caches();
	before = slabinfo_active();
	keep_some(7);
	stress_start(4, 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, fork_often, NULL);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	stress_join();
	let_go();
	expect_nothing_left(before);
}
END_TEST

/* --- fork, and nobody else there --- */

/* Writes of one are not seen by the other. */
START_TEST(memory_is_apart)
{
	char *p = rn_alloc(100, 0), *large = rn_alloc(5 << 20, 0);
	pid_t pid;

	pattern_set(p, 100, 1);
	pattern_set(large, 5 << 20, 1);
	pid = fork();
	if (!pid) {
		bool ok = pattern_ok(p, 100, 1) &&
			  pattern_ok(large, 5 << 20, 1);

		pattern_set(p, 100, 2);
		pattern_set(large, 5 << 20, 2);
		p = rn_realloc(p, 5000, 0);
		large = rn_realloc(large, 50 << 20, 0);
		rn_free(p);
		rn_free(large);
		_exit(ok && p && large ? 0 : 1);
	}
	expect_child_ok(pid);
	ck_assert(pattern_ok(p, 100, 1));
	ck_assert(pattern_ok(large, 5 << 20, 1));
	rn_free(p);
	rn_free(large);
}
END_TEST

/* The child counts as the parent did, and on from there. */
START_TEST(child_counts)
{
	struct slabinfo s;
	pid_t pid;

	stress_make_caches();
	for (int i = 0; i < 100; i++)
		kept[i] = rn_cache_alloc(stress_caches[0], 0);
	pid = fork();
	if (!pid) {
		for (int i = 0; i < 40; i++)
			rn_cache_free(stress_caches[0], kept[i]);
		rn_cache_shrink(stress_caches[0]);
		ck_assert(slabinfo_of("stress-56", &s));
		_exit(s.active == 60 ? 0 : 1);
	}
	expect_child_ok(pid);
	ck_assert(slabinfo_of("stress-56", &s));
	ck_assert_uint_eq(s.active, 100);
	for (int i = 0; i < 100; i++)
		rn_cache_free(stress_caches[0], kept[i]);
	stress_destroy_caches();
}
END_TEST

/* A child that was forked before the first call starts on its own. */
START_TEST(fork_before_first_call)
{
	pid_t pid = fork();
	void *p = rn_alloc(100, 0);

	pattern_set(p, 100, 3);
	rn_free(p);
	if (!pid)
		_exit(0);
	expect_child_ok(pid);
}
END_TEST

static pthread_barrier_t start;
static bool first_call_done;

static void *first_call(void *arg)
{
	pthread_barrier_wait(&start);
	rn_free(rn_alloc(10, 0));
	__atomic_store_n(&first_call_done, true, __ATOMIC_RELEASE);
	return arg;
}

/* Forks while another thread is about @spins into the first call. */
static void fork_into_first_call(int spins)
{
	pthread_t thread;
	pid_t pid;

	ck_assert_int_eq(pthread_barrier_init(&start, NULL, 2), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, first_call, NULL), 0);
	/* It may have ended when we fork; the child cannot join it. */
	pthread_detach(thread);
	pthread_barrier_wait(&start);
	for (volatile int i = 0; i < spins; i++)
		;
	pid = fork();
	if (!pid) {
		alarm(20);
		rn_free(rn_alloc(100, 0));
		_exit(0);
	}
	expect_child_ok(pid);
	while (!__atomic_load_n(&first_call_done, __ATOMIC_ACQUIRE))
		usleep(100);
}

/* Of 400 such children 19 hung when the handlers were registered too late. */
START_TEST(fork_during_first_call)
{
	for (int i = 0; i < 400 / LESS; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(30);
			fork_into_first_call(i * 500 * LESS);
			_exit(0);
		}
		expect_child_ok(pid);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("fork");
	TCase *threads = tcase_create("threads");
	TCase *alone = tcase_create("alone");

	tcase_add_test(threads, fork_beside_threads);
	tcase_add_test(threads, many_fork);
	tcase_add_test(threads, fork_during_first_call);
	tcase_add_test(alone, memory_is_apart);
	tcase_add_test(alone, child_counts);
	tcase_add_test(alone, fork_before_first_call);
	tcase_set_timeout(threads, 90);
	tcase_set_timeout(alone, 30);
	suite_add_tcase(s, threads);
	suite_add_tcase(s, alone);
	return suite_main(s);
}
