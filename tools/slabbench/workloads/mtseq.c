// SPDX-License-Identifier: MIT
/*
 * mtseq: seq from several threads at once. The system, which maps and clears
 * the pages, is what they have in common; an allocator can make it worse.
 */
#include "seq.h"
#include "workloads.h"

static const unsigned int mtseq_threads[] = { 2, 4, 0 };

BENCH_INSTANCES(seq)

const struct workload workload_mtseq = {
	.name = "mtseq",
	.help = "seq with several threads at once, --bytes shared out; an "
		"operation is an object allocated and freed",
	.bytes = (size_t)1 << 30,
	.total = 1,
	.threads = mtseq_threads,
	.phases = { "alloc", "free" },
	.cold = true,
	.table_len = seq_len,
	.live = seq_len,
	.next_size = seq_size,
	.run = BENCH_RUN(seq),
};
