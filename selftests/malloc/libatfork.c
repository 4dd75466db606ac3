// SPDX-License-Identifier: MIT
/*
 * A library with a thread of its own that allocates, and handlers of fork()
 * that stop it and start it again, all from its constructor.
 */
#include "preload.h"

#include <pthread.h>

static pthread_t worker;
static int stop, works;

static void *work(void *arg)
{
	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		use_memory(1000);
		__atomic_store_n(&works, 1, __ATOMIC_RELAXED);
	}
	return arg;
}

static void start_worker(void)
{
	stop = works = 0;
	must(!pthread_create(&worker, NULL, work, NULL));
	while (!__atomic_load_n(&works, __ATOMIC_RELAXED))
		;
}

static void stop_worker(void)
{
	__atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
	must(!pthread_join(worker, NULL));
}

static __attribute__((constructor)) void constructor(void)
{
	start_worker();
	must(!pthread_atfork(stop_worker, start_worker, start_worker));
}
