// SPDX-License-Identifier: MIT
/*
 * Children of vfork() that allocate, beside threads of the parent that do, on
 * every CPU: no object has two owners. With the C library's vfork() the first
 * test finds one that has within the first second.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include "../compat/vfork.c"

#include <rn/slab.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define THREADS		4
#define VFORKS		(400 / LESS)
#define CHILD_OBJECTS	2000
#define HELD		64

static bool stop, damaged;
static const size_t sizes[] = { 16, 64, 200, 1000 };

/* Held objects say who has them; one that says otherwise has two owners. */
struct holder {
	u64 *held[HELD];
	u64 name, random;
};

static bool put_back(struct holder *h, unsigned int i)
{
	u64 *p = h->held[i];
	bool ok = !p || (p[0] == h->name && p[1] == (u64)p);

	h->held[i] = NULL;
	if (ok)
		rn_free(p);
	return ok;
}

/* False as soon as one is not as it was left. */
static bool turn_over(struct holder *h, int rounds)
{
	for (int n = 0; n < rounds; n++) {
		u64 r = xorshift(&h->random);
		unsigned int i = r % HELD;

		if (!put_back(h, i))
			return false;
		h->held[i] = rn_alloc(sizes[r / HELD % ARRAY_LEN(sizes)], 0);
		h->held[i][0] = h->name;
		h->held[i][1] = (u64)h->held[i];
	}
	return true;
}

static bool let_go(struct holder *h)
{
	bool ok = true;

	for (unsigned int i = 0; i < HELD; i++)
		ok &= put_back(h, i);
	return ok;
}

static void pin(unsigned int n)
{
	cpu_set_t allowed, one;
	unsigned int left = 0;

	sched_getaffinity(0, sizeof(allowed), &allowed);
	left = n % CPU_COUNT(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && !left--) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
}

static void *work(void *arg)
{
	struct holder h = { .name = (u64)arg, .random = (u64)arg };

	pin((unsigned int)h.name);
	while (!READ_ONCE(stop) && !READ_ONCE(damaged))
		if (!turn_over(&h, 1000) || !let_go(&h))
			WRITE_ONCE(damaged, true);
	return NULL;
}

static pthread_t threads[THREADS];

static void start_threads(void)
{
	for (u64 i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work,
						(void *)(i + 1)), 0);
}

static void join_threads(void)
{
	WRITE_ONCE(stop, true);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_msg(!damaged, "a thread's object was another's too");
}

static void expect_exit(pid_t pid, int code)
{
	int status;

	ck_assert_int_gt(pid, 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == code,
		      "the child's status is %#x", status);
}

/* Static: the child's frames are the parent's stack. */
static struct holder childs;

static noinline void be_child(unsigned int n)
{
	childs = (struct holder){ .name = 100, .random = n + 1 };
	/* Where the parent has not been last. */
	pin(n);
	if (!turn_over(&childs, CHILD_OBJECTS) || !let_go(&childs))
		_exit(1);
}

START_TEST(children_allocate)
{
	start_threads();
	for (unsigned int i = 0; i < VFORKS && !READ_ONCE(damaged); i++) {
		pid_t pid = vfork();

		if (!pid) {
			be_child(i);
			_exit(7);
		}
		expect_exit(pid, 7);
	}
	join_threads();
}
END_TEST

START_TEST(children_exec)
{
	char *const args[] = { (char *)"true", NULL };

	start_threads();
	for (unsigned int i = 0; i < VFORKS / 8; i++) {
		pid_t pid = vfork();

		if (!pid) {
			be_child(i);
			execv("/bin/true", args);
			_exit(9);
		}
		expect_exit(pid, 0);
	}
	join_threads();
}
END_TEST

/* A child that is a parent itself. */
START_TEST(nested)
{
	start_threads();
	for (unsigned int i = 0; i < VFORKS / 8; i++) {
		pid_t pid = vfork();

		if (!pid) {
			pid_t inner = vfork();
			int status;

			if (!inner) {
				be_child(i);
				_exit(3);
			}
			be_child(i + 1);
			if (waitpid(inner, &status, 0) != inner ||
			    WEXITSTATUS(status) != 3)
				_exit(1);
			_exit(4);
		}
		expect_exit(pid, 4);
	}
	join_threads();
}
END_TEST

static bool had_rseq;

static bool mask_is(unsigned long want)
{
	unsigned long mask;

	set_mask(NULL, &mask);
	return mask == want;
}

/* The mask is as before, in both, and so is the registration. */
START_TEST(state_is_kept)
{
	const unsigned long mask = 1UL << (SIGUSR1 - 1);
	pid_t pid;

	had_rseq = has_rseq();
	set_mask(&mask, NULL);
	pid = vfork();
	if (!pid)
		_exit(mask_is(1UL << (SIGUSR1 - 1)) &&
		      has_rseq() == had_rseq ? 5 : 6);
	expect_exit(pid, 5);
	ck_assert(mask_is(1UL << (SIGUSR1 - 1)));
	ck_assert(has_rseq() == had_rseq);
	if (had_rseq) {
		ck_assert(unregister());
		ck_assert_int_eq(rseq_call(registered_len, 0), 0);
	}
}
END_TEST

/* A registration that cannot be taken back: a child with memory of its own. */
START_TEST(by_fork)
{
	static struct rseq other __aligned(64);
	static volatile int seen;
	pid_t pid;

	if (!has_rseq()) {
		skip_part("by_fork", "no rseq");
		return;
	}
	ck_assert(unregister());
	/* Registered at another place, with the numbers of the old one. */
	ck_assert_int_eq(syscall(SYS_rseq, &other, 32, 0, RSEQ_SIG), 0);
	my_rseq()->cpu_id = 0;
	pid = vfork();
	if (!pid) {
		seen = 1;
		_exit(8);
	}
	expect_exit(pid, 8);
	ck_assert_int_eq(seen, 0);
}
END_TEST

extern char **environ;

/* By clone() inside of the C library: nothing is allocated in the child. */
START_TEST(spawned)
{
	char *const args[] = { (char *)"sh", (char *)"-c", (char *)"exit 6",
			       NULL };
	char line[16] = "";

	start_threads();
	for (int i = 0; i < 100 / LESS; i++) {
		pid_t pid;
		FILE *f;

		ck_assert_int_eq(posix_spawn(&pid, "/bin/sh", NULL, NULL, args,
					     environ), 0);
		expect_exit(pid, 6);
		ck_assert_int_eq(WEXITSTATUS(system("exit 5")), 5);
		f = popen("echo word", "re");
		ck_assert_ptr_nonnull(f);
		ck_assert_ptr_nonnull(fgets(line, sizeof(line), f));
		ck_assert_str_eq(line, "word\n");
		ck_assert_int_eq(pclose(f), 0);
	}
	join_threads();
}
END_TEST

int main(void)
{
	Suite *s;
	TCase *tc;

	if (SANITIZED) {
		puts("a sanitizer has a vfork() of its own");
		return 77;
	}
	s = suite_create("vfork");
	tc = tcase_create("vfork");
	tcase_add_test(tc, children_allocate);
	tcase_add_test(tc, children_exec);
	tcase_add_test(tc, nested);
	tcase_add_test(tc, state_is_kept);
	tcase_add_test(tc, by_fork);
	tcase_add_test(tc, spawned);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
