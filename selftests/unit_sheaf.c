// SPDX-License-Identifier: MIT
/*
 * Sheaves, the pool that they come from, and barns, against a model.
 */
#include "given.h"
#include "helpers.h"

#include "slab.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static const unsigned int capacities[] = { 2, 3, 6, 14, 30, 62, 126, 254 };

static void setup(void)
{
	init_given();
}

START_TEST(capacity_by_size)
{
	unsigned int before = sheaf_capacity(8);

	for (size_t size = 8; size <= KMALLOC_MAX; size += 8) {
		unsigned int capacity = sheaf_capacity(size);
		bool known = false;

		for (size_t i = 0; i < ARRAY_LEN(capacities); i++)
			known |= capacity == capacities[i];
		ck_assert_msg(known, "%u for %zu", capacity, size);
		ck_assert_uint_le(capacity, before);
		before = capacity;
	}
}
END_TEST

/* Whatever is asked for fits, in the smallest sheaf that it fits. */
START_TEST(room_for_any_number)
{
	for (unsigned int n = 1; n <= 254; n++) {
		struct sheaf *s = sheaf_alloc(n);

		ck_assert_ptr_nonnull(s);
		ck_assert_uint_ge(sheaf_room(s), n);
		ck_assert_uint_le(sheaf_room(s), max(2 * n, 6U));
		sheaf_free(s);
	}
}
END_TEST

/* Sheaves of all sizes at once: none overlaps another. */
START_TEST(pool)
{
	enum { MANY = 300 };
	static struct sheaf *s[ARRAY_LEN(capacities)][MANY];
	u64 bytes, unused, bytes_after, unused_after;

	sheaf_pool_stats(&bytes, &unused);
	for (size_t k = 0; k < ARRAY_LEN(capacities); k++) {
		for (int i = 0; i < MANY; i++) {
			s[k][i] = sheaf_alloc(capacities[k]);
			ck_assert_ptr_nonnull(s[k][i]);
			ck_assert_uint_eq(sheaf_count(s[k][i]), 0);
			ck_assert_uint_eq(sheaf_operations(s[k][i]), 0);
			ck_assert_uint_eq(s[k][i]->capacity, capacities[k]);
			/* Headers that the CPU takes for one another. */
			if (i)
				ck_assert_uint_ne((uintptr_t)s[k][i] % PAGE_BYTES,
						  (uintptr_t)s[k][i - 1] %
						  PAGE_BYTES);
			for (unsigned int n = 0; n < capacities[k]; n++)
				sheaf_add(s[k][i], &s[k][i]->objects[n]);
		}
	}
	for (size_t k = 0; k < ARRAY_LEN(capacities); k++)
		for (int i = 0; i < MANY; i++)
			for (unsigned int n = capacities[k]; n-- > 0;)
				ck_assert_ptr_eq(sheaf_take(s[k][i]),
						 &s[k][i]->objects[n]);
	sheaf_pool_stats(&bytes, &unused);
	for (size_t k = 0; k < ARRAY_LEN(capacities); k++)
		for (int i = 0; i < MANY; i++)
			sheaf_free(s[k][i]);
	sheaf_pool_stats(&bytes_after, &unused_after);
	ck_assert_uint_eq(bytes_after, bytes);
	ck_assert_uint_eq(unused_after - unused,
			  MANY * (3 * 64 + 128 + 256 + 512 + 1024 + 2048));
	/* What was freed is used before new memory is. */
	s[0][0] = sheaf_alloc(126);
	sheaf_pool_stats(&bytes_after, &unused);
	ck_assert_uint_eq(bytes_after, bytes);
	sheaf_free(s[0][0]);
}
END_TEST

/* How many of the sheaves in a row have memory that nobody has touched. */
static unsigned int ready(unsigned int nr)
{
	unsigned char in_memory;
	unsigned int n = 0;

	for (unsigned int i = 0; i < nr; i++) {
		const struct sheaf *s = sheaf_alloc(254);
		char *behind = (char *)ALIGN((uintptr_t)s, PAGE_BYTES) +
			PAGE_BYTES;

		ck_assert_ptr_nonnull(s);
		ck_assert_int_eq(mincore(behind, PAGE_BYTES, &in_memory), 0);
		n += in_memory & 1;
	}
	return n;
}

