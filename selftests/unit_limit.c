// SPDX-License-Identifier: MIT
/*
 * What is charged against RN_LIMIT is what the zones have: whatever is done to
 * pages, and whatever fails.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#define _GNU_SOURCE
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "probe.h"
#include "zone_census.h"

#include <rn/reclaim.h>
#include <rn/slab.h>

#define SLOTS	64
#define ROUNDS	4000

static bool keep_mapped;	/* what is up, or blank, stays mapped */

/* In place of the C library's. */
void *mmap(void *p, size_t bytes, int prot, int flags, int fd, off_t at)
{
	if (keep_mapped && prot == PROT_NONE && flags & MAP_FIXED) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return (void *)syscall(SYS_mmap, p, bytes, prot, flags, fd, at);
}

static u64 counted(void)
{
	u64 pages = 0;

	for (int n = 0; n < nr_node_ids(); n++) {
		struct zone *z = &zones[n];

		check_zone(z);
		pages += (u64)(zone_nr_up(z) + z->nr_warm) << PAGEBLOCK_ORDER;
		pages -= zone_nr_released(z) - z->pages[KIND_LAZY].released;
	}
	return pages << PAGE_SHIFT;
}

static struct {
	u32 pfn, nr;
} runs[SLOTS];

static u32 random_length(void)
{
	switch (rnd(4)) {
	case 0:
		return 1 + rnd(16);
	case 1:
		return 1 + rnd(PAGEBLOCK_PAGES);
	case 2:
		return PAGEBLOCK_PAGES;
	default:
		return 1 + rnd(5 * PAGEBLOCK_PAGES);
	}
}

static void resize(u32 i)
{
	u32 nr = runs[i].nr + random_length(), pfn;

	if (pages_extend(runs[i].pfn, runs[i].nr, nr, 0)) {
		runs[i].nr = nr;
		return;
	}
	pfn = pages_move(runs[i].pfn, runs[i].nr, nr, 0);
	if (pfn == NO_PFN)
		return;
	runs[i].pfn = pfn;
	runs[i].nr = nr;
}

static void free_one(u32 i)
{
	if (runs[i].nr)
		pages_free(runs[i].pfn, runs[i].nr);
	runs[i].nr = 0;
}

static void alloc_one(u32 i)
{
	u32 nr = random_length();
	u32 pfn = pages_alloc(nr, 0, rnd(8) ? 0 : RN_HUGETLB, NULL);

	if (pfn == NO_PFN)
		return;
	runs[i].pfn = pfn;
	runs[i].nr = nr;
}

static void random_step(void)
{
	u32 i = rnd(SLOTS);

	if (!rnd(200))
		pages_shrink();
	else if (!runs[i].nr)
		alloc_one(i);
	else if (!rnd(3))
		resize(i);
	else
		free_one(i);
}

static void random_steps(const char *ladder, const char *hard)
{
	u64 refused = 0;

	if (hard)
		setenv("RN_LIMIT", hard, 1);
	start(ladder);
	for (int i = 0; i < ROUNDS / LESS; i++) {
		random_step();
		ck_assert_uint_eq(limit_held(), counted());
		ck_assert_uint_le(pages_held(), limit_held());
		ck_assert(!hard || limit_held() <= 64 * MIB);
	}
	for (u32 i = 0; i < SLOTS; i++)
		free_one(i);
	pages_shrink();
	ck_assert_uint_eq(limit_held(), 0);
	for (int b = BACKING_HUGETLB; b < NR_BACKINGS; b++)
		refused += my_zone()->steps[b][STEP_LIMIT];
	ck_assert_int_eq(refused != 0, hard != NULL);
}

START_TEST(charged_is_what_is_up)
{
	random_steps("small", NULL);
}
END_TEST

START_TEST(with_a_limit)
{
	random_steps("thp,small", "64M");
}
END_TEST

START_TEST(hugetlb_with_a_limit)
{
	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(8), 0);
	random_steps("hugetlb,thp,small", "64M");
}
END_TEST

/* What would come up for others too is cut down to what is left. */
START_TEST(extents_are_halved)
{
	/* From twice 256 blocks on two come up at a time. */
	enum { UP = 600 };
	struct zone *z;
	u32 up;

	start("small");
	z = my_zone();
	for (u32 i = 0; i < UP || zone_nr_idle(z); i++)
		ck_assert_uint_ne(pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL),
				  NO_PFN);
	up = zone_nr_up(z);
	ck_assert_int_eq(rn_set_limit(0, limit_held() + PAGEBLOCK_BYTES), 0);
	ck_assert_uint_ne(pages_alloc(1, 0, 0, NULL), NO_PFN);
	ck_assert_uint_eq(zone_nr_up(z), up + 1);
	check_zone(z);
}
END_TEST

/*
 * Pages whose memory went back do not count, so that others come up instead;
 * they count again when they are taken, and wait if there is no room.
 */
