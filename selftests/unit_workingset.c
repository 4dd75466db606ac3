// SPDX-License-Identifier: MIT
/*
 * What went back and came again: how much more may stay for it, and for how
 * long. Long runs and hugetlb pages that are freed and taken in turn are given
 * back no more then, and go when nobody takes them any more.
 */
#include "given.h"
#include "helpers.h"
#include "zone_census.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define BLOCK		PAGEBLOCK_PAGES
#define LEAST		(64 * MIB >> PAGE_SHIFT)	/* whatever the peak */

static void pass_ms(long ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/* --- the counts --- */

START_TEST(comes_soon)
{
	struct workingset w = { 0 };

	workingset_refault(&w, 5 * BLOCK);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 0);
	workingset_evict(&w, 3 * BLOCK);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 0);
	workingset_refault(&w, 2 * BLOCK);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 2 * BLOCK);
	/* No more comes again than went. */
	workingset_refault(&w, 2 * BLOCK);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 3 * BLOCK);
}
END_TEST

START_TEST(comes_late)
{
	struct workingset w = { 0 };

	workingset_evict(&w, 3 * BLOCK);
	pass_ms(150);
	workingset_refault(&w, 3 * BLOCK);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 0);
}
END_TEST

/* At least 64 MiB, or an eighth of the peak. */
START_TEST(is_bounded)
{
	struct workingset w = { 0 };

	workingset_evict(&w, 1U << 30);
	workingset_refault(&w, 1U << 30);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), LEAST);
	ck_assert_uint_eq(workingset_extra(&w, 8 * LEAST, BLOCK), LEAST);
	ck_assert_uint_eq(workingset_extra(&w, 80 * LEAST, BLOCK), 10 * LEAST);
	ck_assert_uint_eq(workingset_extra(&w, 0, WARM_FULL),
			  32 * WARM_FULL);
}
END_TEST

START_TEST(ages)
{
	struct workingset w = { 0 };
	unsigned int ticks = 0;

	workingset_evict(&w, 64);
	workingset_refault(&w, 64);
	workingset_evict(&w, 64);
	workingset_age(&w);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 48);
	/* What went before the tick does not come again. */
	workingset_refault(&w, 64);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 48);
	for (; workingset_extra(&w, 0, BLOCK); ticks++)
		workingset_age(&w);
	ck_assert_uint_le(ticks, 16);
}
END_TEST

START_TEST(not_without_decay)
{
	struct workingset w = { 0 };

	options.decay_ms = 0;
	workingset_evict(&w, 3 * BLOCK);
	workingset_refault(&w, 3 * BLOCK);
	ck_assert_uint_eq(workingset_extra(&w, 0, BLOCK), 0);
}
END_TEST

/* --- and what follows from them --- */

static long faults(void)
{
	struct rusage r;

	getrusage(RUSAGE_SELF, &r);
	return r.ru_minflt;
}

/* Page faults of a long run that is filled and freed. */
static long swing(size_t bytes)
{
	long before = faults();
	void *p = rn_alloc(bytes, 0);

	ck_assert_ptr_nonnull(p);
	memset(p, 1, bytes);
	rn_free(p);
	return faults() - before;
}

/* More than the budget of warm runs. */
START_TEST(long_runs_stay)
{
	long cold;

	start("thp,small");
	NEED_ONE_NODE();
	cold = swing(32 * MIB);
	ck_assert_int_gt(cold, 100);
	swing(32 * MIB);
	/* A sanitizer has faults of its own. */
	for (int i = 0; i < 3; i++)
		ck_assert_int_lt(swing(32 * MIB), cold / 10);
	/* But not what is beyond all bounds. */
	swing(200 * MIB);
	swing(200 * MIB);
	ck_assert_uint_le(warm_bytes(my_zone()->warm_weight), (16 + 64) * MIB);
	ck_assert_int_gt(swing(200 * MIB), 100);
}
END_TEST

/* More than may be free without. */
#define NR_RUNS		12

/* Runs of a pageblock each; how many pages came from the pool. */
static u64 swing_huge(void)
{
	u64 before = my_zone()->online[BACKING_HUGETLB];
	void *p[NR_RUNS];

	for (int i = 0; i < NR_RUNS; i++) {
		p[i] = rn_alloc(2 * MIB, 0);
		ck_assert_ptr_nonnull(p[i]);
	}
	for (int i = 0; i < NR_RUNS; i++)
		rn_free(p[i]);
	return my_zone()->online[BACKING_HUGETLB] - before;
}

START_TEST(huge_pages_stay)
{
	struct zone *z;

	NEED_HUGE();
	ck_assert_int_eq(huge_set_free(16), 0);
	start("hugetlb");
	z = my_zone();
	ck_assert_uint_ge(swing_huge(), NR_RUNS);
	ck_assert_uint_lt(zone_nr_idle(z), NR_RUNS);
	swing_huge();
	for (int i = 0; i < 3; i++)
		ck_assert_uint_eq(swing_huge(), 0);
	ck_assert_uint_ge(zone_nr_idle(z), NR_RUNS);
	/* Nobody takes them any more. */
	for (int i = 0; i < 30; i++)
		pages_age(1);
	ck_assert_int_eq(zone_nr_idle(z), 0);
	ck_assert_uint_eq(z->huge_set.extra, 0);
}
END_TEST

int main(void)
{
	int ret;
	Suite *s = suite_create("workingset");
	TCase *counts = tcase_create("counts");
	TCase *zone = tcase_create("zone");

	tcase_add_test(counts, comes_soon);
	tcase_add_test(counts, comes_late);
	tcase_add_test(counts, is_bounded);
	tcase_add_test(counts, ages);
	tcase_add_test(counts, not_without_decay);
	suite_add_tcase(s, counts);
	tcase_set_timeout(zone, 120);
	tcase_add_test(zone, long_runs_stay);
	tcase_add_test(zone, huge_pages_stay);
	suite_add_tcase(s, zone);
	no_huge = huge_begin();
	ret = suite_main(s);
	huge_end();
	return ret;
}
