// SPDX-License-Identifier: MIT
/*
 * rnbench: a table of slots per thread; each iteration picks a slot and a size
 * and allocates into the slot or frees what it holds.
 *
 *   toggle      allocate if the slot is empty, else free
 *   random      a random one of the two, skipped where it does not apply
 *   alloc-only  each iteration allocates into a slot of its own; nothing is
 *               freed while the clock runs
 */
#include "alloc.h"
#include "workloads.h"

static const uint32_t rnbench_mix[] = { 16, 64, 128, 256, 0 };
static const unsigned int rnbench_threads[] = { 1, 4, 8, 16, 32, 0 };

/* What of the row the loop depends on; constants in the common cases. */
struct shape {
	size_t slots;
	enum op_mode ops;
	enum pattern pattern;
	bool mask;		/* the number of sizes is a power of two */
	bool checked;
};

__bench_inline size_t pick_size(const struct row *row, bool mask, uint64_t x)
{
	unsigned int n = row->nr_sizes;

	return row->sizes[mask ? x & (n - 1) : (x & 0xffffffff) * n >> 32];
}

__bench_inline bool wants_alloc(struct shape s, const void *held, uint64_t x)
{
	return s.ops == OPS_RANDOM ? !!(x & 0x10000) : !held;
}

__bench_inline void rnbench_loop(struct worker *w, struct ops a,
				 struct shape s)
{
	const struct row *row = w->row;
	void **slot = w->table;
	uint64_t x = w->rng, n = w->iterations;

	for (uint64_t i = 0; i < n; i++) {
		uint64_t r = next_random(&x);
		size_t k = s.pattern == PATTERN_SEQ ?
			i % s.slots : (r >> 20) % s.slots;
		bool alloc = wants_alloc(s, slot[k], r);

		if (s.checked) {
			fold(&w->checksum, k * 4 + alloc * 2 + !slot[k]);
			fold(&w->checksum, pick_size(row, s.mask, r));
		}
		if (alloc && !slot[k]) {
			size_t size = pick_size(row, s.mask, r);

			slot[k] = must(a.get(size), size);
			*(char *)slot[k] = 1;
		} else if (!alloc && slot[k]) {
			a.put(slot[k]);
			slot[k] = NULL;
		}
	}
	w->rng = x;
}

/* Also part of the time: a program that ends its work frees what is left. */
__bench_inline uint64_t rnbench_drain(struct worker *w, struct ops a)
{
	uint64_t live = 0;

	for (size_t k = 0; k < w->table_len; k++) {
		if (!w->table[k])
			continue;
		a.put(w->table[k]);
		w->table[k] = NULL;
		live++;
	}
	return live;
}

__bench_inline void rnbench_fill(struct worker *w, struct ops a, bool mask)
{
	uint64_t x = w->rng;

	for (uint64_t i = 0; i < w->iterations; i++) {
		size_t size = pick_size(w->row, mask, next_random(&x));

		w->table[i] = must(a.get(size), size);
		*(char *)w->table[i] = 1;
	}
	w->rng = x;
}

static struct shape shape_of(const struct worker *w)
{
	const struct row *row = w->row;

	return (struct shape) {
		.slots = row->count,
		.ops = row->ops,
		.pattern = row->pattern,
		.mask = !(row->nr_sizes & (row->nr_sizes - 1)),
		.checked = w->checked,
	};
}

/* A division by a variable number of slots would cost as much as a free. */
static bool is_common(struct shape s)
{
	return s.slots == DEFAULT_SLOTS && s.pattern == PATTERN_RAND &&
	       s.mask && !s.checked;
}

#define COMMON_SHAPE(o) ((struct shape) {				\
	.slots = DEFAULT_SLOTS, .ops = (o),				\
	.pattern = PATTERN_RAND, .mask = true, .checked = false,	\
})

__bench_inline void rnbench(struct worker *w, struct ops a)
{
	struct shape s = shape_of(w);
	uint64_t live;

	if (s.ops == OPS_ALLOC_ONLY)
		rnbench_fill(w, a, s.mask);
	else if (is_common(s) && s.ops == OPS_TOGGLE)
		rnbench_loop(w, a, COMMON_SHAPE(OPS_TOGGLE));
	else if (is_common(s))
		rnbench_loop(w, a, COMMON_SHAPE(OPS_RANDOM));
	else
		rnbench_loop(w, a, s);
	hold_peak(w);
	if (s.ops == OPS_ALLOC_ONLY)
		phase_end(w);
	live = rnbench_drain(w, a);
	fold(&w->checksum, w->rng);
	fold(&w->checksum, live);
	w->ops = w->iterations;
}

BENCH_INSTANCES(rnbench)

static size_t rnbench_len(const struct row *row)
{
	return row->ops == OPS_ALLOC_ONLY ? row->iterations : row->count;
}

/* Slots visited at random are half full in the long run. */
static size_t rnbench_live(const struct row *row)
{
	size_t len = rnbench_len(row);

	return row->ops == OPS_ALLOC_ONLY || row->pattern == PATTERN_SEQ ?
		len : (len + 1) / 2;
}

static size_t rnbench_size(const struct row *row, uint64_t *rng)
{
	return pick_size(row, !(row->nr_sizes & (row->nr_sizes - 1)),
			 next_random(rng));
}

const struct workload workload_rnbench = {
	.name = "rnbench",
	.help = "random slot, random size: allocate or free; an operation "
		"is one iteration",
	.mix = rnbench_mix,
	.count = DEFAULT_SLOTS,
	.total = 20000000,
	.threads = rnbench_threads,
	.table_len = rnbench_len,
	.live = rnbench_live,
	.next_size = rnbench_size,
	.run = BENCH_RUN(rnbench),
};
