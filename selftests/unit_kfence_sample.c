// SPDX-License-Identifier: MIT
/*
 * Which objects come to lie between guard pages: those of programs that never
 * leave their sheaf as well, in proportion to what is allocated; and who takes
 * the samples.
 */
#define _GNU_SOURCE
#include "given.h"
#include "helpers.h"
#include "debug/kfence.h"
#include "must.h"

#include <pthread.h>
#include <rn/reclaim.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void start(const char *interval, const char *background)
{
	setenv("RN_KFENCE", "1", 1);
	setenv("RN_KFENCE_INTERVAL", interval, 1);
	if (background)
		setenv("RN_BACKGROUND", background, 1);
	init_given();
}

/* Nobody takes samples but the test. */
static void start_by_hand(void)
{
	start("100000000", "0");
	kfence_due = UINT64_MAX;
}

static bool sample(void)
{
	unsigned int ticket = gate_enter();
	bool used = kfence_sample();

	gate_exit(ticket);
	return used;
}

static void churn(size_t size, int times)
{
	while (times--)
		rn_free(rn_alloc(opaque(size), 0));
}

/* --- what is picked --- */

START_TEST(in_proportion)
{
	int rows[2] = { 0 }, other = 0;
	const int rounds = 1000;

	start_by_hand();
	for (int i = 0; i < rounds; i++) {
		churn(64, 80);
		churn(512, 20);
		ck_assert(sample());
		rows[0] += kfence_gate == size_to_row(64);
		rows[1] += kfence_gate == size_to_row(512);
		kfence_gate = 0;
	}
	other = rounds - rows[0] - rows[1];
	/* Thirteen standard deviations. */
	ck_assert_int_lt(abs(rows[0] - 800), 165);
	ck_assert_int_lt(other, 5);
}
END_TEST

START_TEST(nothing_new)
{
	start_by_hand();
	churn(64, 100);
	ck_assert(sample());
	ck_assert_uint_ne(kfence_gate, 0);
	ck_assert(!sample());
	ck_assert_uint_eq(kfence_gate, 0);
}
END_TEST

/* With one sample each, whatever is in the slots. */
START_TEST(next_one)
{
	char *held = NULL, *p;

	start_by_hand();
	for (int i = 0; i < 50; i++) {
		churn(64, 100);
		held = rn_alloc(opaque(64), 0);
		ck_assert(sample());
		ck_assert_uint_eq(kfence_gate, size_to_row(64));
		/* On which the slot would have an object again. */
		rn_free(held);
		p = rn_alloc(opaque(64), 0);
		ck_assert(kfence_has(p));
		ck_assert_uint_eq(kfence_gate, 0);
		rn_free(p);
		p = rn_alloc(opaque(64), 0);
		ck_assert(!kfence_has(p));
		rn_free(p);
	}
}
END_TEST

/* Who only frees does not wait for ever. */
START_TEST(patience)
{
	static void *p[3000];
	unsigned int i;

	start_by_hand();
	if (!percpu_has_rseq())
		return;
	for (i = 0; i < ARRAY_LEN(p); i++)
		p[i] = rn_alloc(opaque(64), 0);
	ck_assert(sample());
	for (i = 0; i < ARRAY_LEN(p) && kfence_gate; i++)
		rn_free(p[i]);
	ck_assert_uint_gt(i, 1000);
	ck_assert_uint_lt(i, 1100);
	for (; i < ARRAY_LEN(p); i++)
		rn_free(p[i]);
}
END_TEST

/* --- programs --- */

/* So many samples come while it runs, or never. */
static void expect_samples(void (*run)(void), long nr)
{
	long now = vmstat("kfence_allocs"), until = now + nr;

	for (time_t end = time(NULL) + 40; now < until; ) {
		for (int i = 0; i < 1000; i++)
			run();
		now = vmstat("kfence_allocs");
		ck_assert_int_lt(time(NULL), end);
	}
}

static void loop(void)
{
	churn(64, 10);
}

static void *longest;

/* There is no moment without it, but for two calls. */
static void hold(void)
{
	rn_free(longest);
	longest = rn_alloc(opaque(64), 0);
	for (int i = 0; i < 100; i++)
		barrier();
}

static struct rn_cache *of_cache;

static void loop_of_cache(void)
{
	rn_cache_free(of_cache, rn_cache_alloc(of_cache, 0));
}

static void (*const programs[])(void) = { loop, hold, loop_of_cache };

