// SPDX-License-Identifier: MIT
/*
 * The bitmap buddy of one pageblock, against a model that is an array of
 * pages and finds by brute force what the bitmap finds by shifting. Some free
 * pages are released; what is not is to be taken first.
 */
#include "../mm/internal.h"
#include "helpers.h"

#include <stdlib.h>
#include <string.h>

#define PAGES	((int)PAGEBLOCK_PAGES)
#define ROUNDS	60000

static struct pageblock block;
static bool is_free[PAGEBLOCK_PAGES];
static bool is_released[PAGEBLOCK_PAGES];
static bool is_resident[PAGEBLOCK_PAGES];	/* free, and not released */

/* As the zone does it. */
static int pageblock_take(struct pageblock *b, unsigned int nr)
{
	int page = pageblock_find(b, nr);

	if (page >= 0)
		ck_assert(pageblock_take_at(b, page, nr));
	return page;
}

static u64 seed;

static u32 rnd(u32 below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 16) % below;
}

static bool all_set(const bool *map, int page, int nr)
{
	for (int i = page; i < page + nr; i++)
		if (!map[i])
			return false;
	return true;
}

static bool model_free(int page, int nr)
{
	return all_set(is_free, page, nr);
}

/* What comes or goes is not released. */
static void model_set(int page, int nr, bool value)
{
	for (int i = page; i < page + nr; i++) {
		is_free[i] = is_resident[i] = value;
		is_released[i] = false;
	}
}

static void model_release(int page)
{
	is_released[page] = true;
	is_resident[page] = false;
}

static int model_largest(void)
{
	for (int k = PAGEBLOCK_ORDER; k >= 0; k--)
		for (int page = 0; page < PAGES; page += 1 << k)
			if (model_free(page, 1 << k))
				return k;
	return -1;
}

/* Order of the block of @map that @page lies in, as a buddy system has it. */
static int model_order_at(const bool *map, int page)
{
	int order = -1;

	for (int k = 0; k <= PAGEBLOCK_ORDER; k++)
		if (all_set(map, page & ~((1 << k) - 1), 1 << k))
			order = k;
	return order;
}

/* Smallest order of a block of @map that holds 2^@k pages, or -1. */
static int model_smallest(const bool *map, int k)
{
	int best = -1;

	for (int page = 0; page < PAGES; page += 1 << k) {
		int order;

		if (!all_set(map, page, 1 << k))
			continue;
		order = model_order_at(map, page);
		if (best < 0 || order < best)
			best = order;
	}
	return best;
}

static void setup(void)
{
	seed = 88172645463325252ULL;
	memset(&block, 0, sizeof(block));
	block.list = -1;
	memset(is_free, 0, sizeof(is_free));
	memset(is_released, 0, sizeof(is_released));
	memset(is_resident, 0, sizeof(is_resident));
	ck_assert(pageblock_put(&block, 0, PAGES));
	model_set(0, PAGES, true);
}

static void check_block(void)
{
	int nr_free = 0, nr_released = 0;

	for (int i = 0; i < PAGES; i++) {
		bool bit = block.free[i / 64] >> i % 64 & 1;
		bool gone = block.released[i / 64] >> i % 64 & 1;

		ck_assert_int_eq(bit, is_free[i]);
		ck_assert_int_eq(gone, is_released[i]);
		nr_free += bit;
		nr_released += gone;
	}
	ck_assert_uint_eq(block.nr_free, nr_free);
	ck_assert_uint_eq(block.nr_released, nr_released);
	ck_assert_int_eq(pageblock_largest(&block), model_largest());
}

static void try_take(unsigned int nr)
{
	int k = order_base_2(nr), want = model_smallest(is_resident, k);
	const bool *map = want < 0 ? is_free : is_resident;
	int page = pageblock_take(&block, nr);

	if (want < 0)
		want = model_smallest(is_free, k);
	if (want < 0) {
		ck_assert_int_eq(page, -1);
		return;
	}
	ck_assert_int_ge(page, 0);
	ck_assert_int_eq(page % (1 << k), 0);
	ck_assert(all_set(map, page, nr));
	ck_assert_int_eq(model_order_at(map, page), want);
	model_set(page, nr, false);
}

static void try_take_at(void)
{
	int page = rnd(PAGES), nr = 1 + rnd(PAGES - page);
	bool expected = model_free(page, nr);

	ck_assert_int_eq(pageblock_has(&block, page, nr), expected);
	ck_assert_int_eq(pageblock_take_at(&block, page, nr), expected);
	if (expected)
		model_set(page, nr, false);
}

/* Of some free pages the memory goes, a few at a time. */
static void try_release(void)
{
	int page = rnd(PAGES), nr = 1 + rnd(PAGES - page);

	nr = min(nr, 1 + (int)rnd(64));
	for (int i = page; i < page + nr; i++) {
		if (!is_free[i])
			continue;
		pageblock_set_released(&block, i, 1);
		model_release(i);
	}
}

