// SPDX-License-Identifier: MIT
/*
 * churn: the table filled; then in each iteration a random half of it freed and
 * as much allocated again, as a server does between calm and load. Whether the
 * holes that remain are filled decides what it holds in the end.
 */
#include "slots.h"
#include "workloads.h"

/* Moves a random half to the front and frees it: Fisher and Yates, half way. */
__bench_inline void free_half(struct worker *w, struct ops a, size_t half,
			      uint64_t *x)
{
	struct slot *slots = worker_slots(w);

	for (size_t i = 0; i < half; i++) {
		size_t k = i + random_below(x, w->row->count - i);
		struct slot s = slots[k];

		slots[k] = slots[i];
		slots[i] = s;
		slot_give(w, a, &slots[i]);
	}
}

__bench_inline void churn(struct worker *w, struct ops a)
{
	struct slot *slots = worker_slots(w);
	size_t count = w->row->count, half = (count + 1) / 2;
	uint64_t x = w->rng;

	slots_fill(w, a, touch_pages, &x);
	phase_end(w);
	for (uint64_t i = 0; i < w->iterations; i++) {
		free_half(w, a, half, &x);
		for (size_t k = 0; k < half; k++) {
			slot_take(w, a, &slots[k], draw_size(w->row, &x));
			touch_pages(slots[k].p, slots[k].size);
		}
	}
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	phase_end(w);
	slots_note_usable(w, a);
	slots_drain(w, a);
	w->ops = count + w->iterations * half;
}

BENCH_INSTANCES(churn)

const struct workload workload_churn = {
	.name = "churn",
	.help = "a random half of the objects freed and as many allocated, "
		"over and over; an operation is an object allocated and freed",
	.least = 16,
	.most = 2048,
	.median = 100,
	.count = 100000,
	.total = 100,
	.threads = one_thread,
	.phases = { "fill", "churn", "free" },
	.cold = true,
	.table_len = slots_len,
	.live = slots_live,
	.next_size = slots_next_size,
	.run = BENCH_RUN(churn),
};
