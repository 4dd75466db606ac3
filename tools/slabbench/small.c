// SPDX-License-Identifier: MIT
/*
 * small: a million objects of 8 to 64 bytes, as of a program that consists of
 * nodes: more than any cache holds, so the memory that a header takes is seen.
 */
#include "slots.h"
#include "workloads.h"

__bench_inline void small(struct worker *w, struct ops a)
{
	replace(w, a, touch_pages);
}

BENCH_INSTANCES(small)

const struct workload workload_small = {
	.name = "small",
	.help = "a million objects of 8-64 bytes, replaced at random; an "
		"operation is an object allocated and freed",
	.least = 8,
	.most = 64,
	.count = 1000000,
	.total = 5000000,
	.threads = one_thread,
	.phases = REPLACE_PHASES,
	.cold = true,
	.table_len = slots_len,
	.live = slots_live,
	.next_size = slots_next_size,
	.run = BENCH_RUN(small),
};
