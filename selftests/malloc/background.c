// SPDX-License-Identifier: MIT
/*
 * background comes|falls|leaves|vfork|trim: a program that is started with
 * RN_BACKGROUND=1 and knows nothing of it, and malloc_trim().
 */
#define _GNU_SOURCE
#include "preload.h"

#include <dirent.h>
#include <malloc.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

/* Is there a thread of that name? */
static int is_there(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *d;
	int found = 0;

	must(tasks);
	while (!found && (d = readdir(tasks))) {
		char path[300], name[32] = "";
		FILE *f;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm",
			 d->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		found = fgets(name, sizeof(name), f) &&
			!strcmp(name, "rn-kswapd\n");
		fclose(f);
	}
	closedir(tasks);
	return found;
}

/* It comes when something is freed that does not fit into a CPU's slot. */
static void wait_for_it(void)
{
	for (int i = 0; i < 1000 && !is_there(); i++) {
		free(malloc(200000));
		usleep(10000);
	}
	must(is_there());
}

static void use_much(void)
{
	enum { MANY = 20000 };
	static void *p[MANY];

	for (int i = 0; i < MANY; i++) {
		must(p[i] = malloc(1000));
		memset(p[i], i, 1000);
	}
	for (int i = 0; i < MANY; i++)
		free(p[i]);
}

/* While the program does nothing but look. */
static void falls(void)
{
	long held, before;

	wait_for_it();
	before = resident_kb();
	use_much();
	held = resident_kb() - before;
	must(held > 2000);
	for (int i = 0; i < 100 && resident_kb() - before > held / 5; i++)
		usleep(50000);
	must(resident_kb() - before <= held / 5);
}

static void *last_thread(void *arg)
{
	use_memory(1000);
	return arg;
}

/* The process ends all the same. */
static void leaves(void)
{
	pthread_t t;

	wait_for_it();
	must(!pthread_create(&t, NULL, last_thread, NULL));
	pthread_exit(NULL);
}

/* A child in the parent's memory must not start what ends with it. */
static void by_vfork(void)
{
	int status;

	use_memory(1000);
	usleep(100000);
	for (int i = 0; i < 100; i++) {
		pid_t child = vfork();

		must(child >= 0);
		if (!child) {
			use_memory(1000);
			_exit(0);
		}
		must(waitpid(child, &status, 0) == child && !status);
	}
	wait_for_it();
}

static void trim(void)
{
	use_much();
	must(malloc_trim(0) == 1);
	must(malloc_trim(0) == 0);
	use_much();
	must(malloc_trim(1L << 30) == 0);
	must(malloc_trim(1 << 20) == 1);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	must_be_slabmalloc();
	if (!strcmp(what, "comes"))
		wait_for_it();
	else if (!strcmp(what, "falls"))
		falls();
	else if (!strcmp(what, "leaves"))
		leaves();
	else if (!strcmp(what, "vfork"))
		by_vfork();
	else if (!strcmp(what, "trim"))
		trim();
	else
		return 2;
	return 0;
}
