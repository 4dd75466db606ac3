// SPDX-License-Identifier: MIT
/*
 * The threads of a trace are put in an order that could have been, and the plan
 * of a replay keeps to it.
 */
#define _GNU_SOURCE
#include "trace_file.h"

#include "plan.h"

/* --- objects --- */

START_TEST(objects_by_address)
{
	static bool model[4096];
	struct objects o = { .n = 0 };
	size_t n = 0;

	for (int i = 0; i < NR_RANDOM; i++) {
		uint64_t a = random_u64() % 4096;
		struct object *obj = objects_find(&o, 16 * (a + 1));

		ck_assert_int_eq(!!obj, model[a]);
		if (obj) {
			ck_assert_uint_eq(obj->size, a);
			objects_remove(&o, obj);
		} else {
			objects_add(&o, 16 * (a + 1))->size = a;
		}
		model[a] = !obj;
		n += obj ? -1 : 1;
		ck_assert_uint_eq(o.n, n);
	}
	objects_free(&o);
}
END_TEST

/* --- order --- */

static void assert_totals(const struct writing *x, uint64_t peak, uint64_t end,
			  uint64_t foreign, uint64_t lost)
{
	struct totals sum;
	struct trace t;

	ck_assert_int_eq(trace_load(&t, x->name), 0);
	ck_assert_int_eq(totals_of(&sum, &t), 0);
	ck_assert_uint_eq(sum.peak, peak);
	ck_assert_uint_eq(sum.end, end);
	ck_assert_uint_eq(sum.foreign, foreign);
	ck_assert_uint_eq(sum.lost, lost);
	trace_free(&t);
	unlink(x->name);
}

START_TEST(threads_are_merged_by_time)
{
	struct writing x;

	create(&x);
	put(&x, RNT_MALLOC, 1 * MS, 0x1000, 100);
	put(&x, RNT_MALLOC, 30 * MS, 0x2000, 10);
	next_thread(&x);
	put(&x, RNT_FREE, 20 * MS, 0x1000, 0);
	put(&x, RNT_FREE, 40 * MS, 0x2000, 0);
	finish(&x);
	assert_totals(&x, 100, 0, 0, 0);
}
END_TEST

/* A free that is timed before its allocation, by clocks that are apart. */
START_TEST(a_free_waits_for_its_allocation)
{
	struct writing x;

	create(&x);
	for (uint64_t i = 1; i <= 100; i++)
		put(&x, RNT_MALLOC, i * MS, i * 0x1000, 100);
	next_thread(&x);
	for (uint64_t i = 1; i <= 100; i++)
		put(&x, RNT_FREE, i * MS - MS / 2, i * 0x1000, 0);
	finish(&x);
	assert_totals(&x, 100, 0, 0, 0);
}
END_TEST

/* One address that goes from thread to thread, all at the same time. */
START_TEST(memory_is_freed_before_it_is_reused)
{
	struct writing x;

	create(&x);
	for (int thread = 0; thread < 8; thread++) {
		for (int i = 0; i < 50; i++) {
			put(&x, RNT_MALLOC, MS + 10 * i, 0x1000, 100);
			put(&x, RNT_FREE, MS + 10 * i + 10, 0x1000, 0);
		}
		next_thread(&x);
	}
	finish(&x);
	assert_totals(&x, 100, 0, 0, 0);
}
END_TEST

/* What nobody allocated is told, and so is what nobody freed. */
START_TEST(what_is_missing_is_counted)
{
	struct writing x;

	create(&x);
	put(&x, RNT_FREE, 1 * MS, 0x9000, 0);
	put(&x, RNT_MALLOC, 2 * MS, 0x1000, 100);
	put(&x, RNT_MALLOC, 9 * MS, 0x1000, 70);
	next_thread(&x);
	put(&x, RNT_FREE, 5 * MS, 0x8000, 0);
	finish(&x);
	assert_totals(&x, 100, 70, 2, 1);
}
END_TEST

/* --- plans --- */

#define THREADS		4
#define STEPS		20000
#define MOST_LIVE	200

/* Events of each thread, in the order of all. */
struct script {
	struct rnt_event e[STEPS];
	unsigned int by[STEPS];
};

/* Each thread frees, resizes and allocates whatever comes. */
static void write_script(struct script *s)
{
	uint64_t live[MOST_LIVE], n = 0, next = 1;

	for (uint64_t i = 0; i < STEPS; i++) {
		struct rnt_event *e = &s->e[i];
		uint64_t at = n ? random_u64() % n : 0;

		s->by[i] = (unsigned int)(random_u64() >> 20) % THREADS;
		*e = (struct rnt_event){
			.time_ns = 100 * i, .size = random_u64() % 1000,
		};
		if (n == MOST_LIVE || (n && random_u64() % 3 == 0)) {
			e->kind = RNT_FREE;
			e->address = live[at];
			live[at] = live[--n];
		} else if (n && random_u64() % 4 == 0) {
			e->kind = RNT_REALLOC;
			e->old = live[at];
			e->address = live[at] = 4096 * next++;
		} else {
			e->kind = RNT_MALLOC;
			e->address = live[n++] = 4096 * next++;
		}
	}
}

