// SPDX-License-Identifier: MIT
/*
 * Entries that are evicted: which one it is, which ones may not be, and what
 * the program is told of it.
 */
#include "helpers.h"
#include "memcg.h"
#include "unified.h"

#include <errno.h>
#include <rn/pages.h>
#include <string.h>

/* Storage has room for so many entries, and does not borrow. */
#define ENTRIES		64
#define ENTRY		(4 * KIB)
#define TOTAL		(2 * ENTRIES * ENTRY)
#define HALF_ONLY	.flags = RN_POOLS_STORAGE_HALF, .timeout = 1

/* No entry. */
#define NOBODY		UINT64_MAX

/* What the callbacks saw, and what they are to say. */
static struct {
	unsigned int calls;	/* of evict */
	uint64_t last;		/* that was evicted */
	uint64_t refused;	/* that may not be; NOBODY: all may */
	uint64_t chosen;	/* that alone may be; NOBODY: all may */
	bool none;		/* may be */
	unsigned int asked[2 * ENTRIES];
} told;

static void pattern_of(uint64_t id, void *p, size_t bytes)
{
	pattern_set(p, bytes, id);
}

static bool evict(uint64_t id, void *p, size_t bytes, void *arg)
{
	if (arg != &told)
		ck_abort_msg("arg is %p", arg);
	if (bytes != ENTRY || !pattern_ok(p, bytes, id))
		ck_abort_msg("entry %lu: %zu bytes at %p, or others' contents",
			     (unsigned long)id, bytes, p);
	told.calls++;
	if (id < ARRAY_LEN(told.asked))
		told.asked[id]++;
	if (told.none || id == told.refused ||
	    (told.chosen != NOBODY && id != told.chosen))
		return false;
	told.last = id;
	return true;
}

static void told_reset(void)
{
	memset(&told, 0, sizeof(told));
	told.last = told.refused = told.chosen = NOBODY;
}

static void make_entry(uint64_t id)
{
	pattern_of(id, entry_acquired(id, ENTRY), ENTRY);
	entry_unpin(id);
}

/* Full of the ids from 0 on; one more takes the place of one. */
static void start_full(enum rn_pools_victim victim,
		       bool (*pick)(uint64_t *, void *))
{
	told_reset();
	pools_start(TOTAL, OPTIONS(.victim = victim, .evict = evict,
				   .pick = pick, .arg = &told, HALF_ONLY));
	for (uint64_t id = 0; id < ENTRIES; id++)
		make_entry(id);
	ck_assert_uint_eq(told.calls, 0);
	ck_assert_uint_eq(storage_usage(), half_of(TOTAL));
}

/* One entry more, and who had to go for it. */
static uint64_t victim_of(uint64_t id)
{
	told.last = NOBODY;
	make_entry(id);
	ck_assert_uint_ne(told.last, NOBODY);
	ck_assert(!is_cached(told.last));
	ck_assert_uint_eq(storage_usage(), half_of(TOTAL));
	return told.last;
}

static void entries_as_they_were(uint64_t first, uint64_t end)
{
	for (uint64_t id = first; id < end; id++) {
		ck_assert(pattern_ok(entry_pinned(id), ENTRY, id));
		entry_unpin(id);
	}
}

/* --- who --- */

/*
 * Each of the others as often: chi-square of 64 counts is 64 on average, with a
 * standard deviation of 11. The bounds are five of them away, on both sides: in
 * turn would be no accident either.
 */