START_TEST(never_leaves_its_sheaf)
{
	struct rn_cache_args args = { .sz = sizeof(args), .size = 200,
				      .flags = RN_NOMERGE };

	start("1", NULL);
	of_cache = rn_cache_create("apples", &args);
	expect_samples(programs[_i], 50);
	rn_free(longest);
	ck_assert_int_eq(vmstat("kfence_bugs"), 0);
	ck_assert_int_eq(vmstat("kfence_current"), 0);
}
END_TEST

/* As many as intervals, and no more. */
START_TEST(interval)
{
	time_t end = time(NULL) + 3;

	start("50", NULL);
	while (time(NULL) < end)
		churn(64, 1000);
	ck_assert_int_gt(vmstat("kfence_allocs"), 10);
	ck_assert_int_lt(vmstat("kfence_allocs"), 70);
}
END_TEST

/* Without the thread slow paths do it, by the clock. */
START_TEST(by_slow_paths)
{
	start("1", "0");
	for (time_t end = time(NULL) + 40; vmstat("kfence_allocs") < 10; ) {
		rn_free(rn_alloc(opaque(200000), 0));
		churn(64, 100);
		ck_assert_int_lt(time(NULL), end);
	}
	ck_assert_int_eq(vmstat("background_thread"), 0);
}
END_TEST

static void wait_for_mode(u32 mode)
{
	for (int i = 0; i < 3000 && READ_ONCE(kswapd_mode) != mode; i++)
		usleep(10000);
	ck_assert_uint_eq(READ_ONCE(kswapd_mode), mode);
}

/* Nor is the thread awake for ever; and it sees when the program goes on. */
START_TEST(sleeps)
{
	setenv("RN_DECAY_MS", "80", 1);
	start("5", NULL);
	for (int i = 0; i < 2; i++) {
		expect_samples(loop, 5);
		ck_assert_uint_ne(READ_ONCE(kswapd_mode), KSWAPD_SLEEPS);
		wait_for_mode(KSWAPD_SLEEPS);
	}
}
END_TEST

/* What slots have stays there, and nobody would wake it. */
START_TEST(stays_awake)
{
	setenv("RN_DECAY_MS", "-1", 1);
	start("5", NULL);
	expect_samples(loop, 5);
	usleep(500000);
	ck_assert_uint_eq(READ_ONCE(kswapd_mode), KSWAPD_RUNS);
	expect_samples(loop, 5);
}
END_TEST

/* --- threads, and children --- */

#define THREADS	4

static bool over;

static void *work(void *arg)
{
	uint64_t seed = (uintptr_t)arg + 1;
	char *p[64] = { NULL };

	while (!READ_ONCE(over)) {
		unsigned int i = xorshift(&seed) % ARRAY_LEN(p);
		size_t size = 16 + xorshift(&seed) % 300;

		if (p[i])
			must(pattern_ok(p[i], 16, (uintptr_t)p[i]));
		rn_free(p[i]);
		p[i] = rn_alloc(size, 0);
		pattern_set(p[i], 16, (uintptr_t)p[i]);
	}
	for (unsigned int i = 0; i < ARRAY_LEN(p); i++)
		rn_free(p[i]);
	return NULL;
}

/* Without a thread, which ThreadSanitizer would not let it start. */
static void child(void)
{
	long before = vmstat("kfence_allocs");

	rn_background_stop();
	for (time_t end = time(NULL) + 40;
	     vmstat("kfence_allocs") == before; ) {
		rn_free(rn_alloc(opaque(200000), 0));
		churn(64, 100);
		must(time(NULL) < end);
	}
	_exit(0);
}

START_TEST(threads_and_children)
{
	pthread_t threads[THREADS];
	int status;
	pid_t pid;

	start("1", NULL);
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work,
						(void *)i), 0);
	for (int i = 0; i < 40 / LESS; i++) {
		usleep(10000);
		pid = fork();
		if (!pid)
			child();
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
	}
	WRITE_ONCE(over, true);
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
	ck_assert_int_gt(vmstat("kfence_allocs"), 10);
	ck_assert_int_eq(vmstat("kfence_bugs"), 0);
	ck_assert_int_eq(vmstat("kfence_current"), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("kfence_sample");
	TCase *tc = tcase_create("kfence_sample");

	tcase_add_test(tc, in_proportion);
	tcase_add_test(tc, nothing_new);
	tcase_add_test(tc, next_one);
	tcase_add_test(tc, patience);
	tcase_add_loop_test(tc, never_leaves_its_sheaf, 0,
			    ARRAY_LEN(programs));
	tcase_add_test(tc, interval);
	tcase_add_test(tc, by_slow_paths);
	tcase_add_test(tc, sleeps);
	tcase_add_test(tc, stays_awake);
	tcase_add_test(tc, threads_and_children);
	tcase_set_timeout(tc, 90);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
