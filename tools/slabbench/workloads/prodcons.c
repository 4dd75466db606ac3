// SPDX-License-Identifier: MIT
/*
 * prodcons: producers allocate, consumers free. From each producer to each
 * consumer there is a bounded ring with one writer and one reader, so that no
 * lock but the allocator's own is in the way. A producer serves the consumers
 * in turn; who frees what is thus the same whatever the allocator.
 *
 * A single thread is both: it fills the ring, then empties it.
 */
#include <sched.h>
#include "alloc.h"
#include "workloads.h"

#define RING	1024

/* Looks at a ring that is full or empty, before the CPU is left to others. */
#define SPINS	100

struct ring {
	size_t in __attribute__((aligned(64)));		/* by the producer */
	size_t out __attribute__((aligned(64)));	/* by the consumer */
	void *slot[RING] __attribute__((aligned(64)));
};

static const unsigned int prodcons_threads[] = { 2, 0 };

static unsigned int consumers(const struct row *row)
{
	return row->threads > 1 ? row->threads - row->producers : 1;
}

/* A producer's table holds its rings. */
static struct ring *ring_of(struct worker *w, unsigned int producer,
			    unsigned int consumer)
{
	return (struct ring *)worker_peer(w, producer)->table + consumer;
}

static void pause_after(unsigned int *spins)
{
	if (++*spins < SPINS)
		return;
	sched_yield();
	*spins = 0;
}

/* Frees what is in the ring; the sum of what was in the objects. */
__bench_inline uint64_t consume(struct ring *r, struct ops a, uint64_t *n)
{
	size_t in = __atomic_load_n(&r->in, __ATOMIC_ACQUIRE), out = r->out;
	uint64_t sum = 0;

	for (; out != in; ++*n) {
		unsigned char *p = r->slot[out % RING];

		sum += *p;
		a.put(p);
		__atomic_store_n(&r->out, ++out, __ATOMIC_RELEASE);
	}
	return sum;
}

__bench_inline uint64_t wait_for_room(struct worker *w, struct ring *r,
				      struct ops a, uint64_t *n)
{
	unsigned int spins = 0;

	if (r->in - __atomic_load_n(&r->out, __ATOMIC_ACQUIRE) < RING)
		return 0;
	if (w->row->threads == 1)
		return consume(r, a, n);
	while (r->in - __atomic_load_n(&r->out, __ATOMIC_ACQUIRE) == RING)
		pause_after(&spins);
	return 0;
}

/* What a single thread consumed meanwhile counts in @n; returns its sum. */
__bench_inline uint64_t produce(struct worker *w, struct ops a, uint64_t *n)
{
	unsigned int nr = consumers(w->row), c = w->index % nr;
	uint64_t x = w->rng, sum = 0;

	for (uint64_t i = w->iterations; i; i--) {
		struct ring *r = ring_of(w, w->index, c);
		size_t size = draw_size(w->row, &x);
		unsigned char *p;

		sum += wait_for_room(w, r, a, n);
		p = must(a.get(size), size);
		*p = (unsigned char)size;
		r->slot[r->in % RING] = p;
		__atomic_store_n(&r->in, r->in + 1, __ATOMIC_RELEASE);
		c = c + 1 < nr ? c + 1 : 0;
	}
	fold(&w->checksum, x);
	return sum;
}

/* The objects that come to a consumer: each nr-th of each producer. */
static uint64_t share_of(const struct worker *w, unsigned int consumer)
{
	unsigned int nr = consumers(w->row);
	uint64_t n = 0;

	for (unsigned int p = 0; p < w->row->producers; p++) {
		unsigned int first = (consumer + nr - p % nr) % nr;

		if (w->iterations > first)
			n += (w->iterations - first - 1) / nr + 1;
	}
	return n;
}

/* All that is still to come after the @n that have been seen. */
__bench_inline uint64_t consume_all(struct worker *w, struct ops a,
				    unsigned int consumer, uint64_t n)
{
	uint64_t due = share_of(w, consumer), sum = 0;
	unsigned int p = 0, spins = 0;

	while (n < due) {
		uint64_t before = n;

		sum += consume(ring_of(w, p, consumer), a, &n);
		if (n == before)
			pause_after(&spins);
		p = p + 1 < w->row->producers ? p + 1 : 0;
	}
	return sum;
}

__bench_inline void prodcons(struct worker *w, struct ops a)
{
	const struct row *row = w->row;
	unsigned int first = row->threads - consumers(row);
	uint64_t sum = 0, n = 0;

	wait_for_others(w);
	w->ops = 0;
	if (w->index < row->producers) {
		sum = produce(w, a, &n);
		w->ops = w->iterations;
	}
	if (w->index >= first)
		sum += consume_all(w, a, w->index - first, n);
	fold(&w->checksum, sum);
}

BENCH_INSTANCES(prodcons)

static size_t prodcons_len(const struct row *row)
{
	return consumers(row) * sizeof(struct ring) / sizeof(void *);
}

/*
 * No more is in the rings. The null allocator's ring is as long, so an object
 * in it has been consumed when its turn comes again.
 */
static size_t prodcons_live(const struct row *row)
{
	return (size_t)consumers(row) * RING;
}

static size_t prodcons_size(const struct row *row, uint64_t *rng)
{
	return draw_size(row, rng);
}

const struct workload workload_prodcons = {
	.name = "prodcons",
	.help = "producers allocate, consumers free (--producers); an "
		"operation is an object's way",
	.least = 16,
	.most = 512,
	.total = 20000000,
	.threads = prodcons_threads,
	.table_len = prodcons_len,
	.live = prodcons_live,
	.next_size = prodcons_size,
	.run = BENCH_RUN(prodcons),
};
