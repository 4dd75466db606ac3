// SPDX-License-Identifier: MIT
/*
 * batch: 1,000 objects allocated, then freed in the same order. Past what a
 * small front cache holds, within what a good one does.
 */
#include "alloc.h"
#include "workloads.h"

#define BATCH	1000

__bench_inline void batch(struct worker *w, struct ops a)
{
	size_t size = w->row->size;
	uint64_t rounds = (w->iterations + BATCH - 1) / BATCH;
	void **table = w->table;

	for (uint64_t r = rounds; r; r--) {
		for (unsigned int i = 0; i < BATCH; i++)
			table[i] = must(a.get(size), size);
		for (unsigned int i = 0; i < BATCH; i++)
			a.put(table[i]);
	}
	fold(&w->checksum, size);
	fold(&w->checksum, rounds);
	w->ops = rounds * BATCH;
}

BENCH_INSTANCES(batch)

static size_t batch_len(const struct row *row)
{
	(void)row;
	return BATCH;
}

const struct workload workload_batch = {
	.name = "batch",
	.help = "1,000 allocations, then their 1,000 frees, in a loop; an "
		"operation is one of each",
	.sizes = common_sizes,
	.nr_sizes = NR_COMMON_SIZES,
	.total = 5000000,
	.threads = one_thread,
	.table_len = batch_len,
	.live = batch_len,
	.next_size = row_size,
	.run = BENCH_RUN(batch),
};
