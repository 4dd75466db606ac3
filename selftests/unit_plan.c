// SPDX-License-Identifier: MIT
/*
 * The threads of a trace are put in an order that could have been, and the plan
 * of a replay keeps to it.
 */
#define _GNU_SOURCE
#include "simulation.h"

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

/* One object, or all of them together. */
START_TEST(sizes_beyond_all_memory)
{
	static const uint64_t sizes[][2] = {
		{ UINT64_MAX, 1 }, { 1, UINT64_MAX }, { 1, INT64_MAX },
		{ 1ULL << 63, 1ULL << 63 }, { 100, -50ULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct totals sum;
		struct writing x;
		struct trace t;
		char *text;

		create(&x);
		put(&x, RNT_MALLOC, 1 * MS, 0x1000, sizes[i][0]);
		put(&x, RNT_MALLOC, 2 * MS, 0x2000, sizes[i][1]);
		finish(&x);
		ck_assert_int_eq(trace_load(&t, x.name), 0);
		stderr_catch();
		ck_assert_int_eq(totals_of(&sum, &t), -1);
		text = stderr_caught();
		ck_assert_ptr_nonnull(strstr(text, "more is live than"));
		free(text);
		trace_free(&t);
		unlink(x.name);
	}
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
	tcase_add_test(tc, sizes_beyond_all_memory);
	tcase_add_test(tc, any_order_has_the_recorded_peak);
	tcase_set_timeout(tc, 60);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
