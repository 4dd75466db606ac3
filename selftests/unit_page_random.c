// SPDX-License-Identifier: MIT
/*
 * Free pages that give their memory back while others are taken and freed at
 * random: what is in use keeps its contents, and the zone's counts are those of
 * a census.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#include <check.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "helpers.h"
#include "zone_census.h"

#define SLOTS		600
#define ROUNDS		100000

struct run {
	u32 pfn, nr;
};

static u64 in_use(const struct run *runs)
{
	u64 n = 0;

	for (u32 i = 0; i < SLOTS; i++)
		n += runs[i].nr;
	return n;
}

static void change(struct run *r)
{
	if (r->nr) {
		expect_touched(r->pfn, min(r->nr, 2U));
		pages_free(r->pfn, r->nr);
		r->nr = 0;
		return;
	}
	r->nr = rnd(10) ? 1 + rnd(40) : 1 + rnd(PAGEBLOCK_PAGES + 200);
	r->pfn = pages_alloc(r->nr, 0, 0, NULL);
	ck_assert_uint_ne(r->pfn, NO_PFN);
	touch_pages(r->pfn, min(r->nr, 2U));
}

static void disturb(void)
{
	switch (rnd(3)) {
	case 0:
		pages_release((u64)rnd(4096) * PAGE_BYTES, WHY_TRIM);
		break;
	case 1:
		pages_age(1 + rnd(8));
		break;
	default:
		pages_shrink();
	}
}

static void at_random(const char *ladder)
{
	static struct run runs[SLOTS];
	struct census c;

	start(ladder);
	for (u32 i = 0; i < ROUNDS / LESS; i++) {
		change(&runs[rnd(SLOTS)]);
		if (rnd(1000) == 0)
			disturb();
		if (i % (5000 / LESS))
			continue;
		c = check_zone(my_zone());
		ck_assert_uint_eq((u64)zone_nr_up(my_zone()) * PAGEBLOCK_PAGES,
				  c.free_pages + in_use(runs));
	}
	for (u32 i = 0; i < SLOTS; i++)
		if (runs[i].nr)
			change(&runs[i]);
	pages_shrink();
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
	ck_assert_uint_eq(pages_held(), 0);
	ck_assert_uint_eq(pages_free_bytes(), 0);
}

START_TEST(random_small)
{
	at_random("small");
}
END_TEST

START_TEST(random_thp)
{
	at_random("thp,small");
}
END_TEST

static void *race(void *arg)
{
	struct run mine[64] = { 0 };

	seed += (uintptr_t)arg * 1000003;
	for (u32 i = 0; i < 20000 / LESS; i++) {
		change(&mine[rnd(ARRAY_SIZE(mine))]);
		if (rnd(100) == 0)
			disturb();
		ck_assert_uint_le(pages_free_bytes(), 1UL << 40);
		pages_held();
		pages_peak();
	}
	for (u32 i = 0; i < ARRAY_SIZE(mine); i++)
		if (mine[i].nr)
			change(&mine[i]);
	return NULL;
}

START_TEST(two_threads)
{
	pthread_t thread;

	start("thp,small");
	ck_assert_int_eq(pthread_create(&thread, NULL, race, (void *)1), 0);
	race((void *)2);
	pthread_join(thread, NULL);
	check_zone(my_zone());
	pages_shrink();
	ck_assert_uint_eq(check_zone(my_zone()).used, 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("page_random");
	TCase *t = tcase(s, "free pages");

	tcase_add_test(t, random_small);
	tcase_add_test(t, random_thp);
	tcase_add_test(t, two_threads);
	return suite_main(s);
}