/* An emulator, or a kernel before Linux 5.14, does not. */
static bool populates(void)
{
	char *p = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char in_memory = 0;

	meta_populate(p, PAGE_BYTES);
	ck_assert_int_eq(mincore(p, PAGE_BYTES, &in_memory), 0);
	munmap(p, PAGE_BYTES);
	return in_memory & 1;
}

/* Of a small pool none comes up ahead, of a large one most does. */
START_TEST(pool_comes_up_ahead)
{
	if (!populates()) {
		skip_part(__func__, "MADV_POPULATE_WRITE does nothing here");
		return;
	}
	ck_assert_uint_le(ready(16), 2);
	ready(240);
	ck_assert_uint_ge(ready(256), 192);
}
END_TEST

/* --- barns --- */

/**
 * struct model - what a barn must hold
 * @full: sheaves with objects, the last one put on top
 * @nr_full: how many
 * @objects: in all of them
 * @allocs: that the fast paths made in sheaves that came by
 * @frees: likewise
 */
struct model {
	struct sheaf *full[64];
	unsigned int nr_full;
	u64 objects, allocs, frees;
};

/* What a stay in a slot does to a sheaf: pops and pushes, each one counted. */
static void stay_in_slot(struct sheaf *s, uint64_t *random, struct model *m)
{
	unsigned int operations = xorshift(random) % 400;

	s->held = sheaf_count(s);
	while (operations--) {
		bool pop = xorshift(random) % 2;

		if (pop && sheaf_count(s)) {
			sheaf_take(s);
			m->allocs++;
		} else if (sheaf_count(s) < s->capacity) {
			sheaf_add(s, s);
			m->frees++;
		} else {
			continue;
		}
		s->word += 1UL << SHEAF_COUNT_BITS;
	}
}

static void model_put(struct model *m, struct sheaf *s)
{
	if (!sheaf_count(s))
		return;
	m->full[m->nr_full++] = s;
	m->objects += sheaf_count(s);
}

static struct sheaf *model_pop(struct model *m)
{
	struct sheaf *s = m->full[--m->nr_full];

	m->objects -= sheaf_count(s);
	return s;
}

static void expect_same(const struct barn *b, const struct model *m)
{
	ck_assert_uint_eq(b->nr_full, m->nr_full);
	ck_assert_uint_eq(b->objects, m->objects);
	ck_assert_uint_eq(b->allocs, m->allocs);
	ck_assert_uint_eq(b->frees, m->frees);
}

START_TEST(barn_against_model)
{
	struct barn barn = { .max_full = 10 };
	struct model m = { .nr_full = 0 };
	uint64_t random = 99;

	for (int i = 0; i < 20000 / LESS; i++) {
		struct sheaf *s = barn_exchange_empty(&barn, NULL);
		bool excess;

		if (m.nr_full) {
			ck_assert_ptr_eq(s, model_pop(&m));
			/* Half of them stay out for the barn to run dry. */
			if (xorshift(&random) % 2) {
				s->word = 0;
				sheaf_free(s);
				s = NULL;
			}
		} else {
			ck_assert_ptr_null(s);
		}
		for (int more = xorshift(&random) % 3; more >= 0; more--) {
			if (!s)
				s = sheaf_alloc(126);
			ck_assert_ptr_nonnull(s);
			stay_in_slot(s, &random, &m);
			excess = sheaf_count(s) && m.nr_full >= barn.max_full;
			ck_assert_int_eq(barn_put(&barn, s), excess);
			model_put(&m, s);
			s = barn_take_excess(&barn, barn.max_full);
			ck_assert_int_eq(s != NULL, excess);
			if (s) {
				ck_assert_ptr_eq(s, model_pop(&m));
				s->word = 0;
				sheaf_free(s);
				s = NULL;
			}
			expect_same(&barn, &m);
		}
	}
	ck_assert_uint_gt(m.allocs, 0);
}
END_TEST

