// SPDX-License-Identifier: MIT
/*
 * mixed: sizes as programs have them: most are small, a few are large, and the
 * large ones have most of the bytes. --dist takes the sizes of a real program.
 */
#include "slots.h"
#include "workloads.h"

__bench_inline void mixed(struct worker *w, struct ops a)
{
	replace(w, a, touch_pages);
}

BENCH_INSTANCES(mixed)

const struct workload workload_mixed = {
	.name = "mixed",
	.help = "log-normal sizes, median 100 bytes, up to 64 KiB, replaced at "
		"random; an operation is an object allocated and freed",
	.least = 8,
	.most = 64 << 10,
	.median = 100,
	.count = 100000,
	.total = 5000000,
	.threads = one_thread,
	.phases = REPLACE_PHASES,
	.cold = true,
	.table_len = slots_len,
	.live = slots_live,
	.next_size = slots_next_size,
	.run = BENCH_RUN(mixed),
};
