// SPDX-License-Identifier: MIT
/*
 * The background thread: how it comes and goes, and that it sleeps when there is
 * nothing to do.
 */
#define _GNU_SOURCE
#include "decay.h"
#include "must.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/shrinker.h>
#include <rn/slab.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* --- what the kernel says of it --- */

static void task_file(int tid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n = -1;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	fd = open(path, O_RDONLY);
	if (fd >= 0) {
		n = read(fd, text, size - 1);
		close(fd);
	}
	text[n < 0 ? 0 : n] = '\0';
}

/* Its thread id, or 0. */
static int background_tid(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;
	char name[32];
	int tid = 0;

	ck_assert_ptr_nonnull(tasks);
	while (!tid && (d = readdir(tasks))) {
		task_file(atoi(d->d_name), "comm", name, sizeof(name));
		if (!strcmp(name, "rn-kswapd\n"))
			tid = atoi(d->d_name);
	}
	closedir(tasks);
	return tid;
}

/* It gives itself its name, a moment after it was started. */
static int wait_for_tid(void)
{
	int tid = 0;

	for (int i = 0; !tid && i < 5000; i++) {
		usleep(1000);
		tid = background_tid();
	}
	ck_assert_int_ne(tid, 0);
	return tid;
}

/* A thread that has ended and was joined is listed for a moment. */
static void expect_gone(void)
{
	for (int i = 0; i < 2000 && background_tid(); i++)
		usleep(1000);
	ck_assert_int_eq(background_tid(), 0);
}

static long wakeups(int tid)
{
	char text[4096];

	task_file(tid, "status", text, sizeof(text));
	return number_after(text, "voluntary_ctxt_switches:");
}

/* Waits until it is asleep for good, which takes some ticks. */
static long wait_for_sleep(int tid)
{
	long before, now = wakeups(tid);
	int tries = 50;

	do {
		before = now;
		usleep(200 * 1000);
		now = wakeups(tid);
	} while (now != before && --tries);
	ck_assert_int_gt(tries, 0);
	return now;
}

/* --- it comes and goes --- */

START_TEST(start_and_stop)
{
	set_options(NULL);
	ck_assert_int_eq(background_tid(), 0);
	ck_assert_int_eq(rn_background_stop(), 0);
	ck_assert_int_eq(rn_background_start(), 0);
	ck_assert_int_eq(vmstat("background_thread"), 1);
	wait_for_tid();
	ck_assert_int_eq(rn_background_start(), -EALREADY);
	ck_assert_int_eq(rn_background_stop(), 0);
	expect_gone();
	ck_assert_int_eq(vmstat("background_thread"), 0);
	ck_assert_int_eq(rn_background_stop(), 0);
	ck_assert_int_eq(rn_background_start(), 0);
	wait_for_tid();
}
END_TEST

START_TEST(again_and_again)
{
	set_options("8");
	for (int i = 0; i < 1000 / LESS; i++) {
		ck_assert_int_eq(rn_background_start(), 0);
		slow_path();
		ck_assert_int_eq(rn_background_stop(), 0);
	}
	expect_gone();
}
END_TEST

static void *start_or_stop(void *arg)
{
	for (int i = 0; i < 300 / LESS; i++) {
		int ret = i % 2 ? rn_background_stop() : rn_background_start();

		if (ret && ret != -EALREADY)
			return arg;
		slow_path();
	}
	return NULL;
}

/* Threads that do not know of one another. */
START_TEST(all_at_once)
{
	pthread_t t[4];
	void *failed;

	set_options("8");
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, start_or_stop, t);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_int_eq(rn_background_stop(), 0);
	expect_gone();
}
END_TEST

/* Signals of the process are for the program's threads. */
START_TEST(signals_are_blocked)
{
	unsigned long long mask;
	char text[4096], *line;

	set_options(NULL);
	ck_assert_int_eq(rn_background_start(), 0);
	task_file(wait_for_tid(), "status", text, sizeof(text));
	line = strstr(text, "SigBlk:");
	ck_assert_ptr_nonnull(line);
	mask = strtoull(line + strlen("SigBlk:"), NULL, 16);
	for (int s = 1; s < SIGRTMIN; s++)
		if (s != SIGKILL && s != SIGSTOP && s < 32)
			ck_assert_msg(mask >> (s - 1) & 1, "signal %d", s);
	/* Not those of the thread that started it. */
	task_file(getpid(), "status", text, sizeof(text));
	line = strstr(text, "SigBlk:");
	ck_assert_uint_eq(strtoull(line + strlen("SigBlk:"), NULL, 16), 0);
}
END_TEST

static int in_callback;

static unsigned long count(struct rn_shrinker *shrinker,
			   struct rn_shrink_control *sc)
{
	ck_assert_int_eq(rn_background_start(), -EDEADLK);
	ck_assert_int_eq(rn_background_stop(), -EDEADLK);
	in_callback++;
	return 0;
}

static unsigned long scan(struct rn_shrinker *shrinker,
			  struct rn_shrink_control *sc)
{
	return RN_SHRINK_STOP;
}

