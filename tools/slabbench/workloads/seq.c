// SPDX-License-Identifier: MIT
/*
 * seq: objects of 8 to 512 bytes, one after the other, until so many bytes have
 * been asked for; each is touched; then all are freed in the same order. How
 * fast memory comes from the system, and goes.
 */
#include "seq.h"
#include "workloads.h"

BENCH_INSTANCES(seq)

const struct workload workload_seq = {
	.name = "seq",
	.help = "objects of 8-512 bytes up to --bytes, each touched, then "
		"freed in order; an operation is both",
	.bytes = (size_t)3 << 30,
	.total = 1,
	.threads = one_thread,
	.phases = { "alloc", "free" },
	.cold = true,
	.table_len = seq_len,
	.live = seq_len,
	.next_size = seq_size,
	.run = BENCH_RUN(seq),
};
