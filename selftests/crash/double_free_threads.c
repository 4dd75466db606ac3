// SPDX-License-Identifier: MIT
/* Two threads free the same objects at the same moment, until one is seen. */
#include "crash.h"

#include <pthread.h>

#define ROUNDS 10000

static pthread_barrier_t barrier;
static void *volatile shared;

static void *free_it(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		if (arg)
			shared = i ? rn_alloc(64, 0) : blame(rn_alloc(64, 0));
		pthread_barrier_wait(&barrier);
		rn_free(shared);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

int main(void)
{
	pthread_t other;

	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&other, NULL, free_it, NULL))
		return 2;
	free_it(&other);
	return came_through();
}
