// SPDX-License-Identifier: MIT
/*
 * Memory of free sheaves goes back: which pages do, that each place stays a
 * sheaf's of one size, and how much goes at a tick.
 */
#define _GNU_SOURCE
#include "given.h"
#include "helpers.h"
#include "must.h"

#include "slab.h"

#include <pthread.h>
#include <rn/reclaim.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MANY	4000

static struct sheaf *sheaves[MANY], *places[MANY];
static const unsigned int capacities[] = { 6, 14, 30, 62, 126, 254 };

static void setup(void)
{
	/* No ticks but this test's. */
	setenv("RN_DECAY_MS", "-1", 1);
	init_given();
}

static void *objects_of(struct sheaf *s)
{
	return s->objects;
}

static size_t bytes_of(const struct sheaf *s)
{
	return sheaf_room(s) * sizeof(void *);
}

static void take_one(int i, unsigned int capacity)
{
	sheaves[i] = sheaf_alloc(capacity);
	must(sheaves[i]);
	must(!sheaf_count(sheaves[i]) && sheaf_room(sheaves[i]) == capacity);
	pattern_set(objects_of(sheaves[i]), bytes_of(sheaves[i]), i);
}

static void free_one(int i)
{
	must(pattern_ok(objects_of(sheaves[i]), bytes_of(sheaves[i]), i));
	sheaf_free(sheaves[i]);
	sheaves[i] = NULL;
}

static int by_address(const void *a, const void *b)
{
	const char *x = *(char *const *)a, *y = *(char *const *)b;

	return x < y ? -1 : x > y;
}

static void note_places(void)
{
	memcpy(places, sheaves, sizeof(places));
	qsort(places, MANY, sizeof(*places), by_address);
}

static bool was_place(struct sheaf *s)
{
	return bsearch(&s, places, MANY, sizeof(s), by_address);
}

/* Pages from the first place to the last one that are in memory. */
static size_t resident_pages(void)
{
	char *first = (char *)ALIGN_DOWN((uintptr_t)places[0], PAGE_BYTES);
	size_t pages = DIV_ROUND_UP((char *)(places[MANY - 1] + 1) - first,
				    PAGE_BYTES), nr = 0;
	unsigned char *in = malloc(pages);

	ck_assert_int_eq(mincore(first, pages * PAGE_BYTES, in), 0);
	for (size_t i = 0; i < pages; i++)
		nr += in[i] & 1;
	free(in);
	return nr;
}

static bool can_be_seen(void)
{
	return !emulator() && (size_t)sysconf(_SC_PAGESIZE) == PAGE_BYTES;
}

/* Those that lie together, and what came up ahead. */
#define STAY_PAGES	(2 * (64 << 10) / PAGE_BYTES)

/* Each that is kept is on two at most. */
START_TEST(pages_without_any_go)
{
	unsigned int capacity = capacities[_i];
	u64 bytes, bytes_after, unused;
	size_t kept = 0;

	for (int i = 0; i < MANY; i++)
		take_one(i, capacity);
	note_places();
	sheaf_pool_stats(&bytes, &unused);
	for (int i = 0; i < MANY; i++) {
		if (i % 97 == 0)
			kept++;
		else
			free_one(i);
	}
	sheaf_pool_trim(WHY_TRIM);
	sheaf_pool_stats(&bytes_after, &unused);
	ck_assert_uint_lt(bytes_after, bytes);
	if (can_be_seen())
		ck_assert_uint_le(resident_pages(), 2 * kept + STAY_PAGES);
	/* Each comes again where one was, and none where one is. */
	for (int i = 0; i < MANY; i++) {
		if (sheaves[i])
			continue;
		take_one(i, capacity);
		ck_assert(was_place(sheaves[i]));
	}
	sheaf_pool_stats(&bytes_after, &unused);
	ck_assert_uint_eq(bytes_after, bytes);
	for (int i = 0; i < MANY; i++)
		free_one(i);
}
END_TEST

/* Those that lie together stay, wherever they are on the list. */
START_TEST(who_stays_is_in_nobodys_way)
{
	u64 bytes, bytes_free;

	for (int i = 0; i < MANY; i++)
		take_one(i, capacities[_i]);
	/* They came first, and are first now. */
	for (int i = MANY; i--; )
		free_one(i);
	sheaf_pool_trim(WHY_TRIM);
	sheaf_pool_stats(&bytes, &bytes_free);
	ck_assert_uint_le(bytes_free, bytes);
	ck_assert_uint_le(bytes, 64 << 10);
}
END_TEST

/* A word of the table at a time, so that each page border is met. */
START_TEST(in_any_order)
{
	unsigned int capacity = capacities[_i];
	uint64_t random = capacity;

	for (int i = 0; i < MANY; i++)
		take_one(i, capacity);
	note_places();
	for (int round = 0; round < 200 / LESS; round++) {
		for (int n = 0; n < 400; n++) {
			int i = xorshift(&random) % MANY;

			if (sheaves[i])
				free_one(i);
			else
				take_one(i, capacity);
		}
		sheaf_pool_trim(WHY_TRIM);
	}
	for (int i = 0; i < MANY; i++) {
		if (!sheaves[i])
			take_one(i, capacity);
		ck_assert(was_place(sheaves[i]));
		free_one(i);
	}
}
END_TEST

static u64 free_sheaves(void)
{
	u64 unused, bytes;

	sheaf_pool_stats(&unused, &bytes);
	return bytes / (SHEAF_UNIT << 5);
}

