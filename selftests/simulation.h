/* SPDX-License-Identifier: MIT */
/*
 * The plan of a replay, carried out without memory: whatever the threads do
 * first, no more is live than was recorded, and as much at the end.
 */
#ifndef SELFTESTS_SIMULATION_H
#define SELFTESTS_SIMULATION_H

#include "trace_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include "plan.h"

/**
 * struct simulation - a plan, carried out in an order drawn by lot
 * @done: operations of each thread
 * @left: threads that have something left in @epoch
 * @size: of the object in a slot, UINT64_MAX where there is none
 */
struct simulation {
	struct plan plan;
	bool *started;
	uint64_t *done;
	uint64_t epoch, left;
	uint64_t *size;
	uint64_t live, peak;
};

static inline const struct plan_op *next_op(const struct simulation *s,
					    unsigned int thread)
{
	const struct plan_thread *t = &s->plan.thread[thread];

	return s->started[thread] && s->done[thread] < t->nr ?
		&s->plan.op[t->first + s->done[thread]] : NULL;
}

static inline bool can_run(const struct simulation *s, const struct plan_op *op)
{
	if (op->kind == PLAN_BEGIN)
		return s->epoch == op->size;
	if (op->kind == PLAN_WAIT)
		return s->done[op->slot] > op->size;
	return true;
}

static inline void run_call(struct simulation *s, const struct plan_op *op)
{
	uint64_t *size = &s->size[op->slot];

	ck_assert_int_eq(*size == UINT64_MAX,
			 op->kind != PLAN_FREE && op->kind != PLAN_RESIZE);
	s->live -= *size == UINT64_MAX ? 0 : *size;
	*size = op->kind == PLAN_FREE ? UINT64_MAX : op->size;
	s->live += op->kind == PLAN_FREE ? 0 : op->size;
	s->peak = s->live > s->peak ? s->live : s->peak;
}

static inline void run_op(struct simulation *s, const struct plan_op *op)
{
	switch (op->kind) {
	case PLAN_BEGIN:
	case PLAN_WAIT:
		break;
	case PLAN_START:
		ck_assert(!s->started[op->slot]);
		s->started[op->slot] = true;
		break;
	case PLAN_END:
		if (--s->left)
			break;
		if (++s->epoch < s->plan.head->nr_epochs)
			s->left = s->plan.epoch[s->epoch];
		break;
	default:
		run_call(s, op);
	}
}

/* Any thread that can, until none can. */
static inline void simulate(struct simulation *s)
{
	uint64_t threads = s->plan.head->nr_threads, stuck = 0;

	while (stuck < threads) {
		unsigned int t = (random_u64() >> 20) % threads;

		for (stuck = 0; stuck < threads; stuck++) {
			const struct plan_op *op = next_op(s, t);

			if (op && can_run(s, op)) {
				run_op(s, op);
				s->done[t]++;
				break;
			}
			t = (t + 1) % threads;
		}
	}
	for (uint64_t t = 0; t < threads; t++)
		ck_assert_uint_eq(s->done[t], s->plan.thread[t].nr);
	ck_assert_uint_eq(s->epoch, s->plan.head->nr_epochs);
}

static inline void simulation_end(struct simulation *s, int fd)
{
	struct stat st;

	ck_assert_int_eq(fstat(fd, &st), 0);
	munmap((void *)s->plan.head, (size_t)st.st_size);
	free(s->started);
	free(s->done);
	free(s->size);
}

static inline void simulate_plan(int fd, const struct totals *sum)
{
	struct simulation s = { .live = 0 };
	const struct plan_head *h;

	ck_assert_int_eq(plan_map(&s.plan, fd), 0);
	h = s.plan.head;
	s.started = calloc(h->nr_threads, sizeof(*s.started));
	s.done = calloc(h->nr_threads, sizeof(*s.done));
	s.started[h->first] = true;
	s.left = s.plan.epoch[0];
	s.size = malloc(h->nr_slots * sizeof(*s.size));
	for (uint64_t i = 0; i < h->nr_slots; i++)
		s.size[i] = UINT64_MAX;
	simulate(&s);
	ck_assert_uint_eq(s.peak, sum->peak);
	ck_assert_uint_eq(s.live, sum->end);
	simulation_end(&s, fd);
}

#endif /* SELFTESTS_SIMULATION_H */
