/* SPDX-License-Identifier: MIT */
/*
 * The loop of seq and mtseq: they differ in their threads and bytes.
 */
#ifndef SLABBENCH_SEQ_H
#define SLABBENCH_SEQ_H

#include "alloc.h"

#define SEQ_MIN	8
#define SEQ_MAX	512

__bench_inline size_t seq_draw(uint64_t *x)
{
	uint64_t r = next_random(x) >> 32;

	return SEQ_MIN + (r * (SEQ_MAX - SEQ_MIN + 1) >> 32);
}

static inline size_t seq_size(const struct row *row, uint64_t *rng)
{
	(void)row;
	return seq_draw(rng);
}

/*
 * The bytes at which a thread stops. An object is allocated as long as it does
 * not go beyond, so the number of objects differs from thread to thread.
 */
static inline size_t seq_share(const struct row *row)
{
	return row->bytes / row->threads;
}

/*
 * Enough for any thread: the mean is 260 bytes, and the sum of a hundred or
 * more draws does not fall short of it by an eighth; small shares get their
 * worst case.
 */
static inline size_t seq_len(const struct row *row)
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

#endif /* SLABBENCH_SEQ_H */
