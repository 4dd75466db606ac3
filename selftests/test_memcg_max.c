// SPDX-License-Identifier: MIT
/*
 * The max of a group: to the byte, whatever it is and whoever sets it, for who
 * does not wait; what is counted; and sheaves, which are there again as soon as
 * there is room.
 */
#include "helpers.h"
#include "memcg.h"

#include <errno.h>
#include <rn/pages.h>
#include <stdlib.h>
#include <string.h>

/* Small ones, classes of every size, and runs, at random. */
static size_t random_size(uint64_t *random, size_t most)
{
	unsigned int bits = xorshift(random) % 18;
	size_t size = 1 + (xorshift(random) & ((2UL << bits) - 1));

	return size < most ? size : most;
}

/* --- what fits and what does not --- */

/* Is a request of @size granted exactly if @room is left? */
static void *expect_exact(struct rn_memcg *m, size_t size, size_t room)
{
	if (rn_size_roundup(size) <= room)
		return granted(m, size, RN_NOWAIT);
	declined(m, size, RN_NOWAIT, ENOMEM);
	return NULL;
}

enum { MANY = 4000 };

static size_t fill(struct rn_memcg *m, struct rn_memcg *limited, size_t max,
		   void **p, size_t *nr, uint64_t *random)
{
	size_t used = 0;

	*nr = 0;
	for (int misses = 0; misses < 60 && *nr < MANY;) {
		void *new = expect_exact(m, random_size(random, max + 10),
					 max - used);

		ck_assert_uint_le(rn_memcg_peak(limited), max);
		misses += !new;
		if (!new)
			continue;
		p[(*nr)++] = new;
		used += rn_size(new);
		ck_assert_uint_eq(rn_memcg_usage(limited), used);
	}
	return used;
}

static size_t max_of(int i)
{
	static const size_t max[] = {
		0, 1, 7, 8, 9, 1000, 4097, 12345, 65536, 65537, 69632 + 13,
		100003, 777777, 5000011,
	};

	return i < (int)ARRAY_LEN(max) ? max[i] : 0;
}

enum { NR_MAX = 14 };

/* The last byte below max is to be had, none above it ever is. */
static void exact_below(struct rn_memcg *m, struct rn_memcg *limited,
			size_t max)
{
	static void *p[MANY + 1];
	uint64_t random = max + 1;
	size_t nr, used;

	for (int round = 0; round < 3; round++) {
		used = fill(m, limited, max, p, &nr, &random);
		while (max - used >= 8 && nr < MANY) {
			p[nr] = granted(m, 8, RN_NOWAIT);
			used += rn_size(p[nr++]);
		}
		if (nr < MANY)
			declined(m, 8, RN_NOWAIT, ENOMEM);
		ck_assert_uint_eq(rn_memcg_usage(limited), used);
		ck_assert_uint_le(rn_memcg_peak(limited), max);
		while (nr--)
			rn_free(p[nr]);
		ck_assert_uint_eq(rn_memcg_usage(limited), 0);
	}
}

/* What RN_NOWAIT is declined for is then never the want of memory. */
static void bring_up_memory(void)
{
	int ret;

	/* It would say that it is not of hugetlb pages. */
	stderr_catch();
	ret = rn_reserve(64UL << 20, RN_NO_NODE, 0);
	free(stderr_caught());
	ck_assert_int_eq(ret, 0);
}

START_TEST(to_the_byte)
{
	struct rn_memcg *m = group_of(NULL, "exact", max_of(_i));

	bring_up_memory();
	exact_below(m, m, max_of(_i));
	group_end(m);
}
END_TEST

START_TEST(of_the_parent)
{
	struct rn_memcg *top = group_of(NULL, "top", max_of(_i));
	struct rn_memcg *middle = group(top, "middle");
	struct rn_memcg *m = group_of(middle, "below", RN_MEMCG_NO_LIMIT);

	bring_up_memory();
	exact_below(m, top, max_of(_i));
	group_end(m);
	group_end(middle);
	group_end(top);
}
END_TEST