static u64 age(void)
{
	u64 before = free_sheaves();

	sheaf_pool_age(4);
	while (sheaf_pool_give(WHY_DECAY))
		;
	return before - free_sheaves();
}

START_TEST(a_quarter_at_a_tick)
{
	u64 gone;

	for (int i = 0; i < MANY; i++)
		take_one(i, 254);
	age();
	for (int i = 0; i < MANY; i++)
		free_one(i);
	/* They were needed since the last tick. */
	ck_assert_uint_eq(age(), 0);
	gone = age();
	ck_assert_uint_ge(gone, MANY / 4);
	ck_assert_uint_le(gone, MANY / 4 + 2);
	/* What a swing takes is not among them. */
	for (int i = 0; i < MANY / 2; i++)
		take_one(i, 254);
	for (int i = 0; i < MANY / 2; i++)
		free_one(i);
	gone = age();
	ck_assert_uint_ge(gone, MANY / 16 - 2);
	ck_assert_uint_le(gone, MANY / 16 + 2);
	ck_assert_int_ge(vmstat("reclaim_decay_sheaf_kbytes"), 1024);
}
END_TEST

/* --- with threads --- */

static bool stop;

static void *take_and_free(void *arg)
{
	uint64_t random = (uint64_t)arg + 1;
	struct sheaf *mine[64] = { NULL };

	while (!READ_ONCE(stop)) {
		size_t i = xorshift(&random) % ARRAY_LEN(mine);

		if (mine[i]) {
			must(pattern_ok(objects_of(mine[i]), bytes_of(mine[i]),
					i));
			sheaf_free(mine[i]);
			mine[i] = NULL;
			continue;
		}
		mine[i] = sheaf_alloc(capacities[xorshift(&random) %
						 ARRAY_LEN(capacities)]);
		must(mine[i]);
		pattern_set(objects_of(mine[i]), bytes_of(mine[i]), i);
	}
	for (size_t i = 0; i < ARRAY_LEN(mine); i++)
		if (mine[i])
			sheaf_free(mine[i]);
	return NULL;
}

START_TEST(beside_threads)
{
	u64 bytes, bytes_free, end = clock_ms() + 1000;
	pthread_t t[3];

	for (uint64_t i = 0; i < ARRAY_LEN(t); i++)
		must(!pthread_create(&t[i], NULL, take_and_free, (void *)i));
	while (clock_ms() < end)
		sheaf_pool_trim(WHY_TRIM);
	WRITE_ONCE(stop, true);
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_join(t[i], NULL);
	sheaf_pool_trim(WHY_TRIM);
	/* Only those that lie together are left. */
	sheaf_pool_stats(&bytes, &bytes_free);
	ck_assert_uint_le(bytes_free, bytes);
	ck_assert_uint_le(bytes, 64 << 10);
}
END_TEST

/* --- in a process --- */

#define CACHES	100
#define OBJECTS	4000

static void *objects[CACHES][OBJECTS];

static void peak(void)
{
	struct rn_cache_args args = {
		.sz = sizeof(args), .size = 8, .flags = RN_NOMERGE,
	};
	struct rn_cache *caches[CACHES];

	for (int i = 0; i < CACHES; i++) {
		caches[i] = rn_cache_create("peak", &args);
		ck_assert_ptr_nonnull(caches[i]);
		for (int k = 0; k < OBJECTS; k++)
			objects[i][k] = rn_cache_alloc(caches[i], 0);
	}
	for (int i = 0; i < CACHES; i++)
		for (int k = 0; k < OBJECTS; k++)
			rn_cache_free(caches[i], objects[i][k]);
}

/* What slots and barns have, too. */
START_TEST(trim_gives_them_back)
{
	long before, after;

	peak();
	before = vmstat("sheaf_kbytes");
	ck_assert_int_gt(before, 2048);
	ck_assert_uint_ge(rn_trim(0), (size_t)(before - 256) << 10);
	after = vmstat("sheaf_kbytes");
	ck_assert_int_le(after, 64);
	ck_assert_int_ge(vmstat("reclaim_trim_sheaf_kbytes"), before - 256);
}
END_TEST

/* By themselves, with those that barns keep empty. */
START_TEST(decay_gives_them_back)
{
	/* Ticks are those of the loop. */
	setenv("RN_DECAY_MS", "80000", 1);
	mm_init();
	peak();
	ck_assert_int_gt(vmstat("sheaf_kbytes"), 2048);
	for (int i = 0; i < 100 && vmstat("sheaf_kbytes") > 512; i++)
		age_tick();
	ck_assert_int_le(vmstat("sheaf_kbytes"), 512);
	ck_assert_int_gt(vmstat("reclaim_decay_sheaf_kbytes"), 1024);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sheaf_pool");
	TCase *tc = tcase_create("sheaf_pool"), *decay = tcase_create("decay");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_loop_test(tc, pages_without_any_go, 0,
			    ARRAY_LEN(capacities));
	tcase_add_loop_test(tc, who_stays_is_in_nobodys_way, 0,
			    ARRAY_LEN(capacities));
	tcase_add_loop_test(tc, in_any_order, 0, ARRAY_LEN(capacities));
	tcase_add_test(tc, a_quarter_at_a_tick);
	tcase_add_test(tc, beside_threads);
	tcase_add_test(tc, trim_gives_them_back);
	tcase_add_test(decay, decay_gives_them_back);
	tcase_set_timeout(tc, 30);
	tcase_set_timeout(decay, 30);
	suite_add_tcase(s, tc);
	suite_add_tcase(s, decay);
	return suite_main(s);
}
