// SPDX-License-Identifier: MIT
/*
 * Requests that are held until there is room in their group: for how long, in
 * which order they are served, by what, and how they can be given up.
 */
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KIB	1024

/* A thread with one request; @order says which of all came back. */
struct asker {
	pthread_t thread;
	struct rn_memcg *m;
	size_t size;
	void *got;
	int error;
	unsigned int order;
};

static unsigned int served;

static void *ask(void *arg)
{
	struct asker *a = arg;

	a->got = rn_memcg_alloc(a->m, a->size, 0);
	a->error = errno;
	a->order = __atomic_add_fetch(&served, 1, __ATOMIC_ACQ_REL);
	return NULL;
}

/* It is in the queue of its group when this returns. */
static void ask_beside(struct asker *a, struct rn_memcg *m, size_t size)
{
	unsigned long held = rn_memcg_event(m, RN_MEMCG_EVENT_HELD);

	*a = (struct asker){ .m = m, .size = size };
	ck_assert_int_eq(pthread_create(&a->thread, NULL, ask, a), 0);
	until_held(m, held + 1);
}

static void expect_served(struct asker *a)
{
	ck_assert_int_eq(pthread_join(a->thread, NULL), 0);
	ck_assert_msg(a->got, "%zu bytes: error %d", a->size, a->error);
	ck_assert_ptr_eq(rn_memcg_of(a->got), a->m);
}

static unsigned int nr_served(void)
{
	return __atomic_load_n(&served, __ATOMIC_ACQUIRE);
}

/* So many are served by now, and no more. */
static void expect_nr_served(unsigned int nr)
{
	const struct timespec ms = { .tv_nsec = 1000000 };
	double end = seconds() + 10;

	while (nr_served() < nr && seconds() < end)
		nanosleep(&ms, NULL);
	nanosleep(&(struct timespec){ .tv_nsec = 30000000 }, NULL);
	ck_assert_uint_eq(nr_served(), nr);
}

/* Without an end: a test that waits for nothing is stopped by its timeout. */
static struct rn_memcg *patient(struct rn_memcg *parent, const char *name,
				size_t max)
{
	struct rn_memcg *m = group_of(parent, name, max);

	ck_assert_int_eq(rn_memcg_set_timeout(m, RN_MEMCG_FOREVER), 0);
	return m;
}

/* --- for how long --- */

START_TEST(timeout)
{
	struct rn_memcg *m = group_of(NULL, "full", 64 * KIB), *below;
	void *p = granted(m, 64 * KIB, 0);
	double start, took;

	ck_assert_int_eq(rn_memcg_set_timeout(m, 200), 0);
	/* A child has its parent's. */
	below = group(m, "below");
	start = seconds();
	declined(m, 100, 0, ETIMEDOUT);
	took = seconds() - start;
	ck_assert_msg(took >= 0.2 && took < 3, "%g s", took);
	start = seconds();
	declined(below, 100, 0, ETIMEDOUT);
	took = seconds() - start;
	ck_assert_msg(took >= 0.2 && took < 3, "%g s", took);
	ck_assert_int_eq(rn_memcg_set_timeout(m, 0), 0);
	declined(m, 100, 0, ETIMEDOUT);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HELD), 2);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_FAIL), 2);
	ck_assert_uint_eq(rn_memcg_event(below, RN_MEMCG_EVENT_HELD), 1);
	ck_assert_uint_eq(rn_memcg_peak(m), 64 * KIB);
	rn_free(p);
	group_end(below);
	group_end(m);
}
END_TEST

/* --- what wakes --- */

START_TEST(by_a_free)
{
	struct rn_memcg *m = patient(NULL, "full", 100 * KIB);
	void *p[100];
	struct asker a;

	for (int i = 0; i < 100; i++)
		p[i] = granted(m, KIB, 0);
	for (int i = 0; i < 100; i++) {
		if (i % 20) {
			rn_free(p[i]);
			p[i] = granted(m, KIB, 0);
			continue;
		}
		ask_beside(&a, m, KIB);
		rn_free(p[i]);
		expect_served(&a);
		p[i] = a.got;
	}
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HELD), 5);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_FAIL), 0);
	ck_assert_uint_eq(rn_memcg_usage(m), 100 * KIB);
	ck_assert_uint_eq(rn_memcg_peak(m), 100 * KIB);
	for (int i = 0; i < 100; i++)
		rn_free(p[i]);
	group_end(m);
}
END_TEST

