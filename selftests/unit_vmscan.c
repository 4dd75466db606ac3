// SPDX-License-Identifier: MIT
/*
 * Ticks: that they are done in slices, that a late one is done at once and
 * gives back more, and that nobody waits for one.
 *
 * Whether a cache's turn has come is seen by the mark of its barn, which a tick
 * sets to what is there.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "shrinker.h"
#include "slab.h"

#include <pthread.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS		400
#define DECAY		"3200"
#define CACHES		8
#define UNSEEN		12345

static struct rn_cache *caches[CACHES];

static struct cache_node *node_of(struct rn_cache *c)
{
	return cache_node_get(c, numa_local_node());
}

static void setup_with(const char *decay)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};

	setenv("RN_DECAY_MS", decay, 1);
	alarm(60);
	for (int i = 0; i < CACHES; i++) {
		caches[i] = rn_cache_create("ticks", &args);
		ck_assert_ptr_nonnull(caches[i]);
		rn_cache_free(caches[i], rn_cache_alloc(caches[i], 0));
	}
}

static void setup(void)
{
	setup_with(DECAY);
	ck_assert_uint_eq(age_tick_ms(), TICK_MS);
}

static void mark_all(void)
{
	for (int i = 0; i < CACHES; i++) {
		struct barn *b = &node_of(caches[i])->barn;

		lock(&b->lock);
		b->low = UNSEEN;
		unlock(&b->lock);
	}
}

static int nr_seen(void)
{
	int nr = 0;

	for (int i = 0; i < CACHES; i++) {
		struct barn *b = &node_of(caches[i])->barn;

		lock(&b->lock);
		nr += b->low != UNSEEN;
		unlock(&b->lock);
	}
	return nr;
}

static u64 ticks(void)
{
	return vmstat("decay_ticks_poll");
}

static void sleep_ms(unsigned int ms)
{
	usleep(ms * 1000);
}

/* Until the last tick is through and another one due. */
static void wait_until_due(void)
{
	age_tick();
	sleep_ms(TICK_MS + 20);
	mark_all();
}

/* --- slices --- */

START_TEST(nothing_is_due)
{
	setup();
	age_tick();
	mark_all();
	for (int i = 0; i < 100; i++)
		age_poll_deep();
	ck_assert_int_eq(nr_seen(), 0);
	ck_assert_uint_eq(ticks(), 0);
}
END_TEST

START_TEST(a_cache_at_a_time)
{
	u64 began;

	setup();
	/* Where the machine stands still in between, all is done at once. */
	for (int try = 0; try < 10; try++) {
		int before = 0, polls = 0, now;

		wait_until_due();
		began = clock_ms();
		for (u64 done = ticks(); ticks() == done; polls++) {
			age_poll_deep();
			now = nr_seen();
			if (clock_ms() < began + TICK_MS)
				ck_assert_int_le(now, before + 1);
			before = now;
		}
		ck_assert_int_eq(nr_seen(), CACHES);
		if (clock_ms() >= began + TICK_MS)
			continue;
		ck_assert_int_gt(polls, CACHES);
		return;
	}
	ck_abort_msg("10 ticks were late");
}
END_TEST

/* The second poll comes when the tick should be over. */
START_TEST(the_rest_at_once)
{
	u64 done;

	setup();
	wait_until_due();
	age_poll_deep();
	done = ticks();
	sleep_ms(TICK_MS + 20);
	age_poll_deep();
	ck_assert_uint_eq(ticks(), done + 1);
	ck_assert_int_eq(nr_seen(), CACHES);
}
END_TEST

START_TEST(errno_is_kept)
{
	setup();
	for (int i = 0; i < 2; i++) {
		sleep_ms(TICK_MS + 20);
		errno = EXDEV;
		age_poll_deep();
		ck_assert_int_eq(errno, EXDEV);
	}
}
END_TEST

/* Slow paths look at the clock, also those of runs of pages. */
START_TEST(slow_paths_poll)
{
	void *p[2000];

	setup();
	wait_until_due();
	sleep_ms(TICK_MS);
	age_poll_deep();
	mark_all();
	sleep_ms(TICK_MS + 20);
	if (_i) {
		rn_free(rn_alloc(200000, 0));
	} else {
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			p[i] = rn_alloc(64, 0);
		for (size_t i = 0; i < ARRAY_LEN(p); i++)
			rn_free(p[i]);
	}
	ck_assert_int_gt(nr_seen() + (int)ticks(), 0);
}
END_TEST

/* --- how much --- */

