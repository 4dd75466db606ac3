// SPDX-License-Identifier: MIT
/*
 * limits as|fill|held|affinity|while: what the system allows, and how that changes.
 */
#include "preload.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct link {
	struct link *next;
};

/* Takes objects until there are no more; frees them. How much it was. */
static size_t fill(size_t size, size_t most)
{
	struct link *chain = NULL, *l;
	size_t bytes = 0;

	errno = 0;
	while (bytes < most && (l = malloc(size))) {
		memset(l, 1, size);
		l->next = chain;
		chain = l;
		bytes += size;
	}
	must(bytes >= most || errno == ENOMEM);
	while ((l = chain)) {
		chain = l->next;
		free(l);
	}
	return bytes;
}

static void limited_address_space(void)
{
	/* Of 100,000 bytes 16 fit into 2 MiB, of 3 MiB one into 4. */
	static const struct {
		size_t size;
		unsigned int percent;
	} want[] = {
		{ 64, 75 }, { 1000, 75 }, { 30000, 75 }, { 100000, 60 },
		{ 3 << 20, 60 },
	};
	struct rlimit limit;
	size_t usable;

	must(!getrlimit(RLIMIT_AS, &limit));
	must(limit.rlim_cur != RLIM_INFINITY);
	/* The program and its libraries, and slots for each CPU. */
	usable = limit.rlim_cur - (10UL << 20) -
		(size_t)sysconf(_SC_NPROCESSORS_CONF) * (2UL << 20);
	for (int i = 0; i < 5; i++) {
		/* Most of what there is, and again for each size. */
		size_t bytes = fill(want[i].size, limit.rlim_cur);

		must(bytes >= usable / 100 * want[i].percent &&
		     bytes < limit.rlim_cur);
	}
	use_memory(10000);
}

/* RN_LIMIT=64M: half of it can be had at least, again and again, and no more. */
static void limited_by_option(void)
{
	static const size_t sizes[] = { 64, 1000, 30000, 3 << 20 };
	const size_t limit = 64UL << 20;

	for (int i = 0; i < 8; i++) {
		size_t bytes = fill(sizes[i % 4], 2 * limit);

		must(bytes >= limit / 2 && bytes <= limit);
		must(!fill(2 * limit, 1));
	}
	use_memory(10000);
}

static void go_to(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(!sched_setaffinity(0, sizeof(set), &set));
}

static int stop;

static void *load(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED))
		use_memory(500);
	return arg;
}

static void run_load(void (*meanwhile)(double), double seconds)
{
	pthread_t t[3];

	for (int i = 0; i < 3; i++)
		must(!pthread_create(&t[i], NULL, load, NULL));
	meanwhile(seconds);
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	for (int i = 0; i < 3; i++)
		must(!pthread_join(t[i], NULL));
}

static void wander(double seconds)
{
	time_t end = time(NULL) + (time_t)seconds;
	cpu_set_t mine;
	int cpu = 0;

	must(!sched_getaffinity(0, sizeof(mine), &mine));
	while (time(NULL) < end) {
		cpu = (cpu + 1) % CPU_SETSIZE;
		if (!CPU_ISSET(cpu, &mine))
			continue;
		go_to(cpu);
		use_memory(100);
	}
}

static void wait_for(double seconds)
{
	struct timespec t = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (double)(time_t)seconds) * 1e9),
	};

	nanosleep(&t, NULL);
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	double n = argc > 2 ? atof(argv[2]) : 0;

	/* The C library's malloc is looked at as well. */
	if (!getenv("ANY_MALLOC"))
		must_be_slabmalloc();
	if (!strcmp(what, "as"))
		limited_address_space();
	else if (!strcmp(what, "fill"))
		printf("%zu\n", fill(10000, (size_t)n << 20));
	else if (!strcmp(what, "held"))
		limited_by_option();
	else if (!strcmp(what, "affinity"))
		run_load(wander, n);
	else if (!strcmp(what, "while"))
		run_load(wait_for, n);
	else
		return 2;
	return 0;
}
