// SPDX-License-Identifier: MIT
/*
 * rn_trim() and rn_shrink_all(): what goes, what stays, and what they say.
 */
#include "helpers.h"

#include <pthread.h>
#include <rn/pages.h>
#include <rn/reclaim.h>
#include <rn/slab.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SIZE	1000
#define NR	40000

/* KiB: what Check writes down, metadata, and pages that objects share. */
#define SLACK	1024

static unsigned char *objects[NR];

/* Pages of 4 KiB, since these are what VmRSS counts to the byte. */
static void setup(void)
{
	setenv("RN_LADDER", "small", 1);
	setenv("RN_DECAY_MS", "-1", 1);
	alarm(60);
	rn_free(rn_alloc(100000, 0));
}

static void take(void)
{
	for (int i = 0; i < NR; i++) {
		objects[i] = rn_alloc(SIZE, 0);
		ck_assert_ptr_nonnull(objects[i]);
		pattern_set(objects[i], SIZE, i);
	}
}

/* All but each @kept-th, or all. */
static void let_go(int kept)
{
	for (int i = 0; i < NR; i++) {
		if (kept && i % kept == 0)
			continue;
		rn_free(objects[i]);
		objects[i] = NULL;
	}
}

static void expect_kept(void)
{
	for (int i = 0; i < NR; i++)
		if (objects[i])
			ck_assert(pattern_ok(objects[i], SIZE, i));
}

/*
 * KiB of the heap that are resident: as the kernel counts them, or where a
 * sanitizer's shadow is memory as well, as the library does.
 */
static long rss(void)
{
	if (!SANITIZED)
		return status_value("RssAnon");
	return vmstat_nodes("pageblocks_small") * 2048 -
		vmstat_nodes("released_kbytes") - vmstat_nodes("hollow_kbytes");
}

START_TEST(nothing_to_give)
{
	setup();
	rn_trim(0);
	ck_assert_uint_eq(rn_trim(0), 0);
	ck_assert_uint_eq(rn_trim(SIZE_MAX), 0);
	ck_assert_uint_eq(rn_shrink_all(), 0);
}
END_TEST

/* Both give the same back, and say how much it was. */
START_TEST(all_of_it)
{
	long base, full, left;
	size_t bytes;

	setup();
	base = rss();
	take();
	let_go(0);
	full = rss();
	bytes = _i ? rn_shrink_all() : rn_trim(0);
	left = rss();
	ck_assert_int_gt(full - base, SLACK);
	ck_assert_int_le(left - base, SLACK);
	ck_assert_int_le(labs((long)(bytes >> 10) - (full - left)), SLACK);
}
END_TEST

/* As much stays as may, and what may not goes. */
START_TEST(down_to_a_goal)
{
	const long goal = 4 << 10;
	long base, left;

	setup();
	base = rss();
	take();
	let_go(0);
	ck_assert_int_gt(rss() - base, goal + SLACK);
	/* There is no more than that. */
	ck_assert_uint_eq(rn_trim(64 << 20), 0);
	ck_assert_uint_gt(rn_trim(goal << 10), 0);
	left = rss() - base;
	ck_assert_int_le(left, goal + SLACK);
	ck_assert_int_ge(left, goal / 4);
	ck_assert_uint_eq(rn_trim(goal << 10), 0);
	ck_assert_uint_gt(rn_trim(0), 0);
}
END_TEST

/* Objects stay as they are, and the rest can be used again. */
START_TEST(what_is_used_stays)
{
	static const int kept[] = { 2, 50 };
	unsigned long active;

	setup();
	take();
	let_go(kept[_i]);
	active = slabinfo_active();
	rn_trim(0);
	expect_kept();
	ck_assert_uint_eq(slabinfo_active(), active);
	for (int i = 0; i < NR; i++) {
		if (objects[i])
			continue;
		objects[i] = rn_alloc(SIZE, 0);
		ck_assert_ptr_nonnull(objects[i]);
		pattern_set(objects[i], SIZE, i);
	}
	expect_kept();
	let_go(0);
}
END_TEST

/* One object in 50 keeps a page each, not its slab. */
START_TEST(pages_between_objects)
{
	long base, full;

	if (all_debugged()) {
		skip_part("pages_between_objects", "no page of a debugged slab "
			  "is given back");
		return;
	}
	setup();
	base = rss();
	take();
	full = rss() - base;
	let_go(50);
	rn_trim(0);
	ck_assert_int_le(rss() - base, full / 50 * 5 + SLACK);
	expect_kept();
}
END_TEST

START_TEST(reserved_stays)
{
	const size_t bytes = 16 << 20;
	long with;

	setup();
	rn_trim(0);
	ck_assert_int_eq(rn_reserve(bytes, RN_NO_NODE, 0), 0);
	with = rss();
	rn_trim(0);
	ck_assert_int_ge(rss(), with - SLACK);
	rn_shrink_all();
	ck_assert_int_ge(rss(), with - SLACK);
}
END_TEST

/* --- beside others --- */

static bool stop;

static void *load(void *arg)
{
	unsigned char *p[200] = { NULL };
	uint64_t random = (uint64_t)arg;

	while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
		size_t i = xorshift(&random) % ARRAY_LEN(p);
		size_t size = 1 + random % 3000;

		if (random % 97 == 0)
			size += 100000;
		if (p[i] && p[i][0] != i)
			return arg;
		rn_free(p[i]);
		p[i] = rn_alloc(size, 0);
		if (!p[i])
			return arg;
		memset(p[i], (int)i, size);
	}
	for (size_t i = 0; i < ARRAY_LEN(p); i++)
		rn_free(p[i]);
	return NULL;
}

START_TEST(beside_threads)
{
	unsigned long before;
	pthread_t t[3];
	void *failed;

	setup();
	before = slabinfo_active();
	for (size_t i = 0; i < ARRAY_LEN(t); i++)
		pthread_create(&t[i], NULL, load, (void *)(i + 1));
	for (int i = 0; i < 400 / LESS; i++)
		rn_trim(i % 3 << 20);
	__atomic_store_n(&stop, true, __ATOMIC_RELAXED);
	for (size_t i = 0; i < ARRAY_LEN(t); i++) {
		pthread_join(t[i], &failed);
		ck_assert_ptr_null(failed);
	}
	ck_assert_uint_eq(slabinfo_active(), before);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trim");
	TCase *t = tcase_create("all");

	tcase_add_test(t, nothing_to_give);
	tcase_add_loop_test(t, all_of_it, 0, 2);
	tcase_add_test(t, down_to_a_goal);
	tcase_add_loop_test(t, what_is_used_stays, 0, 2);
	tcase_add_test(t, pages_between_objects);
	tcase_add_test(t, reserved_stays);
	tcase_add_test(t, beside_threads);
	tcase_set_timeout(t, 60);
	suite_add_tcase(s, t);
	return suite_main(s);
}
