// SPDX-License-Identifier: MIT
/*
 * reuse: rounds of 500 allocations of mixed sizes, all freed, and the same
 * again: a loop that handles requests. All of it should come out of what the
 * round before has freed.
 */
#include "alloc.h"
#include "workloads.h"

#define ROUND	500

static const uint32_t reuse_mix[] = { 16, 32, 48, 64, 96, 128, 192, 256, 0 };

__bench_inline void reuse(struct worker *w, struct ops a)
{
	void **table = w->table;
	uint64_t x = w->rng, sum = 0;

	for (uint64_t r = w->iterations; r; r--) {
		for (unsigned int i = 0; i < ROUND; i++) {
			size_t size = draw_size(w->row, &x);

			table[i] = must(a.get(size), size);
			*(char *)table[i] = 1;
			sum += size;
		}
		for (unsigned int i = 0; i < ROUND; i++)
			a.put(table[i]);
	}
	fold(&w->checksum, x);
	fold(&w->checksum, sum);
	w->ops = w->iterations * ROUND;
}

BENCH_INSTANCES(reuse)

static size_t reuse_len(const struct row *row)
{
	(void)row;
	return ROUND;
}

static size_t reuse_size(const struct row *row, uint64_t *rng)
{
	return draw_size(row, rng);
}

const struct workload workload_reuse = {
	.name = "reuse",
	.help = "rounds of 500 allocations and their 500 frees; an iteration "
		"is a round, an operation one of each",
	.mix = reuse_mix,
	.total = 300000,
	.threads = one_thread,
	.table_len = reuse_len,
	.live = reuse_len,
	.next_size = reuse_size,
	.run = BENCH_RUN(reuse),
};