/* What lies in the sheaves of one group is room for another. */
START_TEST(stock_is_room)
{
	enum { EACH = 300 };
	struct rn_memcg *top = group(NULL, "top");
	struct rn_memcg *m[2] = { group(top, "a"), group(top, "b") };
	static void *p[2 * EACH];

	for (int round = 0; round < 20; round++) {
		struct rn_memcg *one = m[round % 2], *other = m[1 - round % 2];

		set_limit(top, RN_MEMCG_MAX, RN_MEMCG_NO_LIMIT);
		for (int i = 0; i < EACH; i++)
			p[i] = granted(one, 512, 0);
		for (int i = 0; i < EACH; i++)
			rn_free(p[i]);
		ck_assert_int_gt(memcg_figure(top, "stock"), 0);
		set_limit(top, RN_MEMCG_MAX, EACH * 512);
		for (int i = 0; i < EACH; i++)
			p[i] = granted(other, 512, RN_NOWAIT);
		declined(other, 8, RN_NOWAIT, ENOMEM);
		declined(one, 8, RN_NOWAIT, ENOMEM);
		for (int i = 0; i < EACH; i++)
			rn_free(p[i]);
	}
	group_end(m[0]);
	group_end(m[1]);
	group_end(top);
}
END_TEST

/* On each level something lies in sheaves that has to make room. */
START_TEST(stock_on_all_levels)
{
	enum { NR = 400, LEVELS = 5 };
	struct rn_memcg *m[LEVELS], *beside[LEVELS];
	size_t max;
	void *p[NR];

	for (int i = 0; i < LEVELS; i++) {
		m[i] = group(i ? m[i - 1] : NULL, "level");
		beside[i] = group(m[i], "beside");
	}
	for (int i = 0; i < LEVELS; i++) {
		for (int k = 0; k < NR; k++)
			p[k] = granted(beside[i], 512, 0);
		for (int k = 0; k < NR; k++)
			rn_free(p[k]);
		ck_assert_int_gt(memcg_figure(beside[i], "stock"), 0);
	}
	max = (charged(m[0]) + 4095) / 4096 * 4096;
	for (int i = 0; i < LEVELS; i++)
		set_limit(m[i], RN_MEMCG_MAX, max);
	rn_free(granted(m[LEVELS - 1], max, RN_NORETRY));
	for (int i = LEVELS - 1; i >= 0; i--) {
		group_end(beside[i]);
		group_end(m[i]);
	}
}
END_TEST

/* What is in sheaves is above the new max as well, and not handed out. */
START_TEST(below_usage)
{
	enum { NR = 200, LEFT = 100, MOST = 50 };
	struct rn_memcg *m = group(NULL, "lowered");
	size_t peak;
	char *p[NR];

	for (int i = 0; i < NR; i++)
		p[i] = granted(m, 256, 0);
	for (int i = LEFT; i < NR; i++)
		rn_free(p[i]);
	ck_assert_int_gt(memcg_figure(m, "stock"), 0);
	set_limit(m, RN_MEMCG_MAX, MOST * 256 + 1);
	peak = rn_memcg_peak(m);
	for (int i = 0; i < LEFT - MOST; i++) {
		declined(m, 256, RN_NORETRY, ENOMEM);
		rn_free(p[i]);
	}
	ck_assert_uint_eq(rn_memcg_usage(m), MOST * 256);
	declined(m, 8, RN_NORETRY, ENOMEM);
	rn_free(p[MOST]);
	p[MOST] = granted(m, 256, RN_NORETRY);
	ck_assert_uint_eq(rn_memcg_peak(m), peak);
	set_limit(m, RN_MEMCG_MAX, MOST * 256 + 8);
	rn_free(granted(m, 8, RN_NORETRY));
	for (int i = LEFT - MOST; i < LEFT; i++)
		rn_free(p[i]);
	group_end(m);
}
END_TEST

