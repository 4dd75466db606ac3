// SPDX-License-Identifier: MIT
/*
 * A library that allocates while it is loaded, by itself and in a thread that
 * it starts, and frees while it is unloaded.
 */
#include "preload.h"

#include <pthread.h>

static char *kept;

static void *thread(void *arg)
{
	use_memory(200);
	return arg;
}

static __attribute__((constructor)) void constructor(void)
{
	pthread_t t;

	kept = malloc(500);
	use_memory(200);
	must(!pthread_create(&t, NULL, thread, NULL));
	must(!pthread_join(t, NULL));
}

static __attribute__((destructor)) void destructor(void)
{
	free(kept);
	use_memory(200);
}
