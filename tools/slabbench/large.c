// SPDX-License-Identifier: MIT
/*
 * large: hundreds of buffers of 1 to 16 MiB, of which the first and the last
 * page are used: what comes and goes is address space. The null allocator has
 * no part in it, as it would have to fill all of that space beforehand.
 */
#include "slots.h"
#include "workloads.h"

__bench_inline void large(struct worker *w, struct ops a)
{
	replace(w, a, touch_ends);
}

BENCH_INSTANCES_REAL(large)

const struct workload workload_large = {
	.name = "large",
	.help = "hundreds of buffers of 1-16 MiB, replaced at random, first and "
		"last page touched; an operation is a buffer allocated and freed",
	.least = 1 << 20,
	.most = 16 << 20,
	.count = 200,
	.total = 4000,
	.threads = one_thread,
	.phases = REPLACE_PHASES,
	.cold = true,
	.table_len = slots_len,
	.live = slots_live,
	.next_size = slots_next_size,
	.run = BENCH_RUN_REAL(large),
};
