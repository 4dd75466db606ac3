// SPDX-License-Identifier: MIT
/*
 * Execution memory by the id of a piece of work, and entries of storage by
 * theirs: what belongs to an id, who may use it, and how it is given back.
 */
#define _GNU_SOURCE
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOTAL	(256 * MIB)

/* Any number is an id. */
static const uint64_t odd_ids[] = {
	0, 1, 2, 1UL << 31, 1UL << 32, (1UL << 32) + 1, 1UL << 63,
	UINT64_MAX - 1, UINT64_MAX,
};

/* --- execution memory of an id --- */

START_TEST(any_id)
{
	pools_start(TOTAL, NULL);
	for (size_t i = 0; i < ARRAY_LEN(odd_ids); i++) {
		ck_assert_uint_eq(rn_exec_held(odd_ids[i]), 0);
		ck_assert_int_eq(rn_exec_release(odd_ids[i]), -ENOENT);
		exec_acquired(odd_ids[i], 100 * (i + 1));
		/* They have nothing to do with those of entries. */
		ck_assert(!is_cached(odd_ids[i]));
		entry_acquired(odd_ids[i], (i + 1) * 4 * KIB);
	}
	for (size_t i = 0; i < ARRAY_LEN(odd_ids); i++) {
		size_t bytes = 0;

		ck_assert_uint_eq(rn_exec_held(odd_ids[i]),
				  exec_size(100 * (i + 1)));
		ck_assert_ptr_nonnull(rn_storage_lookup(odd_ids[i], &bytes));
		ck_assert_uint_eq(bytes, (i + 1) * 4 * KIB);
	}
	for (size_t i = 0; i < ARRAY_LEN(odd_ids); i++) {
		exec_release(odd_ids[i]);
		ck_assert_int_eq(rn_exec_release(odd_ids[i]), -ENOENT);
		entry_release(odd_ids[i]);
		ck_assert_int_eq(rn_storage_release(odd_ids[i]), -ENOENT);
	}
	pools_end();
}
END_TEST

#define OBJECTS	6000

static size_t random_size(uint64_t *random)
{
	size_t bits = xorshift(random) % 17;

	return 1 + xorshift(random) % (1UL << bits);
}

static void whole_or_abort(const void *p, size_t bytes, uint64_t seed)
{
	if (!pattern_ok(p, bytes, seed))
		ck_abort_msg("%p: the contents changed", p);
}