/* The lowest ones that are resident; some of them do not go after all. */
static void try_isolate(void)
{
	u64 pages[PAGEBLOCK_PAGES / 64], gone[PAGEBLOCK_PAGES / 64] = { 0 };
	unsigned int most = rnd(64), nr = 0;

	ck_assert_uint_le(pageblock_isolate(&block, most, pages), most);
	for (int i = 0; i < PAGES; i++) {
		bool taken = pages[i / 64] >> i % 64 & 1;

		ck_assert_int_eq(taken, is_resident[i] && nr < most);
		nr += taken;
		if (!taken)
			continue;
		ck_assert(!pageblock_has(&block, i, 1));
		if (rnd(4) == 0)
			continue;
		gone[i / 64] |= 1ULL << i % 64;
		model_release(i);
	}
	pageblock_putback(&block, pages, gone);
}

static void try_put(void)
{
	int page = rnd(PAGES), nr = 1 + rnd(16);
	bool expected = true;

	nr = min(nr, PAGES - page);
	for (int i = page; i < page + nr; i++)
		expected &= !is_free[i];
	ck_assert_int_eq(pageblock_put(&block, page, nr), expected);
	if (expected)
		model_set(page, nr, true);
}

START_TEST(random_sequence)
{
	for (int i = 0; i < ROUNDS; i++) {
		switch (rnd(10)) {
		case 0:
			try_take(1 + rnd(PAGES));
			break;
		case 1:
		case 2:
			try_take(1 + rnd(8));
			break;
		case 3:
			try_take_at();
			break;
		case 4:
			try_release();
			break;
		case 5:
			try_isolate();
			break;
		default:
			try_put();
			break;
		}
		if (i % 16 == 0)
			check_block();
	}
}
END_TEST

START_TEST(every_order_splits_and_merges)
{
	for (unsigned int k = 0; k <= PAGEBLOCK_ORDER; k++) {
		int nr = PAGES >> k;

		for (int i = 0; i < nr; i++)
			ck_assert_int_eq(pageblock_take(&block, 1U << k),
					 i << k);
		ck_assert_int_eq(pageblock_take(&block, 1), -1);
		ck_assert_int_eq(pageblock_largest(&block), -1);
		for (int i = nr - 1; i >= 0; i--)
			ck_assert(pageblock_put(&block, i << k, 1U << k));
		ck_assert_int_eq(pageblock_largest(&block), PAGEBLOCK_ORDER);
	}
}
END_TEST

START_TEST(smallest_block_is_split)
{
	/* Free: 8 pages at 8, 64 at 64, 256 at 256. */
	ck_assert(pageblock_take_at(&block, 0, 8));
	ck_assert(pageblock_take_at(&block, 16, 48));
	ck_assert(pageblock_take_at(&block, 128, 128));
	ck_assert_int_eq(pageblock_take(&block, 9), 64);
	ck_assert_int_eq(pageblock_take(&block, 8), 8);
	ck_assert_int_eq(pageblock_take(&block, 100), 256);
	/* The tails of 9 and of 100 pages stay free. */
	ck_assert_int_eq(pageblock_take(&block, 1), 73);
	ck_assert_int_eq(pageblock_take(&block, 4), 76);
	ck_assert_int_eq(pageblock_take_at(&block, 356, 156), true);
}
END_TEST

/* A shorter range of what is resident comes before any of what is not. */
START_TEST(resident_pages_first)
{
	pageblock_set_released(&block, 0, 256);
	pageblock_set_released(&block, 300, 212);
	ck_assert_uint_eq(block.nr_released, 468);
	ck_assert_int_eq(pageblock_take(&block, 1), 296);
	ck_assert_int_eq(pageblock_take(&block, 32), 256);
	ck_assert_int_eq(pageblock_take(&block, 8), 288);
	ck_assert_int_eq(pageblock_take(&block, 2), 298);
	ck_assert_int_eq(pageblock_take(&block, 1), 297);
	ck_assert_uint_eq(block.nr_released, block.nr_free);
	/* Then as ever, by order. */
	ck_assert_int_eq(pageblock_take(&block, 1), 300);
	ck_assert_uint_eq(block.nr_released, 467);
	/* What comes back is resident, and comes first. */
	ck_assert(pageblock_put(&block, 290, 1));
	ck_assert_int_eq(pageblock_take(&block, 1), 290);
}
END_TEST

START_TEST(bad_ranges_are_refused)
{
	ck_assert_int_eq(pageblock_take(&block, 0), -1);
	ck_assert_int_eq(pageblock_take(&block, PAGES + 1), -1);
	ck_assert(!pageblock_take_at(&block, 0, 0));
	ck_assert(!pageblock_take_at(&block, PAGES - 1, 2));
	ck_assert(!pageblock_take_at(&block, PAGES, 1));
	ck_assert(!pageblock_put(&block, 0, 1));
	ck_assert_int_eq(pageblock_take(&block, 4), 0);
	ck_assert(!pageblock_put(&block, 2, 4));
	ck_assert(pageblock_put(&block, 0, 4));
	ck_assert(!pageblock_put(&block, 0, 4));
	check_block();
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pageblock");
	TCase *t = tcase_create("bitmap buddy");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, NULL);
	tcase_add_test(t, random_sequence);
	tcase_add_test(t, every_order_splits_and_merges);
	tcase_add_test(t, smallest_block_is_split);
	tcase_add_test(t, resident_pages_first);
	tcase_add_test(t, bad_ranges_are_refused);
	suite_add_tcase(s, t);
	return suite_main(s);
}
