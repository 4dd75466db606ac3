// SPDX-License-Identifier: MIT
/*
 * Under a debugger that goes step by step (stepi, record, a watchpoint in
 * software). Each step interrupts the thread, so no restartable sequence ever
 * commits: all has to go on without one, and come to an end; by mm_cid, too.
 */
#define _GNU_SOURCE
#include "helpers.h"

#include <errno.h>
#include <rn/slab.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS		4
#define STEPS_MOST	1000000UL	/* it takes some 170,000 */

static const size_t sizes[] = { 8, 64, 240, 1000, 4096, 30000, 65536 };

/* Allocations of each size, freed in another order; 0 if all was well. */
static int work(void)
{
	unsigned char *p[ARRAY_LEN(sizes)];

	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
			p[i] = rn_alloc(sizes[i], 0);
			if (!p[i])
				return 1;
			p[i][0] = p[i][sizes[i] - 1] = 1 + i;
		}
		for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
			if (p[i][0] != 1 + i || p[i][sizes[i] - 1] != 1 + i)
				return 2;
		for (size_t i = ARRAY_LEN(sizes); i--; )
			rn_free(p[i]);
	}
	return 0;
}

#define NO_TRACE	77
#define NO_CID		78

/* Works once as usual, and then once more when its tracer has seen it stop. */
static _Noreturn void tracee(bool by_cid)
{
	int ret = work();

	if (by_cid && vmstat("percpu_index_mm_cid") != 1)
		_exit(NO_CID);
	if (ptrace(PTRACE_TRACEME, 0, NULL, NULL))
		_exit(NO_TRACE);
	raise(SIGSTOP);
	_exit(ret ? ret : work());
}

/* Steps @pid until it is no more; how it ended. */
static int step_to_end(pid_t pid, unsigned long *steps)
{
	int status;

	for (*steps = 0; ; ++*steps) {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		if (!WIFSTOPPED(status))
			return status;
		if (*steps == STEPS_MOST)
			break;
		ck_assert_int_eq(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
	}
	kill(pid, SIGKILL);
	ck_abort_msg("still at it after %lu steps", *steps);
}

START_TEST(single_steps)
{
	unsigned long steps;
	int status;
	pid_t pid;

	if (SANITIZED) {
		skip_part("single_steps", "a sanitizer's steps are too many");
		return;
	}
	if (_i && forced_fallback())
		return;
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (!pid) {
		/* Time flies: each tick would be stepped through, too. */
		setenv("RN_DECAY_MS", "-1", 1);
		if (_i)
			setenv("RN_PERCPU", "cid", 1);
		tracee(_i);
	}
	status = step_to_end(pid, &steps);
	ck_assert_msg(WIFEXITED(status), "ended by signal %d",
		      WTERMSIG(status));
	if (WEXITSTATUS(status) == NO_CID) {
		skip_part("single_steps", "the kernel has no mm_cid");
		return;
	}
	if (WEXITSTATUS(status) == NO_TRACE) {
		skip_part("single_steps", "nothing can be traced here");
		return;
	}
	ck_assert_int_eq(WEXITSTATUS(status), 0);
	/* It was stepped through and did not run free. */
	ck_assert_uint_gt(steps, ROUNDS * ARRAY_LEN(sizes) * 50);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("step");
	TCase *tc = tcase_create("step");

	tcase_add_loop_test(tc, single_steps, 0, 2);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
