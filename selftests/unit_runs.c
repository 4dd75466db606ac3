// SPDX-License-Identifier: MIT
/*
 * Long runs from within: what becomes of them when they are freed, what the
 * kernel is told of them, and how much memory those that stay warm hold.
 *
 * Each test is a process of its own and starts the library as it needs it.
 */
#define _GNU_SOURCE
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "given.h"
#include "helpers.h"
#include "zone_census.h"

/* What a fork() does: nothing is warm any more. */
static void cool_all(void)
{
	warm_fork_prepare();
	ck_assert_uint_eq(my_zone()->nr_warm, 0);
}

static void free_cold(u32 pfn, u32 nr)
{
	pages_free(pfn, nr);
	cool_all();
}

/* What is discarded is no memory, is zero, and serves the next one in place. */
START_TEST(blank_runs_are_taken_again)
{
	u32 nr = 3 * PAGEBLOCK_PAGES + 77, pfn;
	struct zone *z;
	bool zeroed;

	start("thp,small");
	NEED_ONE_NODE();
	z = my_zone();
	pfn = pages_given(nr);
	ck_assert_uint_eq(z->lazy, 4);
	for (int i = 0; i < 5; i++) {
		memset(pfn_to_ptr(pfn), 1, PAGE_BYTES);
		memset(pfn_to_ptr(pfn + nr - 1), 1, PAGE_BYTES);
		free_cold(pfn, nr);
		ck_assert_uint_eq(check_zone(z).blank, 4);
		ck_assert_uint_eq(zone_nr_up(z), 0);
		ck_assert_uint_eq(z->lazy, 0);
		ck_assert_uint_eq(resident(pfn, nr), 0);
		ck_assert_uint_eq(pages_alloc(nr, 0, RN_NOWAIT, &zeroed), pfn);
		ck_assert(zeroed && is_zero(pfn + nr - 1, 1));
	}
	ck_assert_uint_eq(z->online[BACKING_SMALL], 4);
	free_cold(pfn, nr);
	ck_assert_uint_eq(pages_shrink(), 0);
	ck_assert_uint_eq(check_zone(z).used, 0);
	ck_assert(!readable(pfn_to_ptr(pfn)));
}
END_TEST

/* The tail that somebody else has keeps its block from being blank. */
START_TEST(shared_tail_is_left_alone)
{
	u32 nr = PAGEBLOCK_PAGES + 100, run, other;
	struct zone *z;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	run = pages_given(nr);
	other = pages_given(64);
	ck_assert_uint_eq(other >> PAGEBLOCK_ORDER,
			  (run >> PAGEBLOCK_ORDER) + 1);
	memset(pfn_to_ptr(run), 1, nr * PAGE_BYTES);
	memset(pfn_to_ptr(other), 2, 64 * PAGE_BYTES);
	pages_free(run, nr);
	ck_assert_uint_eq(check_zone(z).blank, 1);
	/* Nor is it warm: nobody would count it. */
	ck_assert_uint_eq(z->nr_warm, 1);
	ck_assert_uint_eq(resident(run + PAGEBLOCK_PAGES, 100), 0);
	ck_assert_int_eq(*(char *)pfn_to_ptr(other + 63), 2);
	pages_free(other, 64);
	ck_assert_uint_eq(check_zone(z).idle, 1);
}
END_TEST

/* Only a whole block between two others is worth a huge page. */
START_TEST(advice_leaves_the_ends_to_base_pages)
{
	u32 nr = 4 * PAGEBLOCK_PAGES, pfn, block;

	start("thp,small");
	NEED_ONE_NODE();
	if (!thp_enabled()) {
		skip_part(__func__, "no THP");
		return;
	}
	pfn = pages_given(nr);
	block = pfn >> PAGEBLOCK_ORDER;
	for (u32 i = 0; i < 4; i++)
		ck_assert_int_eq(mem.blocks[block + i].advice == ADVICE_HUGE,
				 i == 1 || i == 2);
	memset(pfn_to_ptr(pfn), 1, nr * PAGE_BYTES);
	ck_assert_uint_eq(thp_bytes_in(block, 1), 0);
	ck_assert_uint_eq(thp_bytes_in(block + 3, 1), 0);
	free_cold(pfn, nr);
	/* Its front, as a run of its own, ends where a huge page was. */
	ck_assert_uint_eq(pages_given(nr / 2 - 1), pfn);
	ck_assert_int_eq(mem.blocks[block + 1].advice, ADVICE_SMALL);
	ck_assert_uint_eq(check_zone(my_zone()).blank, 2);
}
END_TEST