static void constructor(void *object)
{
	ck_assert_int_eq(rn_background_start(), -EDEADLK);
	ck_assert_int_eq(rn_background_stop(), -EDEADLK);
	in_callback++;
}

/* It could be the thread itself, which would wait for its own end. */
START_TEST(not_in_callbacks)
{
	struct rn_shrinker s = {
		.sz = sizeof(s), .name = "s", .count = count, .scan = scan,
	};
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 100, .ctor = constructor,
	};
	struct rn_cache *c = rn_cache_create("constructed", &args);

	rn_cache_free(c, rn_cache_alloc(c, 0));
	ck_assert_int_gt(in_callback, 0);
	in_callback = 0;
	ck_assert_int_eq(rn_shrinker_register(&s), 0);
	rn_shrink_all();
	ck_assert_int_gt(in_callback, 0);
	ck_assert_int_eq(rn_shrinker_unregister(&s), 0);
}
END_TEST

/* No address space for its stack: said once, and slow paths go on with it. */
START_TEST(cannot_start)
{
	char *said, *first;

	/* Its handler of signals has a stack of its own, and insists on it. */
	if (SANITIZED) {
		skip_part("cannot_start", "a sanitizer needs address space");
		return;
	}
	set_options("8");
	setenv("RN_BACKGROUND", "1", 1);
	slow_path();
	if (!limit_address_space((status_value("VmSize") + 64) << 10)) {
		skip_part("cannot_start", "no limit on address space");
		return;
	}
	stderr_catch();
	for (int i = 0; i < 5; i++) {
		usleep(10 * 1000);
		slow_path();
	}
	said = stderr_caught();
	first = strstr(said, "no background thread: ");
	ck_assert_ptr_nonnull(first);
	ck_assert_ptr_null(strstr(first + 1, "no background thread: "));
	ck_assert_int_eq(rn_background_start(), -EAGAIN);
	ck_assert_int_gt(vmstat("decay_ticks_poll"), 0);
	ck_assert_int_eq(vmstat("background_thread"), 0);
}
END_TEST

/* --- RN_BACKGROUND --- */

/* With little as late as a tick: a program that is over before never has one. */
START_TEST(by_option)
{
	set_options("400");
	setenv("RN_BACKGROUND", "1", 1);
	slow_path();
	slow_path();
	ck_assert_int_eq(background_tid(), 0);
	usleep(100 * 1000);
	slow_path();
	wait_for_tid();
	ck_assert_int_eq(vmstat("background_thread"), 1);
	ck_assert_int_eq(rn_background_start(), -EALREADY);
	ck_assert_int_eq(rn_background_stop(), 0);
	/* That was by the program's wish, which counts for more. */
	usleep(100 * 1000);
	slow_path();
	ck_assert_int_eq(background_tid(), 0);
}
END_TEST

/* --- processes --- */

static void expect_exit(pid_t pid, int code)
{
	int status = -1;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code,
		      "status %#x", status);
}

/* ThreadSanitizer starts no threads in a child of a process that has some. */
#ifndef SANITIZER_THREAD
START_TEST(child_starts_its_own)
{
	pid_t pid;

	set_options("80");
	ck_assert_int_eq(rn_background_start(), 0);
	wait_for_tid();
	pid = fork();
	if (!pid) {
		alarm(30);
		ck_assert_int_eq(background_tid(), 0);
		usleep(20 * 1000);
		slow_path();
		wait_for_tid();
		ck_assert_int_eq(rn_background_stop(), 0);
		expect_gone();
		_exit(42);
	}
	expect_exit(pid, 42);
	ck_assert_int_ne(background_tid(), 0);
}
END_TEST

static void *fork_once(void *arg)
{
	pid_t pid = fork();

	if (!pid) {
		alarm(30);
		usleep(20 * 1000);
		slow_path();
		wait_for_tid();
		_exit(42);
	}
	expect_exit(pid, 42);
	return arg;
}

/* In the child, the thread that forked is the main one. */
START_TEST(child_of_a_thread)
{
	pthread_t t;

	set_options("80");
	ck_assert_int_eq(rn_background_start(), 0);
	pthread_create(&t, NULL, fork_once, NULL);
	pthread_join(t, NULL);
}
END_TEST

/* Children at any moment of it, that exit without a thread. */
START_TEST(fork_beside_it)
{
	set_options("0");
	ck_assert_int_eq(rn_background_start(), 0);
	for (int i = 0; i < 300 / LESS; i++) {
		pid_t pid;

		slow_path();
		pid = fork();
		if (!pid) {
			alarm(20);
			slow_path();
			exit(0);
		}
		expect_exit(pid, 0);
	}
}
END_TEST
#endif

/*
 * ThreadSanitizer has a thread of its own that keeps the process from ending,
 * and AddressSanitizer takes for leaks what the main thread's stack pointed to.
 */
#if !SANITIZED
static void *last_thread(void *arg)
{
	usleep(50 * 1000);
	slow_path();
	return arg;
}

