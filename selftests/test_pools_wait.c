// SPDX-License-Identifier: MIT
/*
 * Requests of execution and storage memory that are held: for how long, what
 * they go on by and in which order, and how they can be given up.
 */
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* An id that no request of a test has. */
#define OTHER	77

/* Pools with nothing left, half of it in entries that are pinned. */
static void *start_full(size_t total, const struct rn_pools_options *options)
{
	size_t half = half_of(total);

	pools_start(total, options);
	entry_acquired(OTHER, half);
	return exec_granted(total - half, 0);
}

/* --- for how long --- */

START_TEST(timeout)
{
	size_t exec, storage;

	start_full(MIB, OPTIONS(.timeout = 100));
	exec = exec_usage();
	storage = storage_usage();
	for (int what = 0; what < NR_POOL_REQUESTS; what++) {
		double start = seconds(), took;

		errno = 0;
		ck_assert_ptr_null(pool_ask(what, 1, 4 * KIB));
		ck_assert_int_eq(errno, ETIMEDOUT);
		took = seconds() - start;
		ck_assert_msg(took >= 0.1 && took < 3, "%d: %g s", what, took);
		ck_assert_uint_eq(exec_usage(), exec);
		ck_assert_uint_eq(storage_usage(), storage);
	}
	/* Neither id holds anything. */
	ck_assert_uint_eq(rn_exec_held(1), 0);
	ck_assert_int_eq(rn_exec_release(1), -ENOENT);
	ck_assert_int_eq(rn_storage_release(1), -ENOENT);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- what wakes --- */

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

#define WAKES	5

/* Sooner than who is held would look by himself. */
#define SOON	(0.06 * LESS)

/* How long it took from the call that made room, in seconds. */
static double wake_once(enum pool_request what, void (*fill)(void),
			void (*make_room)(void))
{
	struct pool_asker a;
	double start;

	fill();
	ask_beside(&a, what, 1, 64 * KIB);
	start = seconds();
	make_room();
	expect_served(&a);
	pool_give(what, 1, a.got);
	return a.at - start;
}

/* Whatever was asked for goes on soon after there is room for it. */
static void expect_woken(void (*fill)(void), void (*make_room)(void),
			 void (*end)(void))
{
	for (int what = 0; what < NR_POOL_REQUESTS; what++) {
		double took[WAKES];

		for (int i = 0; i < WAKES; i++) {
			took[i] = wake_once(what, fill, make_room);
			if (end)
				end();
			ck_assert_uint_eq(total_usage(), 0);
		}
		qsort(took, WAKES, sizeof(*took), by_value);
		ck_assert_msg(took[WAKES / 2] < SOON, "%d: %g s", what,
			      took[WAKES / 2]);
	}
	ck_assert_uint_le(total_peak(), MIB);
	pools_end();
}

static void *in_the_way;

static void fill_by_alloc(void)
{
	in_the_way = exec_granted(MIB, 0);
}

static void free_it(void)
{
	rn_exec_free(in_the_way);
}

START_TEST(by_a_free)
{
	pools_start(MIB, PATIENT());
	expect_woken(fill_by_alloc, free_it, NULL);
}
END_TEST

static void fill_by_id(void)
{
	for (int i = 0; i < 16; i++)
		exec_acquired(OTHER, 64 * KIB);
}

static void release_id(void)
{
	exec_release(OTHER);
}

START_TEST(by_a_release)
{
	pools_start(MIB, PATIENT());
	expect_woken(fill_by_id, release_id, NULL);
}
END_TEST

static void *more_in_the_way;

static void fill_both(void)
{
	more_in_the_way = exec_granted(half_of(MIB), 0);
	in_the_way = storage_granted(half_of(MIB), 0);
}

static void free_storage(void)
{
	rn_storage_free(in_the_way);
}

static void free_the_rest(void)
{
	rn_exec_free(more_in_the_way);
}

START_TEST(by_a_free_of_storage)
{
	pools_start(MIB, PATIENT());
	expect_woken(fill_both, free_storage, free_the_rest);
}
END_TEST

static void fill_by_entries(void)
{
	more_in_the_way = exec_granted(MIB / 4, 0);
	for (int i = 0; i < 3; i++)
		entry_acquired(OTHER + i, MIB / 4);
}

static void release_entry(void)
{
	entry_release(OTHER);
}

static void release_others(void)
{
	for (int i = 0; i < 3; i++)
		rn_storage_release(OTHER + i);
	free_the_rest();
}

START_TEST(by_a_release_of_an_entry)
{
	pools_start(MIB, PATIENT());
	expect_woken(fill_by_entries, release_entry, release_others);
}
END_TEST

/* What may be evicted again is, for who waits for it. */
static void unpin_entry(void)
{
	entry_unpin(OTHER + 1);
}

START_TEST(by_an_unpin)
{
	pools_start(MIB, PATIENT());
	expect_woken(fill_by_entries, unpin_entry, release_others);
}
END_TEST

/*
 * No unpin is missed by who comes just then. Who is held looks by himself each
 * 100 ms, so that one that was missed is late.
 */
START_TEST(unpin_as_it_comes)
{
	const int rounds = 200 / LESS;
	uint64_t random = 1;
	int late = 0;

	pools_start(MIB, PATIENT());
	exec_granted(half_of(MIB), 0);
	for (int i = 0; i < rounds; i++) {
		struct pool_asker a;
		double start;

		entry_acquired(OTHER, half_of(MIB));
		start_asking(&a, ASK_STORAGE, 0, 4 * KIB);
		while (!__atomic_load_n(&a.tid, __ATOMIC_ACQUIRE))
			sched_yield();
		usleep(xorshift(&random) % 150);
		start = seconds();
		entry_unpin(OTHER);
		expect_served(&a);
		late += a.at - start > SOON;
		rn_storage_free(a.got);
	}
	/* On a machine that is busy some are. */
	ck_assert_int_le(late, 1 + rounds / 10);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* One pin is not enough, while another is left. */
START_TEST(by_the_last_unpin)
{
	struct pool_asker a;
	void *p = start_full(MIB, PATIENT());

	entry_pinned(OTHER);
	ask_beside(&a, ASK_STORAGE, 0, 4 * KIB);
	entry_unpin(OTHER);
	expect_nr_served(0);
	entry_unpin(OTHER);
	expect_served(&a);
	ck_assert(!is_cached(OTHER));
	rn_storage_free(a.got);
	rn_exec_free(p);
	pools_end();
}
END_TEST

/* What did not want to go is asked again when it was used again. */
static bool may_go(uint64_t id, void *p, size_t bytes, void *arg)
{
	return __atomic_load_n((bool *)arg, __ATOMIC_ACQUIRE);
}

START_TEST(by_an_unpin_after_a_veto)
{
	static bool yes;
	struct pool_asker a;

	pools_start(MIB, PATIENT(.evict = may_go, .arg = &yes));
	exec_granted(half_of(MIB), 0);
	entry_acquired(OTHER, half_of(MIB));
	ask_beside(&a, ASK_STORAGE, 0, 4 * KIB);
	entry_unpin(OTHER);
	expect_nr_served(0);
	__atomic_store_n(&yes, true, __ATOMIC_RELEASE);
	entry_pinned(OTHER);
	entry_unpin(OTHER);
	expect_served(&a);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- the order --- */

/* With and without an id, one after the other; and in storage likewise. */
static void expect_in_order(const enum pool_request *what, size_t bytes,
			    enum pool_request room)
{
	enum { NR = 6 };
	struct pool_asker a[NR];
	void *p[NR];

	pools_start(MIB, PATIENT());
	for (int i = 0; i < NR; i++)
		p[i] = pool_ask(room, 100 + i, bytes);
	exec_granted(MIB - NR * bytes, 0);
	for (int i = 0; i < NR; i++)
		ask_beside(&a[i], what[i % 2], 10 + i / 2, bytes);
	for (unsigned int i = 0; i < NR; i++) {
		pool_give(room, 100 + i, p[i]);
		expect_nr_served(i + 1);
		expect_served(&a[i]);
		ck_assert_uint_eq(a[i].order, i + 1);
		/* Who comes now waits behind them. */
		if (i + 1 < NR && room == ASK_EXEC)
			exec_declined(8, RN_NOWAIT, ENOMEM);
	}
	ck_assert_uint_le(total_peak(), MIB);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}

START_TEST(first_come_in_execution)
{
	static const enum pool_request what[] = { ASK_EXEC, ASK_EXEC_ID };

	expect_in_order(what, 4 * KIB, ASK_EXEC);
}
END_TEST

START_TEST(first_come_in_storage)
{
	static const enum pool_request what[] = { ASK_ENTRY, ASK_STORAGE };

	expect_in_order(what, 4 * KIB, ASK_STORAGE);
}
END_TEST

/* Small ones behind a large one would fit at once. */
static void expect_not_overtaken(enum pool_request front,
				 enum pool_request behind)
{
	const size_t total = 160 * KIB, half = half_of(total);
	struct pool_asker large, small[2];
	void *p[10];

	pools_start(total, PATIENT());
	for (int i = 0; i < 5; i++)
		p[i] = exec_granted(16 * KIB, 0);
	for (int i = 5; i < 10; i++)
		p[i] = storage_granted(16 * KIB, 0);
	ask_beside(&large, front, 1, half);
	for (int i = 0; i < 2; i++)
		ask_beside(&small[i], behind, 2 + i, 4 * KIB);
	for (int i = 0; i < 4; i++) {
		if (front == ASK_EXEC || front == ASK_EXEC_ID)
			rn_exec_free(p[i]);
		else
			rn_storage_free(p[5 + i]);
	}
	expect_nr_served(0);
	if (front == ASK_EXEC || front == ASK_EXEC_ID)
		rn_exec_free(p[4]);
	else
		rn_storage_free(p[9]);
	expect_nr_served(1);
	expect_served(&large);
	pool_give(front, 1, large.got);
	for (int i = 0; i < 2; i++)
		expect_served(&small[i]);
	ck_assert_uint_le(total_peak(), total);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}

START_TEST(not_overtaken)
{
	static const enum pool_request pairs[][2] = {
		{ ASK_EXEC, ASK_EXEC }, { ASK_EXEC, ASK_EXEC_ID },
		{ ASK_EXEC_ID, ASK_EXEC }, { ASK_ENTRY, ASK_ENTRY },
		{ ASK_ENTRY, ASK_STORAGE }, { ASK_STORAGE, ASK_STORAGE },
		{ ASK_STORAGE, ASK_ENTRY },
	};

	expect_not_overtaken(pairs[_i][0], pairs[_i][1]);
}
END_TEST

/* Who gives up lets those behind it have what they need. */
START_TEST(gives_up_in_front)
{
	struct pool_asker large, small;
	void *p;

	pools_start(160 * KIB, OPTIONS(.timeout = 400));
	p = exec_granted(100 * KIB, 0);
	ask_beside(&large, ASK_EXEC, 0, 96 * KIB);
	/* So much longer it is held, at most, and has nobody before it then. */
	sleep_ms(200);
	start_asking(&small, ASK_EXEC_ID, 1, 100);
	expect_served(&small);
	pthread_join(large.thread, NULL);
	ck_assert_ptr_null(large.got);
	ck_assert_int_eq(large.error, ETIMEDOUT);
	exec_release(1);
	rn_exec_free(p);
	pools_end();
}
END_TEST

/* --- given up --- */

static void expect_cancelled(struct pool_asker *a)
{
	void *result;

	ck_assert_int_eq(pthread_cancel(a->thread), 0);
	ck_assert_int_eq(pthread_join(a->thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
}

/* It leaves nothing: no charge, no id, no place in the queue. */
START_TEST(cancelled)
{
	for (int what = 0; what < NR_POOL_REQUESTS; what++) {
		struct pool_asker large, small;
		void *p = start_full(MIB, PATIENT());

		ask_beside(&large, what, 1, 64 * KIB);
		ask_beside(&small, what, 2, 4 * KIB);
		expect_cancelled(&large);
		ck_assert_uint_eq(total_usage(), MIB);
		ck_assert_uint_eq(rn_exec_held(1), 0);
		ck_assert(!is_cached(1));
		ck_assert_int_eq(rn_pools_destroy(), -EBUSY);
		rn_exec_free(p);
		expect_served(&small);
		pool_give(what, 2, small.got);
		/* The id is free to be used. */
		p = pool_ask(what, 1, 4 * KIB);
		ck_assert_ptr_nonnull(p);
		pool_give(what, 1, p);
		entry_release(OTHER);
		pools_end();
	}
}
END_TEST

/* Cancelled as it is served: it has got it, or leaves nothing. */
START_TEST(cancelled_meanwhile)
{
	uint64_t random = 1;

	pools_start(64 * KIB, PATIENT());
	for (int i = 0; i < 300 / LESS; i++) {
		enum pool_request what = i % 3 ? i % 3 == 1 ? ASK_EXEC_ID :
					 ASK_ENTRY : ASK_EXEC;
		volatile unsigned int pause = xorshift(&random) % 6000;
		void *p = exec_granted(64 * KIB, 0);
		struct pool_asker a;

		start_asking(&a, what, 1, 16 * KIB);
		while (!__atomic_load_n(&a.tid, __ATOMIC_ACQUIRE))
			sched_yield();
		/* It may be held by now, or not yet. */
		if (i % 4)
			usleep(xorshift(&random) % 200);
		if (i / 3 % 2)
			rn_exec_free(p);
		while (pause)
			pause--;
		pthread_cancel(a.thread);
		if (i / 3 % 2 == 0)
			rn_exec_free(p);
		pthread_join(a.thread, NULL);
		if (a.got)
			pool_give(what, 1, a.got);
		ck_assert_uint_eq(total_usage(), 0);
	}
	ck_assert_uint_le(total_peak(), 64 * KIB);
	pools_end();
}
END_TEST

/* --- fork() --- */

static void child_has_no_waiter(void *p)
{
	alarm(30);
	if (total_usage() != MIB)
		_exit(1);
	rn_exec_free(p);
	entry_unpin(OTHER);
	/* In the order of those who wait here: nobody. */
	if (!rn_exec_alloc(half_of(MIB), 0))
		_exit(2);
	if (!rn_storage_acquire(1, half_of(MIB)))
		_exit(3);
	_exit(rn_pools_destroy() ? 4 : 0);
}

START_TEST(forked)
{
	for (int what = 0; what < NR_POOL_REQUESTS; what++) {
		void *p = start_full(MIB, PATIENT());
		struct pool_asker a;
		int status = -1;
		pid_t pid;

		ask_beside(&a, what, 1, 4 * KIB);
		pid = fork();
		if (!pid)
			child_has_no_waiter(p);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, 0);
		rn_exec_free(p);
		expect_served(&a);
		ck_assert_int_eq(rn_pools_destroy(), 0);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_wait");
	TCase *tc = tcase_create("wait");

	tcase_add_test(tc, timeout);
	tcase_add_test(tc, by_a_free);
	tcase_add_test(tc, by_a_release);
	tcase_add_test(tc, by_a_free_of_storage);
	tcase_add_test(tc, by_a_release_of_an_entry);
	tcase_add_test(tc, by_an_unpin);
	tcase_add_test(tc, unpin_as_it_comes);
	tcase_add_test(tc, by_the_last_unpin);
	tcase_add_test(tc, by_an_unpin_after_a_veto);
	tcase_add_test(tc, first_come_in_execution);
	tcase_add_test(tc, first_come_in_storage);
	tcase_add_loop_test(tc, not_overtaken, 0, 7);
	tcase_add_test(tc, gives_up_in_front);
	tcase_add_test(tc, cancelled);
	tcase_add_test(tc, cancelled_meanwhile);
	tcase_add_test(tc, forked);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