START_TEST(released_pages_do_not_count)
{
	enum { UP = 16, HELD = UP / 2 };
	static u32 part[UP][2], more[HELD];

	start("thp,small");
	for (u32 i = 0; i < UP; i++)
		for (u32 k = 0; k < 2; k++)
			part[i][k] = pages_alloc(PAGEBLOCK_PAGES / 2, 0, 0,
						 NULL);
	ck_assert_int_eq(rn_set_limit(0, UP * PAGEBLOCK_BYTES), 0);
	for (u32 i = 0; i < UP; i++)
		pages_free(part[i][1], PAGEBLOCK_PAGES / 2);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_eq(limit_held(), HELD * PAGEBLOCK_BYTES);
	for (u32 i = 0; i < HELD; i++) {
		more[i] = pages_alloc(PAGEBLOCK_PAGES, 0, 0, NULL);
		ck_assert_uint_ne(more[i], NO_PFN);
	}
	ck_assert_uint_eq(limit_left(), 0);
	ck_assert_uint_eq(pages_alloc(1, 0, 0, NULL), NO_PFN);
	ck_assert_uint_eq(pages_alloc(1, 0, RN_NOWAIT, NULL), NO_PFN);
	pages_free(more[0], PAGEBLOCK_PAGES);
	pages_release(0, WHY_TRIM);
	ck_assert_uint_ne(pages_alloc(1, 0, RN_NOWAIT, NULL), NO_PFN);
	ck_assert_uint_eq(limit_held(), counted());
}
END_TEST

/* A warm run counts and a cold one does not, also where neither can go. */
START_TEST(blank_runs_that_stay)
{
	u32 nr = 2 * PAGEBLOCK_PAGES, pfn[2], warm;
	struct zone *z;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	for (int i = 0; i < 2; i++)
		pfn[i] = pages_alloc(nr, 0, 0, NULL);
	ck_assert_uint_eq(pfn[0] + nr, pfn[1]);
	pages_free(pfn[_i], nr);
	warm_fork_prepare();
	pages_free(pfn[!_i], nr);
	ck_assert_uint_eq(z->nr_warm, 2);
	ck_assert_uint_eq(z->nr_blank, 4);
	keep_mapped = true;
	ck_assert_uint_eq(blank_drop(z, &warm), 0);
	ck_assert_uint_eq(z->nr_blank, 4);
	ck_assert_uint_eq(limit_held(), counted());
	keep_mapped = false;
	pages_shrink();
	ck_assert_uint_eq(z->nr_blank, 0);
	ck_assert_uint_eq(limit_held(), 0);
}
END_TEST

/* Objects of a few pages in all of the pool, in no order. */
static void fill_and_free(void)
{
	static void *objects[4096];
	u32 n = 0;

	while (n < ARRAY_SIZE(objects) &&
	       (objects[n] = rn_alloc(3000, RN_HUGETLB | RN_NORETRY)))
		n++;
	ck_assert_uint_gt(n, 1000);
	while (n)
		rn_free(objects[--n]);
}

static void fill_items(void)
{
	while (add_item(RN_HUGETLB | RN_NORETRY))
		;
	ck_assert_uint_gt(items.nr, 1000);
}

/* A pool that is empty: what idles in our blocks is for who insists. */
START_TEST(an_empty_pool)
{
	enum { POOL = 4 };
	void *p[POOL];

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(POOL), 0);
	start("hugetlb,small");
	for (int i = 0; i < POOL; i++) {
		p[i] = rn_alloc_pages(PAGEBLOCK_ORDER, RN_HUGETLB, RN_NO_NODE);
		ck_assert_ptr_nonnull(p[i]);
	}
	ck_assert_int_eq(huge_free(), 0);
	ck_assert_ptr_null(rn_alloc_pages(PAGEBLOCK_ORDER, RN_HUGETLB,
					  RN_NO_NODE));
	/* Objects in all of it, then none: a cache keeps them. */
	for (int i = 0; i < POOL; i++)
		rn_free_pages(p[i], PAGEBLOCK_ORDER);
	fill_and_free();
	p[0] = rn_alloc(POOL * PAGEBLOCK_BYTES, RN_HUGETLB);
	ck_assert_ptr_nonnull(p[0]);
	ck_assert_int_eq(huge_mine(), POOL * PAGEBLOCK_BYTES);
	rn_free(p[0]);
	/* The program's own cache, of objects in the pool. */
	fill_items();
	ck_assert_int_eq(rn_shrinker_register(&items_shrinker), 0);
	p[0] = rn_alloc(POOL * PAGEBLOCK_BYTES, RN_HUGETLB);
	ck_assert_ptr_nonnull(p[0]);
	ck_assert_uint_eq(items.nr, 0);
	ck_assert_int_eq(rn_shrinker_unregister(&items_shrinker), 0);
	rn_free(p[0]);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("limit");
	TCase *t = tcase(s, "charges");
	int ret;

	no_huge = huge_begin();
	tcase_add_test(t, charged_is_what_is_up);
	tcase_add_test(t, with_a_limit);
	tcase_add_test(t, hugetlb_with_a_limit);
	tcase_add_test(t, extents_are_halved);
	tcase_add_test(t, released_pages_do_not_count);
	tcase_add_loop_test(t, blank_runs_that_stay, 0, 2);
	tcase_add_test(t, an_empty_pool);
	ret = suite_main(s);
	huge_end();
	return ret;
}