START_TEST(at_random)
{
	const unsigned int rounds = 200 * ENTRIES;
	unsigned int times[ENTRIES + 1] = { 0 };
	uint64_t missing = ENTRIES;
	double expected = (double)rounds / (ENTRIES + 1), sum = 0;

	start_full(RN_POOLS_RANDOM, NULL);
	for (unsigned int i = 0; i < rounds; i++) {
		missing = victim_of(missing);
		times[missing]++;
	}
	for (int i = 0; i <= ENTRIES; i++)
		sum += (times[i] - expected) * (times[i] - expected) / expected;
	ck_assert_msg(sum > 15 && sum < 130, "chi-square is %g", sum);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Whether it is early or late in memory, or in time: the halves are equal. */
START_TEST(not_by_age)
{
	const unsigned int rounds = 200 * ENTRIES;
	unsigned int younger = 0;
	uint64_t next = ENTRIES, victim;

	start_full(RN_POOLS_RANDOM, NULL);
	/* Of equally likely ones, each is there for 64 rounds on average. */
	for (unsigned int i = 0; i < rounds; i++, next++) {
		victim = victim_of(next);
		/* ln 2 of the average is the median of the age. */
		if (i > 10 * ENTRIES)
			younger += next - victim <= ENTRIES * 693 / 1000;
	}
	ck_assert_uint_gt(younger, (rounds - 10 * ENTRIES) * 47 / 100);
	ck_assert_uint_lt(younger, (rounds - 10 * ENTRIES) * 53 / 100);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* What was unpinned the longest time ago, each time. */
START_TEST(least_recently_used)
{
	uint64_t order[ENTRIES], random = 0x5eed, next = ENTRIES;

	start_full(RN_POOLS_LRU, NULL);
	for (int i = 0; i < ENTRIES; i++)
		order[i] = i;
	for (int i = 0; i < 5000; i++) {
		unsigned int k = xorshift(&random) % ENTRIES;
		uint64_t used = order[k];

		if (i % 3) {
			entry_pinned(used);
			/* To look at it is not to use it. */
			ck_assert(is_cached(order[0]));
			entry_unpin(used);
		} else {
			ck_assert_uint_eq(victim_of(next), order[0]);
			used = next++;
			k = 0;
		}
		memmove(&order[k], &order[k + 1],
			(ENTRIES - 1 - k) * sizeof(*order));
		order[ENTRIES - 1] = used;
	}
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- whom the program names --- */

static const uint64_t *to_pick;		/* ended by NOBODY */
static unsigned int picks;

static bool pick(uint64_t *page_id, void *arg)
{
	if (arg != &told)
		ck_abort_msg("arg is %p", arg);
	picks++;
	if (*to_pick == NOBODY)
		return false;
	*page_id = *to_pick++;
	return true;
}

START_TEST(picked)
{
	static const uint64_t named[] = { 17, 3, 63, 0, 40, NOBODY };

	start_full(RN_POOLS_PICK, pick);
	to_pick = named;
	for (int i = 0; i < 5; i++)
		ck_assert_uint_eq(victim_of(100 + i), named[i]);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* One that is there no more, is pinned or stays is the end of it. */
START_TEST(picked_in_vain)
{
	static const uint64_t named[][3] = {
		{ NOBODY }, { 99, 5, NOBODY }, { 7, 5, NOBODY },
	};
	unsigned int before;

	start_full(RN_POOLS_PICK, pick);
	entry_pinned(7);
	to_pick = named[_i];
	before = picks;
	storage_declined(ENTRY, RN_RETRIES(1), ENOMEM);
	ck_assert_uint_gt(picks, before);
	ck_assert_uint_eq(nr_cached(0, ENTRIES), ENTRIES);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

static bool pick_the_refused(uint64_t *page_id, void *arg)
{
	picks++;
	*page_id = told.refused;
	return true;
}

static bool pick_nothing_there(uint64_t *page_id, void *arg)
{
	picks++;
	*page_id = 12345;
	return true;
}

/* Named for ever, it is not asked for ever. */
START_TEST(picked_again_and_again)
{
	start_full(RN_POOLS_PICK, _i ? pick_nothing_there : pick_the_refused);
	told.refused = 9;
	storage_declined(ENTRY, RN_RETRIES(1), ENOMEM);
	storage_declined(ENTRY, 0, ETIMEDOUT);
	entry_declined(200, ENTRY, ETIMEDOUT);
	ck_assert_uint_gt(picks, 0);
	ck_assert_uint_lt(picks, 1000);
	ck_assert_uint_eq(nr_cached(0, ENTRIES), ENTRIES);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* --- who may not --- */

static const enum rn_pools_victim ways[] = { RN_POOLS_RANDOM, RN_POOLS_LRU };

START_TEST(never_one_that_is_pinned)
{
	start_full(ways[_i], NULL);
	for (uint64_t id = 0; id < ENTRIES; id += 2)
		entry_pinned(id);
	for (uint64_t id = 100; id < 400; id++) {
		uint64_t victim = victim_of(id);

		ck_assert(victim % 2 || victim >= 100);
	}
	for (uint64_t id = 0; id < ENTRIES; id += 2)
		entries_as_they_were(id, id + 1);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Pinned as often as one likes, it may go when each pin was given back. */
START_TEST(pins_count)
{
	start_full(ways[_i], NULL);
	for (uint64_t id = 0; id < ENTRIES; id++)
		entry_pinned(id);
	for (int i = 0; i < 1000; i++)
		entry_pinned(5);
	for (int i = 0; i < 1000; i++) {
		entry_unpin(5);
		if (i % 100 == 0)
			storage_declined(ENTRY, RN_RETRIES(1), ENOMEM);
	}
	storage_declined(ENTRY, RN_RETRIES(1), ENOMEM);
	ck_assert_uint_eq(told.calls, 0);
	entry_unpin(5);
	ck_assert_uint_eq(victim_of(100), 5);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Whatever it was asked, it is there, and so is what is in it. */
START_TEST(all_refuse)
{
	start_full(ways[_i], NULL);
	told.none = true;
	storage_declined(ENTRY, RN_RETRIES(1), ENOMEM);
	for (int i = 0; i < ENTRIES; i++)
		ck_assert_uint_gt(told.asked[i], 0);
	storage_declined(ENTRY, 0, ETIMEDOUT);
	entry_declined(100, ENTRY, ETIMEDOUT);
	exec_granted(half_of(TOTAL), 0);
	exec_declined(ENTRY, 0, ETIMEDOUT);
	ck_assert_uint_eq(nr_cached(0, ENTRIES), ENTRIES);
	entries_as_they_were(0, ENTRIES);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* All others are asked before one is again. */
static uint64_t asked_last[ENTRIES];
static unsigned int nr_asked;

static bool refuse(uint64_t id, void *p, size_t bytes, void *arg)
{
	for (unsigned int i = 0; i < nr_asked % ENTRIES; i++)
		if (asked_last[i] == id)
			ck_abort_msg("%lu is asked again, after %u calls",
				     (unsigned long)id, nr_asked % ENTRIES);
	asked_last[nr_asked++ % ENTRIES] = id;
	return false;
}

START_TEST(each_in_its_turn)
{
	pools_start(TOTAL, OPTIONS(.victim = ways[_i], .evict = refuse,
				   HALF_ONLY));
	for (uint64_t id = 0; id < ENTRIES; id++)
		make_entry(id);
	storage_declined(ENTRY, RN_RETRIES(3), ENOMEM);
	rn_shrink_all();
	ck_assert_uint_gt(nr_asked, ENTRIES);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Execution has no right to what does not want to go, either. */
START_TEST(all_refuse_execution)
{
	const unsigned int nr = 3 * ENTRIES / 2;
	size_t got = 0;

	told_reset();
	pools_start(TOTAL, OPTIONS(.victim = ways[_i], .evict = evict,
				   .arg = &told));
	for (unsigned int id = 0; id < nr; id++)
		make_entry(id);
	told.none = true;
	while (rn_exec_alloc(ENTRY, RN_RETRIES(1)))
		got++;
	ck_assert_uint_eq(got, 2 * ENTRIES - nr);
	ck_assert_uint_gt(told.calls, 0);
	entries_as_they_were(0, nr);
	told.none = false;
	exec_granted(ENTRY, RN_RETRIES(1));
	ck_assert_uint_lt(nr_cached(0, nr), nr);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* The one that does not is found among all of them. */
START_TEST(all_refuse_but_one)
{
	start_full(ways[_i], NULL);
	for (int i = 0; i < 100; i++) {
		told.chosen = i * 37 % ENTRIES;
		ck_assert_uint_eq(victim_of(100 + i), told.chosen);
		entry_release(100 + i);
		make_entry(told.chosen);
	}
	entries_as_they_were(0, ENTRIES);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* Its own will needs no callback. */
START_TEST(release_tells_nobody)
{
	start_full(ways[_i], NULL);
	told.none = true;
	for (uint64_t id = 0; id < ENTRIES; id++)
		entry_release(id);
	ck_assert_uint_eq(told.calls, 0);
	for (uint64_t id = 0; id < ENTRIES; id++)
		make_entry(id);
	ck_assert_int_eq(rn_pools_destroy(), 0);
	ck_assert_uint_eq(told.calls, 0);
}
END_TEST

/* --- without, and for others --- */

START_TEST(without_a_callback)
{
	pools_start(TOTAL, OPTIONS(.victim = ways[_i], HALF_ONLY));
	for (uint64_t id = 0; id < 10 * ENTRIES; id++)
		make_entry(id);
	ck_assert_uint_eq(nr_cached(0, 10 * ENTRIES), ENTRIES);
	ck_assert_uint_le(total_peak(), TOTAL);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

/* What the program has cached is given up when memory is short elsewhere. */
START_TEST(by_shrink_all)
{
	unsigned int asked;

	start_full(ways[_i], NULL);
	entry_pinned(5);
	told.refused = 6;
	rn_shrink_all();
	ck_assert_uint_eq(nr_cached(0, ENTRIES), 2);
	ck_assert(is_cached(5));
	ck_assert(is_cached(6));
	ck_assert_uint_ge(told.calls, ENTRIES - 1);
	ck_assert_uint_eq(storage_usage(), 2 * ENTRY);
	/* Not once there are no pools. */
	asked = told.calls;
	ck_assert_int_eq(rn_pools_destroy(), 0);
	rn_shrink_all();
	ck_assert_uint_eq(told.calls, asked);
}
END_TEST

/* It counts, to the byte. */
START_TEST(evicted_bytes)
{
	struct rn_memcg *m;

	start_full(ways[_i], NULL);
	m = rn_pools_memcg(RN_POOLS_STORAGE);
	for (int i = 0; i < 10; i++)
		victim_of(100 + i);
	ck_assert_uint_eq(rn_memcg_event(m, RN_MEMCG_EVENT_EVICTED),
			  10 * ENTRY);
	ck_assert_int_eq(rn_pools_destroy(), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("pools_evict");
	TCase *tc = tcase_create("evict");

	tcase_add_test(tc, at_random);
	tcase_add_test(tc, not_by_age);
	tcase_add_test(tc, least_recently_used);
	tcase_add_test(tc, picked);
	tcase_add_loop_test(tc, picked_in_vain, 0, 3);
	tcase_add_loop_test(tc, picked_again_and_again, 0, 2);
	tcase_add_loop_test(tc, never_one_that_is_pinned, 0, 2);
	tcase_add_loop_test(tc, pins_count, 0, 2);
	tcase_add_loop_test(tc, all_refuse, 0, 2);
	tcase_add_loop_test(tc, each_in_its_turn, 0, 2);
	tcase_add_loop_test(tc, all_refuse_execution, 0, 2);
	tcase_add_loop_test(tc, all_refuse_but_one, 0, 2);
	tcase_add_loop_test(tc, release_tells_nobody, 0, 2);
	tcase_add_loop_test(tc, without_a_callback, 0, 2);
	tcase_add_loop_test(tc, by_shrink_all, 0, 2);
	tcase_add_loop_test(tc, evicted_bytes, 0, 2);
	tcase_set_timeout(tc, 30);
	suite_add_tcase(s, tc);
	return suite_main(s);
}
