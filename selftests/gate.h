/* SPDX-License-Identifier: MIT */
/*
 * What tests of the gate share: fork() out of a signal handler that interrupted
 * a slow path. Nothing is left to luck: the thread that forks holds the lock of
 * a slow path, and forks when the others are seen to wait for it.
 */
#ifndef SELFTESTS_GATE_H
#define SELFTESTS_GATE_H

#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static struct rn_cache *c;
static struct cache_node *n;

static inline void setup(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 64, .flags = RN_NOMERGE,
	};

	/* No ticks but this test's. */
	setenv("RN_DECAY_MS", "-1", 1);
	c = rn_cache_create("gate", &args);
	ck_assert_ptr_nonnull(c);
	n = cache_node_get(c, numa_local_node());
	ck_assert_ptr_nonnull(n);
	alarm(20);
}

#define OBJECTS	100

static inline void allocate(int signal)
{
	void *p[OBJECTS];

	for (int i = 0; i < OBJECTS; i++)
		p[i] = rn_cache_alloc(c, 0);
	for (int i = 0; i < OBJECTS; i++)
		rn_cache_free(c, p[i]);
}

static inline void on_signal(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };

	sigaction(SIGUSR1, &action, NULL);
}

static inline bool is_waited_for(const struct lock *l)
{
	return READ_ONCE(l->state) & LOCK_WAITERS;
}

static inline void wait_until_waited_for(const struct lock *l)
{
	while (!is_waited_for(l))
		usleep(100);
}

static pid_t forked;

static inline void fork_now(int signal)
{
	forked = fork();
}

static inline void expect_child_ok(pid_t pid)
{
	int status = -1;

	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		ck_abort_msg("pid %d, status %#x", pid, status);
}

/*
 * Forks in a handler with @l held, which others wait for. In the child it is
 * held too, until the handler has returned.
 */
static inline void fork_with(struct lock *l, void (*child)(void),
		      unsigned int ticket)
{
	on_signal(fork_now);
	raise(SIGUSR1);
	if (!forked)
		alarm(10);
	ck_assert(lock_is_mine(l));
	unlock(l);
	gate_exit(ticket);
	if (!forked) {
		child();
		_exit(0);
	}
	expect_child_ok(forked);
}

#endif /* SELFTESTS_GATE_H */