/* A barn with this many full sheaves, none of which anybody takes. */
static u32 fill_barn(struct cache_node *n)
{
	enum { MANY = 20000 };
	static void *p[MANY];

	for (int i = 0; i < MANY; i++)
		p[i] = rn_cache_alloc(caches[0], 0);
	for (int i = 0; i < MANY; i++)
		rn_cache_free(caches[0], p[i]);
	return n->barn.nr_full;
}

/* A tick gives back a quarter, and a late one more. */
START_TEST(late_ticks)
{
	static const struct {
		unsigned int ms;
		u32 part;
	} late[] = { { 0, 4 }, { 250, 2 }, { 900, 1 } };
	struct cache_node *n;
	u32 full;

	setup_with("800");
	n = node_of(caches[0]);
	full = fill_barn(n);
	ck_assert_uint_ge(full, 4);
	age_tick();
	age_tick();
	full = n->barn.nr_full;
	ck_assert_uint_ge(full, 3);
	n->barn.low = full;
	sleep_ms(late[_i].ms);
	age_tick();
	/* A machine that stands still makes it later still. */
	ck_assert_uint_le(n->barn.nr_full,
			  full - DIV_ROUND_UP(full, late[_i].part));
	if (late[_i].part == 1)
		ck_assert_uint_eq(n->barn.nr_full, 0);
}
END_TEST

/* Of what is not needed a tenth is left after the whole time. */
START_TEST(over_the_time)
{
	struct cache_node *n;
	u32 full;

	setup_with("80000");
	n = node_of(caches[0]);
	full = fill_barn(n);
	ck_assert_uint_ge(full, 8);
	age_tick();
	full = n->barn.nr_full;
	for (int i = 0; i < 8; i++) {
		u32 before = n->barn.nr_full;

		n->barn.low = before;
		age_tick();
		ck_assert_uint_eq(n->barn.nr_full,
				  before - DIV_ROUND_UP(before, 4));
	}
	ck_assert_uint_le(n->barn.nr_full, full / 10 + 1);
}
END_TEST

START_TEST(never)
{
	setup_with("-1");
	mark_all();
	for (int i = 0; i < 5; i++)
		age_tick();
	ck_assert_int_eq(nr_seen(), 0);
	/* What else is done at a tick goes on. */
	ck_assert_int_eq(vmstat("decay_ticks_background"), 5);
}
END_TEST

START_TEST(at_once)
{
	struct cache_node *n;

	setup_with("0");
	n = node_of(caches[0]);
	fill_barn(n);
	for (int i = 0; i < 3; i++) {
		sleep_ms(10);
		age_poll_deep();
	}
	ck_assert_uint_eq(n->barn.nr_full, 0);
	ck_assert_uint_eq(n->nr_empty, 0);
}
END_TEST

/* --- where not --- */

START_TEST(not_in_the_gate)
{
	unsigned int ticket;

	setup();
	wait_until_due();
	ticket = gate_enter();
	age_poll_deep();
	gate_exit(ticket);
	ck_assert_int_eq(nr_seen(), 0);
	for (u64 done = ticks(); ticks() == done;)
		age_poll_deep();
	ck_assert_int_eq(nr_seen(), CACHES);
}
END_TEST

static int calls;

static unsigned long count(struct rn_shrinker *shrinker,
			   struct rn_shrink_control *sc)
{
	mark_all();
	age_poll_deep();
	ck_assert_int_eq(nr_seen(), 0);
	calls++;
	return 0;
}

static unsigned long scan(struct rn_shrinker *shrinker,
			  struct rn_shrink_control *sc)
{
	return RN_SHRINK_STOP;
}

START_TEST(not_in_a_shrinker)
{
	struct rn_shrinker s = {
		.sz = sizeof(s), .name = "s", .count = count, .scan = scan,
	};

	setup();
	ck_assert_int_eq(rn_shrinker_register(&s), 0);
	wait_until_due();
	rn_shrink_all();
	ck_assert_int_gt(calls, 0);
	ck_assert_int_eq(rn_shrinker_unregister(&s), 0);
}
END_TEST

/* --- beside others --- */

static bool hold, held;

static void *hold_mutex(void *arg)
{
	unsigned int ticket = gate_enter();

	lock(&slab_mutex);
	__atomic_store_n(&held, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&hold, __ATOMIC_ACQUIRE))
		sched_yield();
	unlock(&slab_mutex);
	gate_exit(ticket);
	return arg;
}

static void wait_for(const bool *flag)
{
	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE))
		sched_yield();
}

