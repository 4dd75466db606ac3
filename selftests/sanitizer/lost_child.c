// SPDX-License-Identifier: MIT
/*
 * A child of fork() has the objects of its parent, and loses one, while threads
 * of the parent allocate: that one is its own, and no other is lost.
 *
 * memcheck: 31 bytes in 1 blocks are definitely lost
 * asan: Direct leak of 31 byte\(s\) in 1 object\(s\)
 * asan: SUMMARY: AddressSanitizer: 31 byte\(s\) leaked in 1 allocation
 * asan: lose .*lost_child\.c
 * slab: clean
 */
#define _GNU_SOURCE
#include "fault.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS	20

static volatile int stop;
static char *kept[100];

static void *allocate(void *arg)
{
	(void)arg;
	while (!stop) {
		char *p = must_alloc(40), *q = must_alloc(100000);

		store(p, 39);
		rn_free(q);
		rn_free(p);
	}
	return NULL;
}

static __attribute__((noinline)) void lose(void)
{
	store(must_alloc(31), 0);
}

static __attribute__((noinline)) void wipe(void)
{
	char *room = hide(__builtin_alloca(4096));

	memset(room, 0, 4096);
	hide(room);
}

/* All but the last are to look for nothing when they end. */
static void child(int is_last)
{
	for (int i = 0; i < 50; i++)
		rn_free(kept[i]);
	if (rn_size(kept[60]) != 61)
		_exit(0);
	if (!is_last)
		raise(SIGKILL);
	lose();
	wipe();
	exit(0);
}

int main(void)
{
	pthread_t thread;
	int status = SIGKILL;

	for (int i = 0; i < 100; i++)
		kept[i] = must_alloc(i + 1);
	if (pthread_create(&thread, NULL, allocate, NULL))
		abort();
	for (int i = 1; i <= ROUNDS && WIFSIGNALED(status); i++) {
		pid_t pid;

		/* Without the thread, whose stack would be no root there. */
		if (i == ROUNDS) {
			stop = 1;
			pthread_join(thread, NULL);
		}
		pid = fork();
		if (!pid)
			child(i == ROUNDS);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			abort();
	}
	for (int i = 0; i < 100; i++)
		rn_free(kept[i]);
	return WEXITSTATUS(status);
}
