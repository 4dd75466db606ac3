// SPDX-License-Identifier: MIT
/*
 * threadlocal: each thread replaces objects of a small set of its own, and no
 * object is ever seen by another. What it costs more with several threads than
 * with one is the allocator's.
 */
#include "alloc.h"
#include "workloads.h"

static const unsigned int threadlocal_threads[] = { 1, 2, 4, 8, 16, 0 };

__bench_inline void *threadlocal_get(const struct row *row, struct ops a,
				     uint64_t *x)
{
	size_t size = draw_size(row, x);
	char *p = must(a.get(size), size);

	*p = 1;
	return p;
}

__bench_inline void threadlocal(struct worker *w, struct ops a)
{
	const struct row *row = w->row;
	size_t count = row->count;
	void **table = w->table;
	uint64_t x = w->rng;

	for (size_t k = 0; k < count; k++)
		table[k] = threadlocal_get(row, a, &x);
	for (uint64_t i = w->iterations; i; i--) {
		size_t k = (next_random(&x) >> 32) * count >> 32;

		a.put(table[k]);
		table[k] = threadlocal_get(row, a, &x);
	}
	for (size_t k = 0; k < count; k++)
		a.put(table[k]);
	fold(&w->checksum, x);
	w->ops = w->iterations;
}

BENCH_INSTANCES(threadlocal)

static size_t threadlocal_len(const struct row *row)
{
	return row->count;
}

static size_t threadlocal_size(const struct row *row, uint64_t *rng)
{
	return draw_size(row, rng);
}

const struct workload workload_threadlocal = {
	.name = "threadlocal",
	.help = "each thread replaces objects of a small set of its own; an "
		"operation is a free and an allocation",
	.least = 16,
	.most = 512,
	.count = 100,
	.total = 50000000,
	.threads = threadlocal_threads,
	.table_len = threadlocal_len,
	.live = threadlocal_len,
	.next_size = threadlocal_size,
	.run = BENCH_RUN(threadlocal),
};