/* Of all sizes: what is held is exact, also when some were given back. */
START_TEST(thousands_of_objects)
{
	static struct { void *p; size_t bytes; } o[OBJECTS];
	uint64_t random = 0x5eed;
	size_t held = 0;

	pools_start(TOTAL, NULL);
	exec_granted(1000, 0);
	exec_acquired(8, 1000);
	for (size_t i = 0; i < OBJECTS; i++) {
		o[i].bytes = i % 500 ? random_size(&random) : MIB + i;
		o[i].p = exec_acquired(7, o[i].bytes);
		held += rn_size(o[i].p);
		pattern_set(o[i].p, o[i].bytes, i);
		if (i % 100 == 0)
			ck_assert_uint_eq(rn_exec_held(7), held);
	}
	ck_assert_uint_eq(rn_exec_held(7), held);
	for (size_t i = 0; i < OBJECTS; i += 3) {
		whole_or_abort(o[i].p, o[i].bytes, i);
		held -= rn_size(o[i].p);
		rn_exec_free(o[i].p);
		if (i % 100 == 0)
			ck_assert_uint_eq(rn_exec_held(7), held);
	}
	ck_assert_uint_eq(rn_exec_held(7), held);
	for (size_t i = 0; i < OBJECTS; i++)
		if (i % 3)
			whole_or_abort(o[i].p, o[i].bytes, i);
	exec_release(7);
	ck_assert_uint_eq(rn_exec_held(7), 0);
	ck_assert_int_eq(rn_exec_release(7), -ENOENT);
	ck_assert_uint_eq(exec_usage(), 2 * exec_size(1000));
	ck_assert_uint_eq(rn_exec_held(8), exec_size(1000));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Of many at a time, each holds its own. */
START_TEST(thousands_of_ids)
{
	const uint64_t nr = 20000 / LESS;

	pools_start(TOTAL, NULL);
	for (int round = 0; round < 3; round++)
		for (uint64_t id = 0; id < nr; id++)
			exec_acquired(id * 4096, 8 + id % 200);
	for (uint64_t id = 0; id < nr; id++) {
		size_t size = exec_size(8 + id % 200);

		if (rn_exec_held(id * 4096) != 3 * size)
			ck_abort_msg("id %lu has %zu", (unsigned long)id,
				     rn_exec_held(id * 4096));
	}
	for (uint64_t id = 0; id < nr; id++)
		exec_release((nr - 1 - id) * 4096);
	pools_end();
}
END_TEST

/* The last object that is given back is the end of the id. */
START_TEST(given_back_one_by_one)
{
	void *p[100];

	pools_start(TOTAL, NULL);
	for (int i = 0; i < 100; i++)
		p[i] = exec_acquired(7, 1 + i * 1000);
	for (int i = 0; i < 100; i++)
		rn_exec_free(p[(i * 37) % 100]);
	ck_assert_uint_eq(rn_exec_held(7), 0);
	ck_assert_int_eq(rn_exec_release(7), -ENOENT);
	exec_acquired(7, 100);
	ck_assert_uint_eq(rn_exec_held(7), exec_size(100));
	exec_release(7);
	pools_end();
}
END_TEST

/* What has no id is no id's. */
START_TEST(without_an_id)
{
	void *p, *q;

	pools_start(TOTAL, NULL);
	p = exec_granted(100, 0);
	q = exec_acquired(0, 100);
	ck_assert_uint_eq(rn_exec_held(0), rn_size(q));
	exec_release(0);
	memset(p, 1, 100);
	ck_assert_uint_eq(exec_usage(), rn_size(p));
	rn_exec_free(p);
	pools_end();
}
END_TEST

/* More than a request may be, in segments of one id. */
START_TEST(in_segments)
{
	const size_t segment = 8 * MIB, nr = 13;
	unsigned char *at[13];

	pools_start(TOTAL, NULL);
	for (size_t i = 0; i < nr; i++) {
		at[i] = exec_acquired(7, segment);
		at[i][0] = at[i][segment - 1] = (unsigned char)i;
	}
	ck_assert_uint_eq(rn_exec_held(7), nr * segment);
	for (size_t i = 0; i < nr; i++)
		ck_assert(at[i][0] == i && at[i][segment - 1] == i);
	exec_release(7);
	pools_end();
}
END_TEST

/* --- entries --- */

START_TEST(an_entry)
{
	size_t bytes = 0;
	char *p, *q;

	pools_start(TOTAL, NULL);
	errno = 0;
	ck_assert_ptr_null(rn_storage_pin(1, &bytes));
	ck_assert_int_eq(errno, ENOENT);
	errno = 0;
	ck_assert_ptr_null(rn_storage_lookup(1, &bytes));
	ck_assert_int_eq(errno, ENOENT);
	ck_assert_int_eq(rn_storage_unpin(1), -ENOENT);
	ck_assert_int_eq(rn_storage_release(1), -ENOENT);
	p = entry_acquired(1, 5000);
	pattern_set(p, 5000, 1);
	entry_declined(1, 5000, EEXIST);
	entry_declined(1, 4 * KIB, EEXIST);
	q = rn_storage_pin(1, &bytes);
	ck_assert_ptr_eq(q, p);
	ck_assert_uint_eq(bytes, 5000);
	ck_assert_ptr_eq(rn_storage_pin(1, NULL), p);
	/* Others are using it. */
	ck_assert_int_eq(rn_storage_release(1), -EBUSY);
	entry_unpin(1);
	ck_assert_int_eq(rn_storage_release(1), -EBUSY);
	ck_assert(pattern_ok(p, 5000, 1));
	entry_unpin(1);
	entry_declined(1, 5000, EEXIST);
	/* The one pin goes with it. */
	entry_release(1);
	ck_assert_int_eq(rn_storage_release(1), -ENOENT);
	ck_assert_int_eq(rn_storage_unpin(1), -ENOENT);
	ck_assert(!is_cached(1));
	pools_end();
}
END_TEST

/* Without any pin too; and it may be made anew. */
START_TEST(an_entry_without_a_pin)
{
	pools_start(TOTAL, NULL);
	for (int i = 0; i < 3; i++) {
		char *p = entry_cached(1, 4 * KIB << i);

		ck_assert_ptr_eq(entry_pinned(1), p);
		entry_unpin(1);
		ck_assert_ptr_eq(rn_storage_lookup(1, NULL), p);
		ck_assert_uint_eq(storage_usage(), 4 * KIB << i);
		entry_release(1);
	}
	pools_end();
}
END_TEST

/* A pin too many given back takes nobody's away. */
START_TEST(unpinned_too_often)
{
	pools_start(TOTAL, NULL);
	entry_cached(1, 4 * KIB);
	ck_assert_int_lt(rn_storage_unpin(1), 0);
	ck_assert_int_lt(rn_storage_unpin(1), 0);
	entry_pinned(1);
	entry_pinned(1);
	ck_assert_int_eq(rn_storage_release(1), -EBUSY);
	entry_unpin(1);
	entry_unpin(1);
	entry_release(1);
	pools_end();
}
END_TEST

START_TEST(thousands_of_entries)
{
	const uint64_t nr = 20000 / LESS;

	pools_start(TOTAL, NULL);
	for (uint64_t id = 0; id < nr; id++)
		*(uint64_t *)entry_cached(id * 4096, 4 * KIB) = id;
	ck_assert_uint_eq(storage_usage(), nr * 4 * KIB);
	for (uint64_t id = 0; id < nr; id += 2)
		entry_release(id * 4096);
	for (uint64_t id = 0; id < nr; id++) {
		uint64_t *p = rn_storage_pin(id * 4096, NULL);

		if (!p != (id % 2 == 0) || (p && *p != id))
			ck_abort_msg("entry %lu", (unsigned long)id);
	}
	ck_assert_uint_eq(storage_usage(), nr / 2 * 4 * KIB);
	for (uint64_t id = 1; id < nr; id += 2)
		entry_release(id * 4096);
	pools_end();
}
END_TEST

/* --- threads that are gone --- */

static size_t left_behind;

static void take_and_leave(void)
{
	for (int i = 0; i < 100; i++) {
		void *p = exec_acquired(7, 1 + i * 700);

		left_behind += rn_size(p);
		pattern_set(p, 1, i);
	}
	pattern_set(entry_acquired(7, 64 * KIB), 64 * KIB, 7);
}

static void *returns(void *arg)
{
	take_and_leave();
	return NULL;
}

static void *exits(void *arg)
{
	take_and_leave();
	pthread_exit(NULL);
}

static void *is_cancelled(void *arg)
{
	take_and_leave();
	__atomic_store_n((int *)arg, 1, __ATOMIC_RELEASE);
	/* Nothing of its own is on the stack, which nobody would unpoison. */
	for (;;)
		pause();
	return NULL;
}

static void *is_cancelled_held(void *arg)
{
	take_and_leave();
	__atomic_store_n((int *)arg, gettid(), __ATOMIC_RELEASE);
	/* There is not as much, and nobody who frees it. */
	rn_exec_acquire(7, TOTAL);
	return NULL;
}

static void *releases(void *arg)
{
	exec_release(7);
	entry_release(7);
	return NULL;
}

/* By whatever way: what it took is its ids', for any other thread. */
START_TEST(a_thread_that_is_gone)
{
	static void *(*const ways[])(void *) = {
		returns, exits, is_cancelled, is_cancelled_held,
	};
	pthread_t thread;
	int tid = 0;

	pools_start(TOTAL, PATIENT(.exec_most = TOTAL));
	pthread_create(&thread, NULL, ways[_i], &tid);
	if (_i == 2) {
		while (!__atomic_load_n(&tid, __ATOMIC_ACQUIRE))
			sleep_ms(1);
		pthread_cancel(thread);
	} else if (_i == 3) {
		until_asleep(&tid);
		pthread_cancel(thread);
	}
	pthread_join(thread, NULL);
	ck_assert_uint_eq(rn_exec_held(7), left_behind);
	ck_assert_uint_eq(exec_usage(), left_behind);
	/* Its pin is still there: nobody has the entry evicted. */
	ck_assert(pattern_ok(entry_pinned(7), 64 * KIB, 7));
	entry_unpin(7);
	rn_shrink_all();
	ck_assert(is_cached(7));
	exec_acquired(7, 100);
	pthread_create(&thread, NULL, releases, NULL);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(rn_exec_held(7), 0);
	ck_assert(!is_cached(7));
	pools_end();
}
END_TEST

/* Parent and child have the same, each for itself. */
static void child_has_all(void)
{
	alarm(30);
	if (rn_exec_held(7) != exec_usage() || !rn_exec_held(7))
		_exit(1);
	if (!pattern_ok(rn_storage_pin(7, NULL), 64 * KIB, 7))
		_exit(2);
	if (rn_storage_unpin(7) || rn_storage_release(7) || rn_exec_release(7))
		_exit(3);
	if (total_usage())
		_exit(4);
	_exit(rn_pools_destroy() ? 5 : 0);
}

START_TEST(forked)
{
	int status = -1;
	pid_t pid;

	pools_start(TOTAL, NULL);
	take_and_leave();
	pid = fork();
	if (!pid)
		child_has_all();
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(rn_exec_held(7), left_behind);
	ck_assert(pattern_ok(entry_pinned(7), 64 * KIB, 7));
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Threads acquire for the same id, and free what others acquired. */
#define WORKERS	4

static void *shared[64];

static void *works_for_one(void *arg)
{
	uint64_t random = 0x9e3779b9 * ((uintptr_t)arg + 1);

	for (int i = 0; i < 20000 / LESS; i++) {
		size_t at = xorshift(&random) % ARRAY_LEN(shared);
		void *p = rn_exec_acquire(7, random_size(&random));

		rn_exec_free(__atomic_exchange_n(&shared[at], p,
						 __ATOMIC_ACQ_REL));
	}
	return NULL;
}

START_TEST(threads_of_one_id)
{
	pthread_t threads[WORKERS];
	size_t held = 0;

	pools_start(TOTAL, NULL);
	for (uintptr_t i = 0; i < WORKERS; i++)
		pthread_create(&threads[i], NULL, works_for_one, (void *)i);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < ARRAY_LEN(shared); i++)
		held += shared[i] ? rn_size(shared[i]) : 0;
	ck_assert_uint_eq(rn_exec_held(7), held);
	ck_assert_uint_eq(exec_usage(), held);
	exec_release(7);
	pools_end();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_ids");
	TCase *tc = tcase_create("ids");

	tcase_add_test(tc, any_id);
	tcase_add_test(tc, thousands_of_objects);
	tcase_add_test(tc, thousands_of_ids);
	tcase_add_test(tc, given_back_one_by_one);
	tcase_add_test(tc, without_an_id);
	tcase_add_test(tc, in_segments);
	tcase_add_test(tc, an_entry);
	tcase_add_test(tc, an_entry_without_a_pin);
	tcase_add_test(tc, unpinned_too_often);
	tcase_add_test(tc, thousands_of_entries);
	tcase_add_loop_test(tc, a_thread_that_is_gone, 0, 4);
	tcase_add_test(tc, forked);
	tcase_add_test(tc, threads_of_one_id);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
