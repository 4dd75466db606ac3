// SPDX-License-Identifier: MIT
/*
 * Memory pools: who waits, many threads with few elements, fork().
 */
#include "pools.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- who waits --- */

START_TEST(first_come)
{
	struct rn_mempool *pool = poor_pool(1);
	void *p = rn_mempool_alloc(pool, 0);
	struct taker t[4];

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		start_and_queue(&t[i], pool);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		rn_mempool_free(p, pool);
		ck_assert_int_eq(pthread_join(t[i].thread, NULL), 0);
		p = got(&t[i]);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq(rn_mempool_available(pool), 0);
		for (size_t k = i + 1; k < ARRAY_LEN(t); k++)
			ck_assert_ptr_null(got(&t[k]));
	}
	rn_mempool_free(p, pool);
	expect_whole(pool);
}
END_TEST

/* Other ways in which a wait ends. */
START_TEST(resize_serves)
{
	struct rn_mempool *pool = poor_pool(1);
	void *p = rn_mempool_alloc(pool, 0);
	struct taker t[3];

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		start_and_queue(&t[i], pool);
	stderr_catch();
	ck_assert_int_eq(rn_mempool_destroy(pool), -EBUSY);
	free(stderr_caught());
	/* Two from a larger reserve, one from the allocator. */
	let_succeed(3);
	ck_assert_int_eq(rn_mempool_resize(pool, 3), 0);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		ck_assert_int_eq(pthread_join(t[i].thread, NULL), 0);
		ck_assert_ptr_nonnull(got(&t[i]));
	}
	ck_assert_int_eq(live(), 4);
	rn_mempool_free(p, pool);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		rn_mempool_free(got(&t[i]), pool);
	expect_whole(pool);
}
END_TEST

START_TEST(cancel_in_queue)
{
	struct rn_mempool *pool = poor_pool(1);
	void *p = rn_mempool_alloc(pool, 0), *end;
	struct taker t[3];

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		start_and_queue(&t[i], pool);
	for (size_t i = 0; i < ARRAY_LEN(t); i += 2) {
		pthread_cancel(t[i].thread);
		ck_assert_int_eq(pthread_join(t[i].thread, &end), 0);
		ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	}
	rn_mempool_free(p, pool);
	ck_assert_int_eq(pthread_join(t[1].thread, &end), 0);
	rn_mempool_free(got(&t[1]), pool);
	expect_whole(pool);
}
END_TEST

/* An element is on its way to a thread that is cancelled. */
START_TEST(cancel_when_served)
{
	struct rn_mempool *pool = poor_pool(1);

	for (int i = 0; i < 20; i++) {
		void *p = rn_mempool_alloc(pool, 0), *end;
		struct taker t;

		start_and_queue(&t, pool);
		pthread_cancel(t.thread);
		/* It looks whether it is cancelled each 100 ms. */
		usleep(98000 + i * 200);
		rn_mempool_free(p, pool);
		ck_assert_int_eq(pthread_join(t.thread, &end), 0);
		if (end != PTHREAD_CANCELED)
			rn_mempool_free(got(&t), pool);
		ck_assert_uint_eq(rn_mempool_available(pool), 1);
	}
	expect_whole(pool);
}
END_TEST

/* --- many threads --- */

enum { THREADS = 8 };

static struct rn_mempool *shared;
static unsigned int rounds;
static bool stop;

static bool stopped(void)
{
	return __atomic_load_n(&stop, __ATOMIC_RELAXED);
}

static void hold(struct element *e)
{
	must(e && !__atomic_exchange_n(&e->busy, 1, __ATOMIC_ACQ_REL));
}

static void let_go(struct element *e)
{
	must(__atomic_exchange_n(&e->busy, 0, __ATOMIC_ACQ_REL) == 1);
	rn_mempool_free(e, shared);
}

static void *one_at_a_time(void *arg)
{
	for (unsigned int i = 0; i < rounds && !stopped(); i++) {
		struct element *e = rn_mempool_alloc(shared, RN_NOFAIL);

		hold(e);
		if (i % 16 == 0)
			sched_yield();
		let_go(e);
	}
	return arg;
}

/* Two hands, neither of which waits while the other holds something. */
static void *by_chance(void *arg)
{
	uint64_t random = (uintptr_t)arg + 1;

	for (unsigned int i = 0; i < rounds; i++) {
		struct element *a = NULL, *b;

		switch (xorshift(&random) % 4) {
		case 0:
			a = rn_mempool_alloc(shared, RN_NOWAIT);
			break;
		case 1:
			a = rn_mempool_alloc_preallocated(shared);
			break;
		case 2:
			a = rn_mempool_alloc_timeout(shared, 0, 1);
			break;
		default:
			a = rn_mempool_alloc(shared, 0);
		}
		b = rn_mempool_alloc(shared, RN_NOWAIT);
		if (a)
			hold(a);
		if (b)
			hold(b);
		if (a)
			let_go(a);
		if (b)
			let_go(b);
	}
	return NULL;
}

static void start_all(pthread_t *t, void *(*what)(void *))
{
	for (uintptr_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, what, (void *)i),
				 0);
}

