// SPDX-License-Identifier: MIT
/*
 * small, medium, large, mixed: a table of objects, one at random replaced in
 * each iteration. They differ by what the objects are.
 */
#include "slots.h"
#include "workloads.h"

/* The table filled, slots freed and filled anew, then all freed. */
__bench_inline void replace_slots(struct worker *w, struct ops a,
				  void (*touch)(char *, size_t))
{
	struct slot *slots = worker_slots(w);
	uint64_t x = w->rng;

	slots_fill(w, a, touch, &x);
	phase_end(w);
	for (uint64_t i = 0; i < w->iterations; i++) {
		struct slot *s = &slots[random_below(&x, w->row->count)];

		slot_give(w, a, s);
		slot_take(w, a, s, draw_size(w->row, &x));
		touch(s->p, s->size);
	}
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	phase_end(w);
	slots_note_usable(w, a);
	slots_drain(w, a);
	w->ops = w->row->count + w->iterations;
}

__bench_inline void replace(struct worker *w, struct ops a)
{
	replace_slots(w, a, touch_pages);
}

/*
 * Of a buffer of megabytes the first and the last page are used: what comes
 * and goes is address space. The null allocator has no part in that, as it
 * would have to fill all of the space beforehand.
 */
__bench_inline void replace_large(struct worker *w, struct ops a)
{
	replace_slots(w, a, touch_ends);
}

BENCH_INSTANCES(replace)
BENCH_INSTANCES_REAL(replace_large)

#define REPLACES						\
	.threads = one_thread,					\
	.phases = { "fill", "replace", "free" },		\
	.cold = true,						\
	.table_len = slots_len,					\
	.live = slots_live,					\
	.next_size = slots_next_size

/* As of a program that consists of nodes: more than any cache holds. */
const struct workload workload_small = {
	.name = "small",
	.help = "a million objects of 8-64 bytes, replaced at random; an "
		"operation is an object allocated and freed",
	.least = 8,
	.most = 64,
	.count = 1000000,
	.total = 5000000,
	.run = BENCH_RUN(replace),
	REPLACES,
};

/*
 * Where an allocator hands memory back to the system in between, the pages are
 * paid for again.
 */
const struct workload workload_medium = {
	.name = "medium",
	.help = "thousands of buffers of 1-64 KiB, replaced at random, each page "
		"touched; an operation is a buffer allocated and freed",
	.least = 1 << 10,
	.most = 64 << 10,
	.count = 4000,
	.total = 2000000,
	.run = BENCH_RUN(replace),
	REPLACES,
};

const struct workload workload_large = {
	.name = "large",
	.help = "hundreds of buffers of 1-16 MiB, replaced at random, first and "
		"last page touched; an operation is a buffer allocated and freed",
	.least = 1 << 20,
	.most = 16 << 20,
	.count = 200,
	.total = 200000,
	.run = BENCH_RUN_REAL(replace_large),
	REPLACES,
};

/*
 * Sizes as programs have them: most are small, a few are large, and the large
 * ones have most of the bytes. --dist takes the sizes of a real program.
 */
const struct workload workload_mixed = {
	.name = "mixed",
	.help = "log-normal sizes, median 100 bytes, up to 64 KiB, replaced at "
		"random; an operation is an object allocated and freed",
	.least = 8,
	.most = 64 << 10,
	.median = 100,
	.count = 100000,
	.total = 5000000,
	.run = BENCH_RUN(replace),
	REPLACES,
};
