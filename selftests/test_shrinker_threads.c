// SPDX-License-Identifier: MIT
/*
 * Shrinkers and threads: nobody is called any more when rn_shrinker_unregister()
 * has returned; and fork().
 */
#include "probe.h"

#include <errno.h>
#include <pthread.h>
#include <rn/pages.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- threads --- */

static int gate[2];		/* a pipe: a byte lets one callback go on */
static int inside;

static void wait_inside(void)
{
	char c;

	__atomic_fetch_add(&inside, 1, __ATOMIC_RELEASE);
	/* Also a place where a thread may be cancelled. */
	must(read(gate[0], &c, 1) == 1);
	__atomic_fetch_sub(&inside, 1, __ATOMIC_RELEASE);
}

static void *shrink(void *arg)
{
	rn_shrink_all();
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
	pthread_testcancel();
	return NULL;
}

static void *unregister(void *arg)
{
	must(!rn_shrinker_unregister(&probe_shrinker));
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start_inside(pthread_t *t, bool *done)
{
	int before = __atomic_load_n(&inside, __ATOMIC_ACQUIRE);

	ck_assert_int_eq(pthread_create(t, NULL, shrink, done), 0);
	while (__atomic_load_n(&inside, __ATOMIC_ACQUIRE) == before)
		usleep(100);
}

static void blocking_probe(void)
{
	ck_assert_int_eq(pipe(gate), 0);
	probe.in_scan = wait_inside;
	probe_register(1, 0);
}

static void let_go_on(int n)
{
	while (n--)
		ck_assert_int_eq(write(gate[1], "", 1), 1);
}

static bool is_set(bool *flag)
{
	return __atomic_load_n(flag, __ATOMIC_ACQUIRE);
}

/* Two are in at once, and it waits for both. */
START_TEST(unregister_waits)
{
	bool done[3] = { false };
	pthread_t t[3];

	blocking_probe();
	start_inside(&t[0], &done[0]);
	start_inside(&t[1], &done[1]);
	ck_assert_int_eq(pthread_create(&t[2], NULL, unregister, &done[2]), 0);
	/* One that is on its way out is not listed. */
	while (vmstat("shrinker_the_probe_calls") != -1)
		usleep(1000);
	for (int i = 0; i < 2; i++) {
		usleep(50000);
		ck_assert(!is_set(&done[2]));
		/* Nobody new comes in, nor may it be had twice. */
		rn_shrink_all();
		ck_assert_int_eq(rn_shrinker_unregister(&probe_shrinker),
				 -EINVAL);
		ck_assert_int_eq(rn_shrinker_register(&probe_shrinker),
				 -EBUSY);
		let_go_on(1);
	}
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert(done[2]);
	ck_assert_uint_eq(probe.scans, 2);
}
END_TEST

START_TEST(no_cancellation_inside)
{
	bool done = false;
	pthread_t t;
	void *end;

	blocking_probe();
	start_inside(&t, &done);
	pthread_cancel(t);
	usleep(20000);
	ck_assert(!is_set(&done));
	let_go_on(1);
	ck_assert_int_eq(pthread_join(t, &end), 0);
	ck_assert_ptr_eq(end, PTHREAD_CANCELED);
	ck_assert(is_set(&done));
	probe_unregister();
}
END_TEST

/**
 * struct shifty - a shrinker that is registered only at times
 * @shrinker: its callbacks may run only then
 * @on: it is registered, or about to be
 */
struct shifty {
	struct rn_shrinker shrinker;
	bool on;
	unsigned long calls;
};

static unsigned long shifty_call(struct rn_shrinker *shrinker,
				 struct rn_shrink_control *sc)
{
	struct shifty *s = shrinker->private_data;

	must(is_set(&s->on));
	__atomic_fetch_add(&s->calls, 1, __ATOMIC_RELAXED);
	sched_yield();
	must(is_set(&s->on));
	return 1;
}

static void *come_and_go(void *arg)
{
	struct shifty s = {
		.shrinker = {
			.sz = sizeof(s.shrinker), .name = "shifty",
			.count = shifty_call, .scan = shifty_call,
			.seeks = 1,
		},
	};

	s.shrinker.private_data = &s;
	for (int i = 0; i < 1000 / LESS; i++) {
		__atomic_store_n(&s.on, true, __ATOMIC_RELEASE);
		must(!rn_shrinker_register(&s.shrinker));
		if (i % 4 == 0)
			sched_yield();
		must(!rn_shrinker_unregister(&s.shrinker));
		__atomic_store_n(&s.on, false, __ATOMIC_RELEASE);
	}
	__atomic_fetch_add((unsigned long *)arg, s.calls, __ATOMIC_RELAXED);
	return NULL;
}

static bool stop;

static void *shrink_often(void *arg)
{
	while (!is_set(&stop))
		rn_shrink_all();
	return arg;
}

START_TEST(come_and_go_beside_scans)
{
	unsigned long calls = 0;
	pthread_t t[3], s[3];

	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		ck_assert_int_eq(pthread_create(&s[i], NULL, shrink_often,
						NULL), 0);
		ck_assert_int_eq(pthread_create(&t[i], NULL, come_and_go,
						&calls), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_join(s[i], NULL), 0);
	ck_assert_uint_gt(calls, 0);
}
END_TEST

/* --- fork --- */

static void expect_child_ok(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		ck_abort_msg("pid %d, status %#x", pid, status);
}

/* In the child nobody is in the callback, and nobody unregisters it. */
static void child_has_it(void)
{
	unsigned long scans = probe.scans;

	alarm(20);
	probe.in_scan = NULL;
	rn_shrink_all();
	must(probe.scans > scans);
	must(rn_shrinker_register(&probe_shrinker) == -EBUSY);
	must(!rn_shrinker_unregister(&probe_shrinker));
	must(rn_shrinker_unregister(&probe_shrinker) == -EINVAL);
	_exit(0);
}

START_TEST(fork_while_shrinking)
{
	bool done[2] = { false };
	pthread_t t[2];
	pid_t pid;

	blocking_probe();
	start_inside(&t[0], &done[0]);
	pid = fork();
	if (!pid)
		child_has_it();
	expect_child_ok(pid);
	ck_assert_int_eq(pthread_create(&t[1], NULL, unregister, &done[1]), 0);
	while (vmstat("shrinker_the_probe_calls") != -1)
		usleep(1000);
	pid = fork();
	if (!pid)
		child_has_it();
	expect_child_ok(pid);
	let_go_on(1);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	ck_assert(is_set(&done[1]));
}
END_TEST

static pid_t forked;

static void fork_inside(void)
{
	probe.in_scan = NULL;
	forked = fork();
	must(rn_shrinker_unregister(&probe_shrinker) == -EDEADLK);
}

START_TEST(fork_in_callback)
{
	probe.in_scan = fork_inside;
	probe_register(1, 0);
	rn_shrink_all();
	if (!forked)
		child_has_it();
	expect_child_ok(forked);
	probe_unregister();
}
END_TEST

START_TEST(fork_beside_shrinkers)
{
	pthread_t t[3];

	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	probe_register(100, 1);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, shrink_often,
						NULL), 0);
	for (int i = 0; i < 100 / LESS; i++) {
		pid_t pid = fork();

		if (!pid)
			child_has_it();
		expect_child_ok(pid);
	}
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_join(t[i], NULL), 0);
	probe_unregister();
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shrinker_threads");
	TCase *threads = tcase_create("threads");

	tcase_add_test(threads, unregister_waits);
	tcase_add_test(threads, no_cancellation_inside);
	tcase_add_test(threads, come_and_go_beside_scans);
	tcase_add_test(threads, fork_while_shrinking);
	tcase_add_test(threads, fork_in_callback);
	tcase_add_test(threads, fork_beside_shrinkers);
	tcase_set_timeout(threads, 60);
	suite_add_tcase(s, threads);
	return suite_main(s);
}
