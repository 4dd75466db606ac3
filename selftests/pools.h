/* SPDX-License-Identifier: MIT */
/*
 * Memory pools over an allocator of the tests' own, which counts and can be
 * told to fail; and threads that take an element each.
 */
#ifndef SELFTESTS_POOLS_H
#define SELFTESTS_POOLS_H

#include "helpers.h"
#include "must.h"

#include <pthread.h>
#include <rn/mempool.h>

struct element {
	int busy;		/* in somebody's hands */
	char bytes[60];
};

extern struct own {
	long live, calls;
	long left;		/* calls that succeed; below 0: all of them */
	rn_gfp_t flags;		/* of the last call */
} own;

/* The functions of such a pool; its data are &own. */
void *own_alloc(rn_gfp_t flags, void *data);
void own_free(void *element, void *data);

/* So many more calls succeed, or all for -1. */
void let_succeed(long calls);
long live(void);

/* A pool of @min elements, behind which there is nothing. */
struct rn_mempool *poor_pool(unsigned int min);
/* Everything is back; destroys it. */
void expect_whole(struct rn_mempool *pool);

struct taker {
	pthread_t thread;
	struct rn_mempool *pool;
	int asked;		/* of the allocator, since it began */
	void *got;
};

/* A thread that takes one, when it is in the queue for it. */
void start_and_queue(struct taker *t, struct rn_mempool *pool);
void *got(struct taker *t);

#endif /* SELFTESTS_POOLS_H */