/* A pair on a sheaf is two operations, and counted as one of each. */
START_TEST(pairs_are_counted)
{
	struct barn barn = { .max_full = 4 };
	struct sheaf *s = sheaf_alloc(126);
	enum { PAIRS = 1000000 };

	for (int i = 0; i < 50; i++)
		sheaf_add(s, s);
	s->held = 50;
	for (int i = 0; i < PAIRS; i++) {
		s->word += (1UL << SHEAF_COUNT_BITS) - 1;
		s->word += (1UL << SHEAF_COUNT_BITS) + 1;
	}
	ck_assert(!barn_put(&barn, s));
	ck_assert_uint_eq(barn.allocs, PAIRS);
	ck_assert_uint_eq(barn.frees, PAIRS);
	ck_assert_uint_eq(barn.objects, 50);
}
END_TEST

START_TEST(exchange)
{
	struct barn barn = { .max_full = 2 };
	struct sheaf *s[4], *got;
	bool excess;

	for (int i = 0; i < 4; i++) {
		s[i] = sheaf_alloc(126);
		sheaf_add(s[i], s[i]);
	}
	/* For a free: full ones go in, and no empty one is there. */
	ck_assert_ptr_null(barn_exchange_full(&barn, s[0], &excess));
	ck_assert(!excess);
	ck_assert_ptr_null(barn_exchange_full(&barn, s[1], &excess));
	ck_assert(!excess);
	ck_assert_ptr_null(barn_exchange_full(&barn, s[2], &excess));
	ck_assert(excess);
	/* It is kept until somebody comes for it. */
	ck_assert_ptr_eq(barn_take_excess(&barn, 2), s[2]);
	ck_assert_ptr_null(barn_take_excess(&barn, 2));
	/* For an allocation: an empty one against the last full one. */
	sheaf_take(s[3]);
	ck_assert_ptr_eq(barn_exchange_empty(&barn, s[3]), s[1]);
	got = barn_exchange_full(&barn, s[2], &excess);
	ck_assert(!excess);
	ck_assert_ptr_eq(got, s[3]);
	ck_assert_ptr_eq(barn_exchange_empty(&barn, NULL), s[2]);
	ck_assert_ptr_eq(barn_exchange_empty(&barn, NULL), s[0]);
	ck_assert_ptr_null(barn_exchange_empty(&barn, s[3]));
	ck_assert_ptr_null(barn_take(&barn));
	ck_assert_uint_eq(barn.objects, 0);
}
END_TEST

/* --- decay --- */

static struct sheaf *sheaf_of(unsigned int objects)
{
	struct sheaf *s = sheaf_alloc(14);

	while (objects--)
		sheaf_add(s, s);
	return s;
}

/* As the model says: 1/@part of the mark, from the top; then a new mark. */
static void expect_tick(struct barn *b, struct model *m, unsigned int *low,
			u32 part)
{
	unsigned int nr = (*low + part - 1) / part;

	ck_assert_uint_eq(barn_age(b, part), nr);
	while (nr--) {
		struct sheaf *s = barn_take_excess(b, 0);

		ck_assert_ptr_eq(s, model_pop(m));
		sheaf_free(s);
	}
	*low = m->nr_full;
	expect_same(b, m);
}

/* Whatever comes and goes, a tick takes of what was there all the time. */
START_TEST(decay_against_model)
{
	struct barn barn = { .max_full = 60 };
	struct model m = { .nr_full = 0 };
	unsigned int low = 0;
	uint64_t random = 7;
	u64 aged = 0;

	for (int tick = 0; tick < 5000 / LESS; tick++) {
		for (int i = xorshift(&random) % 40; i > 0; i--) {
			struct sheaf *s;

			if (xorshift(&random) % 2 && m.nr_full < 60) {
				s = sheaf_of(1 + xorshift(&random) % 14);
				ck_assert(!barn_put(&barn, s));
				model_put(&m, s);
			} else if (m.nr_full) {
				s = barn_exchange_empty(&barn, NULL);
				ck_assert_ptr_eq(s, model_pop(&m));
				sheaf_free(s);
			}
			low = min(low, m.nr_full);
		}
		aged += low;
		expect_tick(&barn, &m, &low, 1 + xorshift(&random) % 8);
	}
	ck_assert_uint_gt(aged, 0);
}
END_TEST

