// SPDX-License-Identifier: MIT
/*
 * falseshare-active, falseshare-passive: does the allocator put objects of two
 * threads into one cache line? After E. Berger's cache-thrash and cache-scratch
 * for Hoard. If it does, each write waits until the line has come over from the
 * other CPU.
 *
 *   active   each thread allocates an object, writes to it over and over, and
 *            frees it: lines are shared if threads are served out of one slab
 *   passive  one thread allocates an object for each, side by side; each writes
 *            to its own, frees it, and goes on as in active: lines are shared
 *            if a thread is given back what it has freed
 */
#include "alloc.h"
#include "workloads.h"

/* So many that what the allocation itself costs hardly matters. */
#define WRITES	1000

static const size_t falseshare_sizes[] = { 8 };
static const unsigned int falseshare_threads[] = { 1, 2, 4, 0 };

/*
 * Volatile: each byte is read and written, as it would be between other work;
 * what is read is whatever was there.
 */
__bench_inline void scribble(void *object, size_t size)
{
	volatile unsigned char *p = object;
	size_t k = 0;

	for (unsigned int i = 0; i < WRITES; i++) {
		p[k] = p[k] + 1;
		k = k + 1 < size ? k + 1 : 0;
	}
	keep(object);
}

__bench_inline void falseshare_end(struct worker *w, size_t size)
{
	fold(&w->checksum, size);
	fold(&w->checksum, w->iterations);
	w->ops = w->iterations;
}

__bench_inline void falseshare_active(struct worker *w, struct ops a)
{
	size_t size = w->row->size;

	for (uint64_t i = w->iterations; i; i--) {
		void *p = must(a.get(size), size);

		scribble(p, size);
		a.put(p);
	}
	falseshare_end(w, size);
}

/*
 * The first thread allocates for all; all have their tables by then. Nobody
 * allocates again before all have freed what they were given.
 */
__bench_inline void first_round(struct worker *w, struct ops a, size_t size)
{
	wait_for_others(w);
	for (unsigned int i = 0; !w->index && i < w->row->threads; i++)
		worker_peer(w, i)->table[0] = must(a.get(size), size);
	wait_for_others(w);
	scribble(w->table[0], size);
	a.put(w->table[0]);
	wait_for_others(w);
}

__bench_inline void falseshare_passive(struct worker *w, struct ops a)
{
	size_t size = w->row->size;

	first_round(w, a, size);
	for (uint64_t i = w->iterations; i > 1; i--) {
		void *p = must(a.get(size), size);

		scribble(p, size);
		a.put(p);
	}
	falseshare_end(w, size);
}

BENCH_INSTANCES(falseshare_active)
BENCH_INSTANCES(falseshare_passive)

static size_t active_live(const struct row *row)
{
	(void)row;
	return 1;
}

static size_t passive_len(const struct row *row)
{
	(void)row;
	return 1;
}

static size_t passive_live(const struct row *row)
{
	return row->threads;
}

const struct workload workload_falseshare_active = {
	.name = "falseshare-active",
	.help = "each thread allocates an object, writes to it 1,000 times, "
		"frees it; an operation is all that",
	.sizes = falseshare_sizes,
	.nr_sizes = ARRAY_SIZE(falseshare_sizes),
	.total = 1000000,
	.threads = falseshare_threads,
	.live = active_live,
	.next_size = row_size,
	.run = BENCH_RUN(falseshare_active),
};

const struct workload workload_falseshare_passive = {
	.name = "falseshare-passive",
	.help = "the same, but one thread allocates the first object of each; "
		"an operation as in falseshare-active",
	.sizes = falseshare_sizes,
	.nr_sizes = ARRAY_SIZE(falseshare_sizes),
	.total = 1000000,
	.threads = falseshare_threads,
	.table_len = passive_len,
	.live = passive_live,
	.next_size = row_size,
	.run = BENCH_RUN(falseshare_passive),
};