/* Room for all that is in use, but not for all that is charged. */
START_TEST(below_charged)
{
	enum { NR = 400, LEFT = 200, MORE = 20 };
	struct rn_memcg *top = group(NULL, "top"), *m = group(top, "lowered");
	char *p[NR];

	for (int i = 0; i < NR; i++)
		p[i] = granted(m, 256, 0);
	for (int i = LEFT; i < NR; i++)
		rn_free(p[i]);
	set_limit(top, RN_MEMCG_MAX, (LEFT + MORE) * 256);
	for (int i = 0; i < MORE; i++)
		p[LEFT + i] = granted(m, 256, RN_NORETRY);
	for (int i = 0; i < MORE; i++)
		declined(m, 256, RN_NORETRY, ENOMEM);
	for (int i = 0; i < LEFT + MORE; i++)
		rn_free(p[i]);
	group_end(m);
	group_end(top);
}
END_TEST

/* --- who is declined, and how soon --- */

/* It could never be met: not even with RN_MEMCG_FOREVER is it held. */
START_TEST(larger_than_max)
{
	struct rn_memcg *top = group_of(NULL, "top", 100000);
	struct rn_memcg *m = group_of(top, "below", 200000);

	ck_assert_int_eq(rn_memcg_set_timeout(m, RN_MEMCG_FOREVER), 0);
	declined(m, 150000, 0, ENOMEM);
	declined(m, 250000, 0, ENOMEM);
	/* Its pages are more than it asked for. */
	declined(m, 99999, 0, ENOMEM);
	set_limit(m, RN_MEMCG_MAX, 1023);
	declined(m, 1023, 0, ENOMEM);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HELD), 0);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_FAIL), 4);
	rn_free(granted(m, 512, 0));
	group_end(m);
	group_end(top);
}
END_TEST

START_TEST(not_held)
{
	static const rn_gfp_t flags[] = {
		RN_NOWAIT, RN_NORETRY, RN_RETRIES(1), RN_RETRIES(3),
	};
	struct rn_memcg *m = group_of(NULL, "full", 100 * 1024);
	void *p = granted(m, 100 * 1024, 0);

	ck_assert_int_eq(rn_memcg_set_timeout(m, RN_MEMCG_FOREVER), 0);
	for (size_t i = 0; i < ARRAY_LEN(flags); i++) {
		declined(m, 100, flags[i], ENOMEM);
		declined(m, 70000, flags[i], ENOMEM);
		ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_FAIL),
				  2 * i + 2);
	}
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HELD), 0);
	rn_free(p);
	group_end(m);
}
END_TEST

/* --- what is counted --- */

START_TEST(events_of_max)
{
	struct rn_memcg *top = group_of(NULL, "top", 10240);
	struct rn_memcg *m = group(top, "below");
	struct rn_memcg *beside = group(top, "beside");
	void *p = granted(m, 10240, 0);

	for (unsigned int i = 1; i <= 3; i++) {
		declined(m, 8, RN_NOWAIT, ENOMEM);
		ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_MAX), i);
		ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_FAIL), i);
	}
	/* It was this one's max that refused. */
	ck_assert_int_ge(memcg_figure(top, "failcnt"), 3);
	ck_assert_int_eq(memcg_figure(m, "failcnt"), 0);
	ck_assert_uint_eq(rn_memcg_event(beside, RN_MEMCG_EVENT_MAX), 0);
	rn_free(p);
	rn_free(granted(m, 8, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_FAIL), 3);
	group_end(beside);
	group_end(m);
	group_end(top);
}
END_TEST

/* Above its high a group gets memory all the same. */
START_TEST(events_of_high)
{
	struct rn_memcg *m = group(NULL, "high");
	void *p;

	set_limit(m, RN_MEMCG_HIGH, 100000);
	rn_free(granted(m, 90000, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HIGH), 0);
	p = granted(m, 200000, 0);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HIGH), 1);
	rn_free(granted(m, 70000, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HIGH), 2);
	rn_free(granted(m, 70000, RN_NOWAIT));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HIGH), 2);
	rn_free(p);
	rn_free(granted(m, 70000, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_HIGH), 2);
	group_end(m);
}
END_TEST

