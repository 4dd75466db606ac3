// SPDX-License-Identifier: MIT
/*
 * What other threads do while slots are emptied: they allocate, fork, exit and
 * move to other CPUs, at each moment of a drain, with and without restartable
 * sequences; then all of it at once, while everything takes long. Nothing is
 * lost, and nothing is handed out twice.
 */
#define _GNU_SOURCE
#include "drain.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>

#define KEPT	300

static void *kept[KEPT];

static void keep_some(void)
{
	for (int i = 0; i < KEPT; i++) {
		kept[i] = rn_cache_alloc(caches[0], 0);
		must(kept[i]);
		pattern_set(kept[i], 64, i);
	}
}

static void free_kept(void)
{
	for (int i = 0; i < KEPT; i++) {
		must(pattern_ok(kept[i], 64, i));
		rn_cache_free(caches[0], kept[i]);
	}
}

static u64 in_use(struct rn_cache *c)
{
	struct cache_usage u;

	cache_usage(c, &u);
	return u.active;
}

/* --- at one moment --- */

static bool can_be(const char *test, enum moment m)
{
	if (percpu_has_rseq() || m == PICKED || m == TAKEN)
		return true;
	if (m == CLOSED)
		skip_part(test, "no fence without rseq");
	return false;
}

static pthread_t thread;

static void begin(void *(*what)(void *))
{
	must(!pthread_create(&thread, NULL, what, NULL));
}

static void finish(void)
{
	must(!pthread_join(thread, NULL));
}

/* All that is out is what was kept, and it goes back. */
static void expect_exact(void)
{
	ck_assert_uint_eq(in_use(caches[0]), KEPT);
	ck_assert_uint_eq(in_use(caches[1]), 0);
	free_kept();
	tick();
	tick();
	expect_slots_empty();
	ck_assert_uint_eq(in_use(caches[0]), 0);
}

/* --- another thread uses what is emptied, moves on, and ends --- */

static pthread_key_t last_words;

static void use_once_more(void *arg)
{
	(void)arg;
	use(caches[1]);
}

/* On each CPU in turn, within what it has allocated there, too. */
static void *go_round(void *arg)
{
	void *mine[KEPT];

	pthread_setspecific(last_words, &thread);
	for (int nth = 0; nth_cpu(nth) >= 0; nth++) {
		pin(nth_cpu(nth));
		use(caches[0]);
		for (int i = 0; i < KEPT; i++)
			mine[i] = rn_cache_alloc(caches[1], 0);
		pin(nth_cpu(nth_cpu(nth + 1) < 0 ? 0 : nth + 1));
		for (int i = 0; i < KEPT; i++)
			rn_cache_free(caches[1], mine[i]);
	}
	return arg;
}

static void let_use(void)
{
	begin(go_round);
	finish();
}

START_TEST(a_thread_uses_them)
{
	if (!can_be("a_thread_uses_them", _i))
		return;
	pthread_key_create(&last_words, use_once_more);
	keep_some();
	for (int i = 0; i < 3; i++) {
		use_on_each_cpu(2);
		drain_with(_i, let_use);
	}
	expect_exact();
}
END_TEST

/* --- another thread forks --- */

static int forker;

/* The drain is over, or the child would not be there yet. */
static void child(void)
{
	alarm(20);
	must(!held_by_all().closed);
	must(in_use(caches[0]) == KEPT && !in_use(caches[1]));
	for (int i = 0; i < 2; i++)
		use(caches[i]);
	rn_shrink_all();
	must(!held_by_all().slots);
	free_kept();
	must(!in_use(caches[0]));
	_exit(0);
}

static void *fork_one(void *arg)
{
	int status = -1;
	pid_t pid;

	smp_store_release(&forker, gettid());
	pid = fork();
	if (!pid)
		child();
	must(waitpid(pid, &status, 0) == pid && !status);
	return arg;
}

/* It waits, in naps, until nobody is inside of the gate. */
static void let_fork(void)
{
	forker = 0;
	begin(fork_one);
	while (!smp_load_acquire(&forker) ||
	       !is_in_call(forker, SYS_nanosleep))
		usleep(100);
}

START_TEST(a_thread_forks)
{
	if (!can_be("a_thread_forks", _i))
		return;
	keep_some();
	use_on_each_cpu(2);
	drain_with(_i, let_fork);
	finish();
	expect_exact();
}
END_TEST

/* --- another thread ends the process --- */

static bool exiting;

static void at_exit(void)
{
	use(caches[0]);
	smp_store_release(&exiting, true);
	/* So that the drain may go on beside what comes next. */
	usleep(1000);
	use(caches[1]);
}

static void *exit_now(void *arg)
{
	(void)arg;
	exit(7);
}

static void let_exit(void)
{
	begin(exit_now);
	wait_for_flag(&exiting);
}

START_TEST(a_thread_exits)
{
	int status = -1;
	pid_t pid;

	if (!can_be("a_thread_exits", _i))
		return;
	keep_some();
	use_on_each_cpu(2);
	pid = fork();
	if (!pid) {
		alarm(20);
		atexit(at_exit);
		drain_with(_i, let_exit);
		for (;;)
			drain_all();
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 7,
		      "status %#x", status);
	expect_exact();
}
END_TEST

/* --- without sequences: a thread is in the middle of a step --- */

static struct slot *slot;
static bool locked, may_unlock;