/* Left alone, of 40 sheaves a tenth is there after eight ticks, then none. */
START_TEST(what_nobody_needs_goes)
{
	struct barn barn = { .max_full = 60 };
	struct model m = { .nr_full = 0 };
	unsigned int low = 0, ticks = 0;

	for (int i = 0; i < 40; i++) {
		struct sheaf *s = sheaf_of(14);

		barn_put(&barn, s);
		model_put(&m, s);
	}
	/* They came since the last one. */
	expect_tick(&barn, &m, &low, 4);
	ck_assert_uint_eq(barn.nr_full, 40);
	for (; barn.nr_full; ticks++) {
		if (ticks == 8)
			ck_assert_uint_le(barn.nr_full, 4);
		expect_tick(&barn, &m, &low, 4);
	}
	ck_assert_uint_le(ticks, 12);
	ck_assert_uint_eq(barn_age(&barn, 4), 0);
}
END_TEST

/* Of 40 sheaves 25 are needed between any two ticks: those stay for ever. */
START_TEST(a_swing_keeps_its_sheaves)
{
	struct barn barn = { .max_full = 60 };
	struct model m = { .nr_full = 0 };
	struct sheaf *swing[25];
	unsigned int low = 0;

	for (int i = 0; i < 40; i++) {
		struct sheaf *s = sheaf_of(14);

		barn_put(&barn, s);
		model_put(&m, s);
	}
	for (int tick = 0; tick < 100; tick++) {
		for (int i = 0; i < 25; i++) {
			swing[i] = barn_exchange_empty(&barn, NULL);
			ck_assert_ptr_eq(swing[i], model_pop(&m));
		}
		low = min(low, m.nr_full);
		for (int i = 0; i < 25; i++) {
			ck_assert(!barn_put(&barn, swing[i]));
			model_put(&m, swing[i]);
		}
		expect_tick(&barn, &m, &low, 4);
	}
	ck_assert_uint_eq(barn.nr_full, 25);
}
END_TEST

/* --- many threads --- */

static struct barn shared = { .max_full = 1000 };

static void *exchange_often(void *arg)
{
	u64 mine = 0;

	for (int i = 0; i < 100000 / LESS; i++) {
		struct sheaf *s = barn_take(&shared);

		if (!s)
			s = sheaf_alloc(14);
		if (i % 2 && sheaf_count(s)) {
			sheaf_take(s);
			mine--;
		} else if (sheaf_count(s) < s->capacity) {
			sheaf_add(s, s);
			mine++;
		}
		if (barn_put(&shared, s))
			ck_abort_msg("the barn has room");
	}
	return (void *)mine;
}

START_TEST(barn_with_threads)
{
	pthread_t t[4];
	u64 objects = 0, found = 0;
	struct sheaf *s;
	void *mine;

	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, exchange_often, NULL);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &mine);
		objects += (u64)mine;
	}
	ck_assert_uint_eq(shared.objects, objects);
	while ((s = barn_exchange_empty(&shared, NULL)))
		found += sheaf_count(s);
	ck_assert_uint_eq(found, objects);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sheaf");
	TCase *tc = tcase_create("sheaf");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, capacity_by_size);
	tcase_add_test(tc, room_for_any_number);
	tcase_add_test(tc, pool);
	tcase_add_test(tc, pool_comes_up_ahead);
	tcase_add_test(tc, barn_against_model);
	tcase_add_test(tc, pairs_are_counted);
	tcase_add_test(tc, exchange);
	tcase_add_test(tc, decay_against_model);
	tcase_add_test(tc, what_nobody_needs_goes);
	tcase_add_test(tc, a_swing_keeps_its_sheaves);
	tcase_add_test(tc, barn_with_threads);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