/* Of a run, of another group below the same max, by whatever function. */
START_TEST(by_a_free_beside)
{
	struct rn_memcg *top = patient(NULL, "top", 300 * KIB);
	struct rn_memcg *m = group(top, "waits"), *beside = group(top, "has");
	struct asker a;
	void *p;

	for (int i = 0; i < 4; i++) {
		p = granted(beside, i % 2 ? 40 * KIB : 280 * KIB, 0);
		ask_beside(&a, m, 290 * KIB);
		if (i < 2)
			rn_free(p);
		else
			rn_free_sensitive(p);
		expect_served(&a);
		rn_free(a.got);
	}
	ck_assert_uint_le(rn_memcg_peak(top), 300 * KIB);
	group_end(beside);
	group_end(m);
	group_end(top);
}
END_TEST

/* A sheaf with room, but with no object in it, is no place for a free. */
START_TEST(not_into_stock)
{
	static const size_t sizes[] = { 16, 256, 1024, 10240, 65536 };
	struct rn_memcg *m = patient(NULL, "m", RN_MEMCG_NO_LIMIT);
	struct asker a;
	void *p;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		set_limit(m, RN_MEMCG_MAX, sizes[i]);
		p = granted(m, sizes[i], 0);
		ask_beside(&a, m, i % 2 ? sizes[i] : 8);
		rn_free(p);
		expect_served(&a);
		rn_free(a.got);
	}
	group_end(m);
}
END_TEST

START_TEST(by_a_max)
{
	struct rn_memcg *top = patient(NULL, "top", 64 * KIB);
	struct rn_memcg *m = patient(top, "m", 64 * KIB);
	void *p = granted(m, 64 * KIB, 0);
	struct asker a;

	ask_beside(&a, m, 8);
	set_limit(m, RN_MEMCG_MAX, 64 * KIB + 8);
	expect_nr_served(0);
	set_limit(top, RN_MEMCG_MAX, 64 * KIB + 7);
	expect_nr_served(0);
	set_limit(top, RN_MEMCG_MAX, 64 * KIB + 8);
	expect_served(&a);
	rn_free(a.got);
	rn_free(p);
	group_end(m);
	group_end(top);
}
END_TEST

START_TEST(by_the_end_of_a_group)
{
	struct rn_memcg *top = patient(NULL, "top", 200 * KIB);
	struct rn_memcg *m = group(top, "waits"), *beside = group(top, "goes");
	struct asker a;

	for (int i = 0; i < 100; i++)
		granted(beside, KIB, 0);
	granted(beside, 100 * KIB, 0);
	ask_beside(&a, m, 150 * KIB);
	/* Not while somebody waits in it. */
	for (int how = RN_MEMCG_REFUSE; how <= RN_MEMCG_FREE; how++)
		ck_assert_int_eq(rn_memcg_destroy(m, how), -EBUSY);
	ck_assert_int_eq(rn_memcg_destroy(beside, RN_MEMCG_FREE), 0);
	expect_served(&a);
	rn_free(a.got);
	group_end(m);
	group_end(top);
}
END_TEST

/* RN_NOFAIL outlasts the timeout. */
static void *ask_for_sure(void *arg)
{
	struct asker *a = arg;

	a->got = rn_memcg_alloc(a->m, a->size, RN_NOFAIL);
	return NULL;
}

START_TEST(nofail)
{
	struct rn_memcg *m = group_of(NULL, "full", 64 * KIB);
	struct asker a = { .m = m, .size = 100 };
	void *p = granted(m, 64 * KIB, 0);

	ck_assert_int_eq(rn_memcg_set_timeout(m, 10), 0);
	pthread_create(&a.thread, NULL, ask_for_sure, &a);
	until_held(m, 1);
	declined(m, 100, 0, ETIMEDOUT);
	nanosleep(&(struct timespec){ .tv_nsec = 100000000 }, NULL);
	rn_free(p);
	expect_served(&a);
	rn_free(a.got);
	group_end(m);
}
END_TEST

/* --- the order --- */

