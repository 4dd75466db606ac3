// SPDX-License-Identifier: MIT
/*
 * sharedpool: all threads put new objects into one table; whoever takes an
 * object out frees it, which with several threads is seldom the one that
 * allocated it. Each thread's table is its part of the whole.
 */
#include "alloc.h"
#include "workloads.h"

static const unsigned int sharedpool_threads[] = { 1, 2, 4, 8, 0 };

/* Any slot of any thread. */
__bench_inline void **pick_slot(struct worker *w, uint64_t r)
{
	unsigned int owner = (r >> 48) * w->row->threads >> 16;

	return &worker_peer(w, owner)->table[(r & UINT32_MAX) *
					     w->row->count >> 32];
}

/*
 * When all are done. A slot is taken if anybody ever chose it, so the number
 * does not depend on who came first.
 */
__bench_inline uint64_t sharedpool_drain(struct worker *w, struct ops a)
{
	uint64_t n = 0;

	for (size_t k = 0; k < w->row->count; k++) {
		if (!w->table[k])
			continue;
		a.put(w->table[k]);
		w->table[k] = NULL;
		n++;
	}
	return n;
}

__bench_inline void sharedpool(struct worker *w, struct ops a)
{
	uint64_t x = w->rng;

	wait_for_others(w);
	for (uint64_t i = w->iterations; i; i--) {
		void **slot = pick_slot(w, next_random(&x));
		size_t size = draw_size(w->row, &x);
		char *p = must(a.get(size), size);

		*p = 1;
		p = __atomic_exchange_n(slot, p, __ATOMIC_ACQ_REL);
		if (p)
			a.put(p);
	}
	wait_for_others(w);
	fold(&w->checksum, x);
	fold(&w->checksum, sharedpool_drain(w, a));
	w->ops = w->iterations;
}

BENCH_INSTANCES(sharedpool)

static size_t sharedpool_len(const struct row *row)
{
	return row->count;
}

static size_t sharedpool_size(const struct row *row, uint64_t *rng)
{
	return draw_size(row, rng);
}

const struct workload workload_sharedpool = {
	.name = "sharedpool",
	.help = "all threads replace objects in one table; an operation is "
		"an allocation, an exchange and a free",
	.least = 16,
	.most = 512,
	.count = 1000,
	.total = 20000000,
	.threads = sharedpool_threads,
	.table_len = sharedpool_len,
	.live = sharedpool_len,
	.next_size = sharedpool_size,
	.run = BENCH_RUN(sharedpool),
};
