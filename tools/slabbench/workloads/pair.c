// SPDX-License-Identifier: MIT
/*
 * pair: one object allocated and freed, over and over. The shortest way through
 * an allocator.
 */
#include "pair.h"
#include "workloads.h"

BENCH_INSTANCES(pair)

static size_t pair_live(const struct row *row)
{
	(void)row;
	return 1;
}

const struct workload workload_pair = {
	.name = "pair",
	.help = "allocate and free one object, in a loop; an operation is both",
	.sizes = common_sizes,
	.nr_sizes = NR_COMMON_SIZES,
	.total = 20000000,
	.threads = one_thread,
	.live = pair_live,
	.next_size = row_size,
	.run = BENCH_RUN(pair),
};
