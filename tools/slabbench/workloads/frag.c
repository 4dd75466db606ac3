// SPDX-License-Identifier: MIT
/*
 * frag: the table filled with objects of mixed sizes, every second one freed,
 * then larger ones allocated until as many bytes are live as were before. An
 * allocator that can make nothing of the holes holds half as much again.
 */
#include "slots.h"
#include "workloads.h"

__bench_inline void punch(struct worker *w, struct ops a)
{
	struct slot *slots = worker_slots(w);

	for (size_t k = 1; k < w->row->count; k += 2)
		slot_give(w, a, &slots[k]);
}

/* Into the slots that were freed; as they are larger, not all are needed. */
__bench_inline uint64_t refill(struct worker *w, struct ops a, uint64_t bytes,
			       uint64_t *x)
{
	struct slot *slots = worker_slots(w);
	uint64_t n = 0;

	for (size_t k = 1; k < w->row->count; k += 2, n++) {
		size_t size = draw_larger(w->row, x);

		if (*w->live + size > bytes)
			break;
		slot_take(w, a, &slots[k], size);
		touch_pages(slots[k].p, size);
	}
	return n;
}

__bench_inline void frag(struct worker *w, struct ops a)
{
	uint64_t x = w->rng, bytes, refilled;

	slots_fill(w, a, touch_pages, &x);
	bytes = *w->live;
	phase_end(w);
	punch(w, a);
	phase_end(w);
	refilled = refill(w, a, bytes, &x);
	fold(&w->checksum, x);
	fold(&w->checksum, *w->live);
	phase_end(w);
	slots_note_usable(w, a);
	slots_drain(w, a);
	w->ops = w->row->count + refilled;
}

BENCH_INSTANCES_REAL(frag)

const struct workload workload_frag = {
	.name = "frag",
	.help = "mixed sizes, every second object freed, as many bytes of "
		"larger ones allocated: what is held for what is live; an "
		"operation is an object allocated and freed",
	.least = 16,
	.most = 256,
	.median = 64,
	.count = 1000000,
	.total = 1,
	.threads = one_thread,
	.phases = { "fill", "punch", "refill", "free" },
	.cold = true,
	.table_len = slots_len,
	.live = slots_live,
	.next_size = slots_next_size,
	.run = BENCH_RUN_REAL(frag),
};