static void join_all(const pthread_t *t)
{
	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
}

/* All get on, with one element, or two, and no allocator. */
START_TEST(progress)
{
	pthread_t t[THREADS];

	rounds = 4000 / LESS;
	shared = poor_pool(_i + 1);
	start_all(t, one_at_a_time);
	join_all(t);
	expect_whole(shared);
}
END_TEST

START_TEST(resized_meanwhile)
{
	pthread_t t[THREADS];
	uint64_t random = 42;
	int ret;

	rounds = 20000 / LESS;
	shared = poor_pool(3);
	start_all(t, by_chance);
	for (int i = 0; i < 200; i++) {
		/* At times there is an allocator. */
		let_succeed(xorshift(&random) % 8);
		ret = rn_mempool_resize(shared, 1 + xorshift(&random) % 8);
		ck_assert(ret == 0 || ret == -ENOMEM);
	}
	let_succeed(0);
	join_all(t);
	expect_whole(shared);
}
END_TEST

static void *resize_often(void *arg)
{
	uint64_t random = (uintptr_t)arg + 1;

	for (unsigned int i = 0; i < rounds; i++) {
		int ret = rn_mempool_resize(shared,
					    1 + xorshift(&random) % 50);

		must(ret == 0 || ret == -EBUSY);
	}
	return NULL;
}

START_TEST(resized_by_many)
{
	pthread_t t[THREADS];

	rounds = 2000 / LESS;
	shared = poor_pool(3);
	let_succeed(-1);
	start_all(t, resize_often);
	join_all(t);
	expect_whole(shared);
}
END_TEST

/* --- fork --- */

static void expect_child_ok(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		ck_abort_msg("pid %d, status %#x", pid, status);
}

/* ThreadSanitizer lets a child of several threads have none of its own. */
#ifdef SANITIZER_THREAD
#define CHILD_HAS_THREADS	false
#else
#define CHILD_HAS_THREADS	true
#endif

/* The child has the elements, and no waiter. */
START_TEST(fork_with_waiters)
{
	struct rn_mempool *pool = poor_pool(2);
	void *p = rn_mempool_alloc(pool, 0), *q = rn_mempool_alloc(pool, 0);
	struct taker t[2], own_taker;
	pid_t pid;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		start_and_queue(&t[i], pool);
	pid = fork();
	if (!pid) {
		alarm(30);
		rn_mempool_free(p, pool);
		ck_assert_uint_eq(rn_mempool_available(pool), 1);
		ck_assert_ptr_eq(rn_mempool_alloc(pool, 0), p);
		/* Those who wait in the child are served there. */
		if (CHILD_HAS_THREADS) {
			start_and_queue(&own_taker, pool);
			rn_mempool_free(q, pool);
			ck_assert_int_eq(pthread_join(own_taker.thread, NULL),
					 0);
			ck_assert_ptr_eq(got(&own_taker), q);
		}
		rn_mempool_free(p, pool);
		rn_mempool_free(q, pool);
		expect_whole(pool);
		_exit(0);
	}
	expect_child_ok(pid);
	rn_mempool_free(p, pool);
	rn_mempool_free(q, pool);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		ck_assert_int_eq(pthread_join(t[i].thread, NULL), 0);
		rn_mempool_free(got(&t[i]), pool);
	}
	expect_whole(pool);
}
END_TEST

/* All that nobody has in hand is there in the child, and can be had. */
START_TEST(fork_beside_threads)
{
	pthread_t t[THREADS];

	rounds = -1;
	shared = poor_pool(THREADS + 2);
	start_all(t, one_at_a_time);
	for (int i = 0; i < 100 / LESS; i++) {
		struct element *e = rn_mempool_alloc(shared, 0);
		pid_t pid = fork();

		if (!pid) {
			unsigned int n = rn_mempool_available(shared);

			alarm(30);
			must(n);
			while (n--)
				must(rn_mempool_alloc(shared, RN_NOFAIL));
			must(!rn_mempool_alloc(shared, RN_NOWAIT));
			rn_mempool_free(e, shared);
			must(rn_mempool_alloc(shared, RN_NOFAIL) == e);
			_exit(0);
		}
		expect_child_ok(pid);
		rn_mempool_free(e, shared);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	join_all(t);
	expect_whole(shared);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mempool_threads");
	TCase *waiting = tcase_create("waiting");
	TCase *threads = tcase_create("threads");

	tcase_add_test(waiting, first_come);
	tcase_add_test(waiting, resize_serves);
	tcase_add_test(waiting, cancel_in_queue);
	tcase_add_test(waiting, cancel_when_served);
	tcase_add_test(waiting, fork_with_waiters);
	tcase_add_loop_test(threads, progress, 0, 2);
	tcase_add_test(threads, resized_meanwhile);
	tcase_add_test(threads, resized_by_many);
	tcase_add_test(threads, fork_beside_threads);
	tcase_set_timeout(waiting, 60);
	tcase_set_timeout(threads, 60);
	suite_add_tcase(s, waiting);
	suite_add_tcase(s, threads);
	return suite_main(s);
}
