// SPDX-License-Identifier: MIT
/*
 * forks spawn|daemon|double|loop TIMES: processes made while other threads
 * allocate.
 */
#include "preload.h"

#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int stop;

static void *load(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		use_memory(500);
	return arg;
}

static void ended_well(pid_t child)
{
	int status;

	must(waitpid(child, &status, 0) == child);
	must(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void loop(int n)
{
	for (int i = 0; i < n; i++) {
		pid_t child = fork();

		must(child >= 0);
		if (!child) {
			use_memory(300);
			_exit(0);
		}
		use_memory(50);
		ended_well(child);
	}
}

/* The grandchild says by a pipe that it was there. */
static void double_fork(void)
{
	int pipes[2];
	pid_t child;
	char c = 0;

	must(!pipe(pipes));
	child = fork();
	must(child >= 0);
	if (!child) {
		use_memory(100);
		child = fork();
		must(child >= 0);
		if (child)
			_exit(0);
		use_memory(1000);
		_exit(write(pipes[1], "x", 1) != 1);
	}
	close(pipes[1]);
	ended_well(child);
	must(read(pipes[0], &c, 1) == 1 && c == 'x');
	close(pipes[0]);
}

static void spawn(char *self, int n)
{
	char nothing[] = "nothing", *const args[] = { self, nothing, NULL };

	for (int i = 0; i < n; i++) {
		pid_t child;

		must(!posix_spawn(&child, self, NULL, NULL, args, environ));
		use_memory(50);
		ended_well(child);
	}
}

/* What goes on is another process; it writes where this one did. */
static void become_daemon(void)
{
	void *p = strdup("kept");

	must(!daemon(1, 1));
	must(!strcmp(p, "kept"));
	free(p);
	use_memory(10000);
	dprintf(1, "daemon is done\n");
}

static void under_load(void (*run)(int), int n)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		must(!pthread_create(&t[i], NULL, load, NULL));
	run(n);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		must(!pthread_join(t[i], NULL));
}

static void double_forks(int n)
{
	while (n--)
		double_fork();
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 1;

	must_be_slabmalloc();
	use_memory(1000);
	if (!strcmp(what, "loop"))
		under_load(loop, n);
	else if (!strcmp(what, "double"))
		under_load(double_forks, n);
	else if (!strcmp(what, "spawn"))
		spawn(argv[0], n);
	else if (!strcmp(what, "daemon"))
		become_daemon();
	else if (strcmp(what, "nothing"))
		return 2;
	return 0;
}
