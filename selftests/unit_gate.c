// SPDX-License-Identifier: MIT
/*
 * Locks that know their owner, and fork() out of a signal handler that
 * interrupted a slow path. Nothing is left to luck: the thread that forks holds
 * the lock of a slow path, and forks when the others are seen to wait for it.
 */
#define _GNU_SOURCE
#include "gate.h"

#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static struct lock one, other;

/* What the process says that does @what, which must be aborted. */
static void expect_abort(void (*what)(void), const char *text)
{
	char said[1024] = "";
	int ends[2], status;
	pid_t pid;

	ck_assert_int_eq(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDERR_FILENO);
		alarm(10);
		what();
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_gt(read(ends[0], said, sizeof(said) - 1), 0);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
		      "status %#x, and it said: %s", status, said);
	ck_assert_msg(strstr(said, text) != NULL, "it said: %s", said);
	close(ends[0]);
	close(ends[1]);
}

/* --- a thread that waits for itself --- */

static void interrupted(void)
{
	unsigned int ticket = gate_enter();

	on_signal(allocate);
	lock(&n->list_lock);
	raise(SIGUSR1);
	unlock(&n->list_lock);
	gate_exit(ticket);
}

static sigjmp_buf out;

static void leave(int signal)
{
	siglongjmp(out, 1);
}

static void left(void)
{
	on_signal(leave);
	if (!sigsetjmp(out, 1)) {
		gate_enter();
		lock(&n->list_lock);
		raise(SIGUSR1);
	}
	allocate(0);
}

START_TEST(handler_waits_for_itself)
{
	expect_abort(interrupted, "called by a signal handler");
	expect_abort(left, "longjmp()");
}
END_TEST

/* --- a handler that forks --- */

static void *take_one(void *arg)
{
	unsigned int ticket = gate_enter();

	lock(&one);
	ck_assert(lock_is_mine(&one));
	ck_assert_uint_eq(thread_self.depth, 1);
	unlock(&one);
	gate_exit(ticket);
	return arg;
}

static void child_takes_it(void)
{
	take_one(NULL);
	allocate(0);
	rn_shrink_all();
}

START_TEST(others_wait_for_it)
{
	unsigned int ticket = gate_enter();
	pthread_t t[3];

	lock(&one);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		ck_assert_int_eq(pthread_create(&t[i], NULL, take_one, NULL),
				 0);
	wait_until_waited_for(&one);
	fork_with(&one, child_takes_it, ticket);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	/* Nobody is left inside, nor counted out twice. */
	forked = fork();
	if (!forked)
		_exit(0);
	expect_child_ok(forked);
}
END_TEST

/* --- two handlers that fork, each inside of a slow path --- */

static pid_t second;		/* its thread id, once it holds its lock */
static bool second_may_fork, third_may_leave;

static void wait_for_flag(const bool *flag)
{
	while (!READ_ONCE(*flag))
		usleep(100);
}

/* As a handler does that interrupts us with the lock held. */
static void *fork_second(void *arg)
{
	unsigned int ticket = gate_enter();
	pid_t pid;

	lock(&other);
	WRITE_ONCE(second, gettid());
	wait_for_flag(&second_may_fork);
	pid = fork();
	if (!pid)
		_exit(0);
	expect_child_ok(pid);
	ck_assert(lock_is_mine(&other));
	ck_assert_uint_eq(thread_self.depth, 1);
	unlock(&other);
	gate_exit(ticket);
	return arg;
}

/* Keeps the first fork() waiting. */
static void *stay_inside(void *arg)
{
	unsigned int ticket = gate_enter();

	WRITE_ONCE(*(bool *)arg, true);
	wait_for_flag(&third_may_leave);
	gate_exit(ticket);
	return arg;
}

/*
 * Lets the second fork when the first is at it, which is seen by its naps, and
 * then the third go.
 */
static void *direct(void *arg)
{
	while (!is_in_call(getpid(), SYS_nanosleep))
		usleep(100);
	WRITE_ONCE(second_may_fork, true);
	while (!is_in_call(READ_ONCE(second), SYS_futex))
		usleep(100);
	WRITE_ONCE(third_may_leave, true);
	return arg;
}

