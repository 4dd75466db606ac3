/* SPDX-License-Identifier: MIT */
/*
 * A table of objects, each with its size beside it: so that bytes that are live
 * can be counted without a look into an object, or at the allocator.
 */
#ifndef SLABBENCH_SLOTS_H
#define SLABBENCH_SLOTS_H

#include "alloc.h"

#define TOUCH_STEP	4096	/* the smallest page there is */

struct slot {
	char *p;		/* NULL: empty */
	size_t size;
};

__bench_inline struct slot *worker_slots(const struct worker *w)
{
	return (struct slot *)w->table;
}

/* For the functions of a struct workload with row->count slots per thread. */
static inline size_t slots_len(const struct row *row)
{
	return row->count * sizeof(struct slot) / sizeof(void *);
}

static inline size_t slots_live(const struct row *row)
{
	return row->count;
}

static inline size_t slots_next_size(const struct row *row, uint64_t *rng)
{
	return draw_size(row, rng);
}

/* From 0 to @n - 1, for an @n below 2^32. */
__bench_inline size_t random_below(uint64_t *x, size_t n)
{
	return (next_random(x) >> 32) * n >> 32;
}

/* From 1.5 to 4 times a size, by quarters. */
__bench_inline size_t draw_larger(const struct row *row, uint64_t *x)
{
	return draw_size(row, x) * (6 + random_below(x, 11)) / 4;
}

/* As a program would that fills in what it asked for, at less expense. */
__bench_inline void touch_pages(char *p, size_t size)
{
	for (size_t i = 0; i < size; i += TOUCH_STEP)
		p[i] = 1;
}

__bench_inline void touch_ends(char *p, size_t size)
{
	p[0] = 1;
	p[size - 1] = 1;
}

__bench_inline void slot_take(struct worker *w, struct ops a, struct slot *s,
			      size_t size)
{
	s->p = must(a.get(size), size);
	s->size = size;
	live_add(w, size);
}

__bench_inline void slot_give(struct worker *w, struct ops a, struct slot *s)
{
	a.put(s->p);
	s->p = NULL;
	live_add(w, -s->size);
}

/* All slots, with sizes drawn. */
__bench_inline void slots_fill(struct worker *w, struct ops a,
			       void (*touch)(char *, size_t), uint64_t *x)
{
	struct slot *slots = worker_slots(w);

	for (size_t k = 0; k < w->row->count; k++) {
		slot_take(w, a, &slots[k], draw_size(w->row, x));
		touch(slots[k].p, slots[k].size);
	}
}

/* Between two phases, so that nobody's time has it. */
__bench_inline void slots_note_usable(struct worker *w, struct ops a)
{
	const struct slot *slots = worker_slots(w);

	for (size_t k = 0; k < w->row->count; k++)
		if (slots[k].p)
			w->usable += a.usable(slots[k].p);
	w->start_ns[w->phase] = now_ns();
}

__bench_inline void slots_drain(struct worker *w, struct ops a)
{
	struct slot *slots = worker_slots(w);

	for (size_t k = 0; k < w->row->count; k++)
		if (slots[k].p)
			slot_give(w, a, &slots[k]);
}

#endif /* SLABBENCH_SLOTS_H */