static void *hold_slot(void *arg)
{
	unsigned int row = row_on(caches[0], numa_local_node());
	struct slot_view v;

	pin(nth_cpu(0));
	use(caches[0]);
	percpu_view(row, &v);
	slot = slot_of(row, v.index);
	lock(&slot->lock);
	smp_store_release(&locked, true);
	wait_for_flag(&may_unlock);
	unlock(&slot->lock);
	return arg;
}

static void begin_in_slot(void)
{
	begin(hold_slot);
	wait_for_flag(&locked);
	ck_assert(!slot_is_empty(slot));
}

static void end_in_slot(void)
{
	smp_store_release(&may_unlock, true);
	finish();
}

static bool is_fallback(const char *test)
{
	if (!percpu_has_rseq())
		return true;
	skip_part(test, "slots have no locks with rseq");
	return false;
}

START_TEST(one_in_a_step_is_left_alone)
{
	if (!is_fallback("one_in_a_step_is_left_alone"))
		return;
	keep_some();
	begin_in_slot();
	drain_all();
	ck_assert(!slot_is_empty(slot));
	ck_assert_uint_eq(held_by_all().slots, 1);
	end_in_slot();
	drain_all();
	ck_assert(slot_is_empty(slot));
	expect_exact();
}
END_TEST

static bool shrunk;

static void *shrink(void *arg)
{
	rn_cache_shrink(caches[0]);
	smp_store_release(&shrunk, true);
	return arg;
}

START_TEST(who_shrinks_waits_for_it)
{
	pthread_t shrinker;

	if (!is_fallback("who_shrinks_waits_for_it"))
		return;
	keep_some();
	begin_in_slot();
	must(!pthread_create(&shrinker, NULL, shrink, NULL));
	while (!(READ_ONCE(slot->lock.state) & LOCK_WAITERS))
		usleep(100);
	ck_assert(!smp_load_acquire(&shrunk));
	end_in_slot();
	pthread_join(shrinker, NULL);
	ck_assert(slot_is_empty(slot));
	expect_exact();
}
END_TEST

/* --- all at once, and all of it takes long --- */

#define THREADS		4

static bool stop;
static u64 moves, lives, forks;

static void *live(void *arg)
{
	for (int i = 0; i < 2000 && !READ_ONCE(stop); i++) {
		exchange_one();
		if (below(64))
			continue;
		pin(nth_cpu(nth_cpu(1) < 0 ? 0 : below(2)));
		stat_inc(&moves);
	}
	return arg;
}

/* One after the other. */
static void *live_on(void *arg)
{
	pthread_t t;

	while (!READ_ONCE(stop)) {
		must(!pthread_create(&t, NULL, live, NULL));
		pthread_join(t, NULL);
		stat_inc(&lives);
	}
	return arg;
}

static void child_of_many(void)
{
	alarm(20);
	call_at_moments(NULL);
	must(!held_by_all().closed);
	use(caches[SHARED_CACHES]);
	rn_shrink_all();
	must(!held_by_all().slots);
	_exit(0);
}

static void *fork_on(void *arg)
{
	int status = -1;
	pid_t pid;

	while (!READ_ONCE(stop)) {
		pid = fork();
		if (!pid)
			child_of_many();
		must(waitpid(pid, &status, 0) == pid && !status);
		stat_inc(&forks);
		usleep(1000);
	}
	return arg;
}

static void drain_somehow(int i)
{
	if (i % 8 == 0)
		rn_shrink_all();
	else if (i % 2)
		drain_all();
	else
		tick();
}

START_TEST(all_at_once)
{
	u64 aborts = READ_ONCE(rseq_aborts), end = clock_ms() + 2000;
	pthread_t t[THREADS + 1];
	int drains = 0;

	take_long();
	for (int i = 0; i <= THREADS; i++)
		must(!pthread_create(&t[i], NULL, i ? live_on : fork_on,
				     NULL));
	while (clock_ms() < end) {
		drain_somehow(drains++);
		usleep(below(MOMENT_US));
	}
	WRITE_ONCE(stop, true);
	for (int i = 0; i <= THREADS; i++)
		pthread_join(t[i], NULL);
	call_at_moments(NULL);
	printf("# %d drains, %lu long moments, %lu moves, %lu lives, %lu forks, "
	       "%lu aborts\n", drains, long_moments, moves, lives, forks,
	       rseq_aborts - aborts);
	ck_assert_uint_gt(moves, 0);
	ck_assert_uint_gt(lives, THREADS);
	ck_assert_uint_gt(forks, 0);
	ck_assert_uint_gt(long_moments, 0);
	if (percpu_has_rseq())
		ck_assert_uint_gt(rseq_aborts, aborts);
	end_exchange();
	expect_active(caches[SHARED_CACHES], 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("drain_beside");
	TCase *tc = tcase_create("drain_beside");

	/* At the end of a process there is more to be done then. */
	setenv("RN_SLABINFO", "/dev/null", 1);
	setenv("RN_VMSTAT", "/dev/null", 1);
	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, a_thread_uses_them, 0, NR_MOMENTS);
	tcase_add_loop_test(tc, a_thread_forks, 0, NR_MOMENTS);
	tcase_add_loop_test(tc, a_thread_exits, 0, NR_MOMENTS);
	tcase_add_test(tc, one_in_a_step_is_left_alone);
	tcase_add_test(tc, who_shrinks_waits_for_it);
	tcase_add_test(tc, all_at_once);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