START_TEST(events_of_min)
{
	struct rn_memcg *m = group(NULL, "min");
	void *p;

	rn_free(granted(m, 100000, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_BORROWED), 0);
	set_limit(m, RN_MEMCG_MIN, 80000);
	p = granted(m, 70000, 0);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_BORROWED), 0);
	rn_free(granted(m, 70000, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_BORROWED), 1);
	rn_free(granted(m, 70000, 0));
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_BORROWED), 2);
	rn_free(p);
	group_end(m);
}
END_TEST

/* Where nothing can be given up, nothing was given up below a low. */
START_TEST(events_of_low)
{
	struct rn_memcg *top = group_of(NULL, "top", 100 * 1024);
	struct rn_memcg *m = group(top, "full"), *idle = group(top, "idle");
	void *p = granted(m, 100 * 1024, 0);

	declined(m, 100, RN_RETRIES(1), ENOMEM);
	ck_assert_uint_eq(rn_memcg_event(idle, RN_MEMCG_EVENT_LOW), 0);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_LOW), 0);
	ck_assert_uint_eq(rn_memcg_event(top, RN_MEMCG_EVENT_LOW), 0);
	rn_free(p);
	group_end(m);
	group_end(idle);
	group_end(top);
}
END_TEST

/* --- tight, and loose again --- */

static void swing(struct rn_memcg *m, int nr)
{
	static void *p[1000];

	for (int i = 0; i < nr; i++)
		p[i] = granted(m, 256, 0);
	for (int i = 0; i < nr; i++)
		rn_free(p[i]);
}

START_TEST(loose_again)
{
	enum { MOST = 1000 * 256 };
	struct rn_memcg *m = group(NULL, "swings");
	void *p[4];

	swing(m, 500);
	ck_assert_int_gt(memcg_figure(m, "stock"), 0);
	set_limit(m, RN_MEMCG_MAX, MOST);
	for (int round = 0; round < 10; round++) {
		p[0] = granted(m, 100000, RN_NOWAIT);
		p[1] = granted(m, 100000, RN_NOWAIT);
		declined(m, 100000, RN_NOWAIT, ENOMEM);
		/* Every byte is for who asks: none lies about. */
		ck_assert_int_eq(memcg_figure(m, "stock"), 0);
		ck_assert_uint_eq(charged(m), rn_memcg_usage(m));
		swing(m, 100);
		rn_free(p[0]);
		rn_free(p[1]);
		ck_assert_uint_eq(rn_memcg_usage(m), 0);
		swing(m, 500);
		ck_assert_int_gt(memcg_figure(m, "stock"), 0);
		ck_assert_uint_le(charged(m), MOST);
		ck_assert_uint_le(rn_memcg_peak(m), MOST);
	}
	group_end(m);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("memcg_max");
	TCase *max = tcase_create("max");
	TCase *rest = tcase_create("rest");

	tcase_add_loop_test(max, to_the_byte, 0, NR_MAX);
	tcase_add_loop_test(max, of_the_parent, 0, NR_MAX);
	tcase_add_test(max, stock_is_room);
	tcase_add_test(max, stock_on_all_levels);
	tcase_add_test(max, below_usage);
	tcase_add_test(max, below_charged);
	tcase_add_test(max, larger_than_max);
	tcase_add_test(max, not_held);
	tcase_add_test(rest, events_of_max);
	tcase_add_test(rest, events_of_high);
	tcase_add_test(rest, events_of_min);
	tcase_add_test(rest, events_of_low);
	tcase_add_test(rest, loose_again);
	tcase_set_timeout(max, 60);
	tcase_set_timeout(rest, 30);
	suite_add_tcase(s, max);
	suite_add_tcase(s, rest);
	return suite_main(s);
}