/* The process ends with its last thread, which is not the library's. */
static void main_leaves(bool by_option)
{
	pthread_t t;

	if (by_option) {
		slow_path();
		usleep(20 * 1000);
		slow_path();
	} else {
		rn_background_start();
	}
	wait_for_tid();
	pthread_create(&t, NULL, last_thread, NULL);
	pthread_exit(NULL);
}

START_TEST(main_thread_leaves)
{
	pid_t pid;

	set_options("80");
	if (_i)
		setenv("RN_BACKGROUND", "1", 1);
	pid = fork();
	if (!pid) {
		alarm(30);
		main_leaves(_i);
	}
	expect_exit(pid, 0);
}
END_TEST

#endif

/* The descriptor of this process that is such a file, or -1. */
static int descriptor_of(const char *what)
{
	char path[64], name[256];

	for (int fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, name, sizeof(name) - 1);
		if (n <= 0)
			continue;
		name[n] = '\0';
		if (strstr(name, what))
			return fd;
	}
	return -1;
}

/*
 * The program closes what it does not know, as daemons do, and opens files of
 * its own there. 77: there was nothing to close.
 */
static int take_its_descriptors(void)
{
	int timer, trigger, ends[2];
	long ticks;
	char c;

	ck_assert_int_eq(rn_background_start(), 0);
	wait_for_tid();
	/* Awake: asleep, it would find it out in 10 s. */
	for (int i = 0; i < 10; i++) {
		slow_path();
		usleep(5000);
	}
	timer = descriptor_of("[timerfd]");
	trigger = descriptor_of("memory");
	if (timer < 0 || trigger < 0)
		return 77;
	ck_assert_int_eq(pipe2(ends, O_NONBLOCK), 0);
	dup2(ends[1], timer);
	dup2(ends[1], trigger);
	ticks = vmstat("decay_ticks_background");
	for (int i = 0; i < 200; i++) {
		slow_path();
		usleep(5000);
	}
	ck_assert_int_gt(vmstat("decay_ticks_background"), ticks + 5);
	ck_assert_int_eq(rn_background_stop(), 0);
	ck_assert_int_lt(read(ends[0], &c, 1), 0);
	ck_assert_int_eq(errno, EAGAIN);
	/* They are the program's, still. */
	ck_assert_int_eq(write(timer, "x", 1), 1);
	ck_assert_int_eq(write(trigger, "x", 1), 1);
	return 42;
}

START_TEST(descriptors_are_taken)
{
	int status;
	pid_t pid;

	set_options("80");
	pid = fork();
	if (!pid) {
		alarm(30);
		_exit(take_its_descriptors());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip_part("descriptors_are_taken", "no trigger for pressure");
	else
		ck_assert_int_eq(WEXITSTATUS(status), 42);
}
END_TEST

/* exit() while it runs, many times, at any moment of it. */
START_TEST(exit_beside_it)
{
	set_options("8");
	for (int i = 0; i < 100 / LESS; i++) {
		pid_t pid = fork();

		if (!pid) {
			alarm(20);
			rn_background_start();
			use_some();
			exit(7);
		}
		expect_exit(pid, 7);
	}
}
END_TEST

/* --- what it does --- */

START_TEST(sleeps_when_idle)
{
	long ticks, idle;
	int tid;

	set_options("80");
	ck_assert_int_eq(rn_background_start(), 0);
	tid = wait_for_tid();
	use_some();
	idle = wait_for_sleep(tid);
	usleep(1000 * 1000);
	ck_assert_int_eq(wakeups(tid), idle);
	ticks = vmstat("decay_ticks_background");
	/* And when somebody comes it wakes up. */
	slow_path();
	for (int i = 0; i < 500 && vmstat("decay_ticks_background") == ticks; i++)
		usleep(10 * 1000);
	ck_assert_int_gt(vmstat("decay_ticks_background"), ticks);
	ck_assert_int_gt(wait_for_sleep(tid), idle);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("background");
	TCase *t = tcase_create("comes and goes");
	TCase *work = tcase_create("work");

	tcase_add_test(t, start_and_stop);
	tcase_add_test(t, again_and_again);
	tcase_add_test(t, all_at_once);
	tcase_add_test(t, signals_are_blocked);
	tcase_add_test(t, not_in_callbacks);
	tcase_add_test(t, cannot_start);
	tcase_add_test(t, by_option);
#ifndef SANITIZER_THREAD
	tcase_add_test(t, child_starts_its_own);
	tcase_add_test(t, child_of_a_thread);
	tcase_add_test(t, fork_beside_it);
#endif
#if !SANITIZED
	tcase_add_loop_test(t, main_thread_leaves, 0, 2);
#endif
	tcase_add_test(t, descriptors_are_taken);
	tcase_add_test(t, exit_beside_it);
	tcase_add_test(work, sleeps_when_idle);
	tcase_set_timeout(t, 60);
	tcase_set_timeout(work, 60);
	suite_add_tcase(s, t);
	suite_add_tcase(s, work);
	return suite_main(s);
}
