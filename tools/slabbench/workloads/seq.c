// SPDX-License-Identifier: MIT
/*
 * seq: objects of 8 to 512 bytes, one after the other, until so many bytes have
 * been asked for; each is touched; then all are freed in the same order. How
 * fast memory comes from the system, and goes.
 *
 * mtseq: the same from several threads at once. The system, which maps and
 * clears the pages, is what they have in common; an allocator can make it
 * worse.
 */
#include "alloc.h"
#include "workloads.h"

#define SEQ_MIN	8
#define SEQ_MAX	512

__bench_inline size_t seq_draw(uint64_t *x)
{
	uint64_t r = next_random(x) >> 32;

	return SEQ_MIN + (r * (SEQ_MAX - SEQ_MIN + 1) >> 32);
}

static size_t seq_size(const struct row *row, uint64_t *rng)
{
	(void)row;
	return seq_draw(rng);
}

/*
 * The bytes at which a thread stops. An object is allocated as long as it does
 * not go beyond, so the number of objects differs from thread to thread.
 */
static size_t seq_share(const struct row *row)
{
	return row->bytes / row->threads;
}

/*
 * Enough for any thread: the mean is 260 bytes, and the sum of a hundred or
 * more draws does not fall short of it by an eighth; small shares get their
 * worst case.
 */
static size_t seq_len(const struct row *row)
{
	size_t share = seq_share(row);

	return share < 65536 ? share / SEQ_MIN + 1 : share / 227;
}

__bench_inline void seq(struct worker *w, struct ops a)
{
	size_t left = seq_share(w->row), n = 0, size;
	void **table = w->table;
	uint64_t x = w->rng, sum = 0;

	while ((size = seq_draw(&x)) <= left && n < w->table_len) {
		uint64_t *p = must(a.get(size), size);

		*p = size;
		table[n++] = p;
		left -= size;
		live_add(w, size);
		fold(&sum, size);
	}
	fold(&w->checksum, sum);
	phase_end(w);
	for (size_t i = 0; i < n; i++)
		a.put(table[i]);
	live_add(w, -(seq_share(w->row) - left));
	w->ops = n;
}

BENCH_INSTANCES(seq)

static const unsigned int mtseq_threads[] = { 2, 4, 0 };

#define SEQS						\
	.total = 1,					\
	.phases = { "alloc", "free" },			\
	.cold = true,					\
	.table_len = seq_len,				\
	.live = seq_len,				\
	.next_size = seq_size,				\
	.run = BENCH_RUN(seq)

const struct workload workload_seq = {
	.name = "seq",
	.help = "objects of 8-512 bytes up to --bytes, each touched, then "
		"freed in order; an operation is both",
	.bytes = (size_t)3 << 30,
	.threads = one_thread,
	SEQS,
};

const struct workload workload_mtseq = {
	.name = "mtseq",
	.help = "seq with several threads at once, --bytes shared out; an "
		"operation is an object allocated and freed",
	.bytes = (size_t)1 << 30,
	.threads = mtseq_threads,
	SEQS,
};