/* What is blank is an address that others may have. */
START_TEST(blank_blocks_come_up_for_others)
{
	u32 run, one;
	struct zone *z;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	run = pages_given(2 * PAGEBLOCK_PAGES);
	free_cold(run, 2 * PAGEBLOCK_PAGES);
	one = pages_given(1);
	ck_assert_uint_eq(one, run);
	memset(pfn_to_ptr(one), 1, PAGE_BYTES);
	ck_assert_uint_eq(check_zone(z).blank, 1);
	ck_assert_uint_eq(z->lazy, 0);
	/* Grows over the blank one, and past it. */
	pages_free(one, 1);
	run = pages_given(PAGEBLOCK_PAGES);
	ck_assert(pages_extend(run, PAGEBLOCK_PAGES, 3 * PAGEBLOCK_PAGES, 0));
	memset(pfn_to_ptr(run), 1, 3 * PAGEBLOCK_BYTES);
	ck_assert_uint_eq(check_zone(z).blank, 0);
	pages_free(run, 3 * PAGEBLOCK_PAGES);
	ck_assert_uint_eq(check_zone(z).blank, 2);
}
END_TEST

START_TEST(blank_is_bounded)
{
	enum { MOST = 40 };
	struct zone *z;

	start("small");
	z = my_zone();
	/* Each is longer than all that is blank. */
	for (u32 i = 2; i < MOST; i++)
		pages_free(pages_given(i * PAGEBLOCK_PAGES),
			   i * PAGEBLOCK_PAGES);
	ck_assert_uint_le(check_zone(z).blank, 512);
	ck_assert_uint_gt(z->offline, 0);
}
END_TEST

/* --- warm runs --- */

#define BUDGET	(16 * MIB)	/* of a small heap */

static void touch(u32 pfn, u32 nr)
{
	memset(pfn_to_ptr(pfn), 1, (size_t)nr * PAGE_BYTES);
}

static void touch_ends(u32 pfn, u32 nr)
{
	touch(pfn, 1);
	touch(pfn + nr - 1, 1);
}

START_TEST(a_warm_run_keeps_its_pages)
{
	u32 nr = 3 * PAGEBLOCK_PAGES + 77, pfn;
	struct zone *z;
	bool zeroed;

	start("thp,small");
	NEED_ONE_NODE();
	z = my_zone();
	pfn = pages_given(nr);
	touch_ends(pfn, nr);
	pages_free(pfn, nr);
	ck_assert_uint_eq(check_zone(z).blank, 4);
	ck_assert_uint_eq(z->nr_warm, 4);
	ck_assert_uint_eq(zone_nr_up(z), 0);
	ck_assert_uint_ge(resident(pfn, nr), 2);
	/* For who wants another length it is too good. */
	ck_assert_uint_ne(pages_given(2 * PAGEBLOCK_PAGES), pfn);
	ck_assert_uint_eq(pages_alloc(nr - 5, 0, RN_NOWAIT, &zeroed), pfn);
	ck_assert(!zeroed);
	ck_assert_int_eq(*(char *)pfn_to_ptr(pfn), 1);
	ck_assert_uint_eq(z->lazy, 4 + 2);
	ck_assert_uint_eq(check_zone(z).blank, 0);
}
END_TEST

/* Little that is resident is discarded; much is cleared, which is faster. */
START_TEST(a_warm_run_is_zeroed)
{
	u32 nr = 2 * PAGEBLOCK_PAGES + 33;
	char *p, *q;

	start("small");
	NEED_ONE_NODE();
	for (int dense = 0; dense < 2; dense++) {
		p = large_alloc(nr * PAGE_BYTES, 0, 0);
		ck_assert_ptr_nonnull(p);
		touch_ends(ptr_to_pfn(p), nr);
		if (dense)
			touch(ptr_to_pfn(p), nr);
		large_free(p, ptr_to_page(p));
		ck_assert_uint_eq(my_zone()->nr_warm, 3);
		q = large_alloc(nr * PAGE_BYTES, RN_ZERO, 0);
		ck_assert_ptr_eq(q, p);
		/* An emulator may say what it likes of what is resident. */
		if (!emulator())
			ck_assert_int_eq(resident(ptr_to_pfn(q), nr) > 0,
					 dense);
		ck_assert(is_zero(ptr_to_pfn(q), nr));
		large_free(q, ptr_to_page(q));
		cool_all();
	}
}
END_TEST

#define RUN_BLOCKS	2U
#define RUN_PAGES	(RUN_BLOCKS * PAGEBLOCK_PAGES)
#define MANY		64U

static u32 many[MANY];

static void take_many(void (*use)(u32, u32))
{
	for (u32 i = 0; i < MANY; i++) {
		many[i] = pages_given(RUN_PAGES);
		use(many[i], RUN_PAGES);
	}
}