/* Somebody makes a cache: their turn is at the next tick. */
START_TEST(caches_are_busy)
{
	pthread_t t;

	setup();
	wait_until_due();
	hold = true;
	pthread_create(&t, NULL, hold_mutex, NULL);
	wait_for(&held);
	age_tick();
	ck_assert_int_eq(nr_seen(), 0);
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	pthread_join(t, NULL);
	age_tick();
	ck_assert_int_eq(nr_seen(), CACHES);
}
END_TEST

static void *do_tick(void *arg)
{
	age_tick();
	return arg;
}

/* A thread in the middle of a tick, which waits for the lock of a cache. */
static pthread_t stuck_in_tick(struct cache_node *n, unsigned int *ticket)
{
	pthread_t t;

	*ticket = gate_enter();
	lock(&n->list_lock);
	pthread_create(&t, NULL, do_tick, NULL);
	while (!(READ_ONCE(n->list_lock.state) & LOCK_WAITERS))
		sched_yield();
	return t;
}

static void *poll_too(void *arg)
{
	mark_all();
	for (int i = 0; i < 10; i++)
		age_poll_deep();
	age_tick();
	return arg;
}

/* Neither a slow path nor the background thread waits for it. */
START_TEST(another_does_it)
{
	struct cache_node *n;
	unsigned int ticket;
	pthread_t t, too;

	setup();
	n = node_of(caches[2]);
	wait_until_due();
	t = stuck_in_tick(n, &ticket);
	pthread_create(&too, NULL, poll_too, NULL);
	pthread_join(too, NULL);
	ck_assert_int_eq(nr_seen(), 0);
	unlock(&n->list_lock);
	gate_exit(ticket);
	pthread_join(t, NULL);
	ck_assert_int_gt(nr_seen(), 0);
}
END_TEST

static void *fork_within(void *arg)
{
	struct cache_node *n = arg;
	unsigned int ticket;
	pthread_t t = stuck_in_tick(n, &ticket);
	pid_t pid = fork();
	int status = -1;

	unlock(&n->list_lock);
	gate_exit(ticket);
	if (!pid) {
		alarm(20);
		/* What is left of it, and one of its own. */
		age_tick();
		mark_all();
		age_tick();
		_exit(nr_seen() == CACHES ? 42 : 1);
	}
	waitpid(pid, &status, 0);
	pthread_join(t, NULL);
	return (void *)(long)status;
}

/* The child has neither the thread nor the tick that it was in. */
START_TEST(fork_in_a_tick)
{
	void *status;

	setup();
	status = fork_within(node_of(caches[2]));
	ck_assert_msg(WIFEXITED((int)(long)status) &&
		      WEXITSTATUS((int)(long)status) == 42,
		      "%#lx", (long)status);
}
END_TEST

static bool stop;

static void *come_and_go(void *arg)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 200, .flags = RN_NOMERGE,
	};

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		struct rn_cache *c = rn_cache_create("passing", &args);

		if (!c)
			return arg;
		for (int i = 0; i < 50; i++)
			rn_cache_free(c, rn_cache_alloc(c, 0));
		if (rn_cache_destroy(c))
			return arg;
	}
	return NULL;
}

/* Caches are made and destroyed while ticks go over them. */
START_TEST(caches_come_and_go)
{
	pthread_t t[2];
	void *failed;

	setup_with("0");
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, come_and_go, t);
	for (int i = 0; i < 2000 / LESS; i++) {
		age_tick();
		age_poll_deep();
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &failed);
		ck_assert_ptr_null(failed);
	}
	/* The rest of one that found the lock taken. */
	age_tick();
	mark_all();
	age_tick();
	ck_assert_int_eq(nr_seen(), CACHES);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("vmscan");
	TCase *t = tcase_create("all");

	tcase_add_test(t, nothing_is_due);
	tcase_add_test(t, a_cache_at_a_time);
	tcase_add_test(t, the_rest_at_once);
	tcase_add_test(t, errno_is_kept);
	tcase_add_loop_test(t, slow_paths_poll, 0, 2);
	tcase_add_loop_test(t, late_ticks, 0, 3);
	tcase_add_test(t, over_the_time);
	tcase_add_test(t, never);
	tcase_add_test(t, at_once);
	tcase_add_test(t, not_in_the_gate);
	tcase_add_test(t, not_in_a_shrinker);
	tcase_add_test(t, caches_are_busy);
	tcase_add_test(t, another_does_it);
	tcase_add_test(t, fork_in_a_tick);
	tcase_add_test(t, caches_come_and_go);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return suite_main(s);
}