static void write_random(struct writing *x)
{
	static struct script s;

	write_script(&s);
	create(x);
	for (unsigned int t = 0; t < THREADS; t++) {
		for (int i = 0; i < STEPS; i++) {
			if (s.by[i] != t)
				continue;
			if (!rnt_has_room(&x->w))
				end_block(x);
			rnt_put(&x->w, &s.e[i]);
		}
		next_thread(x);
	}
	finish(x);
}

/**
 * struct simulation - a plan, carried out in an order drawn by lot
 * @done: operations of each thread
 * @left: threads that have something left in @epoch
 * @size: of the object in a slot, UINT64_MAX where there is none
 */
struct simulation {
	struct plan plan;
	bool started[THREADS];
	uint64_t done[THREADS];
	uint64_t epoch, left;
	uint64_t *size;
	uint64_t live, peak;
};

static const struct plan_op *next_op(const struct simulation *s,
				     unsigned int thread)
{
	const struct plan_thread *t = &s->plan.thread[thread];

	return s->started[thread] && s->done[thread] < t->nr ?
		&s->plan.op[t->first + s->done[thread]] : NULL;
}

static bool can_run(const struct simulation *s, const struct plan_op *op)
{
	if (op->kind == PLAN_BEGIN)
		return s->epoch == op->size;
	if (op->kind == PLAN_WAIT)
		return s->done[op->slot] > op->size;
	return true;
}

static void run_call(struct simulation *s, const struct plan_op *op)
{
	uint64_t *size = &s->size[op->slot];

	ck_assert_int_eq(*size == UINT64_MAX,
			 op->kind != PLAN_FREE && op->kind != PLAN_RESIZE);
	s->live -= *size == UINT64_MAX ? 0 : *size;
	*size = op->kind == PLAN_FREE ? UINT64_MAX : op->size;
	s->live += op->kind == PLAN_FREE ? 0 : op->size;
	s->peak = s->live > s->peak ? s->live : s->peak;
}

static void run_op(struct simulation *s, const struct plan_op *op)
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
static void simulate(struct simulation *s)
{
	unsigned int stuck = 0;

	while (stuck < THREADS) {
		unsigned int t = (unsigned int)(random_u64() >> 20) % THREADS;

		for (stuck = 0; stuck < THREADS; stuck++) {
			const struct plan_op *op = next_op(s, t);

			if (op && can_run(s, op)) {
				run_op(s, op);
				s->done[t]++;
				break;
			}
			t = (t + 1) % THREADS;
		}
	}
	for (unsigned int t = 0; t < THREADS; t++)
		ck_assert_uint_eq(s->done[t], s->plan.thread[t].nr);
	ck_assert_uint_eq(s->epoch, s->plan.head->nr_epochs);
}

static void simulate_plan(int fd, const struct totals *sum)
{
	struct simulation s = { .live = 0 };
	const struct plan_head *h;

	ck_assert_int_eq(plan_map(&s.plan, fd), 0);
	h = s.plan.head;
	s.started[h->first] = true;
	s.left = s.plan.epoch[0];
	s.size = malloc(h->nr_slots * sizeof(*s.size));
	for (uint64_t i = 0; i < h->nr_slots; i++)
		s.size[i] = UINT64_MAX;
	simulate(&s);
	ck_assert_uint_eq(s.peak, sum->peak);
	ck_assert_uint_eq(s.live, sum->end);
	free(s.size);
}

/* However the threads of a plan get ahead of one another. */
START_TEST(any_order_has_the_recorded_peak)
{
	struct writing x;
	struct plan_head head;
	struct totals sum;
	struct trace t;
	int fd;

	write_random(&x);
	ck_assert_int_eq(trace_load(&t, x.name), 0);
	fd = plan_make(&t, &sum, &head);
	ck_assert_int_ge(fd, 0);
	ck_assert_uint_eq(sum.foreign + sum.lost, 0);
	ck_assert_uint_eq(head.calls, STEPS);
	ck_assert_uint_eq(head.peak, sum.peak);
	ck_assert_uint_gt(head.nr_epochs, STEPS / EPOCH_EVENTS);
	ck_assert_uint_lt(head.nr_epochs, STEPS);
	for (int round = 0; round < 20; round++)
		simulate_plan(fd, &sum);
	close(fd);
	trace_free(&t);
	unlink(x.name);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("plan");
	TCase *tc = tcase_create("plan");

	tcase_add_test(tc, objects_by_address);
	tcase_add_test(tc, threads_are_merged_by_time);
	tcase_add_test(tc, a_free_waits_for_its_allocation);
	tcase_add_test(tc, memory_is_freed_before_it_is_reused);
	tcase_add_test(tc, what_is_missing_is_counted);
	tcase_add_test(tc, any_order_has_the_recorded_peak);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
