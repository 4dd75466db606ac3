// SPDX-License-Identifier: MIT
/*
 * threadchurn: threads that do not live long. Each frees what the one before
 * has left, allocates, frees most of it, and leaves the rest to the next. What
 * an allocator keeps for a thread must be made for each of them, and is lost if
 * it does not come back from the dead ones.
 */
#include <pthread.h>
#include "alloc.h"
#include "workloads.h"

/* One object in so many is left to the next thread. */
#define LEAVE	8

static const unsigned int threadchurn_threads[] = { 1, 2, 4, 0 };

/* The w->ops-th thread of a row of w->iterations. The last one leaves none. */
__bench_inline void life(struct worker *w, struct ops a)
{
	size_t count = w->row->count;
	bool first = !w->ops, last = w->ops + 1 == w->iterations;
	void **table = w->table;
	uint64_t x = w->rng;

	for (size_t i = 0; !first && i < count; i += LEAVE)
		a.put(table[i]);
	for (size_t i = 0; i < count; i++) {
		size_t size = draw_size(w->row, &x);

		table[i] = must(a.get(size), size);
		*(char *)table[i] = 1;
	}
	for (size_t i = 0; i < count; i++)
		if (last || i % LEAVE)
			a.put(table[i]);
	w->rng = x;
}

BENCH_INSTANCES_REAL(life)

static void (*const lives[NR_ALLOCATORS])(struct worker *w) =
	BENCH_RUN_REAL(life);

static void *life_main(void *arg)
{
	struct worker *w = arg;

	latency = w->latency;
	lives[w->row->allocator](w);
	return NULL;
}

/* Itself the same over each allocator: the worker only waits. */
static void threadchurn(struct worker *w)
{
	pthread_t thread;

	for (w->ops = 0; w->ops < w->iterations; w->ops++)
		if (pthread_create(&thread, NULL, life_main, w) ||
		    pthread_join(thread, NULL))
			wrong_result(w, "cannot start a thread");
	fold(&w->checksum, w->rng);
}

static size_t threadchurn_len(const struct row *row)
{
	return row->count;
}

const struct workload workload_threadchurn = {
	.name = "threadchurn",
	.help = "threads that free the last one's objects, allocate, free "
		"most, exit; an operation is one thread's life",
	.least = 16,
	.most = 1024,
	.count = 1000,
	.total = 10000,
	.threads = threadchurn_threads,
	.table_len = threadchurn_len,
	.live = threadchurn_len,
	.run = {
		[ALLOC_RN] = threadchurn,
		[ALLOC_RN_MEMCG] = threadchurn,
		[ALLOC_RN_EXEC] = threadchurn,
		[ALLOC_MALLOC] = threadchurn,
		[ALLOC_FREELIST] = threadchurn,
		[ALLOC_DPDK] = threadchurn,
	},
};