static void fork_first(void)
{
	unsigned int ticket = gate_enter();
	pthread_t t[3];
	bool inside = false;

	pthread_create(&t[0], NULL, fork_second, NULL);
	while (!READ_ONCE(second))
		usleep(100);
	pthread_create(&t[1], NULL, stay_inside, &inside);
	wait_for_flag(&inside);
	pthread_create(&t[2], NULL, direct, NULL);
	forked = fork();
	if (!forked) {
		alarm(10);
		lock(&other);
		_exit(0);
	}
	gate_exit(ticket);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
}

/* Neither waits for ever; the child says what it lacks when it needs it. */
static void two_forks(void)
{
	int status;

	fork_first();
	if (waitpid(forked, &status, 0) != forked || !WIFSIGNALED(status))
		_exit(1);
	abort();
}

START_TEST(two_fork)
{
	expect_abort(two_forks, "two signal handlers forked");
}
END_TEST

/* --- a handler of a thread that waits outside --- */

static pid_t waiting;		/* its thread id, on its way in */
static bool entered_early, handler_ended;

static void enter_and_fork(int signal)
{
	unsigned int ticket = gate_enter();

	entered_early = !READ_ONCE(third_may_leave);
	gate_exit(ticket);
	fork_now(signal);
	if (!forked)
		_exit(0);
	WRITE_ONCE(handler_ended, true);
}

static void *wait_at_gate(void *arg)
{
	WRITE_ONCE(waiting, gettid());
	gate_exit(gate_enter());
	return arg;
}

static void *direct_handler(void *arg)
{
	pthread_t t;

	while (!is_in_call(getpid(), SYS_nanosleep))
		usleep(100);
	pthread_create(&t, NULL, wait_at_gate, NULL);
	while (!READ_ONCE(waiting) || !is_in_call(READ_ONCE(waiting), SYS_futex))
		usleep(100);
	pthread_kill(t, SIGUSR1);
	/* Long enough for a handler that goes in to have done so. */
	usleep(20000);
	WRITE_ONCE(third_may_leave, true);
	pthread_join(t, NULL);
	return arg;
}

START_TEST(handler_waits_outside)
{
	bool inside = false;
	pthread_t t[2];
	pid_t pid;

	on_signal(enter_and_fork);
	pthread_create(&t[0], NULL, stay_inside, &inside);
	wait_for_flag(&inside);
	pthread_create(&t[1], NULL, direct_handler, NULL);
	pid = fork();
	if (!pid)
		_exit(0);
	expect_child_ok(pid);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	ck_assert(handler_ended);
	ck_assert(!entered_early);
	expect_child_ok(forked);
}
END_TEST

/* --- a handler of the thread that forks, while that waits for others --- */

#ifdef RN_TSAN
/* A child of fork() cannot join the threads that its parent had. */
const char *__tsan_default_options(void);
RN_API const char *__tsan_default_options(void)
{
	return "report_thread_leaks=0";
}
#endif

static void allocate_and_fork(int signal)
{
	allocate(signal);
	WRITE_ONCE(third_may_leave, true);
	fork_now(signal);
	if (forked)
		return;
	allocate(signal);
	_exit(0);
}

static void *direct_own_handler(void *arg)
{
	while (!is_in_call(getpid(), SYS_nanosleep))
		usleep(100);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	return arg;
}

static void fork_interrupted(void)
{
	pthread_t t[2], self = pthread_self();
	bool inside = false;
	pid_t pid;

	on_signal(allocate_and_fork);
	third_may_leave = false;
	pthread_create(&t[0], NULL, stay_inside, &inside);
	wait_for_flag(&inside);
	pthread_create(&t[1], NULL, direct_own_handler, &self);
	pid = fork();
	if (!pid) {
		allocate(0);
		_exit(0);
	}
	expect_child_ok(pid);
	expect_child_ok(forked);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
}

/* Nobody is left inside, or outside of a gate that stays shut. */
START_TEST(handler_within_fork)
{
	fork_interrupted();
	ck_assert_uint_eq(thread_self.depth, 0);
	fork_interrupted();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("gate");
	TCase *tc = tcase_create("gate");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, handler_waits_for_itself);
	tcase_add_test(tc, others_wait_for_it);
	tcase_add_test(tc, two_fork);
	tcase_add_test(tc, handler_waits_outside);
	tcase_add_test(tc, handler_within_fork);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