/* All are freed; bytes of them that are still there. */
static size_t free_many(void)
{
	size_t pages = 0;

	for (u32 i = 0; i < MANY; i++)
		pages_free(many[i], RUN_PAGES);
	for (u32 i = 0; i < MANY; i++)
		pages += resident(many[i], RUN_PAGES);
	return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* The last ones stay. */
START_TEST(warm_memory_is_bounded)
{
	size_t held;

	start("small");
	NEED_ONE_NODE();
	take_many(touch);
	held = free_many();
	ck_assert_uint_gt(held, BUDGET / 2);
	ck_assert_uint_le(held, BUDGET);
	ck_assert_uint_eq(resident(many[0], RUN_PAGES), 0);
	ck_assert_uint_gt(resident(many[MANY - 1], RUN_PAGES), 0);
	check_zone(my_zone());
}
END_TEST

/* What is hardly touched counts for little, once that is known. */
START_TEST(sparse_runs_stay_warm)
{
	u32 before;

	start("small");
	NEED_ONE_NODE();
	/* Nor does more stay because it comes again (unit_workingset). */
	options.decay_ms = 0;
	for (int i = 0; i < 40; i++) {
		take_many(touch_ends);
		ck_assert_uint_le(free_many(), BUDGET);
	}
	before = my_zone()->nr_warm;
	ck_assert_uint_gt(before, 4 * BUDGET / PAGEBLOCK_BYTES);
	/* And it is soon known that they are not sparse any more. */
	for (int i = 0; i < 3; i++) {
		take_many(touch);
		free_many();
	}
	take_many(touch);
	ck_assert_uint_le(free_many(), BUDGET);
	ck_assert_uint_lt(my_zone()->nr_warm, before);
	check_zone(my_zone());
}
END_TEST

/* A large heap may keep more: a 20th of what was in use at a time. */
START_TEST(the_budget_follows_the_heap)
{
	u32 huge = (1U << 30) / PAGE_BYTES * 2, pfn;
	size_t held;

	start("small");
	NEED_ONE_NODE();
	pfn = pages_given(huge);
	take_many(touch);
	held = free_many();
	ck_assert_uint_gt(held, BUDGET);
	ck_assert_uint_le(held, (huge + MANY * RUN_PAGES) / 20 * PAGE_BYTES);
	/* More than the budget by itself: it goes at once. */
	touch(pfn, 1);
	pages_free(pfn, huge);
	ck_assert_uint_eq(resident(pfn, PAGEBLOCK_PAGES), 0);
	check_zone(my_zone());
}
END_TEST

START_TEST(warm_runs_are_given_back)
{
	struct zone *z;
	u32 warm;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	take_many(touch_ends);
	free_many();
	warm = z->nr_warm;
	ck_assert_uint_gt(warm, 0);
	ck_assert_uint_eq(vmstat("node0_pageblocks_warm"), (long)warm);
	ck_assert_uint_eq(vmstat("node0_pageblocks_blank"),
			  (long)(z->nr_blank - warm));
	ck_assert_uint_eq(pages_shrink(), (size_t)warm << PAGEBLOCK_SHIFT);
	ck_assert_uint_eq(z->nr_warm, 0);
	ck_assert_uint_eq(check_zone(z).used, 0);
	ck_assert(!readable(pfn_to_ptr(many[MANY - 1])));
}
END_TEST

/* A child has none of it, and its parent no page to copy. */
START_TEST(nothing_is_warm_after_a_fork)
{
	struct zone *z;
	int status;
	pid_t pid;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	take_many(touch_ends);
	free_many();
	ck_assert_uint_gt(z->nr_warm, 0);
	pid = fork();
	if (!pid)
		_exit(z->nr_warm != 0);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_uint_eq(z->nr_warm, 0);
	for (u32 i = 0; i < MANY; i++)
		ck_assert_uint_eq(resident(many[i], RUN_PAGES), 0);
	check_zone(z);
}
END_TEST

/* Growing in place takes the front of it. */
START_TEST(a_run_grows_over_a_warm_one)
{
	u32 a, b, nr = 3 * PAGEBLOCK_PAGES;
	struct zone *z;

	start("small");
	NEED_ONE_NODE();
	z = my_zone();
	a = pages_given(nr);
	b = pages_given(nr);
	ck_assert_uint_eq(b, a + nr);
	touch(b, nr);
	pages_free(b, nr);
	ck_assert_uint_eq(z->nr_warm, 3);
	ck_assert(pages_extend(a, nr, nr + PAGEBLOCK_PAGES, 0));
	ck_assert_uint_eq(z->nr_warm, 2);
	check_zone(z);
	/* It is not taken for zero when its turn comes. */
	pages_free(a, nr + PAGEBLOCK_PAGES);
	ck_assert_uint_eq(z->nr_warm, 6);
	check_zone(z);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("runs");
	TCase *t = tcase(s, "long runs");

	tcase_add_test(t, blank_runs_are_taken_again);
	tcase_add_test(t, shared_tail_is_left_alone);
	tcase_add_test(t, advice_leaves_the_ends_to_base_pages);
	tcase_add_test(t, blank_blocks_come_up_for_others);
	tcase_add_test(t, blank_is_bounded);
	t = tcase(s, "warm runs");
	tcase_add_test(t, a_warm_run_keeps_its_pages);
	tcase_add_test(t, a_warm_run_is_zeroed);
	tcase_add_test(t, warm_memory_is_bounded);
	tcase_add_test(t, sparse_runs_stay_warm);
	tcase_add_test(t, the_budget_follows_the_heap);
	tcase_add_test(t, warm_runs_are_given_back);
	tcase_add_test(t, nothing_is_warm_after_a_fork);
	tcase_add_test(t, a_run_grows_over_a_warm_one);
	return suite_main(s);
}
