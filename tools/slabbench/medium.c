// SPDX-License-Identifier: MIT
/*
 * medium: thousands of buffers of 1 to 64 KiB, a byte of each page written.
 * Where an allocator hands memory back to the system in between, the pages are
 * paid for again.
 */
#include "slots.h"
#include "workloads.h"

__bench_inline void medium(struct worker *w, struct ops a)
{
	replace(w, a, touch_pages);
}

BENCH_INSTANCES(medium)

const struct workload workload_medium = {
	.name = "medium",
	.help = "thousands of buffers of 1-64 KiB, replaced at random, each page "
		"touched; an operation is a buffer allocated and freed",
	.least = 1 << 10,
	.most = 64 << 10,
	.count = 4000,
	.total = 1000000,
	.threads = one_thread,
	.phases = REPLACE_PHASES,
	.cold = true,
	.table_len = slots_len,
	.live = slots_live,
	.next_size = slots_next_size,
	.run = BENCH_RUN(medium),
};