START_TEST(first_come)
{
	enum { NR = 6 };
	struct rn_memcg *m = patient(NULL, "full", 10 * KIB);
	struct asker a[NR];
	void *p[10];

	for (int i = 0; i < 10; i++)
		p[i] = granted(m, KIB, 0);
	for (int i = 0; i < NR; i++)
		ask_beside(&a[i], m, KIB);
	for (unsigned int i = 0; i < NR; i++) {
		rn_free(p[i]);
		expect_nr_served(i + 1);
		expect_served(&a[i]);
		ck_assert_uint_eq(a[i].order, i + 1);
		/* Who comes now waits behind them. */
		if (i + 1 < NR)
			declined(m, 8, RN_NOWAIT, ENOMEM);
	}
	for (int i = 0; i < NR; i++)
		rn_free(a[i].got);
	for (int i = NR; i < 10; i++)
		rn_free(p[i]);
	group_end(m);
}
END_TEST

/* Small ones behind a large one would fit at once. */
START_TEST(not_overtaken)
{
	struct rn_memcg *m = patient(NULL, "full", 160 * KIB);
	struct asker large, small[2];
	void *p[10];

	for (int i = 0; i < 10; i++)
		p[i] = granted(m, 16 * KIB, 0);
	ask_beside(&large, m, 96 * KIB);
	for (int i = 0; i < 2; i++)
		ask_beside(&small[i], m, 100);
	for (int i = 0; i < 5; i++) {
		rn_free(p[i]);
		declined(m, 100, RN_NOWAIT, ENOMEM);
	}
	expect_nr_served(0);
	rn_free(p[5]);
	expect_nr_served(1);
	expect_served(&large);
	rn_free(p[6]);
	for (int i = 0; i < 2; i++)
		expect_served(&small[i]);
	rn_free(large.got);
	for (int i = 0; i < 2; i++)
		rn_free(small[i].got);
	for (int i = 7; i < 10; i++)
		rn_free(p[i]);
	group_end(m);
}
END_TEST

/* Groups are served in the order of their heads, those below min before. */
START_TEST(between_groups)
{
	struct rn_memcg *top = patient(NULL, "top", 8 * KIB);
	struct rn_memcg *m[4] = {
		group(top, "a"), group(top, "b"), group(top, "owed"),
		group(top, "has"),
	};
	static const int order[] = { 2, 0, 1 };
	struct asker a[3];
	void *p[8];

	set_limit(m[2], RN_MEMCG_MIN, 4 * KIB);
	for (int i = 0; i < 8; i++)
		p[i] = granted(m[3], KIB, 0);
	for (int i = 0; i < 3; i++)
		ask_beside(&a[i], m[i], KIB);
	for (unsigned int i = 0; i < 3; i++) {
		rn_free(p[i]);
		expect_nr_served(i + 1);
		expect_served(&a[order[i]]);
	}
	for (int i = 0; i < 3; i++) {
		ck_assert_uint_eq(a[order[i]].order, i + 1);
		rn_free(a[i].got);
	}
	for (int i = 3; i < 8; i++)
		rn_free(p[i]);
	for (int i = 0; i < 4; i++)
		group_end(m[i]);
	group_end(top);
}
END_TEST

/* Who gives up lets those behind it have what they need. */
START_TEST(gives_up_in_front)
{
	struct rn_memcg *m = group_of(NULL, "full", 160 * KIB);
	void *p = granted(m, 100 * KIB, 0);
	struct asker large, small;

	ck_assert_int_eq(rn_memcg_set_timeout(m, 500), 0);
	ask_beside(&large, m, 96 * KIB);
	ck_assert_int_eq(rn_memcg_set_timeout(m, RN_MEMCG_FOREVER), 0);
	ask_beside(&small, m, 100);
	expect_served(&small);
	pthread_join(large.thread, NULL);
	ck_assert_ptr_null(large.got);
	ck_assert_int_eq(large.error, ETIMEDOUT);
	rn_free(small.got);
	rn_free(p);
	group_end(m);
}
END_TEST

/* --- given up --- */

START_TEST(cancelled)
{
	struct rn_memcg *m = patient(NULL, "full", 160 * KIB);
	void *p = granted(m, 100 * KIB, 0), *result;
	struct asker large, small;

	ask_beside(&large, m, 96 * KIB);
	ask_beside(&small, m, 100);
	ck_assert_int_eq(pthread_cancel(large.thread), 0);
	ck_assert_int_eq(pthread_join(large.thread, &result), 0);
	ck_assert_ptr_eq(result, PTHREAD_CANCELED);
	expect_served(&small);
	ck_assert_uint_eq(rn_memcg_usage(m), rn_size(p) +
			  rn_size(small.got));
	rn_free(small.got);
	rn_free(p);
	group_end(m);
}
END_TEST

/* Cancelled as it is served: it has got it, or it gives it back. */
START_TEST(cancelled_meanwhile)
{
	struct rn_memcg *m = patient(NULL, "full", KIB);
	void *p, *result;
	struct asker a;
	uint64_t random = 1;

	for (int i = 0; i < 1000 / LESS; i++) {
		unsigned long held = rn_memcg_event(m, RN_MEMCG_EVENT_HELD);
		volatile unsigned int pause = xorshift(&random) % 3000;

		p = granted(m, KIB, 0);
		a = (struct asker){ .m = m, .size = KIB };
		pthread_create(&a.thread, NULL, ask, &a);
		while (rn_memcg_event(m, RN_MEMCG_EVENT_HELD) == held)
			sched_yield();
		if (i % 2)
			rn_free(p);
		while (pause)
			pause--;
		pthread_cancel(a.thread);
		if (i % 2 == 0)
			rn_free(p);
		pthread_join(a.thread, &result);
		rn_free(a.got);
		ck_assert_uint_eq(rn_memcg_usage(m), 0);
	}
	ck_assert_uint_eq(rn_memcg_peak(m), KIB);
	group_end(m);
}
END_TEST

/* --- fork() --- */

static void child_has_no_waiter(struct rn_memcg *m, void *p)
{
	void *mine;

	alarm(30);
	if (rn_memcg_usage(m) != 64 * KIB)
		_exit(1);
	rn_free(p);
	if (rn_memcg_usage(m))
		_exit(2);
	mine = rn_memcg_alloc(m, 64 * KIB, 0);
	if (!mine)
		_exit(3);
	rn_free(mine);
	_exit(rn_memcg_destroy(m, RN_MEMCG_REFUSE) ? 4 : 0);
}

START_TEST(forked)
{
	struct rn_memcg *m = patient(NULL, "full", 64 * KIB);
	void *p = granted(m, 64 * KIB, 0);
	int status = -1;
	struct asker a;
	pid_t pid;

	ask_beside(&a, m, 8);
	pid = fork();
	if (!pid)
		child_has_no_waiter(m, p);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	expect_nr_served(0);
	rn_free(p);
	expect_served(&a);
	rn_free(a.got);
	group_end(m);
}
END_TEST

/* --- again and again --- */

static pthread_barrier_t together;

static void *ask_each_round(void *arg)
{
	struct asker *a = arg;

	for (size_t i = 0; i < a->size; i++) {
		pthread_barrier_wait(&together);
		a->got = rn_memcg_alloc(a->m, KIB, 0);
		pthread_barrier_wait(&together);
	}
	return NULL;
}

/* No free is missed by who comes just then. */
START_TEST(free_as_it_comes)
{
	struct rn_memcg *m = patient(NULL, "full", KIB);
	struct asker a = { .m = m, .size = 20000 / LESS };
	void *p = granted(m, KIB, 0);
	uint64_t random = 1;

	pthread_barrier_init(&together, NULL, 2);
	pthread_create(&a.thread, NULL, ask_each_round, &a);
	for (size_t i = 0; i < a.size; i++) {
		volatile unsigned int pause = xorshift(&random) % 2000;

		pthread_barrier_wait(&together);
		while (pause)
			pause--;
		rn_free(p);
		pthread_barrier_wait(&together);
		ck_assert_ptr_nonnull(a.got);
		p = a.got;
	}
	pthread_join(a.thread, NULL);
	rn_free(p);
	group_end(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg_wait");
	TCase *tc = tcase_create("wait");

	tcase_add_test(tc, timeout);
	tcase_add_test(tc, by_a_free);
	tcase_add_test(tc, by_a_free_beside);
	tcase_add_test(tc, not_into_stock);
	tcase_add_test(tc, by_a_max);
	tcase_add_test(tc, by_the_end_of_a_group);
	tcase_add_test(tc, nofail);
	tcase_add_test(tc, first_come);
	tcase_add_test(tc, not_overtaken);
	tcase_add_test(tc, between_groups);
	tcase_add_test(tc, gives_up_in_front);
	tcase_add_test(tc, cancelled);
	tcase_add_test(tc, cancelled_meanwhile);
	tcase_add_test(tc, forked);
	tcase_add_test(tc, free_as_it_comes);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
